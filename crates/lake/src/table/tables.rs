//! Where the lake's tables are, and how they are opened and made.

use super::{
    Change, LOG, Place, Table, TableKind,
    commits::{kernel_schema, lost, sync_log},
    handle::to_i64,
    log::{changes, entry},
    version_of,
};
use crate::{
    encoding,
    error::LakeError,
    meter::{Meter, Metered},
    remote::{self, Disk, Heads, Remote},
    snapshots::{Entry, Snapshots},
    stage::Stager,
    syncs::Syncs,
};
use alluvium_model::DatasetName;
use arrow::datatypes::{Schema, SchemaRef};
use deltalake::{
    DeltaTable, DeltaTableBuilder, DeltaTableError,
    kernel::{
        Action, StructType,
        transaction::{CommitBuilder, CommitProperties},
    },
    logstore::LogStoreRef,
    operations::create::CreateBuilder,
    protocol::{DeltaOperation, SaveMode},
};
use object_store::{ObjectStore, local::LocalFileSystem};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use url::Url;

/// The transaction id of a step is remembered this long in the table's log.
const TRANSACTION_RETENTION: &str = "interval 30 days";

pub(crate) struct Tables {
    /// `<lake>/<environment>`, or where copies of what is there are.
    root: PathBuf,
    store: Arc<dyn ObjectStore>,
    pub(crate) disk: Disk,
    pub(crate) meter: Arc<Meter>,
    heads: Heads,
    /// Of all files that were staged and not yet committed.
    pub(crate) syncs: Syncs,
    snapshots: Arc<Snapshots>,
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

/// The newest version of a log, of which the beginning may be gone.
fn newest(log: &Path) -> Result<Option<i64>, LakeError> {
    let mut newest = None;
    for file in std::fs::read_dir(log).map_err(LakeError::io(log))? {
        let name = file.map_err(LakeError::io(log))?.file_name();
        newest = newest.max(name.to_str().and_then(version_of));
    }
    Ok(newest)
}

fn has_log(dir: &Path) -> bool {
    dir.join(LOG).is_dir()
}
