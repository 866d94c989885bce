//! Brings the tables of a schema to the newest version.
//!
//! Called once when a schema is opened. It never touches tables that a newer version or another program made. Who migrates
//! holds an advisory lock, so that of many processes that start at once one does and the others find it done.

use super::connection::Connection;
use crate::{StoreError, Value, sql::number};

/// The n-th entry takes a schema from version n to n + 1. An entry that was released is never edited. Version n
/// holds what an SQLite file holds at its version n + 1.
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
];

/// `alvm`, as an SQLite file is marked.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1634498157, hashtext(current_setting('search_path')))";

pub(super) async fn migrate(conn: &mut Connection) -> Result<(), StoreError> {
    if is_newest(version(conn).await?) {
        return Ok(());
    }
    let schema = conn.url().schema.clone();
    let mut open = conn.begin_repeatable().await?;
    let conn = open.connection();
    conn.batch(LOCK).await?;
    let found = version(conn).await?;
    if found.is_none() {
        conn.batch(&format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"")).await?;
    }
    let done = found.unwrap_or(0);
    for migration in &MIGRATIONS[done..] {
        conn.batch(migration).await?;
    }
    if done < MIGRATIONS.len() {
        let mark = "INSERT INTO state_version (one, version) VALUES (true, $1)
                    ON CONFLICT (one) DO UPDATE SET version = excluded.version";
        conn.query(mark, &[number(MIGRATIONS.len()).into()]).await?;
    }
    open.commit().await
}

/// For a schema that is only read: `false` when there is nothing of ours.
pub(super) async fn is_current(conn: &mut Connection) -> Result<bool, StoreError> {
    match version(conn).await? {
        None | Some(0) => Ok(false),
        found if is_newest(found) => Ok(true),
        Some(found) => Err(StoreError::Older { found: number(found), known: number(MIGRATIONS.len()) }),
    }
}

fn is_newest(version: Option<usize>) -> bool {
    version == Some(MIGRATIONS.len())
}

/// The schema's version, 0 for an empty one, `None` if there is no such schema.
async fn version(conn: &mut Connection) -> Result<Option<usize>, StoreError> {
    let schema = conn.url().schema.clone();
    let look = "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname = $1) AS schemas,
                       (SELECT count(*) FROM pg_tables WHERE schemaname = $1) AS tables,
                       (SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename = 'state_version') AS ours";
    let row = conn.query(look, &[schema.as_str().into()]).await?.rows.pop();
    let ours = match row.as_ref().map(|r| r.values.as_slice()) {
        Some([Value::Integer(0), ..]) => return Ok(None),
        Some([_, Value::Integer(0), _]) => return Ok(Some(0)),
        Some([_, _, Value::Integer(ours)]) => *ours == 1,
        _ => false,
    };
    if !ours {
        return Err(StoreError::ForeignSchema { schema });
    }
    let row = conn.query("SELECT version FROM state_version", &[]).await?.rows.pop();
    let found = match row.as_ref().map(|r| r.values.as_slice()) {
        Some([Value::Integer(found)]) => *found,
        _ => return Err(StoreError::ForeignSchema { schema }),
    };
    match usize::try_from(found) {
        Ok(version) if (1..=MIGRATIONS.len()).contains(&version) => Ok(Some(version)),
        _ => Err(StoreError::Newer { found, known: number(MIGRATIONS.len()) }),
    }
}
