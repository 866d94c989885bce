//! Opens the state file and hands out transactions.
//!
//! Called by `sql/store.rs`. Nothing is made or changed by a store that was opened to read. A transaction that writes
//! takes the file's write lock at its start, so that what it read is still true when it commits, in whatever process the
//! other writers are.

use super::migrations;
use crate::{
    Stamp, StoreError,
    sql::{Access, Session},
};
use jiff::Timestamp;
use sqlx::{
    ConnectOptions, Connection, Sqlite, SqliteConnection, Transaction,
    sqlite::{SqliteConnectOptions, SqliteSynchronous},
};
use std::{
    fmt,
    io::ErrorKind,
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
    place: Place,
    conn: Mutex<SqliteConnection>,
}

enum Place {
    File(PathBuf),
    ReadOnly(PathBuf),
    /// Stands for a file that is not there: an empty state in memory.
    Nothing,
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("path", &self.place.path()).finish_non_exhaustive()
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
        let place = Place::File(path.to_owned());
        let mut conn = place.connect().await?;
        migrations::migrate(&mut conn, path).await?;
        Ok(Self { place, conn: Mutex::new(conn) })
    }

    /// Opens the file to read it; one that is not there, or that nothing was written into yet, reads as empty. Makes and
    /// changes nothing.
    ///
    /// # Errors
    /// As [`SqliteStore::open`], and [`StoreError::Older`] for the file of an older version.
    pub async fn read(path: &Path) -> Result<Self, StoreError> {
        let there = !matches!(tokio::fs::metadata(path).await, Err(e) if e.kind() == ErrorKind::NotFound);
        if there {
            let place = Place::ReadOnly(path.to_owned());
            let mut conn = place.connect().await?;
            if migrations::is_current(&mut conn, path).await? {
                return Ok(Self { place, conn: Mutex::new(conn) });
            }
        }
        Self::nothing().await
    }

    /// An empty state in memory, to be read.
    pub(crate) async fn nothing() -> Result<Self, StoreError> {
        let place = Place::Nothing;
        let conn = Mutex::new(place.connect().await?);
        Ok(Self { place, conn })
    }

    /// Ends the connection in order, so that nothing of it stays beside the file.
    ///
    /// # Errors
    /// When the file cannot be brought to its end; nothing that was answered is lost by that.
    pub async fn close(self) -> Result<(), StoreError> {
        Ok(self.conn.into_inner().close().await?)
    }

    pub(crate) async fn lock(&self) -> Result<Held<'_>, StoreError> {
        Ok(Held(self.connection().await?))
    }

    /// Every commit writes into the file, or into the journal beside it.
    pub(crate) fn files_stamp(&self) -> Option<Stamp> {
        let Place::File(path) = &self.place else { return None };
        // Its journal lies where the link leads to.
        if std::fs::symlink_metadata(path).ok()?.is_symlink() {
            return None;
        }
        let mut journal = path.clone().into_os_string();
        journal.push("-wal");
        let of = |path: &Path| match std::fs::metadata(path) {
            Ok(found) => Timestamp::try_from(found.modified().ok()?).ok().map(|changed| Some((found.len(), changed))),
            Err(error) if error.kind() == ErrorKind::NotFound => Some(None),
            Err(_) => None,
        };
        let files = [path.clone(), journal.into()].into_iter();
        files.map(|path| of(&path).map(|found| (path, found))).collect::<Option<_>>().map(Stamp)
    }

    /// SQLite waits by itself.
    #[expect(clippy::unused_async, reason = "a store over a server waits here")]
    pub(crate) async fn again(&self, _: &StoreError, _: &mut u32) -> bool {
        false
    }

    /// The one connection, able to begin a transaction.
    async fn connection(&self) -> Result<MutexGuard<'_, SqliteConnection>, StoreError> {
        let mut conn = self.conn.lock().await;
        // The answer comes after the rollback of a future that was dropped.
        let answers = conn.ping().await.is_ok();
        // A full or failing disk makes SQLite end a transaction behind the connection's back.
        if !answers || conn.is_in_transaction() {
            *conn = self.place.connect().await?;
        }
        Ok(conn)
    }
}

/// The connection, for one transaction.
pub(crate) struct Held<'a>(MutexGuard<'a, SqliteConnection>);

impl Held<'_> {
    pub(crate) async fn begin(&mut self, access: Access) -> Result<Open<'_>, StoreError> {
        Ok(Open(match access {
            Access::Read => self.0.begin().await?,
            Access::Write => begin_write(&mut self.0).await?,
        }))
    }
}

/// A transaction; dropped, it is rolled back.
pub(crate) struct Open<'a>(Transaction<'a, Sqlite>);

impl Open<'_> {
    pub(crate) fn session(&mut self) -> Session<'_> {
        Session::Sqlite(&mut self.0)
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }
}

async fn begin_write(conn: &mut SqliteConnection) -> Result<Transaction<'_, Sqlite>, StoreError> {
    Ok(conn.begin_with("BEGIN IMMEDIATE").await?)
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::ReadOnly(path) => path,
            Self::Nothing => Path::new(":memory:"),
        }
    }

    async fn connect(&self) -> Result<SqliteConnection, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(self.path())
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .row_buffer_size(ROW_BUFFER)
            .disable_statement_logging();
        let options = match self {
            Self::File(_) => options.create_if_missing(true).synchronous(SqliteSynchronous::Full),
            // Opened as read-only, SQLite would leave its journal and shared memory beside the file when it closes it.
            Self::ReadOnly(_) => options.pragma("query_only", "ON"),
            Self::Nothing => options.in_memory(true),
        };
        let mut conn = options.connect().await.map_err(|e| StoreError::opening(self.path(), e))?;
        if let Self::Nothing = self {
            migrations::migrate(&mut conn, self.path()).await?;
        }
        Ok(conn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Owner, RunRecord, RunState, Store, Watch};
    use alluvium_model::{Fault, RetryClass, RunId, Span};

    const WATCH: Watch<'static> = Watch { now: jiff::Timestamp::UNIX_EPOCH, alive: &|_| true };

    async fn start(store: &SqliteStore, run: RunRecord) -> Result<(), StoreError> {
        let owner = Owner { host: "here".into(), process: 1, started_ticks: 1 };
        store.start_run(&run, &owner, Span::from_secs(60), &WATCH).await
    }

    async fn runs(store: &SqliteStore) -> Vec<RunRecord> {
        store.runs(9, &WATCH).await.unwrap()
    }

    async fn open(folder: &tempfile::TempDir) -> SqliteStore {
        SqliteStore::open(&folder.path().join("state.db")).await.unwrap()
    }

    async fn set(store: &SqliteStore, pragma: &'static str) {
        sqlx::raw_sql(pragma).execute(&mut *store.connection().await.unwrap()).await.unwrap();
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
            tells: false,
        }
    }

    #[tokio::test]
    async fn after_a_full_disk_the_state_is_whole_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        start(&store, run("before", String::new())).await.unwrap();
        set(&store, "PRAGMA max_page_count = 1").await;
        let error = start(&store, run("large", "x".repeat(1 << 20))).await.unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        assert_eq!((error.class(), error.code()), (RetryClass::Transient, "S0002"));
        assert!(error.remedy().starts_with("free space"));
        assert_eq!(runs(&store).await.len(), 1);
        set(&store, "PRAGMA max_page_count = 1000000").await;
        start(&store, run("large", "x".repeat(1 << 20))).await.unwrap();
        assert_eq!(runs(&store).await.len(), 2);
    }

    #[tokio::test]
    async fn a_transaction_that_was_left_behind_is_thrown_away() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        // As after a rollback by SQLite itself: the connection counts a transaction that is none.
        let mut conn = store.connection().await.unwrap();
        let mut tx = begin_write(&mut conn).await.unwrap();
        sqlx::raw_sql("ROLLBACK").execute(&mut *tx).await.unwrap();
        drop(tx);
        drop(conn);
        start(&store, run("after", String::new())).await.unwrap();
        assert_eq!(runs(&store).await.len(), 1);
    }

    #[tokio::test]
    async fn a_held_file_is_told_as_busy() {
        let folder = tempfile::tempdir().unwrap();
        let (holder, store) = (open(&folder).await, open(&folder).await);
        set(&store, "PRAGMA busy_timeout = 0").await;
        let mut conn = holder.connection().await.unwrap();
        let held = begin_write(&mut conn).await.unwrap();
        let error = start(&store, run("a", String::new())).await.unwrap_err();
        assert!(matches!(error, StoreError::Busy { .. }), "{error:?}");
        assert_eq!(error.class(), RetryClass::Transient);
        assert!(runs(&store).await.is_empty(), "reading does not wait");
        held.rollback().await.unwrap();
        start(&store, run("a", String::new())).await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_may_only_be_read_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        set(&store, "PRAGMA query_only = 1").await;
        let error = start(&store, run("a", String::new())).await.unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
        assert_eq!(error.class(), RetryClass::Auth);
    }
}
