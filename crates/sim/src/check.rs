//! What has to hold after every run, however it went.

use crate::{
    gate,
    tables::{Table, Tables},
};
use alluvium_model::{DatasetName, RunId};
use alluvium_store::{BackfillRecord, BackfillState, StepKind, StepRecord, StepState};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that has to be the same as when nobody disturbed the work: rows and quarantine of each table, sorted.
pub(crate) type Held = BTreeMap<DatasetName, (Vec<String>, Vec<String>)>;

pub(crate) fn held(tables: &Tables) -> Held {
    let sorted = |mut rows: Vec<String>| {
        rows.sort();
        rows
    };
    let of = |t: &Table| (sorted(t.at(t.head())), sorted(t.aside.rows()));
    tables.live().iter().map(|(name, table)| (name.clone(), of(table))).collect()
}

/// What is wrong with what was told of runs: each that planned something is told once, with all that it planned, when that had
/// ended. A step that was superseded may be another run's by now, and a dead letter may have come back.
pub(crate) fn untold(events: &[String], steps: &[StepRecord]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut told: BTreeMap<String, Value> = BTreeMap::new();
    for event in events {
        let event: Value = serde_json::from_str(event).unwrap_or_default();
        let run = event["data"]["run"].as_str().unwrap_or_default().to_owned();
        if told.insert(run.clone(), event["data"]["steps"].clone()).is_some() {
            wrong.push(format!("run {run} is told twice"));
        }
    }
    // Windows may be planned when the run that began the backfill has long ended; they are told with its swap.
    let of_backfills = steps.iter().filter(|s| matches!(s.kind, StepKind::Backfill | StepKind::Swap)).map(|s| &s.run);
    let of_backfills: BTreeSet<&RunId> = of_backfills.collect();
    let runs: BTreeSet<&RunId> = steps.iter().map(|s| &s.run).collect();
    for run in runs.difference(&of_backfills).copied() {
        let Some(word) = told.get(run.as_str()) else {
            wrong.push(format!("run {run} is not told"));
            continue;
        };
        let said = |of: &str| word[of].as_u64().unwrap_or_default();
        let of_run = || steps.iter().filter(|s| s.run == *run);
        let done = of_run().filter(|s| s.state == StepState::Done).count() as u64;
        let fits =
            said("done") <= done && done <= said("done") + said("dead") && of_run().count() as u64 <= said("expected");
        if !fits {
            wrong.push(format!("run {run} is told with {word}, and {done} of its {} steps are done", of_run().count()));
        }
    }
    wrong
}

/// What is wrong with backfills: each that ended swapped is in its table once, and was told once; none else is.
pub(crate) fn misplaced(tables: &Tables, records: &[BackfillRecord], events: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let count = |all: Vec<String>| {
        let mut counts: BTreeMap<String, u32> = BTreeMap::new();
        all.into_iter().for_each(|id| *counts.entry(id).or_default() += 1);
        counts
    };
    let live = tables.live();
    let swaps = live.values().flat_map(|t| &t.commits).filter_map(|c| c.swaps.as_ref());
    let swaps = count(swaps.map(ToString::to_string).collect());
    let told = events.iter().map(|e| serde_json::from_str::<Value>(e).unwrap_or_default());
    let told = told.filter_map(|e| Some(e["data"]["backfill"].as_str()?.to_owned()));
    let told = count(told.collect());
    for record in records {
        if record.state != BackfillState::Swapped {
            wrong.push(format!("backfill {} is open", record.id));
        }
    }
    let swapped = count(records.iter().map(|r| r.id.to_string()).collect());
    if swaps != swapped {
        wrong.push(format!("backfills {swapped:?} are swapped, and the tables show {swaps:?}"));
    }
    if told != swapped {
        wrong.push(format!("backfills {swapped:?} are swapped, and {told:?} are told"));
    }
    wrong
}

/// What is wrong with the tables and the steps; nothing, if all is well.
pub(crate) fn wrong(tables: &Tables, steps: &[StepRecord], calm: &Held) -> Vec<String> {
    let mut wrong: Vec<String> = tables.wrong().clone();
    let all = tables.live();
    for (name, table) in &all {
        let mut seen = BTreeSet::new();
        for step in table.commits.iter().filter_map(|c| c.step.as_ref()) {
            if !seen.insert(step) {
                wrong.push(format!("{name}: step {step} committed twice"));
            }
        }
    }
    for step in steps {
        // What stands beside a table goes with the end of the backfill, and what failed for good says why.
        if step.kind == StepKind::Backfill && !matches!(step.state, StepState::Planned | StepState::Running) {
            continue;
        }
        let commits = all.get(&step.dataset).map_or(0, |t| t.of(&step.key).count());
        match step.state {
            StepState::Done if commits == 0 && step.committed.is_some() => {
                wrong.push(format!("{}: step {} is done and its commit is not there", step.dataset, step.key));
            }
            StepState::Done if commits > 0 && step.committed.is_none() => {
                wrong.push(format!("{}: step {} is done without a commit, and committed", step.dataset, step.key));
            }
            StepState::Superseded if commits > 0 => {
                wrong.push(format!("{}: step {} was superseded and committed", step.dataset, step.key));
            }
            StepState::Planned | StepState::Running | StepState::Failed | StepState::Dead => {
                wrong.push(format!("{}: step {} is open", step.dataset, step.key));
            }
            StepState::Done | StepState::Superseded => {}
        }
        if let Err(e) = step.balance.check() {
            wrong.push(format!("{}: step {}: {e}", step.dataset, step.key));
        }
    }
    let now = held(tables);
    for (name, (rows, aside)) in calm.iter().filter(|(name, _)| !gate::is_one(name)) {
        let (found, found_aside) = now.get(name).cloned().unwrap_or_default();
        if found != *rows {
            let differs = |a: &[String], b: &[String]| a.iter().find(|r| !b.contains(r)).cloned().unwrap_or_default();
            let (first, other) = (differs(&found, rows), differs(rows, &found));
            let (found, calm) = (found.len(), rows.len());
            wrong.push(format!(
                "{name}: {found} rows that are not the {calm} of undisturbed work: {first:?} first, and {other:?} there"
            ));
        }
        if found_aside != *aside {
            let (found, calm) = (found_aside.len(), aside.len());
            wrong.push(format!("{name}: {found} rows in quarantine that are not the {calm} of undisturbed work"));
        }
    }
    wrong
}
