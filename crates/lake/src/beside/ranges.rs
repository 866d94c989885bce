//! Windows as the lake compares and filters by them.

use crate::{error::LakeError, windows::Touched};
use alluvium_flow::Job;
use alluvium_model::Window;
use alluvium_spec::{Gold, Kind};

/// The steps of a backfill are of gold.
pub(super) fn gold_of<'a>(job: &Job<'a>) -> Result<&'a Gold, LakeError> {
    match &job.dataset.kind {
        Kind::Gold(gold) => Ok(gold),
        Kind::Bronze(_) | Kind::Silver(_) => Err(LakeError::Worker("a step of a backfill of another layer")),
    }
}

pub(super) fn touching(windows: &[Window]) -> Touched {
    Touched::Windows { ranges: windows.iter().map(|w| (*w, 1)).collect(), null: false }
}

/// Which of the windows, ascending and apart from each other, holds the instant.
pub(super) fn index_of(windows: &[Window], micros: i64) -> Option<usize> {
    let i = windows.partition_point(|w| w.to <= micros);
    windows.get(i).filter(|w| w.from <= micros).map(|_| i)
}
