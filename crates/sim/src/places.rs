//! Where people decide, every record is in exactly one place: the table, the quarantine, or what they said is never to come.

use crate::{
    files::File,
    gate,
    tables::{Table, Tables},
};
use alluvium_model::{DatasetName, StepKey};
use alluvium_store::{StepKind, StepRecord, StepState, VerdictKind};
use std::collections::BTreeMap;

/// What is wrong with that, with what became visible, and with what the state says of it.
pub(crate) fn wrong(
    tables: &Tables,
    files: &[File],
    steps: &[StepRecord],
    verdicts: &BTreeMap<StepKey, VerdictKind>,
) -> Vec<String> {
    let live = tables.live();
    let table = |name: &DatasetName| live.get(name).cloned().unwrap_or_default();
    let (received, cleaned) = (gate::received(), gate::cleaned());
    let all = files.iter().filter(|f| f.dataset == received).flat_map(|f| gate::records(&f.content, f.records));
    let bronze = table(&received);
    let mut wrong = misplaced(&received, &bronze, all);
    wrong.extend(misplaced(&cleaned, &table(&cleaned), bronze.at(bronze.head()).into_iter()));
    for name in [&received, &cleaned] {
        wrong.extend(visible(name, &table(name), steps, verdicts));
        wrong.extend(uncounted(name, &table(name), steps, bronze.at(bronze.head()).len() as u64));
    }
    let counted = gate::counted();
    wrong.extend(visible(&counted, &table(&counted), steps, verdicts));
    wrong.extend(miscounted(&table(&counted), &table(&cleaned)));
    wrong
}

/// Gold shows what silver holds, also where somebody had to let it pass.
fn miscounted(gold: &Table, silver: &Table) -> Option<String> {
    let (found, rows) = (gold.at(gold.head()), silver.at(silver.head()).len());
    let due: Vec<String> = silver.has_moved(-1).then(|| gate::count(rows)).into_iter().collect();
    (found != due).then(|| format!("{}: {found:?} of {rows} rows", gate::counted()))
}

fn misplaced(name: &DatasetName, table: &Table, all: impl Iterator<Item = String>) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<&str>> = all.map(|record| (record, Vec::new())).collect();
    let dropped = table.commits.iter().flat_map(|c| c.dropped.iter().cloned());
    let (rows, aside) = (table.at(table.head()), table.aside.rows());
    let rows = rows.into_iter().map(|r| (r, "the table"));
    for (record, place) in
        rows.chain(aside.into_iter().map(|r| (r, "the quarantine"))).chain(dropped.map(|r| (r, "what was dropped")))
    {
        places.entry(record).or_default().push(place);
    }
    let misplaced = places.into_iter().filter(|(_, places)| places.len() != 1);
    misplaced.map(|(record, places)| format!("{name}: record {record} is in {places:?}")).collect()
}

/// What a gate held back is seen only by somebody's word.
fn visible(
    name: &DatasetName,
    table: &Table,
    steps: &[StepRecord],
    verdicts: &BTreeMap<StepKey, VerdictKind>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (commit, step) in table.commits.iter().filter_map(|c| Some((c, c.step.as_ref()?))) {
        let judged =
            |s: &StepRecord| s.key == *step && matches!(s.kind, StepKind::Ingest | StepKind::Refine | StepKind::Curate);
        if !steps.iter().any(judged) {
            continue;
        }
        let shown = commit.rows.iter().chain(&commit.quarantine);
        let verdict = verdicts.get(step);
        if shown.clone().any(|row| gate::is_held_in(name, row)) && verdict != Some(&VerdictKind::Release) {
            wrong.push(format!("{name}: step {step} was to be held, and is visible without a word"));
        }
        if shown.count() > 0 && verdict == Some(&VerdictKind::Drop) {
            wrong.push(format!("{name}: step {step} was dropped, and is visible"));
        }
    }
    wrong
}

/// The balances that the state has of the dataset's steps say what its tables hold.
fn uncounted(name: &DatasetName, table: &Table, steps: &[StepRecord], in_bronze: u64) -> Vec<String> {
    let sum = |kinds: &[StepKind], of: fn(&StepRecord) -> u64| -> u64 {
        let own = steps.iter().filter(|s| s.dataset == *name && s.state == StepState::Done && kinds.contains(&s.kind));
        own.map(of).sum()
    };
    let (arrives, again) = ([StepKind::Ingest, StepKind::Refine], [StepKind::ReplayQuarantine]);
    let loaded = |s: &StepRecord| s.balance.loaded;
    let (first, later) = (sum(&arrives, loaded), sum(&again, loaded));
    let (dropped, thrown) = (sum(&arrives, |s| s.balance.dropped), sum(&[StepKind::Discard], |s| s.balance.dropped));
    let left = sum(&arrives, |s| s.balance.quarantined).checked_sub(later + thrown);
    let received = sum(&arrives, |s| s.balance.received - s.balance.dead);
    let (rows, waiting) = (table.at(table.head()).len() as u64, table.aside.rows().len() as u64);
    let never: u64 = table.commits.iter().map(|c| c.dropped.len() as u64).sum();
    let mut wrong = Vec::new();
    if (first + later, left, dropped + thrown) != (rows, Some(waiting), never) {
        let state = format!("{} loaded, {left:?} quarantined, {} dropped", first + later, dropped + thrown);
        wrong.push(format!("{name}: the state counts {state}, and there are {rows}, {waiting}, {never}"));
    }
    // What came into bronze and was not dropped there is what silver received.
    let came = if *name == gate::received() { in_bronze + dropped } else { in_bronze };
    if received != came {
        wrong.push(format!("{name}: the state counts {received} received, and {came} came"));
    }
    wrong
}
