//! What is told of a commit: one CloudEvent, which every sink of the dataset gets byte for byte.
//!
//! Called by `step.rs` when a step ends, and its envelope by `endings.rs`; pure. It goes into the state with the end of the step, and so never before the commit.

use crate::{
    Outcome,
    endings::balance,
    event_types::{EventType, PUBLISHED},
};
use alluvium_model::RunId;
use alluvium_spec::{Dataset, Project};
use alluvium_store::{NewPublication, StepKind, StepRecord};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) fn of(
    project: &Project,
    dataset: &Dataset,
    step: &StepRecord,
    run: &RunId,
    outcome: &Outcome,
    recovered: bool,
    at: Timestamp,
) -> Vec<NewPublication> {
    // A window of a backfill is told with the swap, and a discard changes nothing that could be read.
    let is_told = !dataset.publish.is_empty() && !matches!(step.kind, StepKind::Backfill | StepKind::Discard);
    let Some(committed) = outcome.committed.filter(|_| is_told) else { return Vec::new() };
    // A commit that an earlier process made does not tell how many rows it wrote.
    let rows = (!recovered).then_some(outcome.usage.rows_out);
    let data = json!({
        "dataset": dataset.name,
        "table_version": committed,
        "step": step.key,
        "kind": step.kind,
        "run": run,
        "definition": step.version,
        "windows": outcome.windows,
        "rows": rows,
        "balance": balance(&outcome.balance),
    });
    let (id, subject) = (step.key.as_str(), dataset.name.to_string());
    let event = Envelope { project, id, kind: &PUBLISHED, subject: &subject, at }.event(&data);
    dataset.publish.iter().map(|sink| NewPublication { sink: sink.clone(), event: event.clone() }).collect()
}

/// All of an event but its data.
pub(crate) struct Envelope<'a> {
    pub(crate) project: &'a Project,
    pub(crate) id: &'a str,
    pub(crate) kind: &'static EventType,
    pub(crate) subject: &'a str,
    pub(crate) at: Timestamp,
}

impl Envelope<'_> {
    pub(crate) fn event(&self, data: &Value) -> String {
        let event = json!({
            "specversion": "1.0",
            "id": self.id,
            "source": format!("/{}/{}", escaped(&self.project.name), self.project.environment),
            "type": self.kind.name,
            "subject": self.subject,
            "time": self.at.to_string(),
            "datacontenttype": "application/json",
            "dataschema": self.kind.schema_id,
            "data": data,
        });
        event.to_string()
    }
}

/// A project's name is any text; the source of an event is a part of a URL.
fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~') => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}
