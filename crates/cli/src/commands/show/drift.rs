//! `show drift`: fields that came otherwise than a dataset's columns have them, since when, in how many records, and what was done.

use super::listing::{Column, list};
use crate::{
    args::Global,
    commands::query::ask,
    error::CliError,
    render::{Align, brief_time, grouped, json_time, printable, results::json_rows},
    wire::Wired,
};
use alluvium_model::DatasetName;
use arrow::array::RecordBatch;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// How an object was refused for its fields, by code.
const REFUSED: [(&str, &str); 2] = [("D0040", "fail"), ("D0041", "freeze")];

#[derive(Debug, Serialize)]
struct Line {
    dataset: String,
    /// `new`, `missing`, `retyped`, `reordered` or `recased`; `unfit`: a whole object, or step, that was refused.
    kind: String,
    /// Of what was refused the object.
    field: String,
    policy: String,
    #[serde(serialize_with = "json_time")]
    since: Timestamp,
    #[serde(serialize_with = "json_time")]
    last: Timestamp,
    /// Records that had it; `None`: it was refused before they were read.
    records: Option<u64>,
    note: String,
}

const COLUMNS: &[Column<Line>] = &[
    ("dataset", Align::Left, |l| l.dataset.clone()),
    ("drift", Align::Left, |l| l.kind.clone()),
    ("field", Align::Left, |l| printable(&l.field)),
    ("policy", Align::Left, |l| l.policy.clone()),
    ("since", Align::Left, |l| brief_time(l.since)),
    ("last", Align::Left, |l| brief_time(l.last)),
    ("records", Align::Right, |l| l.records.map_or_else(|| "-".to_owned(), grouped)),
    ("", Align::Left, |l| printable(&l.note)),
];

pub async fn show(global: &Global, wired: &Wired, only: Option<&DatasetName>) -> Result<(), CliError> {
    if let Some(name) = only
        && !wired.project.datasets.contains_key(name)
    {
        return Err(CliError::UnknownDataset(name.to_string()));
    }
    let mut lines = loaded(wired).await?;
    lines.extend(refused(wired).await?);
    lines.retain(|l| only.is_none_or(|n| n.to_string() == l.dataset));
    lines.sort_by(|a, b| (&a.dataset, &a.kind, &a.field, a.since).cmp(&(&b.dataset, &b.kind, &b.field, b.since)));
    list(global, COLUMNS, &lines, "every field came as the columns have it")
}

/// What steps that committed have met. Rows that wait are not counted again when they are replayed.
async fn loaded(wired: &Wired) -> Result<Vec<Line>, CliError> {
    let sql = "SELECT q.dataset, q.rule, q.action, max(q.note) AS note, sum(q.violations) AS records,
                      CAST(CAST(min(s.finished_at) AS BIGINT) AS VARCHAR) AS since,
                      CAST(CAST(max(s.finished_at) AS BIGINT) AS VARCHAR) AS last
               FROM state.quality AS q JOIN state.steps AS s ON s.step = q.step
               WHERE q.rule LIKE 'drift:%' AND s.kind = 'ingest' AND s.state = 'done' GROUP BY 1, 2, 3";
    let batches: Vec<RecordBatch> = ask(wired, sql).await?.batches.try_collect().await?;
    let mut lines = Vec::new();
    for row in batches.iter().map(json_rows).collect::<Result<Vec<_>, _>>()?.concat() {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let time = |name: &str| {
            text(name).parse().ok().and_then(|t| Timestamp::from_microsecond(t).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
        };
        let rule = text("rule");
        let (kind, field) = rule.trim_start_matches("drift:").split_once(':').unwrap_or_default();
        lines.push(Line {
            dataset: text("dataset"),
            kind: kind.to_owned(),
            field: field.to_owned(),
            policy: text("action"),
            since: time("since"),
            last: time("last"),
            records: row["records"].as_u64(),
            note: text("note"),
        });
    }
    Ok(lines)
}

/// Objects that wait because of their fields, and steps that wait for another definition.
async fn refused(wired: &Wired) -> Result<Vec<Line>, CliError> {
    let policies = BTreeMap::from(REFUSED);
    let letters = wired.store.dead_letters().await?.into_iter();
    let line = |l: alluvium_store::DeadLetter| {
        let policy = policies.get(l.code.as_deref()?)?;
        Some(Line {
            dataset: l.dataset.to_string(),
            kind: "unfit".to_owned(),
            field: l.object.unwrap_or_else(|| format!("{} files", l.objects)),
            policy: (*policy).to_owned(),
            since: l.died_at,
            last: l.died_at,
            records: None,
            note: l.message,
        })
    };
    Ok(letters.filter_map(line).collect())
}
