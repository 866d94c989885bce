//! Backfills, as values: what is made beside a live table, of which range, and how far it has come.

use crate::StepRecord;
use alluvium_model::{DatasetName, DefinitionVersion, RunId, Stride, Window};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillState {
    /// Windows are made, or were when its process ended.
    Building,
    /// More windows failed than are tolerated.
    Failed,
    /// All windows are made, but for those that are tolerated, and compared with the live table.
    Built,
    /// It took its place in the live table.
    Swapped,
}

/// What became of a wish to forget a backfill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    Now,
    NotThere,
    /// A swap of it is planned, or done: it may take its place, or has. Nothing was changed.
    Swapping,
}

/// A dataset has at most one that is not swapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackfillRecord {
    /// The run that began it. Its steps bear the same, whoever plans them.
    pub id: RunId,
    pub dataset: DatasetName,
    /// The definition under which it is made.
    pub version: DefinitionVersion,
    pub range: Window,
    /// How the range is cut.
    pub stride: Stride,
    /// The version of each input that it shows.
    pub inputs: BTreeMap<DatasetName, i64>,
    /// Windows made at once, by all processes together.
    pub max_active: u32,
    /// Of the windows, in hundredths of a percent.
    pub tolerated: u32,
    pub state: BackfillState,
    /// What the comparison found, as JSON.
    pub summary: Option<String>,
    pub started_at: Timestamp,
    /// When its state changed last.
    pub changed_at: Timestamp,
}

/// Windows that wait to be made, of backfills that are being built.
#[derive(Debug, Clone, Default)]
pub struct OpenWindows {
    /// Those that may be taken now: of each backfill that has a place left the oldest that is due and that nobody holds, and one that
    /// failed before only when there is no other.
    pub ready: Vec<StepRecord>,
    /// Whether any is open, whoever is at it and whenever it is due.
    pub any: bool,
}
