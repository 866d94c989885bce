//! `show backfills`: what is or was made beside live tables, and what the comparison found.

use super::listing::{Column, list, or_dash};
use crate::{
    args::Global,
    error::CliError,
    render::{
        Align,
        backfill::{Compared, ends, word},
        brief_time, grouped, json_time,
    },
    wire::Wired,
};
use alluvium_flow::{Comparison, backfill_parts};
use alluvium_store::{BackfillRecord, BackfillState, StepState};
use jiff::Timestamp;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Line {
    backfill: String,
    dataset: String,
    state: BackfillState,
    from: String,
    to: String,
    window: String,
    windows: u64,
    made: u64,
    failed: u64,
    different: Option<u64>,
    max_active_runs: u32,
    tolerated_failure_percentage: f64,
    #[serde(serialize_with = "json_time")]
    started_at: Timestamp,
    #[serde(serialize_with = "json_time")]
    changed_at: Timestamp,
    comparison: Option<Compared>,
}

const COLUMNS: &[Column<Line>] = &[
    ("dataset", Align::Left, |l| l.dataset.clone()),
    ("backfill", Align::Left, |l| l.backfill.clone()),
    ("state", Align::Left, |l| word(l.state).to_owned()),
    ("from", Align::Left, |l| l.from.clone()),
    ("to", Align::Left, |l| l.to.clone()),
    ("window", Align::Left, |l| l.window.clone()),
    ("windows", Align::Right, |l| grouped(l.windows)),
    ("made", Align::Right, |l| grouped(l.made)),
    ("failed", Align::Right, |l| grouped(l.failed)),
    ("differ", Align::Right, |l| or_dash(l.different.map(grouped))),
    ("changed", Align::Left, |l| brief_time(l.changed_at)),
];

pub async fn show(global: &Global, wired: &Wired) -> Result<(), CliError> {
    let mut lines = Vec::new();
    for record in wired.store.backfills().await? {
        lines.push(line(wired, record).await?);
    }
    list(global, COLUMNS, &lines, "there is no backfill")
}

async fn line(wired: &Wired, record: BackfillRecord) -> Result<Line, CliError> {
    let parts = backfill_parts(&*wired.store, &record, &wired.watch()).await?;
    let count = |is: fn(StepState) -> bool| parts.iter().filter(|p| is(p.state)).count() as u64;
    let comparison = Comparison::read(&record);
    let (from, to) = ends(&record.range);
    Ok(Line {
        backfill: record.id.to_string(),
        dataset: record.dataset.to_string(),
        state: record.state,
        from,
        to,
        windows: parts.len() as u64,
        window: record.stride.to_string(),
        made: count(|s| s == StepState::Done),
        failed: count(|s| matches!(s, StepState::Dead | StepState::Failed)),
        different: comparison.as_ref().map(|c| c.different),
        max_active_runs: record.max_active,
        tolerated_failure_percentage: f64::from(record.tolerated) / 100.0,
        started_at: record.started_at,
        changed_at: record.changed_at,
        comparison: comparison.map(Compared::new),
    })
}
