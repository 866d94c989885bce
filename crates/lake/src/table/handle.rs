//! A table as it was at one version: its columns, its files, and the rows of their parts.

use super::{DataFile, Part, data_file::cardinality};
use crate::{
    error::LakeError,
    remote::{Disk, LakeFile},
    scan::{Pick, Source},
    snapshots::{Entry, Snapshots},
    syncs::Syncs,
    vector,
};
use arrow::datatypes::{Schema, SchemaRef};
use deltalake::{
    DeltaTable,
    kernel::{DeletionVectorDescriptor, StructType, engine::arrow_conversion::TryFromArrow},
    logstore::LogStoreRef,
};
use std::{path::PathBuf, sync::Arc};

/// Property of a table: the truncates that it remembers.
pub(crate) const TRUNCATES: &str = "alluvium.truncates";
/// Property of a table: the newest snapshot that it took.
pub(crate) const SNAPSHOT: &str = "alluvium.snapshot";

pub(crate) struct Table {
    pub(crate) delta: DeltaTable,
    /// Where its files are read and written.
    pub(crate) dir: PathBuf,
    pub(super) disk: Disk,
    pub(super) syncs: Syncs,
    pub(super) snapshots: Arc<Snapshots>,
    /// The newest one when it was opened.
    pub(super) checkpoint: Option<Entry>,
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
    pub(super) fn shown(&self) -> PathBuf {
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

    /// What it remembers, as [`Table::described`] was told.
    pub(crate) fn property(&self, name: &str) -> Result<Option<String>, LakeError> {
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(self.shown()))?;
        Ok(snapshot.metadata().configuration().get(name).cloned())
    }

    /// Whether every commit has to tell what it changed.
    pub(crate) fn keeps_feed(&self) -> Result<bool, LakeError> {
        let snapshot = self.delta.snapshot().map_err(LakeError::delta(self.shown()))?;
        Ok(snapshot.metadata().configuration().get("delta.enableChangeDataFeed").is_some_and(|v| v == "true"))
    }
}

pub(super) fn to_i64(version: u64) -> i64 {
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
