//! The lake's Delta tables: opening and making them (`tables`), what their logs say (`log`), and committing to them (`commits`).

mod commits;
mod log;
mod tables;

pub(crate) use commits::CHECKPOINT_EVERY;
pub(crate) use log::{entry_name, version_of};
pub(crate) use tables::Tables;

use crate::{
    error::LakeError,
    incremental::Groups,
    remote::{Disk, LakeFile},
    scan::{Pick, Source},
    snapshots::{Entry, Snapshots},
    stage::StagedFile,
    syncs::Syncs,
    vector,
};
use alluvium_model::{Balance, DatasetName, DefinitionVersion, RunId, StepKey};
use alluvium_store::QualityResult;
use arrow::datatypes::{Schema, SchemaRef};
use deltalake::{
    DeltaTable,
    kernel::{Action, Add, DeletionVectorDescriptor, Remove, StructType, engine::arrow_conversion::TryFromArrow},
    logstore::LogStoreRef,
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Key of our entry in a commit's `commitInfo`.
pub(crate) const INFO: &str = "alluvium";
/// Folder of a table's log.
pub(crate) const LOG: &str = "_delta_log";
/// Table feature of deletion vectors.
const VECTORS: &str = "deletionVectors";

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
        self.files_below("")
    }

    /// The active files of which the paths begin with `prefix`, by their paths.
    pub(crate) fn files_below(&self, prefix: &str) -> Result<Vec<DataFile>, LakeError> {
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(self.shown()))?;
        let log = snapshot.log_data();
        let files = log.iter().filter(|f| f.path().starts_with(prefix)).map(|f| {
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

    /// Where the table is, as people name it.
    fn shown(&self) -> PathBuf {
        self.disk.shown(&self.dir)
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

pub(crate) fn cardinality(vector: Option<&DeletionVectorDescriptor>) -> u64 {
    vector.and_then(|v| u64::try_from(v.cardinality).ok()).unwrap_or(0)
}

fn record_count(stats: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(stats).ok()?.get("numRecords")?.as_u64()
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
