//! What waits for a dataset, and what was decided over it, as values.

use alluvium_model::{Balance, DatasetName, RunId};
use jiff::Timestamp;
use serde_json::Number;
use std::collections::BTreeMap;

/// What the steps of a dataset did that committed a range of its table's versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commits {
    /// The end of the range; or an earlier version, where an attempt goes on of which it is not known whether it committed
    /// more. All steps up to here are counted.
    pub upto: i64,
    pub steps: u64,
    pub balance: Balance,
    /// When the first of them ended.
    pub oldest: Option<Timestamp>,
}

/// What a run decided by the condition of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub run: RunId,
    pub dataset: DatasetName,
    pub decided_at: Timestamp,
    /// As it was written then.
    pub condition: String,
    /// What it named, and what that was.
    pub measures: BTreeMap<String, Number>,
    /// What waited was taken.
    pub taken: bool,
}
