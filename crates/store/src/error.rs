//! Why the state could not be read or changed.
//!
//! Called by everything that calls the store. It never holds row data, statements or their arguments.

use alluvium_model::{Fault, RetryClass};
use std::{error::Error, io, path::PathBuf};

/// No error leaves half a change behind: the transaction that met it is undone.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("another process holds the state file")]
    Busy { source: sqlx::Error },
    #[error("the disk under the state file is full")]
    Full { source: sqlx::Error },
    #[error("the state file may not be written")]
    ReadOnly { source: sqlx::Error },
    #[error("the state file {} cannot be opened", path.display())]
    CannotOpen { path: PathBuf, source: sqlx::Error },
    #[error("the folder {} of the state file cannot be made", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("the state file is damaged")]
    Corrupt { source: sqlx::Error },
    #[error("{} is no state file of alluvium", path.display())]
    Foreign { path: PathBuf, source: Option<sqlx::Error> },
    /// Versions of the state's tables.
    #[error("the state file has version {found}; this alluvium knows versions up to {known}")]
    Newer { found: i64, known: i64 },
    /// Only reading meets it: whatever writes brings the file to the newest version first.
    #[error("the state file has version {found}; this alluvium reads version {known}")]
    Older { found: i64, known: i64 },
    #[error("the state holds a value in `{column}` that cannot be read")]
    Unreadable { column: &'static str, source: Box<dyn Error + Send + Sync> },
    #[error("the disk under the state file fails")]
    Disk { source: sqlx::Error },
    /// `what` is `run`, `step` or `event`.
    #[error("the state knows no {what} `{id}`")]
    Unknown { what: &'static str, id: String },
    #[error("step `{key}` was superseded and cannot be finished")]
    Superseded { key: String },
    #[error("the state refused a statement")]
    Internal { source: sqlx::Error },
}

impl Fault for StoreError {
    fn code(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "S0001",
            Self::Full { .. } => "S0002",
            Self::ReadOnly { .. } => "S0003",
            Self::CannotOpen { .. } => "S0004",
            Self::Folder { .. } => "S0005",
            Self::Corrupt { .. } => "S0006",
            Self::Foreign { .. } => "S0007",
            Self::Newer { .. } => "S0008",
            Self::Unreadable { .. } => "S0009",
            Self::Disk { .. } => "S0010",
            Self::Unknown { .. } => "S0011",
            Self::Superseded { .. } => "S0012",
            Self::Internal { .. } => "S0013",
            Self::Older { .. } => "S0014",
        }
    }

    fn class(&self) -> RetryClass {
        match self {
            Self::Busy { .. } | Self::Full { .. } | Self::Disk { .. } | Self::Superseded { .. } => {
                RetryClass::Transient
            }
            Self::Folder { source, .. } => RetryClass::of_io(source.kind()),
            Self::ReadOnly { .. } => RetryClass::Auth,
            Self::CannotOpen { .. } | Self::Corrupt { .. } | Self::Foreign { .. } | Self::Unreadable { .. } => {
                RetryClass::Data
            }
            Self::Newer { .. } | Self::Older { .. } => RetryClass::Schema,
            Self::Unknown { .. } | Self::Internal { .. } => RetryClass::Internal,
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "wait until the other process is done, then run again",
            Self::Full { .. } => "free space on the disk that holds the state file, then run again",
            Self::ReadOnly { .. } => "give this user the right to write the state file and its folder",
            Self::CannotOpen { .. } => "check that the path of the state file is a file that this user may open",
            Self::Folder { .. } => {
                "check that the path is free, on a disk with space, and that this user may write there"
            }
            Self::Corrupt { .. } | Self::Unreadable { .. } => {
                "restore the state file from a backup; with neither, move the lake away together with the state"
            }
            Self::Foreign { .. } => "name another path for the state, or move that file away",
            Self::Newer { .. } => "use a newer alluvium; the one that wrote this file will do",
            Self::Older { .. } => "`alluvium run` brings it to the newest version; what it holds stays",
            Self::Disk { .. } => "check the disk and its mount, then run again",
            Self::Unknown { .. } | Self::Internal { .. } => "report this with the log of the run; it is a defect",
            Self::Superseded { .. } => "run again; a step under a newer definition has taken this step's input",
        }
    }
}

/// SQLite's primary result codes, and the one extended code that means something else than its primary.
mod code {
    pub(super) const PERM: i32 = 3;
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const AUTH: i32 = 23;
    pub(super) const NOTADB: i32 = 26;
    /// The shared memory beside the file cannot grow, which a full disk causes.
    pub(super) const IOERR_SHMSIZE: i32 = 4874;
}

fn result_code(e: &sqlx::Error) -> Option<i32> {
    e.as_database_error()?.code()?.parse().ok()
}

impl From<sqlx::Error> for StoreError {
    fn from(source: sqlx::Error) -> Self {
        if let sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) = source {
            return Self::Unreadable { column: "a row", source: Box::new(source) };
        }
        let Some(extended) = result_code(&source) else { return Self::Internal { source } };
        match (extended, extended & 0xff) {
            (code::IOERR_SHMSIZE, _) | (_, code::FULL) => Self::Full { source },
            (_, code::BUSY | code::LOCKED) => Self::Busy { source },
            (_, code::READONLY | code::PERM | code::AUTH) => Self::ReadOnly { source },
            (_, code::CORRUPT | code::NOTADB) => Self::Corrupt { source },
            // Once it is open, SQLite fails so when it cannot make a file beside it.
            (_, code::CANTOPEN) => Self::ReadOnly { source },
            (_, code::IOERR) => Self::Disk { source },
            _ => Self::Internal { source },
        }
    }
}

impl StoreError {
    /// The same, for a file that is being opened.
    pub(crate) fn opening(path: &std::path::Path, source: sqlx::Error) -> Self {
        let path = path.to_owned();
        match result_code(&source).map(|c| c & 0xff) {
            Some(code::CANTOPEN) => Self::CannotOpen { path, source },
            Some(code::NOTADB) => Self::Foreign { path, source: Some(source) },
            Some(_) => source.into(),
            None => Self::CannotOpen { path, source },
        }
    }

    pub(crate) fn unknown(what: &'static str, id: impl ToString) -> Self {
        Self::Unknown { what, id: id.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_code() {
        let e = || sqlx::Error::WorkerCrashed;
        let p = || PathBuf::from("state.db");
        let all = [
            StoreError::Busy { source: e() },
            StoreError::Full { source: e() },
            StoreError::ReadOnly { source: e() },
            StoreError::CannotOpen { path: p(), source: e() },
            StoreError::Folder { path: p(), source: io::ErrorKind::StorageFull.into() },
            StoreError::Corrupt { source: e() },
            StoreError::Foreign { path: p(), source: None },
            StoreError::Newer { found: 2, known: 1 },
            StoreError::Unreadable { column: "state", source: "x".into() },
            StoreError::Disk { source: e() },
            StoreError::unknown("run", "r"),
            StoreError::Superseded { key: "k".into() },
            StoreError::Internal { source: e() },
            StoreError::Older { found: 1, known: 2 },
        ];
        for (n, error) in all.iter().enumerate() {
            assert_eq!(error.code(), format!("S{:04}", n + 1));
            assert!(!error.remedy().is_empty());
        }
        assert_eq!(all[4].class(), RetryClass::Transient);
        assert_eq!(all[7].class(), RetryClass::Schema);
    }
}
