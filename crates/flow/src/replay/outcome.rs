//! How a replay went, for whoever asked for it and did not wait.
//!
//! Written by `asked.rs` into the state, as JSON that is shown as it is.

use super::Replayed;
use crate::{FlowError, Summary, step::chain};
use alluvium_model::{DatasetName, Fault, RetryClass, StepKey};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// More of one kind are counted, not listed.
const MOST: usize = 100;

/// What a replay came upon.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    /// Its datasets, and those that were made from them.
    pub datasets: BTreeSet<DatasetName>,
    /// The first of the dead letters.
    pub(super) letters: Vec<LetterOutcome>,
    pub(super) letters_back: u64,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct LetterOutcome {
    dataset: DatasetName,
    letter: String,
    done: &'static str,
    /// Why it stays.
    stays: Option<String>,
}

impl Tried {
    pub(super) fn letter(&mut self, dataset: &DatasetName, letter: &str, done: &Replayed) {
        self.letters_back += u64::from(!done.stays());
        if self.letters.len() < MOST {
            let (dataset, letter) = (dataset.clone(), letter.to_owned());
            self.letters.push(LetterOutcome { dataset, letter, done: done.word(), stays: done.why_it_stays() });
        }
    }
}

/// A replay that ended.
#[derive(Debug, Serialize)]
pub struct ReplayOutcome {
    /// Everything that was asked for was done, and what follows from it.
    pub complete: bool,
    letters: Vec<LetterOutcome>,
    letters_back: u64,
    letters_left: u64,
    /// Datasets whose definition changed: a person has to say how to go on.
    held: BTreeSet<DatasetName>,
    /// Steps whose last attempt failed.
    failed_steps: u64,
    /// Datasets with a step that is tried again by itself, and when.
    waiting: BTreeMap<DatasetName, String>,
    /// Steps that are dead letters.
    dead_steps: Vec<StepKey>,
    /// What stopped it.
    error: Option<ErrorOutcome>,
}

#[derive(Debug, Serialize)]
struct ErrorOutcome {
    code: &'static str,
    message: String,
    class: RetryClass,
    help: &'static str,
}

impl ReplayOutcome {
    pub(super) fn new(done: &Result<(), FlowError>, tried: &Tried, summary: &Summary) -> Self {
        let error = done.as_ref().err().map(|e| ErrorOutcome {
            code: e.code(),
            message: chain(e),
            class: e.class(),
            help: e.remedy(),
        });
        Self {
            complete: error.is_none() && summary.complete(),
            letters: tried.letters.clone(),
            letters_back: tried.letters_back,
            letters_left: summary.letters_left,
            held: summary.held.clone(),
            failed_steps: summary.failed_steps,
            waiting: summary.waiting.iter().map(|(name, at)| (name.clone(), at.to_string())).collect(),
            dead_steps: summary.dead.iter().take(MOST).cloned().collect(),
            error,
        }
    }
}
