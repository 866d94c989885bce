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
    array::{ArrayRef, RecordBatch, RecordBatchOptions},
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
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::OnceCell;

/// More rows than this are not held in memory: each step reads them by itself, a batch after another.
const MOST_ROWS: u64 = 100_000;

/// What is in memory because a step has it.
#[derive(Default)]
pub(crate) struct Gone(Mutex<HashMap<Change, Weak<Held>>>);

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
    columns: Vec<OnceCell<ArrayRef>>,
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
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, held| held.strong_count() > 0);
        let held = all.get(&change).and_then(Weak::upgrade).unwrap_or_else(|| {
            let columns = schema.fields().iter().map(|_| OnceCell::new()).collect();
            Arc::new(Held { schema, sources, meter: meter.clone(), units: OnceCell::new(), columns })
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
    async fn column(&self, column: usize) -> std::result::Result<ArrayRef, LakeError> {
        self.columns[column].get_or_try_init(|| self.read(column)).await.cloned()
    }

    async fn read(&self, column: usize) -> std::result::Result<ArrayRef, LakeError> {
        let units = self.units.get_or_try_init(|| self.open()).await?.clone();
        let schema = Arc::new(self.schema.project(&[column])?);
        let (count, meter, columns) = (lanes::count().min(units.len()), self.meter.clone(), schema.clone());
        let work = move |shared: &Shared| {
            let mut read = Vec::new();
            while let Some(u) = shared.take(units.len()) {
                for batch in units[u].read_few(&columns, &meter)? {
                    read.push((u, batch?));
                }
                shared.advance(1)?;
            }
            Ok(read)
        };
        let mut read: Vec<(usize, RecordBatch)> =
            lanes::run(count, work, |_| ()).await?.into_iter().flatten().collect();
        // Each lane has the batches of a unit in their order.
        read.sort_by_key(|(unit, _)| *unit);
        let all = arrow::compute::concat_batches(&schema, read.iter().map(|(_, batch)| batch))?;
        Ok(all.column(0).clone())
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
    use std::sync::atomic::Ordering::Relaxed;

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
        let change = (PathBuf::from("t"), 1, 2);
        let meter = &world.engine.tables.meter;
        Arc::new(world.engine.gone.of(change, ids(&[]).schema(), sources.to_vec(), meter).expect("rows"))
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
}
