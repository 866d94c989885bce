//! `show alerts`: what is wrong and was told, and what is over lately.

use super::listing::{Column, list, or_dash};
use crate::{
    args::Global,
    error::CliError,
    render::{Align, brief_time, json_time, json_time_if_any, printable},
    wire::Wired,
};
use alluvium_flow::runbook;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// More days than the calendar has are all of them.
const MOST_DAYS: u32 = 100_000;

#[derive(Debug, Serialize)]
pub struct Line {
    alert: String,
    /// `open`, or `resolved`.
    state: &'static str,
    kind: &'static str,
    /// The dataset, or what many of them need.
    subject: String,
    code: Option<String>,
    /// As it was found when it opened.
    summary: String,
    #[serde(serialize_with = "json_time")]
    opened_at: Timestamp,
    #[serde(serialize_with = "json_time_if_any")]
    resolved_at: Option<Timestamp>,
    runbook: String,
}

const COLUMNS: &[Column<Line>] = &[
    ("state", Align::Left, |l| l.state.to_owned()),
    ("kind", Align::Left, |l| l.kind.replace('_', " ")),
    ("what", Align::Left, |l| printable(&l.subject)),
    ("since", Align::Left, |l| brief_time(l.opened_at)),
    ("until", Align::Left, |l| or_dash(l.resolved_at.map(brief_time))),
    ("why", Align::Left, |l| printable(&l.summary)),
    ("what to do", Align::Left, |l| l.runbook.clone()),
];

pub async fn show(global: &Global, wired: &Wired, days: u32) -> Result<(), CliError> {
    let nothing = match wired.project.alerts.is_empty() {
        true => "nobody is told of what is wrong: `alerts` in alluvium.yaml names no sink",
        false => "nothing is wrong",
    };
    list(global, COLUMNS, &lines(wired, days).await?, nothing)
}

/// Open ones first, each in the order in which they opened.
pub async fn lines(wired: &Wired, days: u32) -> Result<Vec<Line>, CliError> {
    let days = i32::try_from(days.min(MOST_DAYS)).unwrap_or(i32::MAX);
    let since = wired.clock.now().saturating_sub(DAY * days).unwrap_or(Timestamp::MIN);
    let mut alerts = wired.store.alerts(since).await?.alerts;
    alerts.sort_by_key(|a| a.resolved_at.is_some());
    let line = |a: alluvium_store::Alert| Line {
        alert: a.id,
        state: if a.resolved_at.is_some() { "resolved" } else { "open" },
        kind: a.kind.word(),
        subject: a.subject,
        runbook: runbook(a.code.as_deref()),
        code: a.code,
        summary: a.summary,
        opened_at: a.opened_at,
        resolved_at: a.resolved_at,
    };
    Ok(alerts.into_iter().map(line).collect())
}
