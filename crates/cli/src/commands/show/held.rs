//! `show held`: what gates held back, and why; for one dataset also the first rows.

use super::listing::{Column, list};
use crate::{
    args::{Format, Global, Output},
    commands::query::{ask, send},
    error::CliError,
    output::{Destination, print},
    render::{Align, brief_time, grouped, json_time, printable, progress, size},
    wire::Wired,
};
use alluvium_flow::is_held;
use alluvium_model::{DatasetName, Layer};
use jiff::Timestamp;
use serde::Serialize;

const FIRST_ROWS: usize = 20;

#[derive(Debug, Serialize)]
struct Line {
    dataset: String,
    step: String,
    kind: &'static str,
    /// What the step would add to the table; none: another process is about to say.
    rows: Option<u64>,
    bytes: Option<u64>,
    /// Why, one sentence each.
    breaches: Vec<String>,
    version: String,
    run: String,
    #[serde(serialize_with = "json_time")]
    held_at: Timestamp,
}

const COLUMNS: &[Column<Line>] = &[
    ("dataset", Align::Left, |l| l.dataset.clone()),
    ("step", Align::Left, |l| l.step.chars().take(12).collect()),
    ("what", Align::Left, |l| l.kind.to_owned()),
    ("rows", Align::Right, |l| l.rows.map_or_else(|| "-".to_owned(), grouped)),
    ("size", Align::Right, |l| l.bytes.map_or_else(|| "-".to_owned(), size)),
    ("when", Align::Left, |l| brief_time(l.held_at)),
    ("run", Align::Left, |l| l.run.clone()),
    ("why", Align::Left, |l| printable(&l.breaches.join("; "))),
];

pub async fn show(global: &Global, wired: &Wired, only: Option<&DatasetName>) -> Result<(), CliError> {
    if let Some(name) = only
        && !wired.project.datasets.contains_key(name)
    {
        return Err(CliError::UnknownDataset(name.to_string()));
    }
    let lines = lines(wired, only).await?;
    list(global, COLUMNS, &lines, "nothing is held back")?;
    match (global.format, only) {
        (Format::Human, Some(name)) if !lines.is_empty() => rows(wired, name, &lines).await,
        (Format::Human | Format::Json, _) => Ok(()),
    }
}

async fn lines(wired: &Wired, only: Option<&DatasetName>) -> Result<Vec<Line>, CliError> {
    let mut lines = Vec::new();
    let letters = wired.store.dead_letters().await?;
    for letter in letters.into_iter().filter(|l| is_held(l) && only.is_none_or(|n| *n == l.dataset)) {
        let held = alluvium_lake::held(&wired.engine, &letter.dataset).await?;
        let held = held.into_iter().find(|h| h.step == letter.step);
        lines.push(Line {
            dataset: letter.dataset.to_string(),
            step: letter.step.to_string(),
            kind: progress::word(letter.kind),
            rows: held.as_ref().map(|h| h.rows),
            bytes: held.as_ref().map(|h| h.bytes),
            breaches: held.map_or_else(|| vec![letter.message], |h| h.breaches),
            version: letter.version.to_string(),
            run: letter.run.to_string(),
            held_at: letter.died_at,
        });
    }
    Ok(lines)
}

async fn rows(wired: &Wired, name: &DatasetName, lines: &[Line]) -> Result<(), CliError> {
    if lines.iter().any(|l| l.rows.is_some_and(|rows| rows > 0)) {
        print("\n")?;
        let place = format!("held.\"{}_{}\"", name.layer(), name.name());
        let result = ask(wired, &format!("SELECT * FROM {place}")).await?;
        send(result, Output::Table, Destination::stdout(), Some(FIRST_ROWS)).await?;
        print(&format!("\nall of them:  alluvium query 'SELECT * FROM {}'\n", place.replace('"', "")))?;
    }
    print(&format!("publish them: alluvium release {name} --reason TEXT\n"))?;
    match name.layer() {
        Layer::Bronze | Layer::Silver => print(&format!("or never:     alluvium drop held {name} --reason TEXT\n")),
        Layer::Gold => Ok(()),
    }
}
