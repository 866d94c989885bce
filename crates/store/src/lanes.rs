//! What is told of commits, as values: publications, and the lanes that they leave by.

use alluvium_model::{DatasetName, StepKey};
use jiff::Timestamp;

/// What one sink is told of a step's commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPublication {
    pub sink: String,
    /// As it is sent, byte for byte, however often.
    pub event: String,
}

/// One that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    pub(crate) seq: i64,
    /// Also the event's id.
    pub step: StepKey,
    pub dataset: DatasetName,
    pub sink: String,
    /// Version of the table that the step's commit made.
    pub committed: i64,
    pub event: String,
}

/// A dataset and a sink. Publications leave it in the order in which the dataset's steps ended, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    pub dataset: DatasetName,
    pub sink: String,
    pub waiting: u64,
    /// When the oldest waiting one was made.
    pub oldest: Option<Timestamp>,
    /// In a row, of the oldest waiting one.
    pub failures: u32,
    /// Not before.
    pub next_at: Timestamp,
    /// Code and message of the last failure, until something is delivered.
    pub error: Option<String>,
    /// The target that wants no more.
    pub off: Option<String>,
}

/// How a holder leaves a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LaneEnd {
    /// Everything it took was delivered, or it gives back what was not.
    Done,
    /// The oldest one could not be delivered.
    Failed { error: String, next_at: Timestamp },
    /// The receiver wants no more: all lanes of the sink are off while its target is this one.
    Off { error: String, target: String },
}
