//! What a run tells when it ends: for the person who started it, and for the service that goes on from it.
//!
//! Written by `drain.rs`, `step.rs` and `inbox.rs` while they work.

use crate::{DatasetSummary, NotTaken};
use alluvium_model::{DatasetName, RunId, StepKey};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What a run did, and what it left.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    pub run: Option<RunId>,
    pub objects_new: u64,
    pub objects_duplicate: u64,
    pub objects_dead: u64,
    /// Paths that could be no landing objects. A run looks at a folder more than once, and counts each once.
    pub refused: BTreeSet<(DatasetName, String)>,
    /// Files that were too young when the run looked last.
    pub unsettled: BTreeMap<DatasetName, u64>,
    /// How long until those are old enough.
    pub settled_in: BTreeMap<DatasetName, Duration>,
    /// Steps whose last attempt in this run failed.
    pub failed_steps: u64,
    /// Datasets of the failed steps, and of those that wait or are dead letters; the run does not come back to them.
    pub failed: BTreeSet<DatasetName>,
    /// Of the failed ones, those whose folder or table could not be read, and whose error may pass by itself.
    pub passing: BTreeSet<DatasetName>,
    /// Of the failed ones, those with a step that is tried again, and when.
    pub waiting: BTreeMap<DatasetName, Timestamp>,
    /// Steps that are dead letters, as far as the run came upon them.
    pub dead: BTreeSet<StepKey>,
    /// Steps that load what only another machine has, with their datasets.
    pub elsewhere: BTreeMap<StepKey, DatasetName>,
    /// Dead letters that a replay could not bring back.
    pub letters_left: u64,
    /// How long the run still waits for steps that are to be tried again.
    pub patience: Duration,
    /// Their definition changed, and something waits for a person's word.
    pub held: BTreeSet<DatasetName>,
    /// Their definition changed, and nothing waits.
    pub changed: BTreeSet<DatasetName>,
    /// Something waits for them, and by their condition they do not take it now.
    pub not_taken: BTreeMap<DatasetName, NotTaken>,
    /// It was asked to stop before it was done.
    pub stopped: bool,
    pub datasets: BTreeMap<DatasetName, DatasetSummary>,
}

impl Summary {
    /// Whether everything that could be done was done.
    pub fn complete(&self) -> bool {
        self.failed_steps == 0
            && self.waiting.is_empty()
            && self.dead.is_empty()
            && self.elsewhere.is_empty()
            && self.letters_left == 0
            && self.held.is_empty()
            && self.refused.is_empty()
            && self.objects_dead == 0
            && !self.stopped
    }

    /// A step of the dataset is tried then, and not earlier.
    pub(crate) fn wait(&mut self, name: &DatasetName, until: Timestamp) {
        let earliest = self.waiting.entry(name.clone()).or_insert(until);
        *earliest = until.min(*earliest);
    }

    pub fn objects_refused(&self) -> u64 {
        self.refused.len() as u64
    }

    pub fn objects_unsettled(&self) -> u64 {
        self.unsettled.values().sum()
    }

    pub fn did_nothing(&self) -> bool {
        self.datasets.is_empty() && self.failed_steps == 0
    }

    /// What the work on one dataset goes on from. It is taken out of this, and comes back by [`Summary::absorb`].
    pub(crate) fn part(&mut self, name: &DatasetName) -> Self {
        let own = |names: &BTreeSet<DatasetName>| names.get(name).cloned().into_iter().collect();
        Self {
            run: self.run.clone(),
            not_taken: self.not_taken.remove_entry(name).into_iter().collect(),
            refused: self.refused.iter().filter(|(dataset, _)| dataset == name).cloned().collect(),
            failed: self.failed.clone(),
            dead: self.dead.clone(),
            elsewhere: self.elsewhere.clone(),
            // Datasets wait beside each other.
            patience: self.patience,
            held: own(&self.held),
            changed: own(&self.changed),
            datasets: self.datasets.remove_entry(name).into_iter().collect(),
            ..Self::default()
        }
    }

    pub(crate) fn absorb(&mut self, part: Self) {
        let Self {
            run: _,
            objects_new,
            objects_duplicate,
            objects_dead,
            refused,
            unsettled,
            settled_in,
            failed_steps,
            failed,
            passing,
            waiting,
            dead,
            elsewhere,
            letters_left,
            patience,
            held,
            changed,
            not_taken,
            stopped,
            datasets,
        } = part;
        self.objects_new += objects_new;
        self.objects_duplicate += objects_duplicate;
        self.objects_dead += objects_dead;
        self.refused.extend(refused);
        self.unsettled.extend(unsettled);
        self.settled_in.extend(settled_in);
        self.failed_steps += failed_steps;
        self.failed.extend(failed);
        self.passing.extend(passing);
        self.waiting.extend(waiting);
        self.dead.extend(dead);
        self.elsewhere.extend(elsewhere);
        self.letters_left += letters_left;
        self.patience = self.patience.min(patience);
        self.held.extend(held);
        self.changed.extend(changed);
        self.not_taken.extend(not_taken);
        self.stopped |= stopped;
        self.datasets.extend(datasets);
    }
}
