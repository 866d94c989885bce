//! Opens the schema and hands out transactions.
//!
//! Called by cli, and through [`crate::Store`].

use super::{
    connection::{Connection, Held, TRIES, pause},
    migrations,
};
use crate::{Stamp, StoreError, sql::Access};
use alluvium_model::PostgresUrl;
use std::fmt;
use tokio::sync::Mutex;

/// The state in a schema of a PostgreSQL database, for many processes. A server that restarts is waited for.
pub struct PostgresStore {
    url: PostgresUrl,
    conn: Mutex<Connection>,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("url", &self.url.to_string()).finish_non_exhaustive()
    }
}

impl PostgresStore {
    /// Makes the schema where it is missing and brings its tables to the newest version.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for the tables of a newer version, [`StoreError::ForeignSchema`] for those of another
    /// program; both are left as they are. Otherwise what keeps this process out of the database.
    pub async fn open(url: &PostgresUrl) -> Result<Self, StoreError> {
        let mut conn = Connection::new(url.clone(), Access::Write);
        conn.ready().await?;
        migrations::migrate(&mut conn).await?;
        Ok(Self { url: url.clone(), conn: Mutex::new(conn) })
    }

    /// Opens the schema to read it; `None` if there is none, or an empty one. Makes and changes nothing.
    ///
    /// # Errors
    /// As [`PostgresStore::open`], and [`StoreError::Older`] for the tables of an older version.
    pub async fn read(url: &PostgresUrl) -> Result<Option<Self>, StoreError> {
        let mut conn = Connection::new(url.clone(), Access::Read);
        conn.ready().await?;
        let there = migrations::is_current(&mut conn).await?;
        Ok(there.then(|| Self { url: url.clone(), conn: Mutex::new(conn) }))
    }

    /// Ends the connection in order.
    ///
    /// # Errors
    /// When the server is away; nothing that was answered is lost by that.
    pub async fn close(self) -> Result<(), StoreError> {
        self.conn.into_inner().close().await
    }

    /// No files tell what was written.
    #[expect(clippy::unused_self, reason = "a store in a file has some")]
    pub(crate) fn files_stamp(&self) -> Option<Stamp> {
        None
    }

    pub(crate) async fn lock(&self) -> Result<Held<'_>, StoreError> {
        let mut conn = self.conn.lock().await;
        conn.ready().await?;
        Ok(Held(conn))
    }

    /// Waits for a server that is away; a transaction that met another in the wrong order begins again.
    pub(crate) async fn again(&self, error: &StoreError, lost: &mut u32) -> bool {
        let may_pass = matches!(error, StoreError::Lost { .. } | StoreError::Busy { .. });
        let given_up = std::mem::take(&mut self.conn.lock().await.given_up);
        *lost += 1;
        if !may_pass || given_up || *lost > TRIES {
            return false;
        }
        pause(*lost).await;
        true
    }
}
