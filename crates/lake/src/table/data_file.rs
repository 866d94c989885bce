//! One data file of a table, with what is gone of it.

use crate::{
    error::LakeError,
    remote::Disk,
    scan::{Pick, Source},
    vector,
};
use deltalake::kernel::{Action, Add, DeletionVectorDescriptor, Remove};
use std::path::Path;

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
    pub(super) stats: Option<String>,
    pub(crate) remove: Remove,
    pub(super) disk: Disk,
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

pub(super) fn record_count(stats: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(stats).ok()?.get("numRecords")?.as_u64()
}
