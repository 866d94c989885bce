//! Windows as the lake compares and filters by them.

use crate::{error::LakeError, windows::Touched};
use alluvium_flow::Job;
use alluvium_model::Window;
use alluvium_spec::{Gold, Kind, WindowSpec};

/// The steps of a backfill are of gold.
pub(super) fn gold_of<'a>(job: &Job<'a>) -> Result<&'a Gold, LakeError> {
    match &job.dataset.kind {
        Kind::Gold(gold) => Ok(gold),
        Kind::Bronze(_) | Kind::Silver(_) => Err(LakeError::Worker("a step of a backfill of another layer")),
    }
}

/// Only tables with windows are backfilled.
pub(super) fn window_of(gold: &Gold) -> Result<&WindowSpec, LakeError> {
    gold.window.as_ref().ok_or(LakeError::Worker("a backfill is of a table with windows"))
}

/// `windows`: ascending and apart from each other.
pub(super) fn touching(windows: &[Window]) -> Touched {
    Touched::Windows { ranges: windows.to_vec(), count: windows.len() as u64, null: false }
}
