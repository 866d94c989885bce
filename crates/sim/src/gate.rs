//! What the simulated lake does where people decide: a bronze dataset that drift freezes and a gate that holds steps back, in bronze,
//! in silver, and in the gold table that counts the rows of silver, with a quarantine that is replayed and discarded.
//!
//! Records are named by the content of their file, so that one that is read again is known again.

use crate::{
    aside::Waiting,
    engine::{Computed, Made},
    fault::{Frozen, Refused},
    planted::Planted,
    tables::{Table, Takes},
};
use alluvium_flow::{Job, Outcome, StepError};
use alluvium_model::{Balance, DatasetName, Layer};
use alluvium_store::{QualityResult, StepKind, VerdictKind};

/// Files whose records bronze holds back, whose records silver holds back, that have a field which the earlier definition does
/// not know, and that cannot be read until somebody mends them; and files like others.
pub(crate) const KINDS: [&str; 8] = [TALL, BULK, BULK, ODD, SICK, PLAIN, PLAIN, PLAIN];
pub(crate) const TALL: &str = "tall";
pub(crate) const BULK: &str = "bulk";
const ODD: &str = "odd";
const SICK: &str = "sick";
const PLAIN: &str = "plain";

/// Of a record's number: that breaks a rule of this name. What breaks the first is right once it is tried again.
pub(crate) const RULES: [&str; 3] = ["5", "3", "8"];
const PASSES_LATER: &str = RULES[0];

pub(crate) fn received() -> DatasetName {
    DatasetName::new(Layer::Bronze, "c").expect("a name")
}

pub(crate) fn cleaned() -> DatasetName {
    DatasetName::new(Layer::Silver, "c").expect("a name")
}

pub(crate) fn counted() -> DatasetName {
    DatasetName::new(Layer::Gold, "c").expect("a name")
}

/// In the order in which they follow from each other.
pub(crate) fn all() -> [DatasetName; 3] {
    [received(), cleaned(), counted()]
}

pub(crate) fn is_one(dataset: &DatasetName) -> bool {
    all().contains(dataset)
}

/// The row of the gold table.
pub(crate) fn count(rows: usize) -> String {
    format!("rows|{rows}")
}

pub(crate) fn records(content: &str, records: u64) -> impl Iterator<Item = String> {
    (0..records).map(move |n| format!("{content}#{n}"))
}

/// With so many rows gold is more than anybody would expect.
const MANY: usize = 20;

/// What the gate of a dataset holds back.
pub(crate) fn is_held_in(dataset: &DatasetName, row: &str) -> bool {
    match dataset.layer() {
        Layer::Bronze => row.starts_with(TALL),
        Layer::Silver => row.starts_with(BULK),
        Layer::Gold => row.rsplit('|').next().and_then(|n| n.parse().ok()).is_none_or(|n: usize| n >= MANY),
    }
}

/// What a step finds, and what the process that executes it is.
pub(crate) struct Ground<'a> {
    pub(crate) own: &'a Table,
    /// Whether files that could not be read can be by now.
    pub(crate) healed: bool,
    /// Whether the process has the earlier definition.
    pub(crate) is_old: bool,
    pub(crate) planted: Planted,
}

/// What a step of one of these datasets would commit; or what it did without a commit.
pub(crate) fn compute(
    job: &Job<'_>,
    ground: &Ground<'_>,
    from: impl Fn(&DatasetName) -> Table,
) -> Result<Computed<Made>, StepError> {
    let mut made = Made::default();
    match job.step.kind {
        StepKind::Ingest => {
            for event in job.events {
                let content = event.content.as_str();
                if ground.is_old && content.starts_with(ODD) {
                    return Err(StepError::new(Frozen));
                }
                made.received += event.bytes;
                if content.starts_with(SICK) && !ground.healed {
                    made.dead.push((event.event.clone(), "SIM09: it cannot be read".to_owned()));
                    made.dead_records += event.bytes;
                } else {
                    made.rows.extend(records(content, event.bytes));
                }
            }
        }
        StepKind::Refine => {
            for (name, range) in &job.step.inputs {
                let rows = from(name).between(range.after, range.upto);
                made.received += rows.len() as u64;
                let (bad, good) = rows.into_iter().partition(|row| RULES.iter().any(|rule| row.ends_with(rule)));
                (made.quarantine, made.rows) = (bad, good);
            }
            made.quality.push(share(&made));
        }
        StepKind::Curate => {
            made.takes = Takes::Everything;
            made.rows.extend(job.step.inputs.iter().map(|(name, range)| count(from(name).at(range.upto).len())));
            made.received = made.rows.len() as u64;
        }
        StepKind::ReplayQuarantine | StepKind::Discard => return Ok(again(job, ground)),
        kind => unreachable!("no step of the kind {kind:?} is planned for {}", job.dataset.name),
    }
    judged(job, ground, made).map(Computed::By)
}

fn share(made: &Made) -> QualityResult {
    let (bad, all) = (made.quarantine.len() as u64, made.received);
    let passed = bad * 4 <= all;
    QualityResult {
        rule: "accept:invalid".to_owned(),
        action: "warn".to_owned(),
        severity: "warning".to_owned(),
        dimension: None,
        checked: all,
        violations: bad,
        passed,
        note: (!passed).then(|| format!("{bad} of {all}")),
        figure: None,
    }
}

/// Rows that wait, once more or never more.
fn again(job: &Job<'_>, ground: &Ground<'_>) -> Computed<Made> {
    let version = job.step.lookups.get(&job.dataset.name).copied().unwrap_or(-1);
    if ground.own.aside.has_left(version) && ground.planted != Planted::Forgetful {
        return Computed::Idle(Box::default());
    }
    let waiting = ground.own.aside.at(version);
    let selection = job.discard.map(|d| &d.selection);
    let goes = |row: &&Waiting| match selection {
        Some(selection) => selection.rule.as_ref().is_none_or(|rule| row.row.ends_with(rule)),
        None => row.row.ends_with(PASSES_LATER),
    };
    let (gone, kept): (Vec<_>, Vec<_>) = waiting.iter().partition(goes);
    let rows = |waiting: Vec<&Waiting>| waiting.into_iter().map(|w| w.row.clone()).collect::<Vec<_>>();
    let (gone, kept) = (rows(gone), rows(kept));
    let mut made = Made { quarantine: kept, leaves: waiting.clone(), ..Made::default() };
    if job.step.kind == StepKind::Discard {
        if gone.is_empty() {
            return Computed::Idle(Box::default());
        }
        (made.received, made.dropped, made.stays) = (gone.len() as u64, gone, true);
        return Computed::By(made);
    }
    made.received = waiting.len() as u64;
    if gone.is_empty() {
        let quarantined = made.received;
        let balance = Balance { received: quarantined, quarantined, ..Balance::default() };
        return Computed::Idle(Box::new(Outcome { balance, ..Outcome::default() }));
    }
    made.rows = gone;
    Computed::By(made)
}

/// As the step was held, a release lets it pass; what was dropped is counted and never published.
fn judged(job: &Job<'_>, ground: &Ground<'_>, mut made: Made) -> Result<Made, StepError> {
    let name = &job.dataset.name;
    if job.verdict.is_some_and(|v| v.kind == VerdictKind::Drop) {
        made.dropped = made.rows.drain(..).chain(made.quarantine.drain(..)).collect();
        return Ok(made);
    }
    let every = || made.rows.iter().chain(&made.quarantine);
    let is_blind = match ground.planted {
        Planted::Gateless => true,
        Planted::Gilded => name.layer() == Layer::Gold,
        _ => false,
    };
    if is_blind || every().all(|row| !is_held_in(name, row)) {
        return Ok(made);
    }
    let error = StepError::new(Refused { dataset: name.clone(), rows: every().count() });
    let said = format!("{}: {error}", error.code());
    match job.verdict {
        Some(verdict) if verdict.kind == VerdictKind::Release && verdict.held == said => Ok(made),
        Some(_) | None => Err(error),
    }
}
