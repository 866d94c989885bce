//! Rows that leave a table beside a dataset's own, decided by paths of files that may have been merged since.
//!
//! Called when a main commit is followed. A step takes out of the quarantine whole files, and so all rows of some steps;
//! where a file is no longer part of the table, its rows are found by their step in the files that are.

use crate::{
    encoding,
    engine::LakeEngine,
    error::LakeError,
    lanes, scan,
    stage::{StagedFile, Stager},
    table::{FileChange, Place, Table},
};
use arrow::{
    array::{Array, AsArray, BooleanArray, RecordBatch},
    compute::filter_record_batch,
    datatypes::SchemaRef,
};
use deltalake::kernel::Remove;
use std::{collections::BTreeSet, sync::Arc};

const STEP: &str = "_step_key";

/// What a change takes out of a table as it is now.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) remove: Vec<Remove>,
    /// Other rows of the removed files, written again.
    pub(crate) kept: Vec<StagedFile>,
}

pub(crate) async fn taken(
    engine: &LakeEngine,
    place: &Place,
    table: &Table,
    change: &FileChange,
) -> Result<Taken, LakeError> {
    if change.remove.is_empty() {
        return Ok(Taken::default());
    }
    let files = table.files()?;
    if let Place::Tombstones(_) = place {
        // Only a rebuild takes deleted keys away, and then all that there are.
        return Ok(Taken { remove: files.into_iter().map(|f| f.remove).collect(), kept: Vec::new() });
    }
    let (named, others): (Vec<_>, Vec<_>) = files.into_iter().partition(|f| change.remove.contains(&f.path));
    let merged: Vec<_> =
        change.remove.iter().filter(|r| named.iter().all(|f| f.path != **r)).map(|r| table.path_of(r)).collect();
    let mut taken = Taken { remove: named.into_iter().map(|f| f.remove).collect(), kept: Vec::new() };
    if merged.is_empty() {
        return Ok(taken);
    }
    let schema = crate::refine::quarantine_schema();
    let prefix = format!("kept-{:016x}", engine.entropy.next_u64());
    let stager = Stager::new(&table.dir, prefix, schema, encoding::compression(place), engine.tables.meter.clone());
    let sources = others.iter().map(|f| f.source(&table.dir)).collect::<Result<Vec<_>, _>>()?;
    let work = move |_: &lanes::Shared| kept(&stager, &merged, &sources);
    let (hit, files) = lanes::run(1, work, |_| ()).await?.pop().unwrap_or_default();
    taken.remove.extend(others.into_iter().zip(hit).filter(|(_, hit)| *hit).map(|(f, _)| f.remove));
    taken.kept = files;
    Ok(taken)
}

/// For each source whether it holds rows of the merged files' steps; the other rows of those that do, written again.
fn kept(
    stager: &Stager,
    merged: &[std::path::PathBuf],
    sources: &[scan::Source],
) -> Result<(Vec<bool>, Vec<StagedFile>), LakeError> {
    let step = scan::project(stager.schema(), &[STEP.to_owned()])?;
    let mut steps = BTreeSet::new();
    for path in merged {
        for unit in scan::units(&[scan::Source::whole(path.clone())])? {
            for batch in unit.read(&step, stager.meter())? {
                steps.extend(batch?.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
            }
        }
    }
    let mut lane = stager.lane();
    let mut hit = Vec::with_capacity(sources.len());
    for source in sources {
        let units = scan::units(std::slice::from_ref(source))?;
        let mut holds = false;
        for unit in &units {
            for batch in unit.read(&step, stager.meter())? {
                holds |= others(&batch?, &step, &steps)?.false_count() > 0;
            }
        }
        hit.push(holds);
        for unit in units.iter().filter(|_| holds) {
            for batch in unit.read(stager.schema(), stager.meter())? {
                let batch = batch?;
                lane.write(&filter_record_batch(&batch, &others(&batch, &step, &steps)?)?)?;
            }
        }
    }
    Ok((hit, lane.finish()?))
}

/// Which rows came from none of these steps.
fn others(batch: &RecordBatch, step: &SchemaRef, steps: &BTreeSet<String>) -> Result<BooleanArray, LakeError> {
    let own = scan::conform(batch, &Arc::clone(step))?;
    let own = own.column(0).as_string::<i32>().clone();
    Ok((0..own.len()).map(|i| Some(own.is_null(i) || !steps.contains(own.value(i)))).collect())
}
