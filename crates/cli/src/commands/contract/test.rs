//! `alluvium contract test`: files against a contract, before anything is loaded.

use crate::{
    args::{Format, Global, Output},
    error::CliError,
    load,
    output::{Destination, Written, print, print_json},
    render::{Align, Style, Table, grouped, printable, rate, results::Results, seconds},
    wire::Wired,
};
use alluvium_flow::FlowError;
use alluvium_lake::{Given, Trial, quarantine_schema, trial};
use alluvium_model::{DatasetName, Exit};
use alluvium_spec::{Action, Contract, Kind, Project, Step};
use alluvium_store::QualityResult;
use arrow::array::RecordBatch;
use jiff::Timestamp;
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::mpsc;

/// Batches of invalid rows on their way to the file.
const QUEUE: usize = 8;

#[derive(Debug, Serialize)]
struct Answer<'a> {
    contract: &'a str,
    /// No rule is broken, but for those that only warn.
    passed: bool,
    records: u64,
    valid: u64,
    invalid: u64,
    rules: &'a [QualityResult],
    unchecked: &'a [String],
    wall_micros: u64,
    /// Of all threads together.
    decoding_micros: u64,
    checking_micros: u64,
    /// Of the one thread that encodes the invalid rows and writes them, until the file is durable.
    #[serde(skip_serializing_if = "Option::is_none")]
    writing_micros: Option<u64>,
}

pub async fn test(
    global: &Global,
    name: &str,
    files: &[PathBuf],
    dataset: Option<&DatasetName>,
    to: Option<&PathBuf>,
) -> Result<Exit, CliError> {
    let wired = Wired::reading(load::checked(global, None).await?).await?;
    let (name, contract) = find(&wired, name)?;
    let given = match dataset {
        Some(dataset) => as_dataset(&wired.project, dataset, files)?,
        None => Given::plain(files),
    };
    let start = wired.clock.now();
    let (trial, writing) = match to {
        Some(to) => with_rows(&wired, contract, given, to).await.map(|(trial, writing)| (trial, Some(writing)))?,
        None => (trial(&wired.engine, &wired.project, contract, given, None).await?, None),
    };
    let wall_micros = micros(since(&wired, start));
    let answer = Answer {
        contract: name,
        passed: trial.rules.iter().all(|r| r.passed || r.action == Action::Warn.word()),
        records: trial.records,
        valid: trial.valid,
        invalid: trial.records - trial.valid,
        rules: &trial.rules,
        unchecked: &trial.unchecked,
        wall_micros,
        decoding_micros: micros(trial.decoding),
        checking_micros: micros(trial.checking),
        writing_micros: writing.map(micros),
    };
    match global.format {
        Format::Json => print_json(&answer)?,
        Format::Human => print(&text(&answer, files.len(), Style::stdout()))?,
    }
    let exit = if answer.passed { Exit::Done } else { Exit::FailedWork };
    wired.close().await?;
    Ok(exit)
}

/// By name, or by the path of its file.
fn find<'a>(wired: &'a Wired, name: &str) -> Result<(&'a str, &'a Contract), CliError> {
    let found = wired.project.contracts.get_key_value(super::find::stem(name));
    found.map(|(n, c)| (n.as_str(), c)).ok_or_else(|| CliError::UnknownContract(printable(name)))
}

/// As a silver dataset reads files: with its steps up to `validate`, from files as the bronze dataset that it reads has them.
fn as_dataset<'a>(project: &Project, dataset: &DatasetName, files: &'a [PathBuf]) -> Result<Given<'a>, CliError> {
    let kind = |name: &DatasetName| project.datasets.get(name).map(|d| &d.kind);
    let silver = match kind(dataset) {
        Some(Kind::Silver(silver)) => silver,
        Some(Kind::Bronze(_) | Kind::Gold(_)) => return Err(FlowError::NotSilver(dataset.clone()).into()),
        None => return Err(CliError::UnknownDataset(dataset.to_string())),
    };
    let mut given = Given::plain(files);
    let upto = silver.steps.iter().position(|s| matches!(s, Step::Validate)).map_or(silver.steps.len(), |at| at + 1);
    given.steps = silver.steps[..upto].to_vec();
    if let Some(Kind::Bronze(bronze)) = kind(&silver.from) {
        (given.format, given.csv) = (bronze.files.format, bronze.files.csv.clone());
    }
    Ok(given)
}

/// Writes the invalid rows, with their reasons, as they are found, and tells how long that took by itself.
async fn with_rows(
    wired: &Wired,
    contract: &Contract,
    given: Given<'_>,
    to: &Path,
) -> Result<(Trial, Duration), CliError> {
    let output = Output::of(to).unwrap_or(Output::Ndjson);
    let mut results = Results::new(output, quarantine_schema(), Destination::file(to)?)?;
    let (send, mut invalid) = mpsc::channel::<RecordBatch>(QUEUE);
    let write = async {
        let mut writing = Duration::ZERO;
        while let Some(rows) = invalid.recv().await {
            let start = wired.clock.now();
            let written = results.write(&rows)?;
            writing += since(wired, start);
            if written == Written::NoReader {
                break;
            }
        }
        // Whoever finds more has to stop.
        drop(invalid);
        let start = wired.clock.now();
        results.finish()?;
        Ok::<_, CliError>(writing + since(wired, start))
    };
    let (found, written) = tokio::join!(trial(&wired.engine, &wired.project, contract, given, Some(send)), write);
    let writing = written?;
    Ok((found?, writing))
}

fn since(wired: &Wired, start: Timestamp) -> Duration {
    wired.clock.now().duration_since(start).unsigned_abs()
}

fn text(answer: &Answer<'_>, files: usize, style: Style) -> String {
    let names = [("action", Align::Left), ("checked", Align::Right), ("violations", Align::Right), ("", Align::Left)];
    let mut table = Table::new([("rule", Align::Left)].into_iter().chain(names));
    for r in answer.rules {
        let result = if r.passed { "ok" } else { "broken" };
        let (checked, violations) = (grouped(r.checked), grouped(r.violations));
        table.row(vec![printable(&r.rule), r.action.clone(), checked, violations, result.to_owned()]);
    }
    let mut text = table.text(style);
    for rule in answer.unchecked {
        text.push_str(&format!("not checked: {}, which needs the whole table\n", printable(rule)));
    }
    let Answer { records, valid, invalid, wall_micros, .. } = answer;
    text.push_str(&format!(
        "\n{}: {} of {} records in {} are valid, {} are not; {} s, {} records/s\n",
        if answer.passed { "passed" } else { "failed" },
        grouped(*valid),
        grouped(*records),
        if files == 1 { "1 file".to_owned() } else { format!("{files} files") },
        grouped(*invalid),
        seconds(*wall_micros),
        rate(*records, *wall_micros),
    ));
    text
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
