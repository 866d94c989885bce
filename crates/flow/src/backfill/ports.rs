//! What a backfill needs of the lake beside [`crate::Engine`], which executes its windows and its swap.

use crate::StepError;
use alluvium_model::{DatasetName, RunId, Window};
use alluvium_spec::{Dataset, Gold};
use alluvium_store::Claimed;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A gold dataset that has a window.
#[derive(Debug, Clone, Copy)]
pub struct Windowed<'a> {
    pub dataset: &'a Dataset,
    pub gold: &'a Gold,
}

/// How much of the input lies in one window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    pub rows: u64,
    /// Its share of the input's files.
    pub bytes: u64,
}

/// One window in the live table and in the one beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    pub live_rows: u64,
    pub new_rows: u64,
    /// Sums of numeric columns that are not the same.
    pub measures: Vec<Measure>,
}

impl Compared {
    pub fn is_same(&self) -> bool {
        self.live_rows == self.new_rows && self.measures.is_empty()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    pub column: String,
    /// `None`: the live table has no such column.
    pub live: Option<String>,
    pub new: String,
}

/// Tables that stand beside live ones. All but [`Beside::remove`] only read.
///
/// What a backfill made is there when its first window has committed, which is after the state knows of the backfill.
#[async_trait]
pub trait Beside: Send + Sync {
    /// Of the input that the window is told by, at its version in `inputs`; one a window.
    async fn survey(
        &self,
        of: Windowed<'_>,
        inputs: &BTreeMap<DatasetName, i64>,
        windows: &[Window],
    ) -> Result<Vec<Extent>, StepError>;

    /// Whether each of the windows is touched by these changes of the inputs. When that cannot be told any more, all are.
    async fn touched(
        &self,
        of: Windowed<'_>,
        changes: &BTreeMap<DatasetName, Claimed>,
        windows: &[Window],
    ) -> Result<Vec<bool>, StepError>;

    /// Whether the query over these versions of its inputs gives no row outside of the range.
    async fn covers(
        &self,
        of: Windowed<'_>,
        inputs: &BTreeMap<DatasetName, i64>,
        range: Window,
    ) -> Result<bool, StepError>;

    /// The live table as it is now with the one that backfill `id` made, one answer a window.
    async fn compare(&self, of: Windowed<'_>, id: &RunId, windows: &[Window]) -> Result<Vec<Compared>, StepError>;

    /// Backfills of the dataset that made something which is still there.
    async fn made(&self, dataset: &DatasetName) -> Result<Vec<RunId>, StepError>;

    /// Takes away what this one made. Idempotent.
    async fn remove(&self, dataset: &DatasetName, id: &RunId) -> Result<(), StepError>;
}
