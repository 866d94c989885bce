//! The rows of many small files, or of files of which much is gone, as few files without a deletion vector.
//!
//! The rows keep the order in which they came. The commit says that no row changed, so that nobody who follows the table
//! does any work because of it.

use super::pick::{Size, pick};
use crate::{
    encoding,
    engine::LakeEngine,
    error::LakeError,
    ingest,
    lanes::{self, Shared},
    refine,
    scan::{self, Source},
    stage::{self, StagedFile, Stager, TARGET_BYTES},
    table::{DataFile, Place, Table, cardinality},
    upsert::{self, Keys},
};
use alluvium_model::crash_point;
use arrow::datatypes::{Schema, SchemaRef};
use deltalake::kernel::{Action, Remove};

pub(super) struct Merged {
    pub(super) version: i64,
    pub(super) files: u64,
    pub(super) into: u64,
}

/// `None`: it would not pay now, or another commit came first.
pub(super) async fn compact(
    engine: &LakeEngine,
    place: &Place,
    table: &Table,
    keys: Option<&Keys>,
) -> Result<Option<Merged>, LakeError> {
    let files = chosen(table.files()?);
    if files.is_empty() {
        return Ok(None);
    }
    let staged = staged(engine, place, table, keys, &files).await?;
    let at = engine.clock.now().as_millisecond();
    let left = files
        .iter()
        .map(|f| Action::Remove(Remove { deletion_timestamp: Some(at), data_change: false, ..f.remove.clone() }));
    let actions = left.chain(staged.iter().map(|f| f.moved(at))).collect();
    crash_point("maintain.before_commit");
    match table.rearrange(actions, TARGET_BYTES).await {
        Ok(version) => {
            crash_point("maintain.after_commit");
            Ok(Some(Merged { version, files: files.len() as u64, into: staged.len() as u64 }))
        }
        Err(LakeError::Conflict { .. }) => {
            stage::discard(&table.dir, &staged);
            Ok(None)
        }
        // The commit may stand all the same, and then its files are the table's.
        Err(e) => Err(e),
    }
}

/// The files to merge, in the order in which they came.
fn chosen(files: Vec<DataFile>) -> Vec<DataFile> {
    let size = |f: &DataFile| Size { bytes: f.bytes, rows: f.rows, gone: cardinality(f.vector.as_ref()) };
    let picked = pick(&files.iter().map(size).collect::<Vec<_>>());
    let mut chosen: Vec<DataFile> = picked.into_iter().map(|i| files[i].clone()).collect();
    chosen.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
    chosen
}

async fn staged(
    engine: &LakeEngine,
    place: &Place,
    table: &Table,
    keys: Option<&Keys>,
    files: &[DataFile],
) -> Result<Vec<StagedFile>, LakeError> {
    let schema = match place {
        Place::Quarantine(_) => refine::quarantine_schema(),
        Place::Dataset(_) | Place::Tombstones(_) => ingest::plain_schema(table.schema()?.as_ref()),
    };
    let sources = files.iter().map(|f| f.source(&table.dir)).collect::<Result<Vec<_>, _>>()?;
    let keys = keys.filter(|k| has_columns(&schema, k)).cloned();
    let prefix = format!("merged-{:016x}", engine.entropy.next_u64());
    let compression = encoding::compression(place);
    let stager = Stager::new(&table.dir, prefix, schema, compression, engine.tables.meter.clone());
    // One lane, so that the rows keep their order.
    let work = move |shared: &Shared| {
        let staged = rewrite(&stager, &sources, shared)?;
        match write_keys(&stager, &staged, keys.as_ref()) {
            Ok(()) => Ok(staged),
            Err(e) => {
                stage::discard(stager.dir(), &staged);
                Err(e)
            }
        }
    };
    Ok(lanes::run(1, work, |_| ()).await?.pop().unwrap_or_default())
}

fn rewrite(stager: &Stager, sources: &[Source], shared: &Shared) -> Result<Vec<StagedFile>, LakeError> {
    let mut lane = stager.lane();
    for source in sources {
        for unit in scan::units(std::slice::from_ref(source))? {
            for batch in unit.read(stager.schema(), stager.meter())? {
                lane.write(&batch?)?;
            }
            shared.advance(unit.rows)?;
        }
    }
    lane.finish()
}

/// The next upsert would make them otherwise.
fn write_keys(stager: &Stager, staged: &[StagedFile], keys: Option<&Keys>) -> Result<(), LakeError> {
    let Some(keys) = keys else { return Ok(()) };
    for file in staged {
        let source = file.source(stager.dir())?;
        upsert::make_keys(stager.dir(), &source, keys, stager.schema(), stager.meter())?;
    }
    Ok(())
}

/// A definition that changed may name other columns than the table has yet.
fn has_columns(schema: &SchemaRef, keys: &Keys) -> bool {
    let schema: &Schema = schema;
    keys.keys.iter().chain(&keys.sequence).all(|c| schema.field_with_name(c).is_ok())
}
