//! The one connection of a process, and its transactions.
//!
//! Called by `store.rs` of this folder and by `sql`. It finds out what became of a commit whose answer was lost: it never
//! guesses.

use super::wire::{Answer, Wire, WireError};
use crate::{
    StoreError,
    sql::{Access, Arg, Session},
};
use alluvium_model::PostgresUrl;
use std::time::Duration;
use tokio::sync::MutexGuard;

/// How often a lost server is asked for, with the pauses below: some forty seconds, in which one restarts.
pub(super) const TRIES: u32 = 45;
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const OLDEST: i64 = 150_000;

pub(crate) struct Connection {
    url: PostgresUrl,
    access: Access,
    wire: Option<Wire>,
    /// A question was asked and its answer not read to the end, or a transaction not ended: not to be used again.
    unclean: bool,
    /// Nobody knows what became of a commit, and nobody may do its work once more.
    pub(super) given_up: bool,
}

impl Connection {
    pub(super) fn new(url: PostgresUrl, access: Access) -> Self {
        Self { url, access, wire: None, unclean: false, given_up: false }
    }

    pub(super) fn url(&self) -> &PostgresUrl {
        &self.url
    }

    /// Logged in and able to begin.
    pub(super) async fn ready(&mut self) -> Result<(), StoreError> {
        if self.wire.is_some() && !self.unclean {
            return Ok(());
        }
        // The server rolls back what was begun on the connection that ends here.
        self.wire = None;
        let password = match &self.url.password {
            Some(variable) => {
                let unset = |_| StoreError::NoPassword { variable: variable.clone() };
                Some(std::env::var(variable).map_err(unset)?)
            }
            None => None,
        };
        let path = format!("\"{}\"", self.url.schema);
        let settings = [
            ("application_name", "alluvium"),
            ("search_path", path.as_str()),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "60s"),
            ("default_transaction_read_only", if self.access == Access::Read { "on" } else { "off" }),
        ];
        self.wire = Some(Wire::connect(&self.url, password, &settings).await?);
        self.unclean = false;
        let found = self.query(SERVER, &[]).await?;
        match found.rows.first().map(|row| &row.values[0]) {
            Some(crate::Value::Integer(version)) if *version >= OLDEST => Ok(()),
            Some(crate::Value::Integer(version)) => Err(StoreError::TooOld { found: *version }),
            _ => Err(WireError::Protocol("no version").into()),
        }
    }

    pub(crate) async fn query(&mut self, sql: &'static str, args: &[Arg<'_>]) -> Result<Answer, StoreError> {
        let wire = self.wire.as_mut().ok_or_else(not_connected)?;
        self.unclean = true;
        let answer = wire.query(sql, args).await?;
        self.unclean = false;
        Ok(answer)
    }

    pub(super) async fn batch(&mut self, sql: &str) -> Result<Answer, StoreError> {
        let wire = self.wire.as_mut().ok_or_else(not_connected)?;
        self.unclean = true;
        let answer = wire.batch(sql).await?;
        self.unclean = false;
        Ok(answer)
    }

    pub(super) async fn close(self) -> Result<(), StoreError> {
        match self.wire {
            Some(wire) if !self.unclean => Ok(wire.close().await?),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) async fn begin(&mut self, access: Access) -> Result<Open<'_>, StoreError> {
        let transaction = match access {
            Access::Read => {
                self.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
                None
            }
            Access::Write => {
                let begun = self.batch("BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_current_xact_id()").await?;
                match begun.rows.first().map(|row| &row.values[0]) {
                    Some(crate::Value::Text(id)) => Some(id.clone()),
                    _ => return Err(WireError::Protocol("no transaction id").into()),
                }
            }
        };
        Ok(Open { conn: self, transaction, ended: false })
    }

    /// `Ok` when it was committed. Waits for a server that is away, and for one that has not ended it yet.
    async fn outcome(&mut self, transaction: String, lost: StoreError) -> Result<(), StoreError> {
        for tries in 0..TRIES {
            pause(tries).await;
            match self.status(&transaction).await.as_ref().map(Option::as_deref) {
                Ok(Some("committed")) => return Ok(()),
                Ok(Some("aborted")) => return Err(lost),
                Err(error) if is_forgotten(error) => return Err(lost),
                Ok(_) | Err(_) => {}
            }
        }
        self.given_up = true;
        Err(lost)
    }

    async fn status(&mut self, transaction: &str) -> Result<Option<String>, StoreError> {
        self.ready().await?;
        let answer = self.query("SELECT pg_xact_status(CAST($1 AS xid8)) AS status", &[transaction.into()]).await?;
        Ok(match answer.rows.into_iter().next().map(|row| row.values.into_iter().next()) {
            Some(Some(crate::Value::Text(status))) => Some(status),
            _ => None,
        })
    }
}

/// Its version; and what it answers is to be durable, whatever it is set to.
const SERVER: &str = "SELECT CAST(current_setting('server_version_num') AS INT),
    CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END";

/// A server that crashed does not know an id any more of which nothing was written: it is of the future.
fn is_forgotten(error: &StoreError) -> bool {
    let StoreError::Internal { source } = error else { return false };
    matches!(source.downcast_ref(), Some(WireError::Answer { code, .. }) if code == "22023")
}

fn not_connected() -> StoreError {
    WireError::Lost(std::io::ErrorKind::NotConnected.into()).into()
}

#[expect(clippy::disallowed_methods, reason = "a server that comes back tells nobody")]
pub(super) async fn pause(tries: u32) {
    let time = FIRST_PAUSE.saturating_mul(1 << tries.min(10));
    tokio::time::sleep(time.min(LONGEST_PAUSE)).await;
}

/// The connection, for one transaction.
pub(crate) struct Held<'a>(pub(super) MutexGuard<'a, Connection>);

impl Held<'_> {
    pub(crate) async fn begin(&mut self, access: Access) -> Result<Open<'_>, StoreError> {
        self.0.begin(access).await
    }
}

/// A transaction; dropped, it is rolled back with its connection.
pub(crate) struct Open<'a> {
    conn: &'a mut Connection,
    transaction: Option<String>,
    ended: bool,
}

impl Open<'_> {
    pub(crate) fn session(&mut self) -> Session<'_> {
        Session::Postgres(self.conn)
    }

    pub(super) fn connection(&mut self) -> &mut Connection {
        self.conn
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        let answer = self.conn.batch("COMMIT").await;
        self.ended = true;
        match (answer, self.transaction.take()) {
            (Ok(answer), _) if answer.tag == "COMMIT" => Ok(()),
            (Ok(_), _) => Err(WireError::Protocol("a transaction that was rolled back").into()),
            (Err(lost @ StoreError::Lost { .. }), Some(transaction)) => self.conn.outcome(transaction, lost).await,
            (Err(error), _) => Err(error),
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.conn.unclean |= !self.ended;
    }
}
