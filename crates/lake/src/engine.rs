//! The embedded engine: what flow asks of it, and what its parts share.

use crate::{
    accept,
    ahead::Aheads,
    beside,
    commit::{self, Attempt},
    curate, discard,
    error::LakeError,
    fence, held,
    incremental::Gone,
    ingest, maintain,
    meter::Meter,
    name,
    objects::Objects,
    payload,
    pool::QueryPool,
    redrive, refine,
    remote::{self, Buckets, Remote},
    session, silver,
    table::{Place, Tables},
    upsert::{self, Room},
    waiting,
};
use alluvium_flow::{Copies, Engine, Increment, Job, Maintained, Outcome, Report, StepError};
use alluvium_model::{ByteSize, Clock, ContentHash, DatasetName, Entropy};
use alluvium_spec::{Contract, Dataset, Freshness, Project, Silver};
use alluvium_store::{StepKind, StepRecord};
use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Memory that one candidate of an upsert costs, with what is made of it while it is decided.
const BYTES_PER_CANDIDATE: u64 = 64;
/// As much for an event of a history, with what becomes of it.
const BYTES_PER_EVENT: u64 = 192;
/// Share of the memory limit that a step's rows are taken for, where it takes several versions of its input.
const STEP_SHARE: u64 = 3;
/// Share of it that an upsert's keys may take. Those beyond cost a copy to the system's page cache and back.
const KEYS_SHARE: u64 = 8;
/// A looked-up row costs about this much with its hash entry.
const BYTES_PER_LOOKUP_ROW: u64 = 128;

pub struct LakeEngine {
    pub(crate) tables: Tables,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) memory: ByteSize,
    pub(crate) aheads: Aheads,
    pub(crate) gone: Gone,
    /// Of all queries together: windows of a backfill are computed at once.
    pub(crate) queries: Arc<QueryPool>,
    pub(crate) buckets: Buckets,
    root: PathBuf,
}

impl LakeEngine {
    /// Touches nothing: folders are made by the first step that writes.
    pub fn new(project: &Project, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, LakeError> {
        let root = std::path::absolute(&project.lake).map_err(LakeError::io(&project.lake))?;
        let queries = Arc::new(QueryPool::new(session::query_bytes(project.limits.memory)));
        let tables = match &project.remote {
            None => Tables::new(root.clone()),
            Some(url) => {
                let meter = Arc::new(Meter::of_object_store());
                let store = remote::connect(url, &meter)?;
                let cache = project.limits.cache;
                let remote = Remote::new(store, url.clone(), root.clone(), cache, clock.clone());
                Tables::in_object_store(root.clone(), remote, meter)
            }
        };
        let (memory, aheads, gone) = (project.limits.memory, Aheads::default(), Gone::default());
        let copies = std::path::absolute(project.landing_copies()).map_err(LakeError::io(&project.root))?;
        let buckets = Buckets::new(copies, project.limits.cache, clock.clone(), tables.meter.clone());
        Ok(Self { tables, clock, entropy, memory, aheads, gone, queries, buckets, root })
    }

    /// For whoever lays files down in the lake beside its tables.
    pub fn copies(&self) -> Arc<dyn Copies> {
        Arc::new(self.tables.disk.clone())
    }

    /// For whoever looks for landing objects in buckets.
    pub fn buckets(&self) -> Arc<dyn alluvium_flow::Buckets> {
        Arc::new(self.buckets.clone())
    }

    pub(crate) fn objects(&self) -> Objects {
        Objects::new(self.tables.disk.clone(), self.buckets.clone(), self.root.clone())
    }

    /// The folder of the lake, or of its copies.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn scratch_dir(&self) -> PathBuf {
        self.root.join(".scratch")
    }

    /// The folder of [`LakeEngine::scratch`], once a step has made it.
    pub(crate) fn scratch_if_there(&self) -> Option<PathBuf> {
        Some(self.scratch_dir()).filter(|dir| dir.is_dir())
    }

    /// A folder for rows that do not fit in memory, on the disk of the lake or of its copies.
    pub(crate) fn scratch(&self) -> Result<PathBuf, LakeError> {
        let dir = self.scratch_dir();
        std::fs::create_dir_all(&dir).map_err(LakeError::io(&dir))?;
        Ok(dir)
    }

    /// For the keys of one upsert.
    pub(crate) fn room(&self) -> Room {
        Room::new(self.memory.0 / KEYS_SHARE, self.scratch_dir(), self.entropy.next_u64())
    }

    pub(crate) fn lookup_rows(&self) -> u64 {
        self.memory.0 / 4 / BYTES_PER_LOOKUP_ROW
    }

    /// The columns of a dataset as its contract declares them, whether or not its table is there.
    pub(crate) fn declared_schema(&self, project: &Project, name: &DatasetName) -> Result<SchemaRef, LakeError> {
        let dataset = project.datasets.get(name);
        let contract = dataset.and_then(|d| project.contract_of(d));
        let contract = contract.ok_or_else(|| LakeError::NoContract { dataset: name.clone() })?;
        declared(contract, dataset.and_then(Dataset::silver))
    }

    async fn increments_upto(&self, place: &Place, after: i64, head: i64) -> Result<Vec<Increment>, LakeError> {
        let mut found = Vec::new();
        let mut seen = after;
        if after < 0 {
            // What was there before files were merged is there in the merged ones alone: it comes in one piece.
            seen = self.tables.rewritten(place, head).await?;
            if seen >= 0
                && let Some(table) = self.tables.open_at(place, Some(seen)).await?
            {
                found.push(Increment { version: seen, rows: table.rows()? });
            }
        }
        let changes = self.tables.changes(place, seen, head).await?.into_iter();
        found.extend(changes.map(|c| Increment { version: c.version, rows: c.added.iter().map(|a| a.rows).sum() }));
        if found.is_empty() && after < 0 {
            found.push(Increment { version: head, rows: 0 });
        }
        Ok(found)
    }

    async fn job(&self, job: &Job<'_>, report: &dyn Report) -> Result<Outcome, LakeError> {
        let started = self.tables.meter.start(self.clock.as_ref());
        let attempt = Attempt { step: job.step, nonce: self.entropy.next_u64(), at: self.clock.now() };
        let mut outcome = match job.step.kind {
            StepKind::Ingest => ingest::execute(self, job, &attempt, report).await?,
            StepKind::ReplayQuarantine if job.dataset.silver().is_none() => {
                redrive::execute(self, job, &attempt, report).await?
            }
            StepKind::Refine | StepKind::ReplayQuarantine | StepKind::Rebuild => {
                silver::execute(self, job, &attempt, report).await?
            }
            StepKind::Discard => discard::execute(self, job, &attempt, report).await?,
            StepKind::Curate => curate::execute(self, job, &attempt, report).await?,
            StepKind::Backfill => beside::window(self, job, &attempt, report).await?,
            StepKind::Swap => beside::swap(self, job, &attempt, report).await?,
        };
        let rows = (outcome.usage.rows_in, outcome.usage.rows_out);
        outcome.usage = self.tables.meter.since(&started, self.clock.as_ref());
        (outcome.usage.rows_in, outcome.usage.rows_out) = rows;
        Ok(outcome)
    }
}

pub(crate) fn contract_schema(contract: &Contract) -> SchemaRef {
    let columns = contract.columns.iter().map(|c| Field::new(&c.name, refine::arrow_type(c.kind), true));
    Arc::new(Schema::new(columns.collect::<Vec<_>>()))
}

/// The contract's columns, and those that a history adds.
pub(crate) fn declared(contract: &Contract, silver: Option<&Silver>) -> Result<SchemaRef, LakeError> {
    let own = contract_schema(contract);
    let Some(silver) = silver else { return Ok(own) };
    let versions = upsert::version_fields(&silver.write, &own)?;
    Ok(Arc::new(Schema::new(own.fields().iter().cloned().chain(versions).collect::<Vec<_>>())))
}

#[async_trait]
impl Engine for LakeEngine {
    async fn name(&self, first: Option<&str>) -> Result<Option<String>, StepError> {
        name::name(&self.root, &self.tables.disk, first).await.map_err(StepError::new)
    }

    async fn head(&self, dataset: &DatasetName) -> Result<Option<i64>, StepError> {
        self.tables.head(&Place::Dataset(dataset.clone())).await.map_err(StepError::new)
    }

    async fn increments(&self, dataset: &DatasetName, after: i64) -> Result<Vec<Increment>, StepError> {
        let place = Place::Dataset(dataset.clone());
        let head = self.tables.head(&place).await.map_err(StepError::new)?;
        // Listing the log is enough to see that nothing is new.
        if head.is_none_or(|h| h <= after) {
            return Ok(Vec::new());
        }
        self.increments_upto(&place, after, head.unwrap_or(-1)).await.map_err(StepError::new)
    }

    async fn is_small(&self, step: &StepRecord) -> bool {
        let table = self.tables.open(&Place::Dataset(step.dataset.clone())).await;
        let Ok(Some(table)) = table else { return false };
        let newest = table.newest().await;
        newest.is_ok_and(|info| info.is_some_and(|info| info.version == step.version && info.groups.is_some()))
    }

    async fn rows(&self, dataset: &DatasetName) -> Result<u64, StepError> {
        let table = self.tables.open(&Place::Dataset(dataset.clone())).await.map_err(StepError::new)?;
        table.map_or(Ok(0), |t| t.rows()).map_err(StepError::new)
    }

    async fn quarantine(&self, dataset: &DatasetName) -> Result<Option<(i64, u64)>, StepError> {
        let table = self.tables.open(&Place::Quarantine(dataset.clone())).await.map_err(StepError::new)?;
        let Some(table) = table else { return Ok(None) };
        Ok(Some((table.version(), table.rows().map_err(StepError::new)?)))
    }

    async fn has_left(&self, dataset: &DatasetName, version: i64) -> Result<bool, StepError> {
        waiting::has_left(self, dataset, version).await.map_err(StepError::new)
    }

    async fn rescued(&self, silver: &Silver, wanted: &[String]) -> Result<BTreeMap<String, u64>, StepError> {
        redrive::rescued(self, &silver.from, wanted).await.map_err(StepError::new)
    }

    async fn newest(&self, dataset: &DatasetName, of: &Freshness) -> Result<Option<Timestamp>, StepError> {
        accept::newest(self, dataset, of).await.map_err(StepError::new)
    }

    fn rows_per_step(&self, silver: &Silver) -> u64 {
        // Snapshots are held in memory as events are, whatever is written of them.
        let events = silver.write.history().is_some() || silver.write.compares();
        let each = if events { BYTES_PER_EVENT } else { BYTES_PER_CANDIDATE };
        (self.memory.0 / STEP_SHARE / each).max(10_000)
    }

    async fn execute(&self, job: &Job<'_>, report: &dyn Report) -> Result<Outcome, StepError> {
        let failed = |mut error: LakeError| {
            let quality = match &mut error {
                LakeError::Gate { quality, .. } => std::mem::take(quality),
                _ => Vec::new(),
            };
            StepError::new(error).measured(quality)
        };
        self.job(job, report).await.map_err(failed)
    }

    async fn recover(&self, dataset: &Dataset, step: &StepRecord) -> Result<Option<Outcome>, StepError> {
        commit::recover(self, dataset, step).await.map_err(StepError::new)
    }

    async fn fence(&self, dataset: &Dataset, step: &StepRecord, attempt: u32) -> Result<bool, StepError> {
        let is_off = fence::put(self, dataset, &step.key, attempt).await.map_err(StepError::new)?;
        // What the newest attempt holds back is not of those before it.
        if attempt >= step.attempts {
            held::forget(self, &dataset.name, &step.key).await.map_err(StepError::new)?;
        }
        Ok(is_off)
    }

    async fn keeps(&self, dataset: &DatasetName, content: &ContentHash) -> Result<bool, StepError> {
        payload::has(self, dataset, content).await.map_err(StepError::new)
    }

    async fn forget_payloads(&self, dataset: &DatasetName, needed: &BTreeSet<ContentHash>) -> Result<u64, StepError> {
        payload::forget(self, dataset, needed).await.map_err(StepError::new)
    }

    async fn maintain(&self, dataset: &Dataset, since: i64, needed: i64) -> Result<Maintained, StepError> {
        maintain::dataset(self, dataset, since, needed).await.map_err(StepError::new)
    }
}
