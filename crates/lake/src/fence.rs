//! Keeps attempts of a step that are no longer its newest from committing.
//!
//! Called when a step is superseded whose process may only be cut off, when a step ends without a commit after such an attempt, and before each commit. A fence is a version of the
//! dataset's table that says up to which attempt the step is closed. A commit is made against exactly one version, so it either comes
//! before the fence, and is found, or it sees the fence.
//!
//! Where there is no table yet, the fence stands beside it: whoever makes the table looks there after that and before it commits.

use crate::{
    engine::LakeEngine,
    error::LakeError,
    table::{Mark, Place, Table, TableKind},
};
use alluvium_model::{StepKey, crash_point};
use alluvium_spec::Dataset;
use alluvium_store::StepRecord;
use arrow::datatypes::{DataType, Field, Schema};

/// How often another commit may come in between.
const TRIES: u32 = 16;

/// No attempt up to this one commits from now on; `false`: one of them has committed.
///
/// # Errors
/// [`LakeError::Conflict`] when other commits came in between again and again.
pub(crate) async fn put(
    engine: &LakeEngine,
    dataset: &Dataset,
    step: &StepKey,
    attempt: u32,
) -> Result<bool, LakeError> {
    let own = Place::Dataset(dataset.name.clone());
    let beside = Place::Fences(dataset.name.clone());
    for _ in 0..TRIES {
        let table = match engine.tables.open(&own).await? {
            Some(table) => table,
            None => {
                let columns = Schema::new(vec![Field::new("step", DataType::Utf8, true)]);
                let fences = engine.tables.ensure(&beside, &columns, TableKind::Plain).await?;
                if !is_closed(fences.mark(step).await?, attempt) && !set(&fences, step, attempt).await? {
                    continue;
                }
                // It may have been made by somebody who did not see the fence.
                match engine.tables.open(&own).await? {
                    Some(table) => table,
                    None => return Ok(true),
                }
            }
        };
        let mark = table.mark(step).await?;
        if mark == Mark::Committed {
            return Ok(false);
        }
        if is_closed(mark, attempt) || set(&table, step, attempt).await? {
            return Ok(true);
        }
    }
    Err(LakeError::Conflict { path: engine.tables.dir(&own) })
}

/// `false`: another commit came first.
async fn set(table: &Table, step: &StepKey, attempt: u32) -> Result<bool, LakeError> {
    crash_point("fence.before_commit");
    match table.fence(step, attempt).await {
        Err(LakeError::Conflict { .. }) => return Ok(false),
        done => done?,
    };
    crash_point("fence.after_commit");
    Ok(true)
}

/// Whether this attempt must not commit to the table, which is its dataset's as it was read: the step has committed, or its
/// input is another step's by now.
pub(crate) async fn stops(
    engine: &LakeEngine,
    dataset: &Dataset,
    table: &Table,
    step: &StepRecord,
) -> Result<bool, LakeError> {
    let mark = table.mark(&step.key).await?;
    if mark == Mark::Committed || is_closed(mark, step.attempts) {
        return Ok(true);
    }
    match engine.tables.open(&Place::Fences(dataset.name.clone())).await? {
        Some(fences) => Ok(is_closed(fences.mark(&step.key).await?, step.attempts)),
        None => Ok(false),
    }
}

fn is_closed(mark: Mark, attempt: u32) -> bool {
    matches!(mark, Mark::Fenced { upto } if upto >= u64::from(attempt))
}
