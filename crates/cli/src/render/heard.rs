//! What the signals of a run told, kept for its closing summary. Lists are kept up to a bound and counted beyond it.

use super::{grouped, json_time, json_time_if_any, printable};
use alluvium_flow::{NotTaken, Replayed, Signal, StepWait, Waiting};
use alluvium_model::DatasetName;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Number;
use std::collections::BTreeMap;

/// More of one kind are counted, not listed.
const MOST: usize = 1_000;

#[derive(Debug, Serialize)]
pub struct Kept<T> {
    pub first: Vec<T>,
    pub total: u64,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { first: Vec::new(), total: 0 }
    }
}

impl<T> Kept<T> {
    fn add(&mut self, item: T) {
        self.total += 1;
        if self.first.len() < MOST {
            self.first.push(item);
        }
    }
}

#[derive(Debug, Serialize)]
pub struct DuplicateFile {
    pub dataset: String,
    pub path: String,
    pub first_path: String,
}

#[derive(Debug, Serialize)]
pub struct RefusedFile {
    pub dataset: String,
    pub path: String,
    pub code: &'static str,
    pub reason: String,
}

#[derive(Debug, Serialize)]
pub struct DeadObject {
    pub dataset: String,
    pub event: String,
    pub reason: String,
}

#[derive(Debug, Serialize)]
pub struct NewVersion {
    pub dataset: String,
    pub active: String,
    pub now: String,
    /// Held or changed: rows that the older version made.
    pub rows: u64,
    pub recomputed: bool,
    /// `input` or `quarantine`: what is held.
    pub waiting: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub struct FailedStep {
    pub dataset: String,
    pub step: String,
    pub code: &'static str,
    pub message: String,
    pub remedy: &'static str,
    pub attempts: u32,
    /// `None`: it is a dead letter.
    #[serde(serialize_with = "json_time_if_any")]
    pub retry_at: Option<Timestamp>,
}

/// A step that this run did not wait for.
#[derive(Debug, Serialize)]
pub struct WaitingStep {
    pub dataset: String,
    pub step: String,
    #[serde(serialize_with = "json_time")]
    pub until: Timestamp,
    pub why: String,
}

/// A step that an earlier run gave up.
#[derive(Debug, Serialize)]
pub struct DeadStep {
    pub dataset: String,
    pub step: String,
    pub error: String,
    /// Later input of the dataset waits behind it.
    pub blocks: bool,
}

/// A dead letter that a replay was asked for.
#[derive(Debug, Serialize)]
pub struct Letter {
    pub dataset: String,
    pub letter: String,
    pub done: &'static str,
    /// Why it stays.
    pub stays: Option<String>,
}

/// A field that a dataset's definition names by now, and rows of its input that have it among what was put aside.
#[derive(Debug, Serialize)]
pub struct RescuedField {
    pub dataset: String,
    pub field: String,
    pub rows: u64,
}

/// What was done to a dataset's tables after the run's work.
#[derive(Debug, Serialize)]
pub struct Upkeep {
    pub dataset: String,
    pub files_merged: u64,
    pub files_made: u64,
    pub files_removed: u64,
    pub bytes_removed: u64,
}

/// A dataset whose tables could not be put in order this time.
#[derive(Debug, Serialize)]
pub struct NotMaintained {
    pub dataset: String,
    pub code: &'static str,
    pub message: String,
}

/// What a dataset left where it was, by its condition.
#[derive(Debug, Serialize)]
pub struct Left {
    pub dataset: String,
    pub when: String,
    /// What the condition names, and what that was.
    pub saw: BTreeMap<String, Number>,
    /// When time alone may turn it.
    #[serde(serialize_with = "json_time_if_any")]
    pub again_at: Option<Timestamp>,
    /// For people.
    #[serde(skip)]
    pub text: String,
}

/// A sink that was not told of a dataset's commit, or of a run. It is told later.
#[derive(Debug, Serialize)]
pub struct NotPublished {
    /// Or `runs`.
    pub dataset: String,
    pub sink: String,
    pub code: &'static str,
    pub message: String,
}

/// A dataset whose newest event is older than its freshness allows.
#[derive(Debug, Serialize)]
pub struct StaleDataset {
    pub dataset: String,
    #[serde(serialize_with = "json_time_if_any")]
    pub newest: Option<Timestamp>,
    /// The age that is passed.
    pub after: String,
    pub is_error: bool,
}

#[derive(Debug, Default, Serialize)]
pub struct Heard {
    pub duplicates: Kept<DuplicateFile>,
    pub refused: Kept<RefusedFile>,
    pub dead: Kept<DeadObject>,
    /// Something waits until a person says how to go on.
    pub held: Vec<NewVersion>,
    /// Nothing waits yet.
    pub changed: Vec<NewVersion>,
    pub adopted: Vec<NewVersion>,
    /// By the last word of the run on each dataset.
    pub not_taken: Vec<Left>,
    pub failed: Kept<FailedStep>,
    pub waiting: Kept<WaitingStep>,
    pub dead_steps: Kept<DeadStep>,
    pub replayed: Kept<Letter>,
    /// What a replay of rescued values brings in.
    pub rescued: Vec<RescuedField>,
    #[serde(skip)]
    pub looked_for_rescued: bool,
    pub maintained: Vec<Upkeep>,
    pub not_maintained: Vec<NotMaintained>,
    /// Publications that were delivered, also of earlier runs.
    pub published: u64,
    pub not_published: Kept<NotPublished>,
    pub stale: Vec<StaleDataset>,
    pub recovered_steps: u64,
    /// Rows that each dataset's commits wrote.
    pub written: BTreeMap<DatasetName, u64>,
}

impl Kept<Letter> {
    /// Those that are still dead letters.
    pub fn staying(&self) -> Kept<&Letter> {
        let first: Vec<&Letter> = self.first.iter().filter(|l| l.stays.is_some()).collect();
        Kept { total: first.len() as u64, first }
    }
}

impl Heard {
    /// Whether a step became a dead letter.
    pub fn gave_up(&self) -> bool {
        self.failed.first.iter().any(|f| f.retry_at.is_none())
    }

    pub fn take(&mut self, signal: &Signal) {
        match signal {
            Signal::Duplicate { dataset, path, first_path } => self.duplicates.add(DuplicateFile {
                dataset: dataset.to_string(),
                path: path.clone(),
                first_path: first_path.clone(),
            }),
            Signal::Refused { dataset, path, code, reason } => self.refused.add(RefusedFile {
                dataset: dataset.to_string(),
                path: path.clone(),
                code,
                reason: reason.clone(),
            }),
            Signal::Held { dataset, active, now, rows, waiting } => {
                let (dataset, waiting) = (dataset.to_string(), word(*waiting));
                // What was found unneeded in a first round may be held in a second.
                self.changed.retain(|c| c.dataset != dataset);
                let told = if waiting.is_some() { &mut self.held } else { &mut self.changed };
                let (active, now) = (active.brief().to_owned(), now.brief().to_owned());
                told.push(NewVersion { dataset, active, now, rows: *rows, recomputed: false, waiting });
            }
            Signal::Adopted { dataset, active, now, recomputed } => {
                let dataset = dataset.to_string();
                if !self.adopted.iter().any(|a| a.dataset == dataset) {
                    let (active, now) = (active.brief().to_owned(), now.brief().to_owned());
                    let recomputed = *recomputed;
                    self.adopted.push(NewVersion { dataset, active, now, rows: 0, recomputed, waiting: None });
                }
            }
            Signal::NotTaken { dataset, left } => {
                let dataset = dataset.to_string();
                self.not_taken.retain(|l| l.dataset != dataset);
                let (when, again_at, text) = (left.condition.clone(), left.again, not_taken(left));
                self.not_taken.push(Left { dataset, when, saw: left.seen.clone(), again_at, text });
            }
            Signal::StepDone { dataset, outcome, recovered, .. } => {
                self.not_taken.retain(|l| l.dataset != dataset.to_string());
                self.recovered_steps += u64::from(*recovered);
                *self.written.entry(dataset.clone()).or_default() += outcome.usage.rows_out;
                for (event, reason) in &outcome.dead {
                    let (dataset, event) = (dataset.to_string(), event.to_string());
                    self.dead.add(DeadObject { dataset, event, reason: reason.clone() });
                }
            }
            Signal::StepFailed { step, dataset, code, message, remedy, attempts, retry_at, again: false } => {
                let (dataset, step) = (dataset.to_string(), step.to_string());
                let (attempts, retry_at) = (*attempts, *retry_at);
                let failed = FailedStep { dataset, step, code, message: message.clone(), remedy, attempts, retry_at };
                // A step that is tried in two rounds of one run is still one step.
                match self.failed.first.iter_mut().find(|f| f.step == failed.step) {
                    Some(earlier) => *earlier = failed,
                    None => self.failed.add(failed),
                }
            }
            Signal::StepWaits { step, dataset, until, why } => self.waiting.add(WaitingStep {
                dataset: dataset.to_string(),
                step: step.to_string(),
                until: *until,
                why: why_it_waits(why),
            }),
            Signal::StepDead { step, dataset, error, blocks } => self.dead_steps.add(DeadStep {
                dataset: dataset.to_string(),
                step: step.to_string(),
                error: error.clone(),
                blocks: *blocks,
            }),
            Signal::LetterReplayed { dataset, letter, done } => {
                let (word, stays) = replayed(done);
                self.replayed.add(Letter { dataset: dataset.to_string(), letter: letter.clone(), done: word, stays });
            }
            Signal::Rescued { dataset, fields } => {
                self.rescued = fields
                    .iter()
                    .map(|(field, rows)| RescuedField {
                        dataset: dataset.to_string(),
                        field: field.clone(),
                        rows: *rows,
                    })
                    .collect();
                self.looked_for_rescued = true;
            }
            Signal::Maintained { dataset, done } => self.maintained.push(Upkeep {
                dataset: dataset.to_string(),
                files_merged: done.merged,
                files_made: done.into,
                files_removed: done.removed,
                bytes_removed: done.removed_bytes,
            }),
            Signal::NotMaintained { dataset, code, message } => {
                let (dataset, message) = (dataset.to_string(), message.clone());
                self.not_maintained.push(NotMaintained { dataset, code, message });
            }
            Signal::Published { events, .. } => self.published += events,
            Signal::NotPublished { topic, sink, code, message, .. } => self.not_published.add(NotPublished {
                dataset: topic.to_string(),
                sink: sink.clone(),
                code,
                message: message.clone(),
            }),
            Signal::Stale { dataset, newest, after, is_error, .. } => {
                let (dataset, after) = (dataset.to_string(), after.to_string());
                self.stale.push(StaleDataset { dataset, newest: *newest, after, is_error: *is_error });
            }
            Signal::RunStarted { .. }
            | Signal::Looked { .. }
            | Signal::LaidDown { .. }
            | Signal::Settling { .. }
            | Signal::StepStarted { .. }
            | Signal::Progress { .. }
            | Signal::StepFailed { .. }
            | Signal::NotLooked { .. }
            | Signal::Missed { .. }
            | Signal::Fresh { .. }
            | Signal::CommitsSeen
            | Signal::StepHeldBy { .. }
            | Signal::StepWaitsForSlot { .. }
            | Signal::StepDoneElsewhere { .. }
            | Signal::WindowsLeft { .. }
            | Signal::Elsewhere { .. }
            | Signal::BreakerOpened { .. }
            | Signal::BreakerClosed { .. }
            | Signal::RunTold { .. }
            | Signal::AlertTold { .. }
            | Signal::RunFinished { .. } => {}
        }
    }
}

/// `received >= 1000` does not hold (received 20).
pub fn not_taken(left: &NotTaken) -> String {
    decided(&left.condition, &left.seen, false)
}

/// A condition, and what it saw.
pub fn decided(condition: &str, saw: &BTreeMap<String, Number>, holds: bool) -> String {
    let saw: Vec<String> = saw.iter().map(|(measure, value)| format!("{measure} {value}")).collect();
    let word = if holds { "holds" } else { "does not hold" };
    format!("`{}` {word} ({})", printable(condition), saw.join(", "))
}

/// Why a step is not tried now, in words.
pub fn why_it_waits(why: &StepWait) -> String {
    match why {
        StepWait::Delay => "it failed, and its delay has not passed".to_owned(),
        StepWait::Budget { retries_per_day } => {
            format!("the {} retries of the dataset for today are used up", grouped(u64::from(*retries_per_day)))
        }
        StepWait::Breaker(dependency) => format!("{dependency} failed several times in a row"),
        StepWait::Throttle { key } => format!("the throttle of {key}"),
    }
}

/// What became of a dead letter: one word, and why it stays if it does.
pub fn replayed(done: &Replayed) -> (&'static str, Option<String>) {
    (done.word(), done.why_it_stays())
}

fn word(waiting: Waiting) -> Option<&'static str> {
    match waiting {
        Waiting::Nothing => None,
        Waiting::Input => Some("input"),
        Waiting::Quarantine => Some("quarantine"),
    }
}
