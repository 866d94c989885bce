//! `show datasets`: every dataset with what its table holds.

use super::listing::{Column, list, or_dash};
use crate::{
    args::Global,
    error::CliError,
    render::{Align, decided, grouped, size},
    wire::Wired,
};
use alluvium_flow::{numbers, what_waits};
use alluvium_spec::Dataset;
use serde::Serialize;
use serde_json::Number;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
pub struct Line {
    dataset: String,
    /// Rows in the table now.
    rows: u64,
    quarantined: u64,
    files: u64,
    bytes: u64,
    table_version: Option<i64>,
    /// As it is defined now.
    definition: String,
    /// Under which the newest rows were made.
    active: Option<String>,
    /// How far its event time has come; `None` also where the definition names no such time.
    watermark: Option<String>,
    /// Under which it takes what waits.
    when: Option<Condition>,
    file: std::path::PathBuf,
}

#[derive(Debug, Serialize)]
struct Condition {
    condition: String,
    /// What it names, and what that is of what waits now.
    sees: BTreeMap<String, Number>,
    holds: bool,
}

const COLUMNS: &[Column<Line>] = &[
    ("dataset", Align::Left, |l| l.dataset.clone()),
    ("rows", Align::Right, |l| grouped(l.rows)),
    ("quarantined", Align::Right, |l| grouped(l.quarantined)),
    ("files", Align::Right, |l| grouped(l.files)),
    ("size", Align::Right, |l| size(l.bytes)),
    ("version", Align::Right, |l| or_dash(l.table_version)),
    ("watermark", Align::Left, |l| or_dash(l.watermark.clone())),
    ("takes when", Align::Left, |l| or_dash(l.when.as_ref().map(|w| decided(&w.condition, &w.sees, w.holds)))),
    ("definition", Align::Left, |l| match &l.active {
        Some(active) if *active != l.definition => format!("{} (rows: {active})", l.definition),
        Some(_) | None => l.definition.clone(),
    }),
];

pub async fn show(global: &Global, wired: &Wired) -> Result<(), CliError> {
    let lines = lines(wired).await?;
    let columns = COLUMNS.iter().filter(|(name, ..)| *name != "takes when" || lines.iter().any(|l| l.when.is_some()));
    list(global, &columns.copied().collect::<Vec<_>>(), &lines, "this project has no datasets yet")
}

async fn condition(wired: &Wired, dataset: &Dataset) -> Result<Option<Condition>, CliError> {
    let Some(when) = &dataset.when else { return Ok(None) };
    let waits = what_waits(&*wired.store, dataset, wired.clock.now()).await?;
    Ok(Some(Condition { condition: when.text.clone(), sees: numbers(when, &waits), holds: when.holds(&waits) }))
}

pub async fn lines(wired: &Wired) -> Result<Vec<Line>, CliError> {
    let versions = wired.store.versions().await?;
    let watermarks = wired.store.watermarks().await?;
    let mut lines = Vec::new();
    for info in alluvium_lake::describe(&wired.engine, &wired.project).await? {
        let Some(dataset) = wired.project.datasets.get(&info.name) else { continue };
        let active = versions.iter().find(|v| v.active && v.dataset == info.name);
        let event_time = dataset.silver().and_then(|s| s.watermark.as_ref()).map(|w| &w.column);
        let watermark = watermarks.iter().find(|w| w.dataset == info.name && Some(&w.event_time) == event_time);
        lines.push(Line {
            dataset: info.name.to_string(),
            rows: info.rows,
            quarantined: info.quarantined,
            files: info.files,
            bytes: info.bytes,
            table_version: info.version,
            definition: dataset.version.brief().to_owned(),
            active: active.map(|v| v.version.brief().to_owned()),
            watermark: watermark.map(|w| w.watermark.to_string()),
            when: condition(wired, dataset).await?,
            file: dataset.file.clone(),
        });
    }
    Ok(lines)
}
