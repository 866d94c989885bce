//! What the signals of a run told, kept for its closing summary. Lists are kept up to a bound and counted beyond it.

use alluvium_flow::{Signal, Waiting};
use alluvium_model::DatasetName;
use serde::Serialize;
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

/// A sink that was not told of a dataset's commit. It is told later.
#[derive(Debug, Serialize)]
pub struct NotPublished {
    pub dataset: String,
    pub sink: String,
    pub code: &'static str,
    pub message: String,
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
    pub failed: Kept<FailedStep>,
    pub maintained: Vec<Upkeep>,
    pub not_maintained: Vec<NotMaintained>,
    /// Publications that were delivered, also of earlier runs.
    pub published: u64,
    pub not_published: Kept<NotPublished>,
    pub recovered_steps: u64,
    /// Rows that each dataset's commits wrote.
    pub written: BTreeMap<DatasetName, u64>,
}

impl Heard {
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
            Signal::StepDone { dataset, outcome, recovered, .. } => {
                self.recovered_steps += u64::from(*recovered);
                *self.written.entry(dataset.clone()).or_default() += outcome.usage.rows_out;
                for (event, reason) in &outcome.dead {
                    let (dataset, event) = (dataset.to_string(), event.to_string());
                    self.dead.add(DeadObject { dataset, event, reason: reason.clone() });
                }
            }
            Signal::StepFailed { step, dataset, code, message, remedy, again: false } => {
                let (dataset, step) = (dataset.to_string(), step.to_string());
                let failed = FailedStep { dataset, step, code, message: message.clone(), remedy };
                // A step that is tried in two rounds of one run is still one step.
                match self.failed.first.iter_mut().find(|f| f.step == failed.step) {
                    Some(earlier) => *earlier = failed,
                    None => self.failed.add(failed),
                }
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
            Signal::NotPublished { dataset, sink, code, message, .. } => self.not_published.add(NotPublished {
                dataset: dataset.to_string(),
                sink: sink.clone(),
                code,
                message: message.clone(),
            }),
            Signal::RunStarted { .. }
            | Signal::Looked { .. }
            | Signal::LaidDown { .. }
            | Signal::Settling { .. }
            | Signal::StepStarted { .. }
            | Signal::Progress { .. }
            | Signal::StepFailed { .. }
            | Signal::NotLooked { .. }
            | Signal::Missed { .. }
            | Signal::StepHeldBy { .. }
            | Signal::RunFinished { .. } => {}
        }
    }
}

fn word(waiting: Waiting) -> Option<&'static str> {
    match waiting {
        Waiting::Nothing => None,
        Waiting::Input => Some("input"),
        Waiting::Quarantine => Some("quarantine"),
    }
}
