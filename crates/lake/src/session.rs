//! DataFusion sessions: bounded memory that spills, and the lake's tables under their names.

use crate::{
    engine::LakeEngine,
    error::LakeError,
    files::Files,
    remote::Opening,
    table::{Place, Table},
};
use alluvium_model::{ByteSize, DatasetName};
use datafusion::{
    catalog::{MemorySchemaProvider, TableProvider},
    execution::{
        disk_manager::{DiskManagerBuilder, DiskManagerMode},
        object_store::ObjectStoreUrl,
        runtime_env::RuntimeEnvBuilder,
    },
    prelude::{SessionConfig, SessionContext},
};
use std::{collections::BTreeMap, sync::Arc};

/// Share of the process's memory that queries may hold; the rest is for decoding, encoding and the keys of upserts.
const QUERY_SHARE: f64 = 0.5;
/// Share of that which each sort keeps free, so that it can merge what it spilled.
const SORT_SHARE: usize = 16;
/// What queries may hold for each row of a batch: merges hold many batches at once, twice while they are read.
const BYTES_PER_BATCH_ROW: usize = 64 << 10;
/// A join's smaller side of up to so many bytes is one table that all threads look into.
const MOST_SHARED_TABLE: usize = 16 << 20;
/// What a row of it is taken for where that is not known.
const BYTES_PER_SHARED_ROW: usize = 128;
const BATCH_ROWS: std::ops::RangeInclusive<usize> = 1024..=8192;
/// What each thread of a query has at least: under less, sorts that spill starve each other.
const BYTES_PER_THREAD: usize = 64 << 20;
const CATALOG: &str = "alluvium";

/// What all queries of a process may hold together.
pub(crate) fn query_bytes(memory: ByteSize) -> usize {
    (memory.0 as f64 * QUERY_SHARE) as usize
}

/// A session without tables, for work that writes to the lake.
pub(crate) fn bare(engine: &LakeEngine) -> Result<SessionContext, LakeError> {
    spilling(engine, DiskManagerMode::Directories(vec![engine.scratch()?]))
}

/// A session without tables, for work that must not make a folder in the lake.
pub(crate) fn reading(engine: &LakeEngine) -> Result<SessionContext, LakeError> {
    let scratch = engine.scratch_if_there();
    spilling(engine, scratch.map_or(DiskManagerMode::OsTmpDirectory, |dir| DiskManagerMode::Directories(vec![dir])))
}

fn spilling(engine: &LakeEngine, mode: DiskManagerMode) -> Result<SessionContext, LakeError> {
    let disk = DiskManagerBuilder::default().with_mode(mode);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(engine.queries.clone())
        .with_disk_manager_builder(disk)
        .build_arc()?;
    if engine.tables.disk.remote().is_some() {
        let copies = Arc::new(Opening::new(engine.tables.disk.clone()));
        runtime.register_object_store(ObjectStoreUrl::local_filesystem().as_ref(), copies);
    }
    let bytes = query_bytes(engine.memory);
    let mut config = SessionConfig::new()
        .with_batch_size((bytes / BYTES_PER_BATCH_ROW).clamp(*BATCH_ROWS.start(), *BATCH_ROWS.end()))
        .with_default_catalog_and_schema(CATALOG, "silver")
        .with_information_schema(true)
        .with_target_partitions(crate::lanes::count().min(bytes / BYTES_PER_THREAD).max(1));
    // The default would be all of a small pool.
    let sorts = &mut config.options_mut().execution.sort_spill_reservation_bytes;
    *sorts = (*sorts).min(bytes / SORT_SHARE);
    // The keys of a change that groups are looked up by: dividing both sides among few threads costs more than one table of them. Of a
    // scan only the number of rows is known.
    let shared = (bytes / SORT_SHARE).min(MOST_SHARED_TABLE);
    let optimizer = &mut config.options_mut().optimizer;
    optimizer.hash_join_single_partition_threshold = shared;
    optimizer.hash_join_single_partition_threshold_rows = shared / BYTES_PER_SHARED_ROW;
    Ok(SessionContext::new_with_config_rt(config, runtime))
}

pub(crate) fn register(
    session: &SessionContext,
    schema: &str,
    name: &str,
    table: Arc<dyn TableProvider>,
) -> Result<(), LakeError> {
    let catalog = session.catalog(CATALOG).ok_or(LakeError::Worker("a session has its catalog"))?;
    let schema = match catalog.schema(schema) {
        Some(s) => s,
        None => {
            catalog.register_schema(schema, Arc::new(MemorySchemaProvider::new()))?;
            catalog.schema(schema).ok_or(LakeError::Worker("a registered schema is there"))?
        }
    };
    schema.register_table(name.to_owned(), table)?;
    Ok(())
}

/// The dataset's table, as it was at `version`, under its own name.
pub(crate) async fn register_dataset(
    engine: &LakeEngine,
    session: &SessionContext,
    name: &DatasetName,
    version: Option<i64>,
) -> Result<bool, LakeError> {
    let Some(table) = engine.tables.open_at(&Place::Dataset(name.clone()), version).await? else { return Ok(false) };
    register(session, name.layer().as_str(), name.name(), Arc::new(provider(&table)?))?;
    Ok(true)
}

/// The inputs of a planned step, each as it was at its version.
pub(crate) async fn register_inputs(
    engine: &LakeEngine,
    session: &SessionContext,
    inputs: &BTreeMap<DatasetName, i64>,
) -> Result<(), LakeError> {
    for (input, version) in inputs {
        if !register_dataset(engine, session, input, Some(*version)).await? {
            return Err(LakeError::Worker("the input of a planned step has a table"));
        }
    }
    Ok(())
}

/// The table as SQL reads it: its files without the rows that are gone.
pub(crate) fn provider(table: &Table) -> Result<Files, LakeError> {
    Files::new(table.schema()?, &table.sources()?)
}
