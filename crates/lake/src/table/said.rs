//! What the log of a table says: of a step, and of the rows of a version.

use crate::{incremental::Groups, stage::StagedFile};
use alluvium_model::{Balance, DefinitionVersion, RunId, StepKey};
use alluvium_store::QualityResult;
use deltalake::kernel::DeletionVectorDescriptor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Key of our entry in a commit's `commitInfo`.
pub(crate) const INFO: &str = "alluvium";

/// What a commit remembers of its step: enough to finish and account for it after a crash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StepInfo {
    pub(crate) step: StepKey,
    pub(crate) run: RunId,
    pub(crate) version: DefinitionVersion,
    pub(crate) balance: Balance,
    pub(crate) quality: Vec<QualityResult>,
    /// What `accept` measured of columns, by rule, for the steps that are compared with this one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) figures: BTreeMap<String, f64>,
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
    pub(super) bytes: Option<u64>,
    /// Only these; `None`: all.
    pub(super) within: Option<DeletionVectorDescriptor>,
    /// But not these.
    pub(super) without: Option<DeletionVectorDescriptor>,
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
