//! Tables of small files, for the tests of what keeps them in order.

use crate::{
    engine::LakeEngine,
    ingest,
    meter::Meter,
    pool::QueryPool,
    remote::Remote,
    scan, session,
    stage::{self, StagedFile, Stager},
    syncs::Syncs,
    table::{DataFile, Place, Table, TableKind, Tables},
    vector::{self, Rows},
};
use alluvium_model::{ByteSize, Clock, DatasetName, LakeUrl, Layer, ManualClock, SeededEntropy, StepKey, SystemClock};
use alluvium_spec::{Environment, load};
use arrow::{
    array::{AsArray, Int64Array, RecordBatch},
    datatypes::{DataType, Field, Int64Type, Schema, SchemaRef},
};
use deltalake::{
    kernel::{Action, Remove},
    protocol::SaveMode,
};
use object_store::ObjectStore;
use parquet::basic::Compression;
use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed, mpsc},
};

pub(crate) struct World {
    _folder: tempfile::TempDir,
    pub(crate) engine: LakeEngine,
    pub(crate) clock: Arc<ManualClock>,
}

impl World {
    /// The lake of an empty project, at the present time.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("alluvium.yaml"), "name: world\n").expect("a file");
        let project = load(folder.path(), &Environment::default()).expect("a project");
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let engine = LakeEngine::new(&project, clock.clone(), Arc::new(SeededEntropy::new(1))).expect("an engine");
        Self { _folder: folder, engine, clock }
    }

    /// The same under a `limits.memory` of so many bytes.
    pub(crate) fn with_memory(bytes: u64) -> Self {
        let mut world = Self::new();
        world.engine.memory = ByteSize(bytes);
        world.engine.queries = Arc::new(QueryPool::new(session::query_bytes(ByteSize(bytes))));
        world
    }

    /// The same in an object store that is in memory, with room for so many bytes of copies.
    pub(crate) fn in_object_store(store: Arc<dyn ObjectStore>, cache: u64) -> Self {
        let mut world = Self::new();
        let url: LakeUrl = "s3://bucket/lake".parse().expect("a url");
        let meter = Arc::new(Meter::of_object_store());
        let root = world._folder.path().join("copies");
        let remote = Remote::new(store, url, root.clone(), ByteSize(cache), world.clock.clone());
        world.engine.tables = Tables::in_object_store(root, remote, meter);
        world
    }

    pub(crate) fn silver() -> Place {
        Place::Dataset(DatasetName::new(Layer::Silver, "t").expect("a name"))
    }

    pub(crate) async fn table(&self, place: &Place) -> Table {
        self.engine.tables.open(place).await.expect("opens").expect("a table")
    }

    /// One more version, with a file of this batch.
    pub(crate) async fn append(&self, place: &Place, step: &str, batch: &RecordBatch) -> StagedFile {
        let upserted = TableKind::Upserted { feed: false };
        let table = self.engine.tables.ensure(place, &batch.schema(), upserted).await.expect("a table");
        let meter = self.engine.tables.meter.clone();
        let stager = Stager::new(
            &table.dir,
            step.to_owned(),
            batch.schema(),
            Compression::UNCOMPRESSED,
            meter,
            Syncs::default(),
        );
        let mut lane = stager.lane();
        lane.write(batch).expect("written");
        let file = lane.finish().expect("finished").remove(0);
        let disk = &self.engine.tables.disk;
        stage::upload(disk, &table.dir, std::slice::from_ref(&file)).await.expect("uploaded");
        let key = StepKey::from_stored(step);
        table.commit(&key, vec![file.add(1)], None, SaveMode::Append).await.expect("commits");
        file
    }

    /// Whole numbers in column `id`, ascending.
    pub(crate) async fn ids(&self, place: &Place) -> Vec<i64> {
        let table = self.table(place).await;
        let schema = ingest::plain_schema(&table.schema().expect("a schema"));
        let mut ids = Vec::new();
        for unit in scan::units(&table.sources().expect("sources")).expect("units") {
            for batch in unit.read(&schema, &self.engine.tables.meter).expect("reads") {
                let batch = batch.expect("a batch");
                ids.extend(batch.column(0).as_primitive::<Int64Type>().values().iter().copied());
            }
        }
        ids.sort_unstable();
        ids
    }
}

pub(crate) fn ids(of: &[i64]) -> RecordBatch {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(of.to_vec()))]).expect("a batch")
}

/// Does `work` in a runtime of its own, with one thread for what blocks, which is held whenever `work` is polled.
///
/// # Panics
/// If something is read by the task itself: what is looked after beside it in the same task waits for so long.
pub(crate) fn gives_way<T: Send>(meter: &Meter, work: impl Future<Output = T> + Send) -> T {
    let hold = || {
        let ((began, begins), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
        tokio::task::spawn_blocking(move || {
            began.send(()).expect("it is waited for");
            let _ = released.recv();
        });
        begins.recv().expect("it begins");
        release
    };
    let alone = async {
        let mut work = pin!(work);
        let reads = || meter.reads.load(Relaxed);
        let before = reads();
        let done = poll_fn(|context| {
            let (_held, read) = (hold(), reads());
            let polled = work.as_mut().poll(context);
            assert_eq!(reads(), read, "the task itself has read");
            polled
        });
        let done = done.await;
        assert!(reads() > before, "nothing was read");
        done
    };
    let in_its_runtime = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
        runtime.expect("a runtime").block_on(alone)
    };
    std::thread::scope(|s| s.spawn(in_its_runtime).join().expect("it does not panic"))
}

/// What takes these rows out of a file of the table.
pub(crate) fn mark(table: &Table, file: &DataFile, gone: &[u64]) -> Vec<Action> {
    let rows: Rows = gone.iter().copied().collect();
    let vector =
        vector::write(&table.dir, u128::from(gone[0]) + 99, &[&rows], &Syncs::default()).expect("writes").remove(0);
    let left = Action::Remove(Remove { deletion_timestamp: Some(1), ..file.remove.clone() });
    vec![left, file.with_vector(vector, 1)]
}
