//! Which tables there are, and how rows leave them.

use alluvium_model::{DatasetName, RunId};
use std::fmt;

/// Table feature of deletion vectors.
pub(super) const VECTORS: &str = "deletionVectors";
/// Table feature of times without a zone.
pub(super) const LOCAL_TIMES: &str = "timestampNtz";

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
    pub(super) fn wants(self) -> &'static [(&'static str, &'static str)] {
        const BOTH: [(&str, &str); 2] =
            [("delta.enableDeletionVectors", VECTORS), ("delta.enableChangeDataFeed", "changeDataFeed")];
        match self {
            Self::Plain => &[],
            Self::Upserted { feed: false } => &BOTH[..1],
            Self::Upserted { feed: true } => &BOTH,
        }
    }
}
