//! `show quarantine`: what waits, by the rules it broke; for one dataset also its first rows.

use super::listing::{Column, table};
use crate::{
    args::{Format, Global},
    commands::query::ask,
    error::CliError,
    output::{print, print_json},
    render::{
        Align, Style, Table, grouped, printable,
        results::{cell, json_rows},
    },
    wire::Wired,
};
use alluvium_model::{DatasetName, Layer};
use arrow::{
    array::{Array, AsArray, RecordBatch},
    datatypes::Int64Type,
};
use futures::TryStreamExt;
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

const FIRST_ROWS: usize = 20;

#[derive(Debug, Serialize)]
struct Line {
    dataset: String,
    rule: String,
    column: Option<String>,
    /// Rows that broke it, perhaps among other rules.
    rows: u64,
    /// Rows of the dataset that wait, whatever they broke.
    waiting: u64,
}

const COLUMNS: &[Column<Line>] = &[
    ("dataset", Align::Left, |l| l.dataset.clone()),
    ("waiting", Align::Right, |l| grouped(l.waiting)),
    ("rule", Align::Left, |l| printable(&l.rule)),
    ("column", Align::Left, |l| l.column.as_deref().map_or_else(|| "-".to_owned(), printable)),
    ("rows", Align::Right, |l| grouped(l.rows)),
];

/// The one argument of `show quarantine flights/` is the project.
pub fn target(first: Option<&str>, dir: Option<PathBuf>) -> Result<(Option<DatasetName>, Option<PathBuf>), CliError> {
    let Some(text) = first else { return Ok((None, dir)) };
    match text.parse() {
        Ok(name) => Ok((Some(name), dir)),
        // A path that leads nowhere is told as the folder that it was meant to be.
        Err(_) if dir.is_none() && (text.contains('/') || Path::new(text).is_dir()) => {
            Ok((None, Some(PathBuf::from(text))))
        }
        Err(_) => Err(CliError::UnknownDataset(printable(text))),
    }
}

pub async fn show(global: &Global, wired: &Wired, only: Option<&DatasetName>) -> Result<(), CliError> {
    if let Some(name) = only
        && !wired.project.datasets.contains_key(name)
    {
        return Err(CliError::UnknownDataset(name.to_string()));
    }
    let mut lines = Vec::new();
    for info in alluvium_lake::describe(&wired.engine, &wired.project).await? {
        if info.quarantined > 0 && only.is_none_or(|n| *n == info.name) {
            lines.extend(by_rule(wired, &info.name, info.quarantined).await?);
        }
    }
    match (global.format, only) {
        (Format::Json, _) => print_json(&lines),
        (Format::Human, _) if lines.is_empty() => print("nothing waits in quarantine\n"),
        (Format::Human, None) => print(&table(COLUMNS, &lines).text(Style::stdout())),
        (Format::Human, Some(name)) => {
            print(&table(COLUMNS, &lines).text(Style::stdout()))?;
            print("\n")?;
            rows(wired, name).await?;
            let more = format!("alluvium query 'SELECT * FROM {}'", place(name).replace('"', ""));
            print(&format!("\nall of them: {more}\n{}\n", way_on(name, &lines)))
        }
    }
}

/// How what waits gets into the table.
fn way_on(name: &DatasetName, lines: &[Line]) -> String {
    let again = format!("once more:   alluvium replay quarantine {name}");
    match name.layer() {
        Layer::Bronze => {
            let drifts = |l: &&Line| l.rule.starts_with("drift:");
            let drift =
                lines.iter().any(|l| drifts(&l)).then(|| format!("{again}, under a definition that takes them"));
            let malformed = lines.iter().any(|l| !drifts(&l)).then(|| {
                "correct them: these records could not be read, so they are not replayed. Deliver them once more,\n\
                 \x20            corrected, in a file of their own: the other records of their files are loaded"
                    .to_owned()
            });
            drift.into_iter().chain(malformed).collect::<Vec<_>>().join("\n")
        }
        Layer::Silver | Layer::Gold => again,
    }
}

async fn by_rule(wired: &Wired, name: &DatasetName, waiting: u64) -> Result<Vec<Line>, CliError> {
    let sql = format!(
        "SELECT reason['rule'] AS rule, reason['column'] AS \"column\", count(*) AS rows
         FROM (SELECT unnest(reasons) AS reason FROM {}) AS waiting
         GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2",
        place(name)
    );
    let batches: Vec<RecordBatch> = ask(wired, &sql).await?.batches.try_collect().await?;
    let mut lines = Vec::new();
    for batch in &batches {
        let text = |column: usize| arrow::compute::cast(batch.column(column), &arrow::datatypes::DataType::Utf8);
        let (rules, columns) = (text(0)?, text(1)?);
        let (rules, columns) = (rules.as_string::<i32>(), columns.as_string::<i32>());
        let counts = batch.column(2).as_primitive::<Int64Type>();
        for i in 0..batch.num_rows() {
            lines.push(Line {
                dataset: name.to_string(),
                rule: if rules.is_valid(i) { rules.value(i).to_owned() } else { String::new() },
                column: columns.is_valid(i).then(|| columns.value(i).to_owned()),
                rows: counts.value(i).unsigned_abs(),
                waiting,
            });
        }
    }
    Ok(lines)
}

/// The first rows, each with what it broke and the record as received.
async fn rows(wired: &Wired, name: &DatasetName) -> Result<(), CliError> {
    let sql = format!(
        "SELECT _object AS object, _position AS position, reasons, record
         FROM {} ORDER BY _object, _position LIMIT {FIRST_ROWS}",
        place(name)
    );
    let batches: Vec<RecordBatch> = ask(wired, &sql).await?.batches.try_collect().await?;
    let columns = [("object", Align::Left), ("row", Align::Right), ("broken", Align::Left), ("record", Align::Left)];
    let mut table = Table::new(columns);
    for row in batches.iter().map(json_rows).collect::<Result<Vec<_>, _>>()?.concat() {
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        let reasons = row["reasons"].as_array().into_iter().flatten().map(reason).collect::<Vec<_>>().join("; ");
        table.row(vec![
            cell(&text(&row["object"])),
            text(&row["position"]),
            cell(&reasons),
            cell(&text(&row["record"])),
        ]);
    }
    print(&table.text(Style::stdout()))
}

/// `required:amount`, `status_known: status = lost`.
fn reason(reason: &Value) -> String {
    let text = |field: &str| reason[field].as_str();
    let rule = text("rule").unwrap_or_default();
    match (text("column"), text("value")) {
        (Some(column), Some(value)) => format!("{rule}: {column} = {value}"),
        _ => text("message").map_or_else(|| rule.to_owned(), |m| format!("{rule}: {m}")),
    }
}

/// The quarantine's table in SQL.
pub fn place(name: &DatasetName) -> String {
    format!("quarantine.\"{}_{}\"", name.layer(), name.name())
}
