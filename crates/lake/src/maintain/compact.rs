//! The rows of many small files, or of files of which much is gone, as few files without a deletion vector.
//!
//! The rows keep the order in which they came, unless the dataset is clustered by columns. The commit says that no row changed, so that nobody who follows the table
//! does any work because of it.

use super::{
    cluster,
    pick::{SMALL_BYTES, Size, pick},
};
use crate::{
    engine::LakeEngine,
    error::LakeError,
    ingest,
    lanes::{self, Shared},
    refine,
    scan::{self, Source},
    stage::{self, StagedFile, Stager, TARGET_BYTES},
    table::{DataFile, Place, Table, cardinality},
    upsert::{self, Keys, Room},
};
use alluvium_model::crash_point;
use arrow::datatypes::{Schema, SchemaRef};
use deltalake::kernel::{Action, Remove};
use std::sync::Arc;

pub(crate) struct Merged {
    pub(crate) version: i64,
    pub(crate) files: u64,
    pub(crate) into: u64,
}

/// `None`: it would not pay now, or another commit came first.
pub(crate) async fn compact(
    engine: &LakeEngine,
    place: &Place,
    table: &Table,
    keys: Option<&Keys>,
    cluster_by: &[String],
) -> Result<Option<Merged>, LakeError> {
    let schema = plain_schema(place, table)?;
    // A definition that changed may name other columns than the table has yet.
    let known = cluster_by.iter().all(|c| schema.field_with_name(c).is_ok());
    let order = Order { columns: if known { cluster_by } else { &[] }, file_bytes: cluster::FILE_BYTES };
    merge(engine, place, table, keys, order).await
}

/// How merged rows lie.
#[derive(Clone, Copy)]
struct Order<'a> {
    /// None: as they came.
    columns: &'a [String],
    /// Of the files of ordered rows.
    file_bytes: u64,
}

async fn merge(
    engine: &LakeEngine,
    place: &Place,
    table: &Table,
    keys: Option<&Keys>,
    order: Order<'_>,
) -> Result<Option<Merged>, LakeError> {
    let files = chosen(table.files()?, !order.columns.is_empty());
    if files.is_empty() {
        return Ok(None);
    }
    let staged = staged(engine, place, table, keys, &files, order).await?;
    stage::upload(&engine.tables.disk, &table.dir, &staged)
        .await
        .inspect_err(|_| stage::discard(&table.dir, &staged))?;
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
fn chosen(files: Vec<DataFile>, clustered: bool) -> Vec<DataFile> {
    let (runs, small_bytes) = if clustered {
        (cluster::runs(&files), cluster::SMALL_BYTES)
    } else {
        ((0..files.len()).map(|i| vec![i]).collect(), SMALL_BYTES)
    };
    let of_file = |f: &DataFile| Size { bytes: f.bytes, rows: f.rows, gone: cardinality(f.vector.as_ref()) };
    let of_run = |run: &Vec<usize>| run.iter().map(|i| of_file(&files[*i])).fold(Size::default(), Size::and);
    let picked = pick(&runs.iter().map(of_run).collect::<Vec<_>>(), small_bytes);
    let mut chosen: Vec<DataFile> = picked.into_iter().flat_map(|r| &runs[r]).map(|i| files[*i].clone()).collect();
    chosen.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
    chosen
}

fn plain_schema(place: &Place, table: &Table) -> Result<SchemaRef, LakeError> {
    Ok(match place {
        Place::Quarantine(_) => refine::quarantine_schema(),
        Place::Dataset(_) | Place::Tombstones(_) | Place::Beside(..) | Place::Fences(_) => {
            ingest::plain_schema(table.schema()?.as_ref())
        }
    })
}

async fn staged(
    engine: &LakeEngine,
    place: &Place,
    table: &Table,
    keys: Option<&Keys>,
    files: &[DataFile],
    order: Order<'_>,
) -> Result<Vec<StagedFile>, LakeError> {
    let schema = plain_schema(place, table)?;
    let sources = files.iter().map(|f| f.source(&table.dir)).collect::<Result<Vec<_>, _>>()?;
    engine.tables.disk.have_all(sources.iter().map(|s| &s.path)).await?;
    let keys = keys.filter(|k| has_columns(&schema, k)).cloned();
    let prefix = if order.columns.is_empty() { "merged-" } else { cluster::PREFIX };
    let prefix = format!("{prefix}{:016x}", engine.entropy.next_u64());
    let room = Arc::new(engine.room());
    let stager = engine.tables.stager(place, prefix, schema);
    if order.columns.is_empty() {
        // One lane, so that the rows keep their order.
        let work = move |shared: &Shared| with_keys(&stager, rewrite(&stager, &sources, shared)?, keys.as_ref(), &room);
        return Ok(lanes::run(1, work, |_| ()).await?.pop().unwrap_or_default());
    }
    let stager = stager.with_target(order.file_bytes);
    let staged = cluster::sorted(engine, &stager, &sources, order.columns).await?;
    let work = move |_: &Shared| with_keys(&stager, staged.clone(), keys.as_ref(), &room);
    Ok(lanes::run(1, work, |_| ()).await?.pop().unwrap_or_default())
}

/// The staged files, once their keys are written beside them.
fn with_keys(
    stager: &Stager,
    staged: Vec<StagedFile>,
    keys: Option<&Keys>,
    room: &Arc<Room>,
) -> Result<Vec<StagedFile>, LakeError> {
    match write_keys(stager, &staged, keys, room) {
        Ok(()) => Ok(staged),
        Err(e) => {
            stage::discard(stager.dir(), &staged);
            Err(e)
        }
    }
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
fn write_keys(stager: &Stager, staged: &[StagedFile], keys: Option<&Keys>, room: &Arc<Room>) -> Result<(), LakeError> {
    let Some(keys) = keys else { return Ok(()) };
    for file in staged {
        let source = file.source(stager.dir())?;
        upsert::make_keys(stager.dir(), &source, keys, stager.schema(), room, stager.meter())?;
    }
    Ok(())
}

/// A definition that changed may name other columns than the table has yet.
fn has_columns(schema: &SchemaRef, keys: &Keys) -> bool {
    let schema: &Schema = schema;
    keys.keys.iter().chain(&keys.sequence).all(|c| schema.field_with_name(c).is_ok())
}

#[cfg(test)]
mod tests {
    use super::{
        super::fixture::{World, ids, mark},
        *,
    };
    use alluvium_model::StepKey;
    use deltalake::protocol::SaveMode;

    /// Twelve files of two rows; the first row of the first file is gone.
    async fn arrived(world: &World) {
        for n in 0..12 {
            world.append(&World::silver(), &format!("step{n:02}"), &ids(&[n * 2, n * 2 + 1])).await;
        }
        let table = world.table(&World::silver()).await;
        let first = table.files().expect("files").remove(0);
        let key = StepKey::from_stored("marks");
        table.commit(&key, mark(&table, &first, &[0]), None, SaveMode::Append).await.expect("commits");
    }

    #[tokio::test]
    async fn files_are_merged_once_and_nobody_sees_a_changed_row() {
        let world = World::new();
        arrived(&world).await;
        let (place, keys) = (World::silver(), Keys { keys: vec!["id".into()], sequence: Vec::new(), snapshots: false });
        let before = world.table(&place).await;
        let merged = compact(&world.engine, &place, &before, Some(&keys), &[]).await.expect("merges").expect("pays");
        assert_eq!((merged.files, merged.into, merged.version), (12, 1, before.version() + 1));
        assert_eq!(world.ids(&place).await, (1..24).collect::<Vec<_>>());
        let after = world.table(&place).await;
        let files = after.files().expect("files");
        assert!(files[0].vector.is_none(), "{files:?}");
        assert!(upsert::keys_of_file(&after.dir, &files[0].path).is_file());
        assert!(after.changes(before.version(), after.version()).await.expect("changes").is_empty());
        assert!(compact(&world.engine, &place, &after, Some(&keys), &[]).await.expect("looks").is_none());
    }

    #[tokio::test]
    async fn who_read_the_table_before_a_merge_cannot_commit_on_what_it_read() {
        let world = World::new();
        arrived(&world).await;
        let place = World::silver();
        let read = world.table(&place).await;
        let last = read.files().expect("files").remove(11);
        let marked = mark(&read, &last, &[1]);
        let now = world.table(&place).await;
        compact(&world.engine, &place, &now, None, &[]).await.expect("merges").expect("pays");
        let late = read.commit(&StepKey::from_stored("late"), marked, None, SaveMode::Append).await;
        assert!(matches!(late, Err(LakeError::Conflict { .. })), "{late:?}");
        assert_eq!(world.ids(&place).await, (1..24).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_merge_gives_way_and_takes_its_files_along() {
        let world = World::new();
        arrived(&world).await;
        let place = World::silver();
        let read = world.table(&place).await;
        world.append(&place, "other", &ids(&[100])).await;
        let count = || std::fs::read_dir(&read.dir).expect("a folder").count();
        let before = count();
        assert!(compact(&world.engine, &place, &read, None, &[]).await.expect("gives way").is_none());
        assert_eq!(count(), before);
        assert_eq!(world.ids(&place).await.len(), 24);
    }

    #[tokio::test]
    async fn who_comes_after_a_merge_gets_all_rows_in_one_piece_and_the_later_ones_one_by_one() {
        use alluvium_flow::{Engine, Increment};
        let world = World::new();
        arrived(&world).await;
        let place = World::silver();
        let table = world.table(&place).await;
        let merged = compact(&world.engine, &place, &table, None, &[]).await.expect("merges").expect("pays");
        world.append(&place, "later", &ids(&[100])).await;
        let Place::Dataset(name) = &place else { unreachable!() };
        let found = world.engine.increments(name, -1).await.expect("increments");
        let expected = [(merged.version, 23), (merged.version + 1, 1)];
        assert_eq!(found, expected.map(|(version, rows)| Increment { version, rows }));
        assert!(world.engine.increments(name, merged.version - 1).await.expect("increments").len() == 1);
    }

    /// As readers of the log see it: how many files may hold this id.
    fn holding(files: &[StagedFile], id: i64) -> usize {
        let bounds = files.iter().map(|f| serde_json::from_str::<serde_json::Value>(&f.stats).expect("statistics"));
        let bound = |b: &serde_json::Value, end: &str| b[end]["id"].as_i64().expect("a bound");
        bounds.filter(|b| bound(b, "minValues") <= id && id <= bound(b, "maxValues")).count()
    }

    #[tokio::test]
    async fn a_clustered_merge_lays_rows_by_their_columns_and_is_left_alone() {
        const FILES: i64 = 12;
        const ROWS: i64 = 3_000;
        let world = World::new();
        let place = World::silver();
        let mut arrived = Vec::new();
        for n in 0..FILES {
            let spread: Vec<i64> = (0..ROWS).map(|i| (i * 7_919 % ROWS) * FILES + n).collect();
            arrived.push(world.append(&place, &format!("step{n:02}"), &ids(&spread)).await);
        }
        assert_eq!(holding(&arrived, 20_000), 12);
        let table = world.table(&place).await;
        let first = table.files().expect("files").remove(0);
        let key = StepKey::from_stored("marks");
        table.commit(&key, mark(&table, &first, &[0]), None, SaveMode::Append).await.expect("commits");
        let (table, columns) = (world.table(&place).await, vec!["id".to_owned()]);
        let keys = Keys { keys: columns.clone(), sequence: Vec::new(), snapshots: false };
        let order = Order { columns: &columns, file_bytes: 1 };
        let merged = merge(&world.engine, &place, &table, Some(&keys), order).await.expect("merges").expect("pays");
        assert!(merged.into >= 4, "a file for each batch: {}", merged.into);
        let after = world.table(&place).await;
        let files = after.files().expect("files");
        let schema = plain_schema(&place, &after).expect("a schema");
        let bounds = |f: &DataFile| {
            let unit = scan::units(&[f.source(&after.dir).expect("a file")]).expect("units").remove(0);
            let batches = unit.read(&schema, &world.engine.tables.meter).expect("reads");
            let ids: Vec<i64> = batches.flat_map(|b| column(&b.expect("a batch"))).collect();
            assert!(ids.is_sorted());
            (ids[0], ids[ids.len() - 1])
        };
        let mut bounds: Vec<(i64, i64)> = files.iter().map(bounds).collect();
        bounds.sort_unstable();
        assert!(bounds.windows(2).all(|w| w[0].1 < w[1].0), "no two files share an id: {bounds:?}");
        assert_eq!(bounds.iter().filter(|(from, to)| *from <= 20_000 && 20_000 <= *to).count(), 1);
        assert!(files.iter().all(|f| upsert::keys_of_file(&after.dir, &f.path).is_file()));
        assert_eq!(world.ids(&place).await.len() as i64, FILES * ROWS - 1, "and no row came or went");
        assert!(after.changes(table.version(), after.version()).await.expect("changes").is_empty());
        // One run, though it is many small files.
        assert!(merge(&world.engine, &place, &after, Some(&keys), order).await.expect("looks").is_none());
        for n in 0..8 {
            world.append(&place, &format!("later{n}"), &ids(&[n])).await;
        }
        let later = world.table(&place).await;
        assert!(merge(&world.engine, &place, &later, Some(&keys), order).await.expect("looks").is_none());
    }

    fn column(batch: &arrow::array::RecordBatch) -> Vec<i64> {
        use arrow::array::AsArray;
        batch.column(0).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
    }
}
