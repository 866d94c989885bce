//! What is told of commits, runs, backfills and alerts, as values: publications, and the lanes that they leave by.

use alluvium_model::{DatasetName, InvalidName};
use jiff::Timestamp;
use std::{fmt, str::FromStr};

/// What a publication tells of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    Dataset(DatasetName),
    /// Runs as a whole.
    Runs,
    /// What somebody has to know while it lasts.
    Alerts,
}

/// No datasets' names: those have a layer.
const RUNS: &str = "runs";
const ALERTS: &str = "alerts";

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dataset(name) => name.fmt(f),
            Self::Runs => f.write_str(RUNS),
            Self::Alerts => f.write_str(ALERTS),
        }
    }
}

impl FromStr for Topic {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text {
            RUNS => Ok(Self::Runs),
            ALERTS => Ok(Self::Alerts),
            name => name.parse().map(Self::Dataset),
        }
    }
}

/// What one sink is told.
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
    /// The event's; of a commit the key of its step.
    pub id: String,
    pub topic: Topic,
    pub sink: String,
    /// Version of the dataset's table in which it can be seen.
    pub committed: Option<i64>,
    pub event: String,
}

/// A topic and a sink. Publications leave it in the order in which they were made, which is that in which a dataset's steps
/// ended, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    pub topic: Topic,
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
    /// The sink may not be called again before.
    Later { next_at: Timestamp },
    /// The oldest one could not be delivered.
    Failed { error: String, next_at: Timestamp },
    /// The receiver wants no more: all lanes of the sink are off while its target is this one.
    Off { error: String, target: String },
}
