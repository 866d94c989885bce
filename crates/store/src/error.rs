//! Why the state could not be read or changed.
//!
//! Called by everything that calls the store. It never holds row data, statements or their arguments.

use crate::postgres::WireError;
use alluvium_model::{Fault, RetryClass};
use std::{error::Error, io, path::PathBuf};

/// What the database's driver said.
type Cause = Box<dyn Error + Send + Sync>;

/// No error leaves half a change behind: the transaction that met it is undone.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("another process holds the state")]
    Busy { source: Cause },
    #[error("the disk under the state is full")]
    Full { source: Cause },
    #[error("the state may not be written")]
    ReadOnly { source: Cause },
    #[error("the state file {} cannot be opened", path.display())]
    CannotOpen { path: PathBuf, source: Cause },
    #[error("the folder {} of the state file cannot be made", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("the state is damaged")]
    Corrupt { source: Cause },
    #[error("{} is no state file of alluvium", path.display())]
    Foreign { path: PathBuf, source: Option<Cause> },
    /// Versions of the state's tables.
    #[error("the state has version {found}; this alluvium knows versions up to {known}")]
    Newer { found: i64, known: i64 },
    /// Only reading meets it: whatever writes brings the file to the newest version first.
    #[error("the state has version {found}; this alluvium reads version {known}")]
    Older { found: i64, known: i64 },
    #[error("the state holds a value in `{column}` that cannot be read")]
    Unreadable { column: &'static str, source: Box<dyn Error + Send + Sync> },
    #[error("the disk under the state fails")]
    Disk { source: Cause },
    /// `what` is `run`, `step` or `event`.
    #[error("the state knows no {what} `{id}`")]
    Unknown { what: &'static str, id: String },
    #[error("step `{key}` was superseded and cannot be finished")]
    Superseded { key: String },
    #[error("the state refused a statement")]
    Internal { source: Cause },
    #[error("the connection to the state's database was lost")]
    Lost { source: Cause },
    #[error("the state's database does not let this process in")]
    Refused { source: Cause },
    #[error("the environment variable `{variable}` with the password of the state's database is not set")]
    NoPassword { variable: String },
    /// As the server tells it: 140012 is 14.12.
    #[error("the state's database is PostgreSQL {found}; version 15 or later is needed")]
    TooOld { found: i64 },
    #[error("schema `{schema}` of the state's database holds tables of another program")]
    ForeignSchema { schema: String },
    /// Its lease was lost, its steps have ended, and that was told.
    #[error("run `{run}` was taken for ended, and plans no more")]
    RunTold { run: String },
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
            Self::Lost { .. } => "S0015",
            Self::Refused { .. } => "S0016",
            Self::NoPassword { .. } => "S0017",
            Self::TooOld { .. } => "S0018",
            Self::ForeignSchema { .. } => "S0019",
            Self::RunTold { .. } => "S0020",
        }
    }

    fn class(&self) -> RetryClass {
        match self {
            Self::Busy { .. }
            | Self::Full { .. }
            | Self::Disk { .. }
            | Self::Superseded { .. }
            | Self::Lost { .. }
            | Self::RunTold { .. } => RetryClass::Transient,
            Self::Folder { source, .. } => RetryClass::of_io(source.kind()),
            Self::ReadOnly { .. } | Self::Refused { .. } | Self::NoPassword { .. } => RetryClass::Auth,
            Self::CannotOpen { .. }
            | Self::Corrupt { .. }
            | Self::Foreign { .. }
            | Self::ForeignSchema { .. }
            | Self::Unreadable { .. } => RetryClass::Data,
            Self::Newer { .. } | Self::Older { .. } | Self::TooOld { .. } => RetryClass::Schema,
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
            Self::Lost { .. } => "check that the database runs and can be reached, then run again; nothing is lost",
            Self::Refused { .. } => {
                "check host, database, user, password and certificate, and what the database's log says"
            }
            Self::NoPassword { .. } => "set the variable, or name another one in `state`",
            Self::TooOld { .. } => "move the state to a server of PostgreSQL 15 or later",
            Self::ForeignSchema { .. } => "name another schema, as in `postgres://…/db?schema=alluvium_state`",
            Self::RunTold { .. } => "run again; what this run did is done, and a new run goes on",
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
        let Some(extended) = result_code(&source) else {
            return match source {
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                    Self::Unreadable { column: "a row", source: source.into() }
                }
                _ => Self::Internal { source: source.into() },
            };
        };
        let source = source.into();
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

/// PostgreSQL's codes: <https://www.postgresql.org/docs/15/errcodes-appendix.html>.
impl From<WireError> for StoreError {
    fn from(error: WireError) -> Self {
        let code = match &error {
            WireError::Answer { code, .. } => code.clone(),
            WireError::Lost(_) | WireError::Silent => return Self::Lost { source: error.into() },
            WireError::Untrusted(_) | WireError::Login(_) => return Self::Refused { source: error.into() },
            WireError::Protocol(_) => return Self::Internal { source: error.into() },
        };
        let source = error.into();
        match (code.get(..2).unwrap_or_default(), code.as_str()) {
            ("08", _) | (_, "57P01" | "57P02" | "57P03" | "57P05" | "53300" | "25P03") => Self::Lost { source },
            ("40", _) | (_, "55P03") => Self::Busy { source },
            (_, "53100") => Self::Full { source },
            (_, "25006") => Self::ReadOnly { source },
            ("28", _) | (_, "3D000" | "42501") => Self::Refused { source },
            (_, "XX001" | "XX002") => Self::Corrupt { source },
            ("58", _) => Self::Disk { source },
            _ => Self::Internal { source },
        }
    }
}

impl StoreError {
    /// The same, for a file that is being opened.
    pub(crate) fn opening(path: &std::path::Path, source: sqlx::Error) -> Self {
        let path = path.to_owned();
        match result_code(&source).map(|c| c & 0xff) {
            Some(code::CANTOPEN) | None => Self::CannotOpen { path, source: source.into() },
            Some(code::NOTADB) => Self::Foreign { path, source: Some(source.into()) },
            Some(_) => source.into(),
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
        let e = || Cause::from(sqlx::Error::WorkerCrashed);
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
            StoreError::Lost { source: e() },
            StoreError::Refused { source: e() },
            StoreError::NoPassword { variable: "V".into() },
            StoreError::TooOld { found: 140_012 },
            StoreError::ForeignSchema { schema: "public".into() },
            StoreError::RunTold { run: "r".into() },
        ];
        for (n, error) in all.iter().enumerate() {
            assert_eq!(error.code(), format!("S{:04}", n + 1));
            assert!(!error.remedy().is_empty());
        }
        assert_eq!(all[4].class(), RetryClass::Transient);
        assert_eq!(all[7].class(), RetryClass::Schema);
    }
}
