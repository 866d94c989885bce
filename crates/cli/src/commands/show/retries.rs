//! `show retries`: steps that failed and are tried again, and how much of its budget each dataset has used today.

use super::listing::{Column, or_dash, table};
use crate::{
    args::{Format, Global},
    error::CliError,
    output::{print, print_json},
    render::{Align, Style, brief_time, json_time, printable},
    wire::Wired,
};
use alluvium_store::{StepRecord, StepState};
use jiff::Timestamp;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Retries {
    steps: Vec<Waiting>,
    /// Of datasets that used retries today, or have a budget of them.
    budgets: Vec<Budget>,
}

#[derive(Debug, Serialize)]
struct Waiting {
    dataset: String,
    step: String,
    attempts: u32,
    /// Failures that count against `max_attempts`.
    failures: u32,
    /// Of errors of class transient; None: the project has no such dataset any more.
    max_attempts: Option<u32>,
    #[serde(serialize_with = "json_time")]
    retry_at: Timestamp,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Budget {
    dataset: String,
    used_today: u32,
    retries_per_day: Option<u32>,
}

const STEPS: &[Column<Waiting>] = &[
    ("dataset", Align::Left, |w| w.dataset.clone()),
    ("step", Align::Left, |w| w.step.chars().take(12).collect()),
    ("failures", Align::Right, |w| w.failures.to_string()),
    ("at most", Align::Right, |w| or_dash(w.max_attempts)),
    ("not before", Align::Left, |w| brief_time(w.retry_at)),
    ("last error", Align::Left, |w| or_dash(w.error.as_deref().map(printable))),
];

const BUDGETS: &[Column<Budget>] = &[
    ("dataset", Align::Left, |b| b.dataset.clone()),
    ("retries today", Align::Right, |b| b.used_today.to_string()),
    ("at most", Align::Right, |b| or_dash(b.retries_per_day)),
];

pub async fn show(global: &Global, wired: &Wired) -> Result<(), CliError> {
    let retries = Retries::read(wired).await?;
    if global.format == Format::Json {
        return print_json(&retries);
    }
    let mut out = String::new();
    if retries.steps.is_empty() {
        out.push_str("no step waits to be tried again\n");
    } else {
        out.push_str(&table(STEPS, &retries.steps).text(Style::stdout()));
    }
    if !retries.budgets.is_empty() {
        out.push('\n');
        out.push_str(&table(BUDGETS, &retries.budgets).text(Style::stdout()));
    }
    print(&out)
}

impl Retries {
    async fn read(wired: &Wired) -> Result<Self, CliError> {
        let open = wired.store.open_steps().await?;
        let steps = open.into_iter().filter(|s| s.state == StepState::Failed).map(|s| Waiting::new(s, wired));
        let used = wired.store.retries(wired.clock.now()).await?;
        let named = wired.project.datasets.values().filter(|d| d.effort.retries_per_day.is_some()).map(|d| &d.name);
        let mut names: Vec<_> = used.keys().chain(named).collect();
        names.sort();
        names.dedup();
        let budget = |name: &&alluvium_model::DatasetName| Budget {
            dataset: name.to_string(),
            used_today: used.get(*name).copied().unwrap_or(0),
            retries_per_day: wired.project.datasets.get(*name).and_then(|d| d.effort.retries_per_day),
        };
        Ok(Self { steps: steps.collect(), budgets: names.iter().map(budget).collect() })
    }
}

impl Waiting {
    fn new(step: StepRecord, wired: &Wired) -> Self {
        let dataset = wired.project.datasets.get(&step.dataset);
        Self {
            dataset: step.dataset.to_string(),
            step: step.key.to_string(),
            attempts: step.attempts,
            failures: step.failures,
            max_attempts: dataset.map(|d| d.effort.retry.transient.max_attempts),
            retry_at: step.retry_at.unwrap_or(step.planned_at),
            error: step.error,
        }
    }
}
