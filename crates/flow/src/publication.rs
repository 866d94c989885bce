//! What is told of a commit: one CloudEvent, which every sink of the dataset gets byte for byte.
//!
//! Called by `step.rs` when a step ends; pure. It goes into the state with the end of the step, and so never before the commit.

use crate::Outcome;
use alluvium_model::RunId;
use alluvium_spec::{Dataset, Project};
use alluvium_store::{NewPublication, StepKind, StepRecord};
use jiff::Timestamp;
use serde_json::json;

const TYPE: &str = "io.alluvium.dataset.published";

pub(crate) fn of(
    project: &Project,
    dataset: &Dataset,
    step: &StepRecord,
    run: &RunId,
    outcome: &Outcome,
    recovered: bool,
    at: Timestamp,
) -> Vec<NewPublication> {
    // A window of a backfill is told with the swap.
    let is_told = !dataset.publish.is_empty() && step.kind != StepKind::Backfill;
    let Some(committed) = outcome.committed.filter(|_| is_told) else { return Vec::new() };
    // A commit that an earlier process made does not tell how many rows it wrote.
    let rows = (!recovered).then_some(outcome.usage.rows_out);
    let b = outcome.balance;
    let event = json!({
        "specversion": "1.0",
        "id": step.key,
        "source": format!("/{}/{}", escaped(&project.name), project.environment),
        "type": TYPE,
        "subject": dataset.name,
        "time": at.to_string(),
        "datacontenttype": "application/json",
        "data": {
            "dataset": dataset.name,
            "table_version": committed,
            "step": step.key,
            "kind": step.kind,
            "run": run,
            "definition": step.version,
            "windows": outcome.windows,
            "rows": rows,
            "balance": {
                "received": b.received,
                "loaded": b.loaded,
                "quarantined": b.quarantined,
                "dropped": b.dropped,
                "dead": b.dead,
                "duplicates": b.duplicates,
                "late": b.late,
            },
        },
    });
    let event = event.to_string();
    dataset.publish.iter().map(|sink| NewPublication { sink: sink.clone(), event: event.clone() }).collect()
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
