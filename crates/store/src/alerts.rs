//! What somebody has to know while it lasts, as values: what the state tells of troubles, and what was told of them.

use crate::NewPublication;
use alluvium_model::DatasetName;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// Steps or landing objects that were given up, with what a gate held among them.
    DeadLetter,
    /// What was published is beyond a limit that warns.
    Acceptance,
    /// The agreed time passed without a commit.
    Overdue,
    /// The newest event of the table is older than its `accept.freshness` allows.
    Stale,
    /// What was received waits longer than it may.
    Backlog,
    /// The dataset's history does not let expect it.
    Anomaly,
    /// What many steps need is left alone.
    Breaker,
}

impl AlertKind {
    pub(crate) const WORDS: &'static [(Self, &'static str)] = &[
        (Self::DeadLetter, "dead_letter"),
        (Self::Acceptance, "acceptance"),
        (Self::Overdue, "overdue"),
        (Self::Stale, "stale"),
        (Self::Backlog, "backlog"),
        (Self::Anomaly, "anomaly"),
        (Self::Breaker, "breaker"),
    ];

    /// As the state's tables have it.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(k, _)| *k == self).expect("every kind has its word").1
    }
}

/// One condition, from the moment it was seen until it was over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    pub id: String,
    /// The same condition has the same key each time; of each key one alert is open at most.
    pub key: String,
    pub kind: AlertKind,
    /// The dataset, or what many of them need.
    pub subject: String,
    /// Of the runbook.
    pub code: Option<String>,
    /// What was found when it opened.
    pub summary: String,
    pub opened_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
}

/// What is known of alerts, with the revision by which something may follow from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alerts {
    pub revision: u64,
    /// In the order in which they opened.
    pub alerts: Vec<Alert>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertChange {
    /// As it is from now on: without an end it opens, with one it is resolved.
    pub alert: Alert,
    /// Of the event that tells it.
    pub event_id: String,
    pub publish: Vec<NewPublication>,
}

/// What is wrong now, as far as the state tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Troubles {
    pub dead: Vec<DeadGroup>,
    pub warned: Vec<Warned>,
    /// When each dataset committed last.
    pub committed: BTreeMap<DatasetName, Timestamp>,
    /// Of each dataset for which something waits.
    pub waiting: Vec<Waiting>,
}

/// Landing objects that no step took, and steps that are neither done nor given up; windows of backfills are none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub dataset: DatasetName,
    pub objects: u64,
    pub steps: u64,
    /// When the first of them was received or planned.
    pub since: Timestamp,
}

/// Dead letters of one dataset with the same code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadGroup {
    pub dataset: DatasetName,
    /// `None` where the reason bears none.
    pub code: Option<String>,
    pub letters: u64,
    /// Of one of them.
    pub message: String,
}

/// A limit or a rule that warns, and that the dataset's newest run was beyond. What a rule is about says its contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warned {
    pub dataset: DatasetName,
    pub rule: String,
    pub note: Option<String>,
}
