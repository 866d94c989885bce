//! Brings the tables of a state file to the newest version.
//!
//! Called once when a file is opened. It never touches a file that a newer version or another program wrote.

use crate::{StoreError, sql::number};
use sqlx::{Connection, SqliteConnection};
use std::path::Path;

/// The n-th entry takes a file from version n to n + 1. An entry that was released is never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0010.sql"),
    include_str!("migrations/0011.sql"),
    include_str!("migrations/0012.sql"),
    include_str!("migrations/0013.sql"),
    include_str!("migrations/0014.sql"),
    include_str!("migrations/0015.sql"),
    include_str!("migrations/0016.sql"),
    include_str!("migrations/0017.sql"),
];

/// Marks the file as a state file: `alvm`.
const APPLICATION_ID: i64 = 0x616c_766d;

/// A race for the journal mode is over after a few rounds; more are a fault.
const JOURNAL_TRIES: u32 = 100;

pub(super) async fn migrate(conn: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    // Before the first write, so that a file that is not ours stays as it is.
    check(conn, path).await?;
    write_ahead(conn, path).await?;
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
    let version = check(&mut tx, path).await?;
    for migration in &MIGRATIONS[version..] {
        sqlx::raw_sql(*migration).execute(&mut *tx).await?;
    }
    if version < MIGRATIONS.len() {
        let mark = format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {};", MIGRATIONS.len());
        sqlx::raw_sql(sqlx::AssertSqlSafe(mark)).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// For a file that is only read: `false` when nothing was ever written into it.
pub(super) async fn is_current(conn: &mut SqliteConnection, path: &Path) -> Result<bool, StoreError> {
    match check(conn, path).await? {
        0 => Ok(false),
        found if found == MIGRATIONS.len() => Ok(true),
        found => Err(StoreError::Older { found: number(found), known: number(MIGRATIONS.len()) }),
    }
}

/// The file's version, 0 for a new one. One statement, so that all three values are of one moment.
async fn check(conn: &mut SqliteConnection, path: &Path) -> Result<usize, StoreError> {
    let (found, application, tables): (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id),
                (SELECT count(*) FROM sqlite_schema)",
    )
    .fetch_one(&mut *conn)
    .await
    .map_err(|e| StoreError::opening(path, e))?;
    let known = number(MIGRATIONS.len());
    match (application, usize::try_from(found)) {
        (0, Ok(0)) if tables == 0 => Ok(0),
        (APPLICATION_ID, Ok(version)) if (1..=MIGRATIONS.len()).contains(&version) => Ok(version),
        (APPLICATION_ID, Ok(1..)) => Err(StoreError::Newer { found, known }),
        _ => Err(StoreError::Foreign { path: path.to_owned(), source: None }),
    }
}

/// The change of the journal mode does not wait for other processes by itself, a transaction does.
async fn write_ahead(conn: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match sqlx::query("PRAGMA journal_mode = WAL").execute(&mut *conn).await.map_err(StoreError::from) {
            Err(StoreError::Busy { .. }) if tries < JOURNAL_TRIES => {
                conn.begin_with("BEGIN IMMEDIATE").await?.rollback().await?;
            }
            Err(StoreError::Corrupt { source }) => {
                return Err(match source.downcast::<sqlx::Error>() {
                    Ok(error) => StoreError::opening(path, *error),
                    Err(source) => StoreError::Corrupt { source },
                });
            }
            other => return other.map(drop),
        }
    }
}
