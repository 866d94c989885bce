//! Opens the state file and hands out transactions.
//!
//! Called by `store.rs` of this folder. A transaction that writes takes the file's write lock at its start, so that
//! what it read is still true when it commits, in whatever process the other writers are.

use super::migrations;
use crate::StoreError;
use sqlx::{
    ConnectOptions, Connection, Sqlite, SqliteConnection, Transaction,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};
use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::{Mutex, MutexGuard};

/// How long a transaction waits for another process's.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Rows on their way from SQLite's thread; a small buffer costs a switch of threads every few rows.
const ROW_BUFFER: usize = 1_000;

/// The state in one SQLite file, write-ahead, synced at each commit. Several processes may have it open.
pub struct SqliteStore {
    path: PathBuf,
    conn: Mutex<SqliteConnection>,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Makes the file and its parent folders where they are missing and brings its tables to the newest version.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for the file of a newer version, [`StoreError::Foreign`] for a file that is none of ours;
    /// both are left as they are. Otherwise what the disk or the file's owner refuses.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        if let Some(folder) = path.parent() {
            let made = tokio::fs::create_dir_all(folder).await;
            made.map_err(|source| StoreError::Folder { path: folder.to_owned(), source })?;
        }
        let mut conn = connect(path).await?;
        migrations::migrate(&mut conn, path).await?;
        Ok(Self { path: path.to_owned(), conn: Mutex::new(conn) })
    }

    /// The one connection, able to begin a transaction.
    pub(super) async fn lock(&self) -> Result<MutexGuard<'_, SqliteConnection>, StoreError> {
        let mut conn = self.conn.lock().await;
        // The answer comes after the rollback of a future that was dropped.
        let answers = conn.ping().await.is_ok();
        // A full or failing disk makes SQLite end a transaction behind the connection's back.
        if !answers || conn.is_in_transaction() {
            *conn = connect(&self.path).await?;
        }
        Ok(conn)
    }
}

pub(super) async fn begin_write(conn: &mut SqliteConnection) -> Result<Transaction<'_, Sqlite>, StoreError> {
    Ok(conn.begin_with("BEGIN IMMEDIATE").await?)
}

/// All reads of the transaction see one state.
pub(super) async fn begin_read(conn: &mut SqliteConnection) -> Result<Transaction<'_, Sqlite>, StoreError> {
    Ok(conn.begin().await?)
}

async fn connect(path: &Path) -> Result<SqliteConnection, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(ROW_BUFFER)
        .disable_statement_logging();
    options.connect().await.map_err(|e| StoreError::opening(path, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RunRecord, RunState, Store};
    use alluvium_model::{Fault, RetryClass, RunId};

    async fn open(folder: &tempfile::TempDir) -> SqliteStore {
        SqliteStore::open(&folder.path().join("state.db")).await.unwrap()
    }

    async fn set(store: &SqliteStore, pragma: &'static str) {
        sqlx::raw_sql(pragma).execute(&mut *store.lock().await.unwrap()).await.unwrap();
    }

    fn run(name: &str, command: String) -> RunRecord {
        let at = jiff::Timestamp::UNIX_EPOCH;
        RunRecord {
            run: RunId::from_stored(name),
            command,
            state: RunState::Running,
            started_at: at,
            finished_at: None,
            objects_new: 0,
            objects_duplicate: 0,
            objects_dead: 0,
        }
    }

    #[tokio::test]
    async fn after_a_full_disk_the_state_is_whole_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        store.start_run(&run("before", String::new())).await.unwrap();
        set(&store, "PRAGMA max_page_count = 1").await;
        let error = store.start_run(&run("large", "x".repeat(1 << 20))).await.unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        assert_eq!((error.class(), error.code()), (RetryClass::Transient, "S0002"));
        assert!(error.remedy().starts_with("free space"));
        assert_eq!(store.runs(9).await.unwrap().len(), 1);
        set(&store, "PRAGMA max_page_count = 1000000").await;
        store.start_run(&run("large", "x".repeat(1 << 20))).await.unwrap();
        assert_eq!(store.runs(9).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_transaction_that_was_left_behind_is_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        // As after a rollback by SQLite itself: the connection counts a transaction that is none.
        let mut conn = store.lock().await.unwrap();
        let mut tx = begin_write(&mut conn).await.unwrap();
        sqlx::raw_sql("ROLLBACK").execute(&mut *tx).await.unwrap();
        drop(tx);
        drop(conn);
        store.start_run(&run("after", String::new())).await.unwrap();
        assert_eq!(store.runs(9).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_held_file_is_told_as_busy() {
        let folder = tempfile::tempdir().unwrap();
        let (holder, store) = (open(&folder).await, open(&folder).await);
        set(&store, "PRAGMA busy_timeout = 0").await;
        let mut conn = holder.lock().await.unwrap();
        let held = begin_write(&mut conn).await.unwrap();
        let error = store.start_run(&run("a", String::new())).await.unwrap_err();
        assert!(matches!(error, StoreError::Busy { .. }), "{error:?}");
        assert_eq!(error.class(), RetryClass::Transient);
        assert!(store.runs(9).await.unwrap().is_empty(), "reading does not wait");
        held.rollback().await.unwrap();
        store.start_run(&run("a", String::new())).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_may_only_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        set(&store, "PRAGMA query_only = 1").await;
        let error = store.start_run(&run("a", String::new())).await.unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
        assert_eq!(error.class(), RetryClass::Auth);
    }
}
