//! `show datasets`: every dataset with what its table holds.

use super::listing::{Column, list, or_dash};
use crate::{
    args::Global,
    error::CliError,
    render::{Align, grouped, size},
    wire::Wired,
};
use serde::Serialize;

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
    file: std::path::PathBuf,
}

const COLUMNS: &[Column<Line>] = &[
    ("dataset", Align::Left, |l| l.dataset.clone()),
    ("rows", Align::Right, |l| grouped(l.rows)),
    ("quarantined", Align::Right, |l| grouped(l.quarantined)),
    ("files", Align::Right, |l| grouped(l.files)),
    ("size", Align::Right, |l| size(l.bytes)),
    ("version", Align::Right, |l| or_dash(l.table_version)),
    ("watermark", Align::Left, |l| or_dash(l.watermark.clone())),
    ("definition", Align::Left, |l| match &l.active {
        Some(active) if *active != l.definition => format!("{} (rows: {active})", l.definition),
        Some(_) | None => l.definition.clone(),
    }),
];

pub async fn show(global: &Global, wired: &Wired) -> Result<(), CliError> {
    list(global, COLUMNS, &lines(wired).await?, "this project has no datasets yet")
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
            file: dataset.file.clone(),
        });
    }
    Ok(lines)
}
