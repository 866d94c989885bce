//! What people said of rows that wait in a quarantine, as values: that they are thrown away, and notes.

use alluvium_model::{DatasetName, RunId, StepKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Rows of a quarantine: those that all of it applies to. Of nothing: all rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// A rule that the row broke, perhaps among others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// A column in which it broke one; with `rule`, that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The landing object that it came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
}

impl Selection {
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// Rows that never come into the table, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discard {
    /// That takes them out of the quarantine.
    pub step: StepKey,
    pub dataset: DatasetName,
    pub selection: Selection,
    pub by: String,
    pub reason: String,
    pub run: RunId,
    pub asked_at: Timestamp,
}

/// A remark on what waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineNote {
    pub dataset: DatasetName,
    pub selection: Selection,
    pub text: String,
    pub by: String,
    pub noted_at: Timestamp,
}
