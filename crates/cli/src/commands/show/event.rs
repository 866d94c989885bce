//! `show event`: the way of one landing object, from its arrival through every step that read what came of it.

use super::{
    listing::{Column, or_dash, table},
    quarantine,
};
use crate::{
    args::{Format, Global},
    commands::query::ask,
    error::CliError,
    output::{print, print_json},
    render::{Align, Style, grouped, printable, results::json_rows},
    wire::Wired,
};
use alluvium_store::Claimed;
use arrow::array::RecordBatch;
use futures::TryStreamExt;
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

#[derive(Debug, Serialize)]
struct StepLine {
    dataset: String,
    step: String,
    kind: String,
    state: String,
    planned_by: String,
    finished_by: Option<String>,
    /// Version of the table that its commit made.
    committed: Option<i64>,
    /// Of all that the step read, which may be more than this object.
    received: Option<u64>,
    loaded: Option<u64>,
    quarantined: Option<u64>,
    error: Option<String>,
}

const STEPS: &[Column<StepLine>] = &[
    ("dataset", Align::Left, |l| l.dataset.clone()),
    ("step", Align::Left, |l| l.step.chars().take(8).collect()),
    ("kind", Align::Left, |l| l.kind.clone()),
    ("state", Align::Left, |l| l.state.clone()),
    ("run", Align::Left, |l| l.finished_by.clone().unwrap_or_else(|| l.planned_by.clone())),
    ("version", Align::Right, |l| or_dash(l.committed)),
    ("received", Align::Right, |l| or_dash(l.received.map(grouped))),
    ("loaded", Align::Right, |l| or_dash(l.loaded.map(grouped))),
    ("quarantined", Align::Right, |l| or_dash(l.quarantined.map(grouped))),
    ("error", Align::Left, |l| or_dash(l.error.as_deref().map(printable))),
];

/// Rows of the object that wait in a quarantine.
#[derive(Debug, Serialize)]
struct Waiting {
    dataset: String,
    rows: u64,
}

#[derive(Debug, Serialize)]
pub struct Whole {
    /// As `state.events` has it.
    event: Value,
    steps: Vec<StepLine>,
    quarantined: Vec<Waiting>,
    /// As `state.publications` has them, without the events.
    publications: Vec<Value>,
}

pub async fn show(global: &Global, wired: &Wired, id: &str) -> Result<(), CliError> {
    let whole = whole(wired, id).await?;
    match global.format {
        Format::Json => print_json(&whole),
        Format::Human => print(&text(&whole)),
    }
}

pub async fn whole(wired: &Wired, id: &str) -> Result<Whole, CliError> {
    let event = find(wired, id).await?;
    let steps = steps(wired, event["step"].as_str()).await?;
    let quarantined = quarantined(wired, event["event"].as_str().unwrap_or_default()).await?;
    let told = "SELECT dataset, sink, step, committed, made_at, delivered_at FROM state.publications";
    let mut publications = rows(wired, told).await?;
    publications.retain(|p| steps.iter().any(|s| p["step"] == s.step.as_str()));
    Ok(Whole { event, steps, quarantined, publications })
}

pub(super) async fn rows(wired: &Wired, sql: &str) -> Result<Vec<Value>, CliError> {
    let batches: Vec<RecordBatch> = ask(wired, sql).await?.batches.try_collect().await?;
    Ok(batches.iter().map(json_rows).collect::<Result<Vec<_>, _>>()?.concat())
}

/// By its id, the start of its id, or its path.
async fn find(wired: &Wired, id: &str) -> Result<Value, CliError> {
    let quoted = id.replace('\'', "''");
    let sql = format!(
        "SELECT * FROM state.events WHERE starts_with(event, '{quoted}') OR path = '{quoted}' ORDER BY received_at DESC LIMIT 2"
    );
    let mut found = rows(wired, &sql).await?.into_iter();
    match (found.next(), found.next()) {
        (Some(event), None) => Ok(event),
        (Some(_), Some(_)) => Err(CliError::AmbiguousEvent(printable(id))),
        (None, _) => Err(CliError::UnknownEvent(printable(id))),
    }
}

/// The object's step, and every later one that consumed a version which came of it.
async fn steps(wired: &Wired, first: Option<&str>) -> Result<Vec<StepLine>, CliError> {
    let Some(first) = first else { return Ok(Vec::new()) };
    // In planning order: what is read was planned before who reads it.
    let sql =
        "SELECT step, dataset, kind, state, run, finished_by, committed, received, loaded, quarantined, inputs, error
               FROM state.steps ORDER BY planned_at";
    let mut reached: BTreeSet<(String, i64)> = BTreeSet::new();
    let mut way = Vec::new();
    for row in rows(wired, sql).await? {
        let text = |name: &str| row[name].as_str().map(str::to_owned);
        let inputs: BTreeMap<String, Claimed> = serde_json::from_str(row["inputs"].as_str().unwrap_or("{}"))?;
        let reads = |(dataset, version): &(String, i64)| {
            inputs.get(dataset).is_some_and(|c| c.after < *version && *version <= c.upto)
        };
        if row["step"] != first && !reached.iter().any(reads) {
            continue;
        }
        let line = StepLine {
            dataset: text("dataset").unwrap_or_default(),
            step: text("step").unwrap_or_default(),
            kind: text("kind").unwrap_or_default(),
            state: text("state").unwrap_or_default(),
            planned_by: text("run").unwrap_or_default(),
            finished_by: text("finished_by"),
            committed: row["committed"].as_i64(),
            received: row["received"].as_u64(),
            loaded: row["loaded"].as_u64(),
            quarantined: row["quarantined"].as_u64(),
            error: text("error"),
        };
        reached.extend(line.committed.map(|version| (line.dataset.clone(), version)));
        way.push(line);
    }
    Ok(way)
}

async fn quarantined(wired: &Wired, event: &str) -> Result<Vec<Waiting>, CliError> {
    let mut all = Vec::new();
    for info in alluvium_lake::describe(&wired.engine, &wired.project).await? {
        if info.quarantined == 0 {
            continue;
        }
        let place = quarantine::place(&info.name);
        let sql = format!("SELECT count(*) AS rows FROM {place} WHERE _event_id = '{}'", event.replace('\'', "''"));
        let count = rows(wired, &sql).await?.first().and_then(|r| r["rows"].as_u64()).unwrap_or(0);
        if count > 0 {
            all.push(Waiting { dataset: info.name.to_string(), rows: count });
        }
    }
    Ok(all)
}

fn text(whole: &Whole) -> String {
    let of = |name: &str| whole.event[name].as_str().map_or_else(|| whole.event[name].to_string(), printable);
    let mut out = format!("event {}: {}\n", of("event"), of("state"));
    let _ = writeln!(out, "{} {}, {} bytes, received {}", of("dataset"), of("path"), of("bytes"), of("received_at"));
    let _ = writeln!(out, "recorded by run {}", of("run"));
    if whole.event["reason"].is_string() {
        let _ = writeln!(out, "{} {}", Style::stdout().red("dead"), of("reason"));
    }
    if !whole.steps.is_empty() {
        let shown = table(STEPS, &whole.steps).without(&["quarantined", "error"], |c| c == "0" || c == "-");
        let _ = write!(out, "\n{}", shown.text(Style::stdout()));
    }
    for waiting in &whole.quarantined {
        let _ = writeln!(out, "{}: {} of its rows wait in quarantine", waiting.dataset, grouped(waiting.rows));
    }
    for told in &whole.publications {
        let text = |name: &str| told[name].as_str().unwrap_or("-").to_owned();
        let when = if told["delivered_at"].is_null() { "waits".to_owned() } else { text("delivered_at") };
        let _ = writeln!(out, "{} told to {}: {when}", text("dataset"), text("sink"));
    }
    out
}
