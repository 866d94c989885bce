//! What became of a backfill, as values.

use super::{Compared, Measure};
use alluvium_model::Window;
use alluvium_store::{BackfillRecord, StepState};
use serde::{Deserialize, Serialize};

/// So many windows that differ are told one by one.
const MOST_DIFFERENCES: usize = 100;

#[derive(Debug, Clone, PartialEq)]
pub struct Backfilled {
    pub record: BackfillRecord,
    pub parts: Vec<Part>,
    /// The version of the live table that its swap made.
    pub committed: Option<i64>,
}

/// One window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub window: Window,
    pub state: StepState,
    /// Code and message of its last failed attempt.
    pub error: Option<String>,
}

impl Part {
    pub fn is_made(&self) -> bool {
        self.state == StepState::Done
    }
}

impl Backfilled {
    pub(super) fn new(record: BackfillRecord, parts: Vec<Part>, committed: Option<i64>) -> Self {
        Self { record, parts, committed }
    }

    pub fn comparison(&self) -> Option<Comparison> {
        Comparison::read(&self.record)
    }
}

/// What was found when the windows were compared with the live table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// Windows, of those that are made.
    pub same: u64,
    pub different: u64,
    pub live_rows: u64,
    pub new_rows: u64,
    /// The first of those that are different.
    pub differences: Vec<Difference>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub window: Window,
    pub live_rows: u64,
    pub new_rows: u64,
    pub measures: Vec<Measure>,
}

impl Comparison {
    pub(super) fn of(windows: &[Window], compared: Vec<Compared>) -> Self {
        let mut all = Self::default();
        for (window, found) in windows.iter().zip(compared) {
            all.live_rows += found.live_rows;
            all.new_rows += found.new_rows;
            if found.is_same() {
                all.same += 1;
                continue;
            }
            all.different += 1;
            if all.differences.len() < MOST_DIFFERENCES {
                let Compared { live_rows, new_rows, measures } = found;
                all.differences.push(Difference { window: *window, live_rows, new_rows, measures });
            }
        }
        all
    }

    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).expect("a comparison is plain data")
    }

    /// As the state keeps it; `None`: it was not compared yet.
    pub fn read(record: &BackfillRecord) -> Option<Self> {
        serde_json::from_str(record.summary.as_deref()?).ok()
    }
}
