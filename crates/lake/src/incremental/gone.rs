//! Rows that left a table, for those who take them away from what they keep.
//!
//! They lie scattered over all files, and of a column a few rows cost nearly as much to decode as all of them. So each column is read once
//! for all steps that go on from the same change at the same time, and is in memory as long as one of them is at work.

use crate::{
    error::LakeError,
    files::Files,
    lanes::{self, Shared},
    meter::Meter,
    scan::{self, Source, Unit},
};
use arrow::{
    array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, new_empty_array},
    compute::concat,
    datatypes::{Schema, SchemaRef},
};
use async_trait::async_trait;
use datafusion::{
    catalog::{Session, TableProvider},
    common::Statistics,
    datasource::{TableType, memory::MemorySourceConfig},
    error::{DataFusionError, Result},
    logical_expr::Expr,
    physical_plan::ExecutionPlan,
};
use futures::future::try_join_all;
use std::{
    collections::HashMap,
    fmt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::sync::OnceCell;

/// More rows than this are not held in memory: each step reads them by itself, a batch after another.
const MOST_ROWS: u64 = 100_000;
/// Nor are columns with which those of one change would take more than this. One that is made of its parts is there twice for a moment.
const MOST_BYTES: usize = 64 << 20;

/// What is in memory because a step has it.
pub(crate) struct Gone {
    held: Mutex<HashMap<Change, Weak<Held>>>,
    most_bytes: usize,
}

impl Default for Gone {
    fn default() -> Self {
        Self { held: Mutex::default(), most_bytes: MOST_BYTES }
    }
}

/// A table's folder, and the versions after and up to which its rows left.
pub(super) type Change = (PathBuf, i64, i64);

/// The rows that left with one change, by their columns.
pub(super) struct Removed {
    files: Files,
    /// `None`: they are too many.
    held: Option<Arc<Held>>,
}

struct Held {
    schema: SchemaRef,
    sources: Vec<Source>,
    meter: Arc<Meter>,
    /// The row groups that have any.
    units: OnceCell<Arc<Vec<Unit>>>,
    room: Arc<Room>,
    /// `None`: there was no room for it.
    columns: Vec<OnceCell<Option<ArrayRef>>>,
}

/// How many bytes there may be. Once they are more, nothing more is read.
struct Room {
    most: usize,
    taken: AtomicUsize,
}

impl Room {
    fn take(&self, bytes: usize) -> bool {
        self.taken.fetch_add(bytes, Relaxed).saturating_add(bytes) <= self.most
    }
}

impl Gone {
    /// `sources`: with the rows that left, and these columns.
    pub(super) fn of(
        &self,
        change: Change,
        schema: SchemaRef,
        sources: Vec<Source>,
        meter: &Arc<Meter>,
    ) -> std::result::Result<Removed, LakeError> {
        let files = Files::new(schema.clone(), &sources)?;
        if files.rows() > MOST_ROWS {
            return Ok(Removed { files, held: None });
        }
        let mut all = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, held| held.strong_count() > 0);
        let held = all.get(&change).and_then(Weak::upgrade).unwrap_or_else(|| {
            let columns = schema.fields().iter().map(|_| OnceCell::new()).collect();
            let room = Arc::new(Room { most: self.most_bytes, taken: AtomicUsize::new(0) });
            Arc::new(Held { schema, sources, meter: meter.clone(), units: OnceCell::new(), room, columns })
        });
        all.insert(change, Arc::downgrade(&held));
        Ok(Removed { files, held: Some(held) })
    }
}

impl Removed {
    pub(super) fn rows(&self) -> u64 {
        self.files.rows()
    }
}

impl Held {
    async fn column(&self, column: usize) -> std::result::Result<Option<ArrayRef>, LakeError> {
        self.columns[column].get_or_try_init(|| self.read(column)).await.cloned()
    }

    async fn read(&self, column: usize) -> std::result::Result<Option<ArrayRef>, LakeError> {
        if !self.room.take(0) {
            return Ok(None);
        }
        let units = self.units.get_or_try_init(|| self.open()).await?.clone();
        let schema = Arc::new(self.schema.project(&[column])?);
        let (count, meter, columns) = (lanes::count().min(units.len()), self.meter.clone(), schema.clone());
        let room = self.room.clone();
        let work = move |shared: &Shared| {
            let mut read = Vec::new();
            while let Some(u) = shared.take(units.len()) {
                for batch in units[u].read_few(&columns, &meter)? {
                    let batch = batch?;
                    let mut part = batch.column(0).clone();
                    drop(batch);
                    // It was made with room for as many rows as a batch has.
                    part.shrink_to_fit();
                    if !room.take(part.get_array_memory_size()) {
                        return Ok(None);
                    }
                    read.push((u, part));
                }
                shared.advance(1)?;
            }
            Ok(Some(read))
        };
        let read: Option<Vec<Vec<(usize, ArrayRef)>>> = lanes::run(count, work, |_| ()).await?.into_iter().collect();
        let Some(read) = read else { return Ok(None) };
        let mut read: Vec<(usize, ArrayRef)> = read.into_iter().flatten().collect();
        // Each lane has the batches of a unit in their order.
        read.sort_by_key(|(unit, _)| *unit);
        let parts: Vec<&dyn Array> = read.iter().map(|(_, part)| part.as_ref()).collect();
        if parts.is_empty() {
            return Ok(Some(new_empty_array(schema.field(0).data_type())));
        }
        Ok(Some(concat(&parts)?))
    }

    async fn open(&self) -> std::result::Result<Arc<Vec<Unit>>, LakeError> {
        let sources = self.sources.clone();
        let opened = lanes::run(1, move |_| scan::units(&sources), |_| ()).await?;
        Ok(Arc::new(opened.into_iter().flatten().filter(|u| u.picked() > 0).collect()))
    }
}

#[async_trait]
impl TableProvider for Removed {
    fn schema(&self) -> SchemaRef {
        self.files.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        self.files.statistics()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(held) = &self.held else { return self.files.scan(state, projection, filters, limit).await };
        let wanted = projection.cloned().unwrap_or_else(|| (0..held.columns.len()).collect());
        let columns = try_join_all(wanted.iter().map(|c| held.column(*c)));
        let columns = columns.await.map_err(|e| DataFusionError::External(Box::new(e)))?;
        let Some(columns) = columns.into_iter().collect::<Option<Vec<_>>>() else {
            return self.files.scan(state, projection, filters, limit).await;
        };
        let schema: SchemaRef = Arc::new(Schema::project(&held.schema, &wanted)?);
        let rows = RecordBatchOptions::new().with_row_count(usize::try_from(self.rows()).ok());
        let rows = RecordBatch::try_new_with_options(schema.clone(), columns, &rows)?;
        Ok(MemorySourceConfig::try_new_exec(&[vec![rows]], schema, None)?)
    }
}

impl fmt::Debug for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows that left", self.rows())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        maintain::fixture::{World, ids},
        scan::Pick,
        session,
        vector::Rows,
    };
    use arrow::{array::AsArray, datatypes::Int64Type};

    /// Three files, and of each these rows.
    async fn world(rows: u64, left: &Rows) -> (World, Vec<Source>) {
        let world = World::new();
        for file in 0..3 {
            let numbers: Vec<i64> = (0..i64::try_from(rows).expect("few")).map(|n| file * 1_000_000 + n).collect();
            world.append(&World::silver(), &format!("step{file}"), &ids(&numbers)).await;
        }
        let sources = world.table(&World::silver()).await.sources().expect("sources").into_iter();
        let left = Arc::new(left.clone());
        (world, sources.map(|s| Source { pick: Pick::Only(left.clone()), ..s }).collect())
    }

    fn removed(world: &World, sources: &[Source]) -> Arc<Removed> {
        removed_of(&world.engine.gone, world, sources)
    }

    fn removed_of(gone: &Gone, world: &World, sources: &[Source]) -> Arc<Removed> {
        let change = (PathBuf::from("t"), 1, 2);
        let meter = &world.engine.tables.meter;
        Arc::new(gone.of(change, ids(&[]).schema(), sources.to_vec(), meter).expect("rows"))
    }

    async fn read(world: &World, removed: &Arc<Removed>) -> Vec<i64> {
        let session = session::bare(&world.engine).expect("a session");
        let found = session.read_table(removed.clone()).expect("a table").collect().await.expect("rows");
        found.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn whoever_has_the_same_change_at_the_same_time_reads_it_once() {
        let (world, sources) = world(200_000, &[3, 150_000, 199_999].into_iter().collect()).await;
        let reads = || world.engine.tables.meter.reads.load(Relaxed);
        let expected: Vec<i64> = (0..3).flat_map(|f| [3, 150_000, 199_999].map(|n| f * 1_000_000 + n)).collect();
        let (one, other) = (removed(&world, &sources), removed(&world, &sources));
        let before = reads();
        let (a, b) = tokio::join!(read(&world, &one), read(&world, &other));
        assert_eq!((&a, &b), (&expected, &expected));
        assert_eq!(reads() - before, 6, "two row groups of each file");
        drop((one, other));
        let later = removed(&world, &sources);
        assert_eq!(read(&world, &later).await, expected);
        assert_eq!(reads() - before, 12, "nothing stays in memory");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_rows_are_not_held_in_memory() {
        let half = MOST_ROWS / 3 + 1;
        let (world, sources) = world(half, &(0..half).collect()).await;
        let removed = removed(&world, &sources);
        assert!(removed.held.is_none());
        assert_eq!(read(&world, &removed).await.len() as u64, half * 3);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rows_of_too_many_bytes_are_not_held_either() {
        let (world, sources) = world(1_000, &(0..1_000).collect()).await;
        let expected: Vec<i64> = (0..3).flat_map(|f| (0..1_000).map(move |n| f * 1_000_000 + n)).collect();
        // Eight bytes a row, and a little for each of the three parts.
        for (most_bytes, fits) in [(30_000, true), (20_000, false), (100, false)] {
            let gone = Gone { most_bytes, ..Gone::default() };
            let removed = removed_of(&gone, &world, &sources);
            for _ in 0..2 {
                let mut found = read(&world, &removed).await;
                found.sort_unstable();
                assert!(found == expected, "{most_bytes}");
            }
            let held = removed.held.as_ref().expect("they are few");
            assert_eq!(held.columns[0].get().map(Option::is_some), Some(fits), "{most_bytes}");
        }
    }
}
