//! The lake's Delta tables: opening, creating, what their logs say, and the one place that commits.

use crate::{
    encoding,
    error::LakeError,
    incremental::Groups,
    meter::{Meter, Metered},
    remote::{self, Disk, Heads, Identity, LakeFile, Remote},
    scan::{Pick, Source},
    snapshots::{Entry, Snapshots},
    stage::{StagedFile, Stager},
    syncs::Syncs,
    vector,
};
use alluvium_model::{Balance, DatasetName, DefinitionVersion, RunId, StepKey};
use alluvium_store::QualityResult;
use arrow::datatypes::{Schema, SchemaRef};
use deltalake::{
    DeltaTable, DeltaTableBuilder, DeltaTableError,
    kernel::{
        Action, Add, DeletionVectorDescriptor, MetadataExt, Remove, StructType, Transaction,
        engine::arrow_conversion::{TryFromArrow, TryIntoKernel},
        transaction::{CommitBuilder, CommitProperties, TransactionError},
    },
    logstore::LogStoreRef,
    operations::create::CreateBuilder,
    protocol::{DeltaOperation, SaveMode},
};
use object_store::{ObjectStore, local::LocalFileSystem};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::File,
    path::{Path, PathBuf},
    sync::Arc,
};
use url::Url;

/// Key of our entry in a commit's `commitInfo`.
pub(crate) const INFO: &str = "alluvium";
/// The transaction id of a step is remembered this long in the table's log.
const TRANSACTION_RETENTION: &str = "interval 30 days";
/// Folder of a table's log.
pub(crate) const LOG: &str = "_delta_log";
/// Table feature of deletion vectors.
const VECTORS: &str = "deletionVectors";
pub(crate) const CHECKPOINT_EVERY: i64 = 20;
/// The transaction's number in a step's commit. A fence has the negative number of the last attempt that it stops.
const COMMITTED: i64 = 1;

/// A table of the lake.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Dataset(DatasetName),
    Quarantine(DatasetName),
    /// Keys that an upsert deleted, so that an older row that comes later does not bring them back.
    Tombstones(DatasetName),
    /// What a backfill makes, until it takes its place in the dataset's table or is dropped.
    Beside(DatasetName, RunId),
    /// Steps that were fenced off before the dataset had a table.
    Fences(DatasetName),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dataset(n) => write!(f, "{n}"),
            Self::Quarantine(n) => write!(f, "quarantine of {n}"),
            Self::Tombstones(n) => write!(f, "deleted keys of {n}"),
            Self::Beside(n, id) => write!(f, "backfill {id} of {n}"),
            Self::Fences(n) => write!(f, "fences of {n}"),
        }
    }
}

/// What a commit remembers of its step: enough to finish and account for it after a crash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepInfo {
    pub(crate) step: StepKey,
    pub(crate) run: RunId,
    pub(crate) version: DefinitionVersion,
    pub(crate) balance: Balance,
    pub(crate) quality: Vec<QualityResult>,
    /// Event id and reason.
    pub(crate) dead: Vec<(String, String)>,
    pub(crate) windows: u64,
    pub(crate) notes: Vec<String>,
    /// The column that carries the event time, and how far it came, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reached: Option<(String, i64)>,
    /// Follow the main commit.
    pub(crate) quarantine: Option<FileChange>,
    pub(crate) tombstones: Option<FileChange>,
    /// The groups that the table was computed from, when they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) groups: Option<Groups>,
}

/// What a step does to a table beside its dataset's own, decided by the main commit and carried out after it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileChange {
    pub(crate) add: Vec<StagedFile>,
    /// Paths of files whose rows left or moved into `add`.
    pub(crate) remove: Vec<String>,
}

/// An active data file.
#[derive(Debug, Clone)]
pub(crate) struct DataFile {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    /// When it became part of the table, in milliseconds since 1970.
    pub(crate) modified: i64,
    /// Rows that are not gone.
    pub(crate) rows: u64,
    pub(crate) vector: Option<DeletionVectorDescriptor>,
    /// Delta's statistics of the file as it was written.
    stats: Option<String>,
    pub(crate) remove: Remove,
    disk: Disk,
}

/// The row changes of one version.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    pub(crate) version: i64,
    pub(crate) added: Vec<Part>,
    pub(crate) removed: Vec<Part>,
    /// Files of the change feed; when there are any, they alone tell what changed.
    pub(crate) feed: Vec<Part>,
}

/// Some rows of one file.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) path: String,
    pub(crate) rows: u64,
    /// Size of the file, where the log tells it.
    bytes: Option<u64>,
    /// Only these; `None`: all.
    within: Option<DeletionVectorDescriptor>,
    /// But not these.
    without: Option<DeletionVectorDescriptor>,
}

/// What a table's log says of a step, if only the newest word counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    Nothing,
    Committed,
    /// No attempt up to this one may commit.
    Fenced {
        upto: u64,
    },
}

/// How rows leave a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableKind {
    /// With their files.
    Plain,
    /// One by one, marked in deletion vectors; with a change feed if somebody wants one.
    Upserted { feed: bool },
}

impl TableKind {
    /// Table properties and the features that they stand for.
    fn wants(self) -> &'static [(&'static str, &'static str)] {
        const BOTH: [(&str, &str); 2] =
            [("delta.enableDeletionVectors", VECTORS), ("delta.enableChangeDataFeed", "changeDataFeed")];
        match self {
            Self::Plain => &[],
            Self::Upserted { feed: false } => &BOTH[..1],
            Self::Upserted { feed: true } => &BOTH,
        }
    }
}

pub(crate) struct Tables {
    /// `<lake>/<environment>`, or where copies of what is there are.
    root: PathBuf,
    store: Arc<dyn ObjectStore>,
    pub(crate) disk: Disk,
    pub(crate) meter: Arc<Meter>,
    heads: Heads,
    /// Of all files that were staged and not yet committed.
    pub(crate) syncs: Arc<Syncs>,
    snapshots: Arc<Snapshots>,
}

pub(crate) struct Table {
    pub(crate) delta: DeltaTable,
    /// Where its files are read and written.
    pub(crate) dir: PathBuf,
    disk: Disk,
    syncs: Arc<Syncs>,
    snapshots: Arc<Snapshots>,
    /// The newest one when it was opened.
    checkpoint: Option<Entry>,
}

/// What is known of a log before it is read.
struct Found {
    /// The one that is wanted, or the newest.
    version: Option<i64>,
    entry: Option<Entry>,
    checkpoint: Option<Entry>,
}

impl Tables {
    pub(crate) fn new(root: PathBuf) -> Self {
        let meter = Arc::new(Meter::default());
        let store = Arc::new(Metered::new(Arc::new(LocalFileSystem::new()), meter.clone()));
        let (syncs, snapshots, heads) = Default::default();
        Self { root, store, disk: Disk::default(), meter, heads, syncs, snapshots }
    }

    /// Of a lake in an object store, with `root` as the folder of its copies.
    pub(crate) fn in_object_store(root: PathBuf, remote: Remote, meter: Arc<Meter>) -> Self {
        let (syncs, snapshots, heads) = Default::default();
        Self { root, store: remote.store(), disk: Disk::copies_of(remote), meter, heads, syncs, snapshots }
    }

    /// Of files whose names begin with `prefix`, a path below the place's folder.
    pub(crate) fn stager(&self, place: &Place, prefix: String, schema: SchemaRef) -> Stager {
        let (meter, syncs) = (self.meter.clone(), self.syncs.clone());
        Stager::new(&self.dir(place), prefix, schema, encoding::compression(place), meter, syncs)
    }

    pub(crate) fn dir(&self, place: &Place) -> PathBuf {
        match place {
            Place::Dataset(n) => self.root.join(n.layer().as_str()).join(n.name()),
            Place::Quarantine(n) => self.root.join("quarantine").join(n.to_string()),
            Place::Tombstones(n) => self.root.join("tombstones").join(n.to_string()),
            Place::Beside(n, id) => self.besides(n).join(id.as_str()),
            Place::Fences(n) => self.root.join("fences").join(n.to_string()),
        }
    }

    /// Where all backfills of the dataset are.
    pub(crate) fn besides(&self, dataset: &DatasetName) -> PathBuf {
        self.root.join("backfill").join(dataset.to_string())
    }

    fn builder(&self, dir: &Path) -> Result<DeltaTableBuilder, LakeError> {
        let url = match self.disk.remote() {
            None => Url::from_directory_path(dir).expect("the lake's root is an absolute path"),
            Some(remote) => {
                let url = Url::parse(&format!("{}/", remote.url_of(dir))).expect("a checked URL and plain names");
                remote::register(&url);
                url
            }
        };
        let builder = DeltaTableBuilder::from_url(url.clone()).map_err(LakeError::delta(self.disk.shown(dir)))?;
        Ok(builder.with_storage_backend(self.store.clone(), url))
    }

    /// `None`: there is no table yet.
    pub(crate) async fn open(&self, place: &Place) -> Result<Option<Table>, LakeError> {
        self.open_at(place, None).await
    }

    pub(crate) async fn open_at(&self, place: &Place, version: Option<i64>) -> Result<Option<Table>, LakeError> {
        let dir = self.dir(place);
        let Some(found) = self.found(&dir, version).await? else { return Ok(None) };
        if let (Some(v), Some(entry)) = (found.version, &found.entry)
            && let Some(delta) = self.snapshots.get(&dir, v, entry, found.checkpoint.as_ref())
        {
            return Ok(Some(self.table(delta, dir, found.checkpoint)));
        }
        let mut builder = self.builder(&dir)?;
        if let Some(v) = version {
            builder = builder.with_version(u64::try_from(v).unwrap_or(0));
        }
        match builder.load().await {
            Ok(delta) => {
                let loaded = to_i64(delta.version().unwrap_or(0));
                // Another one came meanwhile: the next opening looks again.
                if let Some(entry) = found.entry.filter(|_| found.version == Some(loaded)) {
                    self.snapshots.keep(&dir, loaded, entry, &delta, found.checkpoint.clone());
                }
                Ok(Some(self.table(delta, dir, found.checkpoint)))
            }
            Err(DeltaTableError::NotATable(_)) => Ok(None),
            Err(e) => Err(LakeError::delta(self.disk.shown(&dir))(e)),
        }
    }

    /// Where the log is now; `None`: there is no table yet.
    async fn found(&self, dir: &Path, version: Option<i64>) -> Result<Option<Found>, LakeError> {
        let Some(remote) = self.disk.remote() else {
            if !has_log(dir) {
                return Ok(None);
            }
            let version = version.map_or_else(|| newest(&dir.join(LOG)), |v| Ok(Some(v)))?;
            let entry = version.and_then(|v| Entry::of(dir, v));
            return Ok(Some(Found { version, entry, checkpoint: Entry::checkpoint(dir) }));
        };
        let Some(head) = self.heads.newest(remote, &dir.join(LOG)).await? else { return Ok(None) };
        // Of an older version the list does not tell which object it is.
        let entry = head.entry.filter(|_| version.is_none_or(|v| v == head.version));
        Ok(Some(Found { version: Some(version.unwrap_or(head.version)), entry, checkpoint: head.checkpoint }))
    }

    fn table(&self, delta: DeltaTable, dir: PathBuf, checkpoint: Option<Entry>) -> Table {
        let (disk, syncs, snapshots) = (self.disk.clone(), self.syncs.clone(), self.snapshots.clone());
        Table { delta, dir, disk, syncs, snapshots, checkpoint }
    }

    /// Newest version, by listing the log only.
    pub(crate) async fn head(&self, place: &Place) -> Result<Option<i64>, LakeError> {
        let dir = self.dir(place);
        if let Some(remote) = self.disk.remote() {
            return Ok(self.heads.newest(remote, &dir.join(LOG)).await?.map(|head| head.version));
        }
        if !has_log(&dir) {
            return Ok(None);
        }
        newest(&dir.join(LOG))
    }

    fn log(&self, dir: &Path) -> Result<LogStoreRef, LakeError> {
        self.builder(dir)?.build_storage().map_err(LakeError::delta(self.disk.shown(dir)))
    }

    /// As [`Table::changes`], by reading the log's entries alone.
    pub(crate) async fn changes(&self, place: &Place, after: i64, upto: i64) -> Result<Vec<Change>, LakeError> {
        let dir = self.dir(place);
        changes(&self.log(&dir)?, &self.disk.shown(&dir), after, upto).await
    }

    /// The newest version up to `head` that took files away; where there is none, the first one that the log still
    /// holds, or -1 when it holds all. Files of earlier versions may be gone.
    pub(crate) async fn rewritten(&self, place: &Place, head: i64) -> Result<i64, LakeError> {
        let dir = self.dir(place);
        let log = self.log(&dir)?;
        for version in (0..=head).rev() {
            match entry(&log, &dir, version).await? {
                None => return Ok(version + 1),
                Some(actions) if actions.iter().any(|a| matches!(a, Action::Remove(_))) => return Ok(version),
                Some(_) => {}
            }
        }
        Ok(-1)
    }

    /// The table, made with this schema if it is not there.
    pub(crate) async fn ensure(&self, place: &Place, schema: &Schema, kind: TableKind) -> Result<Table, LakeError> {
        if let Some(table) = self.open(place).await? {
            return self.upgraded(place, table, kind).await;
        }
        let dir = self.dir(place);
        std::fs::create_dir_all(&dir).map_err(LakeError::io(&dir))?;
        let kernel: StructType = kernel_schema(schema)?;
        let mut configuration = vec![("delta.setTransactionRetentionDuration", Some(TRANSACTION_RETENTION))];
        for (property, _) in kind.wants() {
            configuration.push((property, Some("true")));
        }
        alluvium_model::crash_point("commit.before_create");
        let made = CreateBuilder::new()
            .with_log_store(self.log(&dir)?)
            .with_columns(kernel.fields().cloned())
            .with_configuration(configuration)
            .with_raise_if_key_not_exists(false)
            .with_save_mode(SaveMode::ErrorIfExists)
            // A retry would come after the one that is there, and make the table once more.
            .with_commit_properties(CommitProperties::default().with_max_retries(0))
            .await;
        match made {
            Ok(delta) => {
                sync_log(&self.disk, &dir, to_i64(delta.version().unwrap_or(0)))?;
                alluvium_model::crash_point("commit.after_create");
                // A new table has no checkpoint.
                Ok(self.table(delta, dir, None))
            }
            // Another process made it in between.
            Err(e) => match self.open(place).await? {
                Some(table) => Ok(table),
                None => Err(LakeError::delta(self.disk.shown(&dir))(e)),
            },
        }
    }
}

impl Tables {
    /// A table made without what is asked of it now gets the features, in a version of its own.
    ///
    /// # Errors
    /// [`LakeError::Conflict`] when another commit came in between.
    pub(crate) async fn upgraded(&self, place: &Place, table: Table, kind: TableKind) -> Result<Table, LakeError> {
        let actions = table.with_features(kind)?;
        if actions.is_empty() {
            return Ok(table);
        }
        let snapshot = table.delta.snapshot().map_err(LakeError::delta(table.shown()))?;
        let properties = CommitProperties::default().with_max_retries(0).with_create_checkpoint(false);
        let operation = DeltaOperation::SetTableProperties {
            properties: kind.wants().iter().map(|(p, _)| ((*p).to_owned(), "true".to_owned())).collect(),
        };
        let done = CommitBuilder::from(properties).with_actions(actions).build(Some(snapshot), table.log(), operation);
        let version = to_i64(done.await.map_err(lost(&table.shown()))?.version());
        sync_log(&self.disk, &table.dir, version)?;
        self.open_at(place, Some(version)).await?.ok_or(LakeError::Worker("a table that was upgraded is there"))
    }
}

impl Table {
    pub(crate) fn version(&self) -> i64 {
        to_i64(self.delta.version().unwrap_or(0))
    }

    pub(crate) fn schema(&self) -> Result<SchemaRef, LakeError> {
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(self.shown()))?;
        Ok(snapshot.snapshot().arrow_schema())
    }

    pub(crate) fn log(&self) -> LogStoreRef {
        self.delta.log_store()
    }

    pub(crate) fn files(&self) -> Result<Vec<DataFile>, LakeError> {
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(self.shown()))?;
        let log = snapshot.log_data();
        let files = log.iter().map(|f| {
            let vector = f.deletion_vector_descriptor();
            DataFile {
                disk: self.disk.clone(),
                path: f.path().into_owned(),
                bytes: u64::try_from(f.size()).unwrap_or(0),
                modified: f.modification_time(),
                rows: (f.num_records().unwrap_or(0) as u64).saturating_sub(cardinality(vector.as_ref())),
                vector,
                stats: f.stats(),
                remove: f.remove_action(true),
            }
        });
        let mut files: Vec<DataFile> = files.collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    pub(crate) fn rows(&self) -> Result<u64, LakeError> {
        Ok(self.files()?.iter().map(|f| f.rows).sum())
    }

    /// Whether this step's commit is in this snapshot.
    pub(crate) async fn committed(&self, step: &StepKey) -> Result<bool, LakeError> {
        Ok(self.mark(step).await? == Mark::Committed)
    }

    /// What this snapshot knows of the step.
    pub(crate) async fn mark(&self, step: &StepKey) -> Result<Mark, LakeError> {
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(self.shown()))?;
        let found = snapshot.transaction_version(self.log().as_ref(), step.as_str()).await;
        Ok(match found.map_err(LakeError::delta(self.shown()))? {
            None => Mark::Nothing,
            Some(COMMITTED..) => Mark::Committed,
            Some(fence) => Mark::Fenced { upto: fence.unsigned_abs() },
        })
    }

    /// Version and memory of the step's commit, looked for from the newest back.
    pub(crate) async fn find(&self, step: &StepKey) -> Result<Option<(i64, StepInfo)>, LakeError> {
        for version in (0..=self.version()).rev() {
            let Some(entry) = self.entry(version).await? else { return Ok(None) };
            for action in entry {
                if let Action::CommitInfo(info) = action
                    && let Some(value) = info.info.get(INFO)
                {
                    let found: StepInfo = serde_json::from_value(value.clone())
                        .map_err(|source| LakeError::Log { path: self.shown(), source })?;
                    if found.step == *step {
                        return Ok(Some((version, found)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Memory of the newest commit that a step made.
    pub(crate) async fn newest(&self) -> Result<Option<StepInfo>, LakeError> {
        Ok(self.newest_after(-1).await?.map(|(_, info)| info))
    }

    /// As [`Table::newest`], with its version, if that came after `after`.
    pub(crate) async fn newest_after(&self, after: i64) -> Result<Option<(i64, StepInfo)>, LakeError> {
        for version in (after + 1..=self.version()).rev() {
            let Some(entry) = self.entry(version).await? else { return Ok(None) };
            for action in entry {
                if let Action::CommitInfo(info) = action
                    && let Some(value) = info.info.get(INFO)
                {
                    let found: StepInfo = serde_json::from_value(value.clone())
                        .map_err(|source| LakeError::Log { path: self.shown(), source })?;
                    return Ok(Some((version, found)));
                }
            }
        }
        Ok(None)
    }

    /// One version's actions; `None` when the log no longer holds it.
    pub(crate) async fn entry(&self, version: i64) -> Result<Option<Vec<Action>>, LakeError> {
        entry(&self.log(), &self.shown(), version).await
    }

    /// Row changes of the versions in `(after, upto]`, ascending.
    pub(crate) async fn changes(&self, after: i64, upto: i64) -> Result<Vec<Change>, LakeError> {
        changes(&self.log(), &self.shown(), after, upto).await
    }

    /// Makes one version out of `actions`, fenced by the step key: against exactly this snapshot, or not at all.
    ///
    /// # Errors
    /// [`LakeError::Conflict`] when another commit came in between; then nothing was committed.
    pub(crate) async fn commit(
        &self,
        step: &StepKey,
        actions: Vec<Action>,
        info: Option<&StepInfo>,
        mode: SaveMode,
    ) -> Result<i64, LakeError> {
        let memory = info.map(|i| (INFO.to_owned(), serde_json::to_value(i).expect("a step's memory is plain data")));
        // No retry against a newer snapshot: it could hold this very step, and the same transaction would pass again.
        let properties = CommitProperties::default()
            .with_metadata(memory)
            .with_application_transaction(Transaction::new(step.as_str(), COMMITTED));
        let operation = DeltaOperation::Write { mode, partition_by: None, predicate: None };
        let own = Identity::of(&actions).with(step, COMMITTED, info);
        self.publish(properties, actions, operation, own).await
    }

    /// Makes one version that changes nothing but that attempts of the step up to this one find their fence: against exactly this
    /// snapshot, or not at all.
    ///
    /// # Errors
    /// As [`Table::commit`].
    pub(crate) async fn fence(&self, step: &StepKey, attempt: u32) -> Result<i64, LakeError> {
        let version = -i64::from(attempt);
        let fence = Transaction::new(step.as_str(), version);
        let properties = CommitProperties::default().with_application_transaction(fence);
        let operation = DeltaOperation::Write { mode: SaveMode::Append, partition_by: None, predicate: None };
        let own = Identity::of(&[]).with(step, version, None);
        self.publish(properties, Vec::new(), operation, own).await
    }

    /// Makes one version in which the same rows lie in other files: against exactly this snapshot, or not at all.
    ///
    /// # Errors
    /// As [`Table::commit`].
    pub(crate) async fn rearrange(&self, actions: Vec<Action>, target_bytes: u64) -> Result<i64, LakeError> {
        let target_size = i64::try_from(target_bytes).unwrap_or(i64::MAX);
        let operation = DeltaOperation::Optimize { predicate: None, target_size };
        let own = Identity::of(&actions);
        self.publish(CommitProperties::default(), actions, operation, own).await
    }

    async fn publish(
        &self,
        properties: CommitProperties,
        actions: Vec<Action>,
        operation: DeltaOperation,
        own: Identity,
    ) -> Result<i64, LakeError> {
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(self.shown()))?;
        let properties =
            properties.with_max_retries(0).with_create_checkpoint(false).with_cleanup_expired_logs(Some(false));
        self.syncs.wait().await?;
        let done =
            CommitBuilder::from(properties).with_actions(actions).build(Some(snapshot), self.log(), operation).await;
        let version = match done {
            Ok(done) => {
                let version = to_i64(done.version());
                sync_log(&self.disk, &self.dir, version)?;
                let mut delta = self.delta.clone();
                delta.state = Some(done.snapshot());
                if let Some(entry) = self.which(version).await {
                    self.snapshots.keep(&self.dir, version, entry, &delta, self.checkpoint.clone());
                }
                version
            }
            Err(e) => self.commit_all_the_same(&own).await.ok_or_else(|| lost(&self.shown())(e))?,
        };
        self.checkpoint(version).await;
        Ok(version)
    }

    /// The version of a commit of which the object store told an error. Its answer may have been lost after the commit
    /// stood; the client may even have tried again, and then it finds its own commit in the way. What the log holds
    /// decides. `None`: it is not there, as far as can be told.
    async fn commit_all_the_same(&self, own: &Identity) -> Option<i64> {
        self.disk.remote()?;
        let version = self.version() + 1;
        match self.entry(version).await {
            Ok(stands) => (Identity::of(&stands?) == *own).then_some(version),
            Err(e) => {
                tracing::warn!(table = %self.shown().display(), version, error = %e, "whether a commit stands is not known");
                None
            }
        }
    }

    /// Which file or object this version's entry is, where that can be told.
    async fn which(&self, version: i64) -> Option<Entry> {
        match self.disk.remote() {
            None => Entry::of(&self.dir, version),
            // The commit stands all the same; the next opening reads the log.
            Some(remote) => remote.which(&self.dir.join(LOG).join(entry_name(version))).await.ok().flatten(),
        }
    }

    /// Where the table is, as people name it.
    fn shown(&self) -> PathBuf {
        self.disk.shown(&self.dir)
    }

    /// Spares readers the log's beginning. The commit stands whether or not this works: the next one tries again.
    async fn checkpoint(&self, version: i64) {
        if (version + 1) % CHECKPOINT_EVERY != 0 {
            return;
        }
        let made = async {
            let mut table = self.delta.clone();
            table.update_state().await?;
            deltalake::checkpoints::create_checkpoint(&table, None).await
        };
        if let Err(e) = made.await {
            tracing::warn!(table = %self.dir.display(), version, error = %e, "no checkpoint could be written");
        }
    }

    /// The action that gives the table these columns.
    pub(crate) fn with_schema(&self, schema: &Schema) -> Result<Action, LakeError> {
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(self.shown()))?;
        let metadata = snapshot.metadata().clone().with_schema(&kernel_schema(schema)?);
        Ok(Action::Metadata(metadata.map_err(|e| LakeError::delta(self.shown())(e.into()))?))
    }

    /// The action that gives the table the columns of `schema` which it lacks, or, `only` them; `None` when it has them.
    pub(crate) fn with_columns(&self, schema: &Schema, only: bool) -> Result<Option<Action>, LakeError> {
        let stored = crate::ingest::plain_schema(self.schema()?.as_ref());
        if only && stored.fields().iter().any(|f| schema.field_with_name(f.name()).is_err()) {
            return self.with_schema(schema).map(Some);
        }
        let lacks: Vec<_> = schema.fields().iter().filter(|f| stored.field_with_name(f.name()).is_err()).collect();
        if lacks.is_empty() {
            return Ok(None);
        }
        self.with_schema(&Schema::new(stored.fields().iter().chain(lacks).cloned().collect::<Vec<_>>())).map(Some)
    }

    pub(crate) fn file(&self, name: &str) -> LakeFile {
        self.disk.file(self.dir.join(name))
    }

    /// The active files with what is gone of them, in the order of [`Table::files`].
    pub(crate) fn sources(&self) -> Result<Vec<Source>, LakeError> {
        self.files()?.iter().map(|f| f.source(&self.dir)).collect()
    }

    pub(crate) fn part(&self, part: &Part) -> Result<Source, LakeError> {
        let read = |v: &Option<DeletionVectorDescriptor>| {
            v.as_ref().map(|v| vector::read(&self.disk, &self.dir, v)).transpose()
        };
        let (within, without) = (read(&part.within)?, read(&part.without)?);
        let pick = match (within, without) {
            (None, None) => Pick::All,
            (None, Some(gone)) => Pick::Without(gone),
            (Some(only), None) => Pick::Only(only),
            (Some(only), Some(gone)) => Pick::Only(Arc::new(only.as_ref() - gone.as_ref())),
        };
        let file = self.file(&part.path);
        Ok(Source { path: part.bytes.map_or(file.clone(), |b| file.known(b, None)), pick })
    }

    /// Whether every commit has to tell what it changed.
    pub(crate) fn keeps_feed(&self) -> Result<bool, LakeError> {
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(self.shown()))?;
        Ok(snapshot.metadata().configuration().get("delta.enableChangeDataFeed").is_some_and(|v| v == "true"))
    }

    /// What gives the table the features of `kind` that it has not yet.
    fn with_features(&self, kind: TableKind) -> Result<Vec<Action>, LakeError> {
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(self.shown()))?;
        let log_error = |source| LakeError::Log { path: self.shown(), source };
        let protocol = serde_json::to_value(snapshot.protocol()).map_err(log_error)?;
        let named = |key: &str| -> Vec<String> {
            let list = protocol.get(key).and_then(|v| v.as_array()).into_iter().flatten();
            list.filter_map(|v| v.as_str().map(str::to_owned)).collect()
        };
        let (mut readers, mut writers) = (named("readerFeatures"), named("writerFeatures"));
        let mut metadata = serde_json::to_value(snapshot.metadata()).map_err(log_error)?;
        let set = |m: &serde_json::Value, p: &str| m["configuration"][p] == "true";
        if kind.wants().iter().all(|(property, _)| set(&metadata, property)) {
            return Ok(Vec::new());
        }
        for (property, _) in kind.wants() {
            metadata["configuration"][*property] = "true".into();
        }
        // What a table without named features may do by its version has to be named from now on.
        for feature in ["appendOnly", "invariants", "changeDataFeed", VECTORS] {
            if writers.iter().all(|f| f != feature) {
                writers.push(feature.into());
            }
        }
        if readers.iter().all(|f| f != VECTORS) {
            readers.push(VECTORS.into());
        }
        let protocol = serde_json::json!({ "protocol": {
            "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": readers, "writerFeatures": writers } });
        let metadata = serde_json::json!({ "metaData": metadata });
        [protocol, metadata].into_iter().map(|a| serde_json::from_value(a).map_err(log_error)).collect()
    }
}

impl DataFile {
    /// Takes out the rows of `vector`, which holds those that were out before.
    pub(crate) fn mark(&mut self, vector: DeletionVectorDescriptor) {
        let before = cardinality(self.vector.as_ref());
        self.rows = (self.rows + before).saturating_sub(cardinality(Some(&vector)));
        self.vector = Some(vector);
    }

    /// A file without the rows that its vector names.
    pub(crate) fn source(&self, dir: &Path) -> Result<Source, LakeError> {
        let pick = match &self.vector {
            None => Pick::All,
            Some(v) => Pick::Without(vector::read(&self.disk, dir, v)?),
        };
        // Rows that are gone are still in the file.
        let rows = self.stats.as_deref().and_then(record_count);
        Ok(Source { path: self.disk.file(dir.join(&self.path)).known(self.bytes, rows), pick })
    }

    /// The same file with another vector.
    pub(crate) fn with_vector(&self, vector: DeletionVectorDescriptor, at_millis: i64) -> Action {
        Action::Add(Add {
            path: self.path.clone(),
            partition_values: self.remove.partition_values.clone().unwrap_or_default(),
            size: self.remove.size.unwrap_or(0),
            modification_time: at_millis,
            data_change: true,
            stats: self.stats.as_deref().map(loose),
            tags: None,
            deletion_vector: Some(vector),
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        })
    }
}

/// Statistics of a file of which rows are gone: its bounds still hold, and may be wider than what is left.
pub(crate) fn loose(stats: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(stats) {
        Ok(serde_json::Value::Object(mut known)) => {
            known.insert("tightBounds".into(), false.into());
            serde_json::Value::Object(known).to_string()
        }
        _ => stats.to_owned(),
    }
}

impl Part {
    fn live(path: String, rows: u64, bytes: Option<i64>, vector: Option<DeletionVectorDescriptor>) -> Self {
        let rows = rows.saturating_sub(cardinality(vector.as_ref()));
        Self { path, rows, bytes: bytes.and_then(|b| u64::try_from(b).ok()), within: None, without: vector }
    }
}

impl Change {
    /// A file that is removed and added at once got another vector: only the rows between the two left.
    fn pair(&mut self) {
        let mut added = std::mem::take(&mut self.added);
        for old in &mut self.removed {
            if let Some(i) = added.iter().position(|a| a.path == old.path) {
                old.within = added.swap_remove(i).without;
            }
        }
        added.sort_by(|a, b| a.path.cmp(&b.path));
        self.added = added;
    }
}

/// The newest version of a log, of which the beginning may be gone.
fn newest(log: &Path) -> Result<Option<i64>, LakeError> {
    let mut newest = None;
    for file in std::fs::read_dir(log).map_err(LakeError::io(log))? {
        let name = file.map_err(LakeError::io(log))?.file_name();
        newest = newest.max(name.to_str().and_then(version_of));
    }
    Ok(newest)
}

pub(crate) fn version_of(name: &str) -> Option<i64> {
    name.strip_suffix(".json").filter(|v| v.len() == 20)?.parse().ok()
}

pub(crate) fn entry_name(version: i64) -> String {
    format!("{version:020}.json")
}

/// One version's actions; `None` when the log no longer holds it.
async fn entry(log: &LogStoreRef, dir: &Path, version: i64) -> Result<Option<Vec<Action>>, LakeError> {
    let number = u64::try_from(version).unwrap_or(0);
    let bytes = log.read_commit_entry(number).await.map_err(LakeError::delta(dir))?;
    let Some(bytes) = bytes else { return Ok(None) };
    let lines = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    let actions: Result<Vec<Action>, _> = lines.map(serde_json::from_slice).collect();
    actions.map(Some).map_err(|source| LakeError::Log { path: dir.to_owned(), source })
}

async fn changes(log: &LogStoreRef, dir: &Path, after: i64, upto: i64) -> Result<Vec<Change>, LakeError> {
    let mut changes = Vec::new();
    for version in after + 1..=upto {
        let entry = entry(log, dir, version).await?;
        let entry = entry.ok_or_else(|| LakeError::LogGone { path: dir.to_owned(), version })?;
        let mut change = Change { version, ..Change::default() };
        for action in entry {
            match action {
                Action::Add(a) if a.data_change => {
                    let rows = a.stats.as_deref().and_then(record_count).unwrap_or(0);
                    change.added.push(Part::live(a.path, rows, Some(a.size), a.deletion_vector));
                }
                Action::Remove(r) if r.data_change => {
                    change.removed.push(Part::live(r.path, 0, r.size, r.deletion_vector));
                }
                Action::Cdc(c) => change.feed.push(Part::live(c.path, 0, Some(c.size), None)),
                Action::Add(_)
                | Action::Remove(_)
                | Action::Metadata(_)
                | Action::Protocol(_)
                | Action::Txn(_)
                | Action::CommitInfo(_)
                | Action::DomainMetadata(_) => {}
            }
        }
        change.pair();
        if !(change.added.is_empty() && change.removed.is_empty() && change.feed.is_empty()) {
            changes.push(change);
        }
    }
    Ok(changes)
}

/// Tells a commit that came too late from one that failed.
fn lost(dir: &Path) -> impl FnOnce(DeltaTableError) -> LakeError {
    let path = dir.to_owned();
    move |e| match e {
        DeltaTableError::Transaction {
            source:
                TransactionError::MaxCommitAttempts(_)
                | TransactionError::CommitConflict(_)
                | TransactionError::VersionAlreadyExists(_),
        } => LakeError::Conflict { path },
        e => LakeError::delta(path)(e),
    }
}

pub(crate) fn cardinality(vector: Option<&DeletionVectorDescriptor>) -> u64 {
    vector.and_then(|v| u64::try_from(v.cardinality).ok()).unwrap_or(0)
}

fn kernel_schema(schema: &Schema) -> Result<StructType, LakeError> {
    let kernel: StructType = schema.try_into_kernel()?;
    Ok(kernel)
}

fn has_log(dir: &Path) -> bool {
    dir.join(LOG).is_dir()
}

fn record_count(stats: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(stats).ok()?.get("numRecords")?.as_u64()
}

/// The commit survives a loss of power only once its log entry and the folder's entry for it are on the disk.
fn sync_log(disk: &Disk, dir: &Path, version: i64) -> Result<(), LakeError> {
    if disk.remote().is_some() {
        return Ok(());
    }
    let log = dir.join(LOG);
    for path in [log.join(entry_name(version)), log] {
        File::open(&path).and_then(|f| f.sync_all()).map_err(LakeError::io(&path))?;
    }
    Ok(())
}

fn to_i64(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

/// Whether a table of these columns can be made at all, told before anything is staged.
pub(crate) fn storable(schema: &Schema) -> Result<(), LakeError> {
    for field in schema.fields() {
        let alone = Schema::new(vec![field.clone()]);
        StructType::try_from_arrow(&alone).map_err(|source| LakeError::Unstorable {
            column: field.name().clone(),
            kind: field.data_type().to_string(),
            source,
        })?;
    }
    StructType::try_from_arrow(schema)?;
    Ok(())
}
