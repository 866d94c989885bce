//! `show run`: the steps that one run planned, tried or finished, and the rules that rows broke in it.

use super::{
    listing::{Column, or_dash, table},
    runs::{Line as RunLine, word},
};
use crate::{
    args::{Format, Global},
    error::CliError,
    output::{print, print_json},
    render::{Align, Style, brief_time, decided, grouped, json_time, printable, progress},
    wire::Wired,
};
use alluvium_model::{Balance, RunId};
use alluvium_store::{Decision, RunRecord, RunStep, StepKind, StepState, Value};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Number;
use std::{collections::BTreeMap, fmt::Write};

/// Of which one is looked for by the start of its id.
const MOST_RUNS: u32 = 100_000;

#[derive(Debug, Serialize)]
struct StepLine {
    step: String,
    dataset: String,
    kind: StepKind,
    state: StepState,
    definition: String,
    /// Of this run.
    attempts: u32,
    /// The run that planned it, and the one that finished it.
    planned_by: String,
    finished_by: Option<String>,
    /// Version of the table that its commit made.
    committed: Option<i64>,
    /// `None`: it counts for the run that finished it, which is another, or nobody has finished it yet.
    balance: Option<Balance>,
    /// From its planning to its end.
    micros: Option<u64>,
    /// Of this run's last attempt, if that failed.
    error: Option<String>,
    /// For the table; programs compare the ids.
    #[serde(skip)]
    elsewhere: Elsewhere,
}

/// What another run did of the step.
#[derive(Debug)]
struct Elsewhere {
    planned: bool,
    finished: bool,
}

const STEPS: &[Column<StepLine>] = &[
    ("dataset", Align::Left, |l| l.dataset.clone()),
    ("step", Align::Left, |l| l.step.chars().take(8).collect()),
    ("kind", Align::Left, |l| progress::word(l.kind).to_owned()),
    ("state", Align::Left, StepLine::how),
    ("received", Align::Right, |l| l.count(|b| b.received)),
    ("loaded", Align::Right, |l| l.count(|b| b.loaded)),
    ("quarantined", Align::Right, |l| l.count(|b| b.quarantined)),
    ("dropped", Align::Right, |l| l.count(|b| b.dropped)),
    ("duplicates", Align::Right, |l| l.count(|b| b.duplicates)),
    ("dead", Align::Right, |l| l.count(|b| b.dead)),
    ("attempts", Align::Right, |l| l.attempts.to_string()),
    ("version", Align::Right, |l| or_dash(l.committed)),
    ("definition", Align::Left, |l| l.definition.clone()),
    ("planned by", Align::Left, |l| or_dash(l.elsewhere.planned.then_some(&l.planned_by))),
];

#[derive(Debug, Serialize)]
struct RuleLine {
    dataset: String,
    rule: String,
    action: String,
    checked: i64,
    violations: i64,
    passed: bool,
}

const RULES: &[Column<RuleLine>] = &[
    ("dataset", Align::Left, |l| l.dataset.clone()),
    ("rule", Align::Left, |l| printable(&l.rule)),
    ("action", Align::Left, |l| l.action.clone()),
    ("checked", Align::Right, |l| count(l.checked)),
    ("violations", Align::Right, |l| count(l.violations)),
    ("passed", Align::Left, |l| if l.passed { "yes" } else { "no" }.to_owned()),
];

/// One run with all that belongs to it.
#[derive(Debug, Serialize)]
pub struct Whole {
    run: RunLine,
    steps: Vec<StepLine>,
    rules: Vec<RuleLine>,
    /// What it decided by the conditions of datasets.
    decisions: Vec<DecisionLine>,
}

#[derive(Debug, Serialize)]
struct DecisionLine {
    dataset: String,
    when: String,
    saw: BTreeMap<String, Number>,
    taken: bool,
    #[serde(serialize_with = "json_time")]
    decided_at: Timestamp,
}

pub async fn show(global: &Global, wired: &Wired, id: &str) -> Result<(), CliError> {
    let whole = whole(wired, id).await?;
    match global.format {
        Format::Json => print_json(&whole),
        Format::Human => print(&text(whole)),
    }
}

pub async fn whole(wired: &Wired, id: &str) -> Result<Whole, CliError> {
    let run = find(wired, id).await?;
    let steps = wired.store.run_steps(&run.run, &wired.watch()).await?;
    let steps: Vec<StepLine> = steps.into_iter().map(|s| StepLine::new(s, &run.run)).collect();
    let rules = rules(wired, run.run.as_str()).await?;
    let decisions = wired.store.decisions(&run.run).await?.into_iter().map(DecisionLine::new).collect();
    Ok(Whole { run: RunLine::new(run), steps, rules, decisions })
}

fn text(Whole { run, steps, rules, decisions }: Whole) -> String {
    let style = Style::stdout();
    let (state, started, took) = (word(run.state), brief_time(run.started_at), run.took());
    let command = printable(&run.command);
    let mut out = format!("run {}: {state}\nalluvium {command}\nstarted {started}, {took} s\n", run.run);
    if !steps.is_empty() {
        let needless = ["dropped", "duplicates", "dead", "quarantined", "planned by"];
        let _ = write!(out, "\n{}", table(STEPS, &steps).without(&needless, |c| c == "0" || c == "-").text(style));
    }
    if steps.is_empty() {
        out.push_str("it had no step to do\n");
    }
    for step in &steps {
        if let Some(error) = step.error.as_ref().filter(|_| !step.is_finished_here()) {
            let _ = writeln!(out, "{} {}: {}", style.red("failed"), step.dataset, printable(error));
        }
    }
    decisions.iter().for_each(|d| out.push_str(&d.text()));
    let broken: Vec<RuleLine> = rules.into_iter().filter(|r| r.violations > 0 || !r.passed).collect();
    if !broken.is_empty() {
        let _ = write!(out, "\n{}", table(RULES, &broken).text(style));
    }
    out
}

async fn find(wired: &Wired, id: &str) -> Result<RunRecord, CliError> {
    if id == "latest" {
        let newest = wired.store.runs(1, &wired.watch()).await?.into_iter().next();
        return newest.ok_or_else(|| CliError::UnknownRun(id.to_owned()));
    }
    let mut found =
        wired.store.runs(MOST_RUNS, &wired.watch()).await?.into_iter().filter(|r| r.run.as_str().starts_with(id));
    match (found.next(), found.next()) {
        (Some(run), None) => Ok(run),
        (Some(_), Some(_)) => Err(CliError::AmbiguousRun(printable(id))),
        (None, _) => Err(CliError::UnknownRun(printable(id))),
    }
}

async fn rules(wired: &Wired, run: &str) -> Result<Vec<RuleLine>, CliError> {
    let Some(table) = wired.store.tables(&wired.watch()).await?.into_iter().find(|t| t.name == "quality") else {
        return Ok(Vec::new());
    };
    let at = |name: &str| table.columns.iter().position(|(c, _)| *c == name);
    let text = |row: &[Value], name| match at(name).map(|i| &row[i]) {
        Some(Value::Text(t)) => t.clone(),
        _ => String::new(),
    };
    let whole = |row: &[Value], name| match at(name).map(|i| &row[i]) {
        Some(Value::Integer(n)) => *n,
        _ => 0,
    };
    let of_run = table.rows.iter().filter(|row| text(row, "run") == run);
    Ok(of_run
        .map(|row| RuleLine {
            dataset: text(row, "dataset"),
            rule: text(row, "rule"),
            action: text(row, "action"),
            checked: whole(row, "checked"),
            violations: whole(row, "violations"),
            passed: whole(row, "passed") != 0,
        })
        .collect())
}

impl DecisionLine {
    fn new(decision: Decision) -> Self {
        let Decision { run: _, dataset, decided_at, condition, measures, taken } = decision;
        Self { dataset: dataset.to_string(), when: condition, saw: measures, taken, decided_at }
    }

    fn text(&self) -> String {
        let word = if self.taken { "taken" } else { "not taken" };
        format!("{word} {}: {}\n", self.dataset, decided(&self.when, &self.saw, self.taken))
    }
}

impl StepLine {
    fn new(RunStep { step: s, attempts, error }: RunStep, run: &RunId) -> Self {
        let micros = s.finished_at.map(|f| f.as_microsecond() - s.planned_at.as_microsecond());
        let here = s.finished_by.as_ref() == Some(run);
        Self {
            step: s.key.to_string(),
            dataset: s.dataset.to_string(),
            kind: s.kind,
            state: s.state,
            definition: s.version.brief().to_owned(),
            attempts,
            elsewhere: Elsewhere { planned: s.run != *run, finished: s.finished_by.is_some() && !here },
            planned_by: s.run.to_string(),
            finished_by: s.finished_by.map(|r| r.to_string()),
            committed: s.committed.filter(|_| here),
            balance: here.then_some(s.balance),
            micros: micros.and_then(|m| u64::try_from(m).ok()),
            error,
        }
    }

    fn is_finished_here(&self) -> bool {
        self.finished_by.is_some() && !self.elsewhere.finished
    }

    fn how(&self) -> String {
        match &self.finished_by {
            Some(run) if self.elsewhere.finished => format!("done by {run}"),
            Some(_) | None => step_word(self.state).to_owned(),
        }
    }

    fn count(&self, of: fn(&Balance) -> u64) -> String {
        or_dash(self.balance.as_ref().map(|b| grouped(of(b))))
    }
}

fn step_word(state: StepState) -> &'static str {
    match state {
        StepState::Planned => "planned",
        StepState::Running => "running",
        StepState::Done => "done",
        StepState::Failed => "failed",
        StepState::Dead => "dead letter",
        StepState::Superseded => "superseded",
    }
}

fn count(n: i64) -> String {
    grouped(n.unsigned_abs())
}
