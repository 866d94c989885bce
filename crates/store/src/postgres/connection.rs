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
    /// The row of `writers` that is this process's own, once it writes.
    writer: Option<String>,
    /// Transactions begun so far to write.
    begun: i64,
    /// Nobody knows what became of a commit, and nobody may do its work once more.
    pub(super) given_up: bool,
}

impl Connection {
    pub(super) fn new(url: PostgresUrl, access: Access) -> Self {
        Self { url, access, wire: None, unclean: false, writer: None, begun: 0, given_up: false }
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
        let mark = match access {
            Access::Read => {
                self.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
                None
            }
            Access::Write => Some(self.begin_marked().await?),
        };
        Ok(Open { conn: self, mark, ended: false })
    }

    /// To write, where nothing is lost by doing it once more.
    pub(super) async fn begin_repeatable(&mut self) -> Result<Open<'_>, StoreError> {
        self.batch("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        Ok(Open { conn: self, mark: None, ended: false })
    }

    /// The mark is set first and not with the commit: until the transaction ends it holds the row, so that whoever asks
    /// for its outcome waits for it.
    async fn begin_marked(&mut self) -> Result<Mark, StoreError> {
        let writer = match &self.writer {
            Some(writer) => writer.clone(),
            None => self.registered().await?,
        };
        self.begun += 1;
        let mark = Mark { writer, number: self.begun };
        let (writer, number) = (&mark.writer, mark.number);
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; UPDATE writers SET last = {number}, at = now() WHERE writer = '{writer}'"
        );
        if self.batch(&begin).await?.changed() == 1 {
            return Ok(mark);
        }
        // It slept for so long that its row was taken away. The caller begins again, as after a lost connection.
        self.writer = None;
        self.unclean = true;
        Err(not_connected())
    }

    async fn registered(&mut self) -> Result<String, StoreError> {
        self.query(PRUNE, &[]).await?;
        let answer = self.query("INSERT INTO writers (last) VALUES (0) RETURNING CAST(writer AS text)", &[]).await?;
        let writer = match answer.rows.into_iter().next().map(|row| row.values.into_iter().next()) {
            Some(Some(crate::Value::Text(id))) if id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') => id,
            _ => return Err(WireError::Protocol("no id for a writer").into()),
        };
        self.writer = Some(writer.clone());
        Ok(writer)
    }

    /// `Ok` when it was committed. Waits for a server that is away, and for one that has not ended it yet.
    async fn outcome(&mut self, mark: Mark, lost: StoreError) -> Result<(), StoreError> {
        for tries in 0..TRIES {
            pause(tries).await;
            match self.last_of(&mark.writer).await {
                Ok(Some(last)) if last == mark.number => return Ok(()),
                Ok(Some(_)) => return Err(lost),
                // The row was taken away: this process slept for days.
                Ok(None) => break,
                Err(_) => {}
            }
        }
        self.given_up = true;
        Err(lost)
    }

    /// Its last transaction that was committed, when none is under way.
    async fn last_of(&mut self, writer: &str) -> Result<Option<i64>, StoreError> {
        self.ready().await?;
        let ask = "SELECT last FROM writers WHERE writer = CAST($1 AS uuid) FOR UPDATE";
        let answer = self.query(ask, &[writer.into()]).await?;
        match answer.rows.first().map(|row| &row.values[0]) {
            None => Ok(None),
            Some(crate::Value::Integer(last)) => Ok(Some(*last)),
            Some(_) => Err(WireError::Protocol("no number of a transaction").into()),
        }
    }
}

/// A transaction: whose, and the how manieth of it.
struct Mark {
    writer: String,
    number: i64,
}

/// Rows of processes that are gone. Who was away for longer than this asks in vain, and is told so.
const PRUNE: &str = "DELETE FROM writers WHERE writer IN
    (SELECT writer FROM writers WHERE at < now() - INTERVAL '7 days' FOR UPDATE SKIP LOCKED)";

/// Its version; and what it answers is to be durable, whatever it is set to.
const SERVER: &str = "SELECT CAST(current_setting('server_version_num') AS INT),
    CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END";

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
    /// What its outcome is asked by, should the answer of the commit be lost.
    mark: Option<Mark>,
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
        match (answer, self.mark.take()) {
            (Ok(answer), _) if answer.tag == "COMMIT" => Ok(()),
            (Ok(_), _) => Err(WireError::Protocol("a transaction that was rolled back").into()),
            (Err(lost @ StoreError::Lost { .. }), Some(mark)) => self.conn.outcome(mark, lost).await,
            (Err(error), _) => Err(error),
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.conn.unclean |= !self.ended;
    }
}
