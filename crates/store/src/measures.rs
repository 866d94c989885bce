//! What the state can count, as values.

use crate::{EventState, RefusalKind, RunState, StepState};
use alluvium_model::{Balance, DatasetName};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// All of one moment. Sums over steps are of those that are done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measures {
    pub runs: BTreeMap<RunState, u64>,
    pub datasets: BTreeMap<DatasetName, DatasetMeasures>,
    /// Of what the audit still holds.
    pub refused: BTreeMap<RefusalKind, u64>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct DatasetMeasures {
    pub steps: BTreeMap<StepState, u64>,
    pub balance: Balance,
    /// Attempts beyond the first of each step.
    pub retries: u64,
    /// End of the last step that committed something.
    pub last_commit: Option<Timestamp>,
    pub objects: BTreeMap<EventState, u64>,
    pub inbox_events: u64,
    pub inbox_bytes: u64,
}

/// Rows of a gold table after a step, and rows that it made for each window: rules of their own, which each step of gold keeps the figure of.
pub const ROWS: &str = "measured:rows";
pub const ROWS_PER_WINDOW: &str = "measured:rows_per_window";

/// What is known of the datasets' steps that took new input, by when they ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    pub hours: Vec<Hour>,
    pub figures: Vec<DayFigure>,
}

/// What the steps of a day measured by one rule.
#[derive(Debug, Clone, PartialEq)]
pub struct DayFigure {
    pub dataset: DatasetName,
    pub rule: String,
    /// Since 1970, in UTC.
    pub day: i64,
    /// Of the steps' figures, each by what it checked.
    pub mean: f64,
    pub sum: f64,
    /// Rows, or what the rule counts instead.
    pub checked: u64,
}

/// What a dataset's steps took of new input, by when they ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hour {
    pub dataset: DatasetName,
    /// Since 1970, in UTC.
    pub hour: i64,
    pub balance: Balance,
}
