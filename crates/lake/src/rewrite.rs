//! Files without some of their rows.
//!
//! Called by lanes of steps that take rows out of a table by what one column says. Files that hold none of them are only
//! read, and of them only that column.

use crate::{
    error::LakeError,
    lanes::Shared,
    scan::{self, Source},
    stage::{StagedFile, Stager},
};
use arrow::{
    array::{ArrayRef, BooleanArray},
    compute::{filter_record_batch, not},
};

/// For each source whether it holds rows that go; the other rows of those that do, written again. `gone`: which of the
/// column's rows go, without nulls.
pub(crate) fn without(
    stager: &Stager,
    sources: &[Source],
    column: &str,
    gone: impl Fn(&ArrayRef) -> Result<BooleanArray, LakeError>,
    shared: &Shared,
) -> Result<(Vec<bool>, Vec<StagedFile>), LakeError> {
    let alone = scan::project(stager.schema(), &[column.to_owned()])?;
    let at = stager.schema().index_of(column)?;
    let mut lane = stager.lane();
    let mut hit = Vec::with_capacity(sources.len());
    for source in sources {
        let units = scan::units(std::slice::from_ref(source))?;
        let mut holds = false;
        for unit in &units {
            for batch in unit.read(&alone, stager.meter())? {
                holds |= gone(batch?.column(0))?.true_count() > 0;
            }
            shared.advance(unit.rows)?;
        }
        hit.push(holds);
        for unit in units.iter().filter(|_| holds) {
            for batch in unit.read(stager.schema(), stager.meter())? {
                let batch = batch?;
                lane.write(&filter_record_batch(&batch, &not(&gone(batch.column(at))?)?)?)?;
            }
            shared.advance(unit.rows)?;
        }
    }
    Ok((hit, lane.finish()?))
}
