//! What has ended as a whole, and is told once: runs with all of their steps, and backfills.

use crate::{NewPublication, RunRecord, StepState};
use alluvium_model::{Balance, DatasetName};
use std::collections::BTreeMap;

/// A run that does nothing any more, and whose steps have all ended, whoever ended them.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedRun {
    pub run: RunRecord,
    /// What it planned; nothing, if it had nothing to do.
    pub datasets: BTreeMap<DatasetName, EndedSteps>,
}

/// The steps of one dataset that a run planned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndedSteps {
    /// How many ended in which way.
    pub states: BTreeMap<StepState, u64>,
    /// Of those that are done.
    pub balance: Balance,
    /// The newest version that they committed.
    pub committed: Option<i64>,
}

/// The one word about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Of the event.
    pub id: String,
    /// The version of a dataset's table that shows it.
    pub committed: Option<i64>,
    /// One for each sink.
    pub publish: Vec<NewPublication>,
}
