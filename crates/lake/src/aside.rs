//! Rows that leave a table beside a dataset's own, decided by paths of files that may have been merged since.
//!
//! Called when a main commit is followed. A step takes out of the quarantine whole files, and so all rows of some steps;
//! where a file is no longer part of the table, its rows are found by their step in the files that are.

use crate::{
    engine::LakeEngine,
    error::LakeError,
    lanes::{self, Shared},
    remote::LakeFile,
    rewrite, scan,
    stage::{StagedFile, Stager},
    table::{FileChange, Place, Table},
};
use arrow::array::{ArrayRef, AsArray, BooleanArray};
use deltalake::kernel::Remove;
use std::collections::BTreeSet;

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
        change.remove.iter().filter(|r| named.iter().all(|f| f.path != **r)).map(|r| table.file(r)).collect();
    let mut taken = Taken { remove: named.into_iter().map(|f| f.remove).collect(), kept: Vec::new() };
    if merged.is_empty() {
        return Ok(taken);
    }
    let schema = crate::refine::quarantine_schema();
    let prefix = format!("kept-{:016x}", engine.entropy.next_u64());
    let stager = engine.tables.stager(place, prefix, schema);
    let sources = others.iter().map(|f| f.source(&table.dir)).collect::<Result<Vec<_>, _>>()?;
    engine.tables.disk.have_all(merged.iter().chain(sources.iter().map(|s| &s.path))).await?;
    let work = move |shared: &Shared| {
        let steps = steps_of(&merged, &stager)?;
        rewrite::without(&stager, &sources, STEP, |values| Ok(among(values, &steps)), shared)
    };
    let (hit, files) = lanes::run(1, work, |_| ()).await?.pop().unwrap_or_default();
    taken.remove.extend(others.into_iter().zip(hit).filter(|(_, hit)| *hit).map(|(f, _)| f.remove));
    taken.kept = files;
    Ok(taken)
}

/// The steps whose rows the merged files had.
fn steps_of(merged: &[LakeFile], stager: &Stager) -> Result<BTreeSet<String>, LakeError> {
    let step = scan::project(stager.schema(), &[STEP.to_owned()])?;
    let mut steps = BTreeSet::new();
    for path in merged {
        for unit in scan::units(&[scan::Source::whole(path.clone())])? {
            for batch in unit.read(&step, stager.meter())? {
                steps.extend(batch?.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
            }
        }
    }
    Ok(steps)
}

/// Which rows came from one of these steps.
fn among(values: &ArrayRef, steps: &BTreeSet<String>) -> BooleanArray {
    values.as_string::<i32>().iter().map(|step| Some(step.is_some_and(|s| steps.contains(s)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        maintain::{compact, fixture::World},
        remote::faulty::Faulty,
        scan::Source,
    };
    use alluvium_model::{DatasetName, Layer};
    use arrow::array::{RecordBatch, StringArray, new_null_array};
    use std::{fs, sync::Arc};

    fn waiting(step: &str) -> RecordBatch {
        let schema = crate::refine::quarantine_schema();
        let columns = schema.fields().iter().map(|f| match f.name().as_str() {
            STEP => Arc::new(StringArray::from(vec![step; 2])) as _,
            _ => new_null_array(f.data_type(), 2),
        });
        RecordBatch::try_new(schema.clone(), columns.collect()).expect("a batch")
    }

    #[tokio::test]
    async fn rows_are_found_again_when_their_files_were_merged() {
        let world = World::new();
        let place = Place::Quarantine(DatasetName::new(Layer::Silver, "t").expect("a name"));
        let mut files = Vec::new();
        for n in 0..12 {
            let step = format!("step{n:02}");
            files.push(world.append(&place, &step, &waiting(&step)).await);
        }
        let table = world.table(&place).await;
        let change = FileChange { add: Vec::new(), remove: files[..3].iter().map(|f| f.path.clone()).collect() };
        let named = taken(&world.engine, &place, &table, &change).await.expect("taken");
        assert_eq!((named.remove.len(), named.kept.len()), (3, 0));

        compact(&world.engine, &place, &table, None, &[]).await.expect("merges").expect("pays");
        world.append(&place, "later", &waiting("later")).await;
        let table = world.table(&place).await;
        let found = taken(&world.engine, &place, &table, &change).await.expect("taken");
        assert_eq!(found.remove.len(), 1, "the merged file, and not the later one");
        let schema = scan::project(&crate::refine::quarantine_schema(), &[STEP.to_owned()]).expect("a column");
        let mut left = BTreeSet::new();
        let sources: Vec<Source> = found.kept.iter().map(|f| f.source(&table.dir).expect("a source")).collect();
        for unit in scan::units(&sources).expect("units") {
            for batch in unit.read(&schema, &world.engine.tables.meter).expect("reads") {
                let batch = batch.expect("a batch");
                left.extend(batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
            }
        }
        assert_eq!(left, (3..12).map(|n| format!("step{n:02}")).collect());
        assert_eq!(found.kept.iter().map(|f| f.rows).sum::<u64>(), 18);
    }

    /// Those that were merged, and those that are looked through for their rows.
    #[tokio::test(flavor = "multi_thread")]
    async fn files_in_an_object_store_come_together() {
        let store = Arc::new(Faulty::default());
        let world = World::in_object_store(store.clone(), 1 << 30);
        let place = Place::Quarantine(DatasetName::new(Layer::Silver, "t").expect("a name"));
        let mut paths = Vec::new();
        for n in 0..12 {
            let step = format!("step{n:02}");
            paths.push(world.append(&place, &step, &waiting(&step)).await.path);
        }
        let merged = world.table(&place).await;
        compact(&world.engine, &place, &merged, None, &[]).await.expect("merges").expect("pays");
        for n in 12..15 {
            let step = format!("step{n:02}");
            world.append(&place, &step, &waiting(&step)).await;
        }
        let table = world.table(&place).await;
        let live = table.files().expect("files").into_iter().map(|f| f.path);
        let all: BTreeSet<String> = paths.iter().cloned().chain(live).collect();
        for path in &all {
            fs::remove_file(table.dir.join(path)).expect("a copy");
        }
        for removed in [&paths[..3], &paths[..1]] {
            store.down.most();
            let change = FileChange { add: Vec::new(), remove: removed.to_vec() };
            let found = taken(&world.engine, &place, &table, &change).await.expect("taken");
            assert_eq!(found.remove.len(), 1, "the merged file");
            assert!(store.down.most() > 1, "one after another");
            all.iter().for_each(|path| drop(fs::remove_file(table.dir.join(path))));
        }
    }
}
