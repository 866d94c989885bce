//! What people said of staged data that a gate held back, as values.

use alluvium_model::{DatasetName, RunId, StepKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerdictKind {
    /// It is published all the same.
    Release,
    /// It is never published: its input is counted as dropped.
    Drop,
}

impl VerdictKind {
    pub(crate) const WORDS: &'static [(Self, &'static str)] = &[(Self::Release, "release"), (Self::Drop, "drop")];

    /// As the state's tables have it.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(k, _)| *k == self).expect("every kind has its word").1
    }
}

/// A verdict on one held step. It applies to what the gate said of the step then, and to nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub step: StepKey,
    pub dataset: DatasetName,
    pub kind: VerdictKind,
    /// Who said so.
    pub by: String,
    pub reason: Option<String>,
    pub run: RunId,
    pub decided_at: Timestamp,
    /// Code and message with which the step was held.
    pub held: String,
}
