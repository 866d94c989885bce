//! A transaction of either database, as the statements of this folder use it.
//!
//! Called by the other files of this folder. Arguments are `$1`, `$2`, …; a list is one argument that `json_each` turns
//! into rows with `key` and `value` (PostgreSQL is given a function of that name), and its cells are read as
//! `value ->> 'name'`, numbers with a cast. A statement that ends in `FOR UPDATE` or `FOR NO KEY UPDATE` locks rows where that is needed.

use crate::{StoreError, Value, postgres::Connection, sql::codec::json};
use serde::Serialize;
use sqlx::{
    Column, Decode, Executor, Row as _, Sqlite, SqliteConnection, TypeInfo, ValueRef,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};
use std::{borrow::Cow, collections::BTreeSet, sync::Arc};

pub(crate) enum Session<'c> {
    /// Inside `BEGIN IMMEDIATE` when it writes: nobody else does meanwhile.
    Sqlite(&'c mut SqliteConnection),
    /// Each statement sees what was committed before it; who writes takes the datasets first.
    Postgres(&'c mut Connection),
}

#[derive(Debug, Clone)]
pub(crate) enum Arg<'a> {
    Integer(Option<i64>),
    Text(Cow<'a, str>),
    /// An array for `json_each`.
    List(String),
}

impl<'a> Arg<'a> {
    pub(crate) fn list<T: Serialize + ?Sized>(rows: &T) -> Self {
        Self::List(json(rows))
    }

    /// Rows of one cell, which is read as `value ->> 0`.
    pub(crate) fn column<T: AsRef<str>>(cells: impl IntoIterator<Item = T>) -> Self {
        Self::List(json(&cells.into_iter().map(|c| [c.as_ref().to_owned()]).collect::<Vec<_>>()))
    }
}

impl From<i64> for Arg<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(Some(number))
    }
}

impl From<Option<i64>> for Arg<'_> {
    fn from(number: Option<i64>) -> Self {
        Self::Integer(number)
    }
}

impl<'a> From<&'a str> for Arg<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Arg<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

/// An answered row: names and values, in the order of the statement.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) names: Arc<[String]>,
    pub(crate) values: Vec<Value>,
}

/// Rows that only PostgreSQL has to lock. While no key of theirs changes, others may write rows that refer to them.
const LOCKING: [&str; 2] = [" FOR UPDATE", " FOR NO KEY UPDATE"];

impl Session<'_> {
    pub(crate) async fn rows(&mut self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sqlite(conn) => sqlite_rows(conn.fetch_all(statement(sql, args)).await?),
            Self::Postgres(conn) => Ok(conn.query(sql, args).await?.rows),
        }
    }

    pub(crate) async fn row(&mut self, sql: &'static str, args: &[Arg<'_>]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// How many rows it changed.
    pub(crate) async fn execute(&mut self, sql: &'static str, args: &[Arg<'_>]) -> Result<u64, StoreError> {
        match self {
            Self::Sqlite(conn) => Ok(conn.execute(statement(sql, args)).await?.rows_affected()),
            Self::Postgres(conn) => Ok(conn.query(sql, args).await?.changed()),
        }
    }

    /// Until the transaction ends nobody else plans, claims or ends steps of these datasets.
    pub(crate) async fn take_datasets<T: AsRef<str>>(
        &mut self,
        names: impl IntoIterator<Item = T>,
    ) -> Result<(), StoreError> {
        let lock = "SELECT dataset FROM datasets WHERE dataset IN (SELECT value ->> 0 FROM json_each($1))
                    ORDER BY dataset FOR UPDATE";
        let make = "INSERT INTO datasets (dataset) SELECT value ->> 0 FROM json_each($1) ORDER BY key
                    ON CONFLICT DO NOTHING";
        self.take(lock, make, names).await
    }

    /// Until the transaction ends nobody else changes what waits in the inbox for these datasets.
    pub(crate) async fn take_backlogs<T: AsRef<str>>(
        &mut self,
        names: impl IntoIterator<Item = T>,
    ) -> Result<(), StoreError> {
        let lock = "SELECT dataset FROM backlog WHERE dataset IN (SELECT value ->> 0 FROM json_each($1))
                    ORDER BY dataset FOR UPDATE";
        let make =
            "INSERT INTO backlog (dataset, events, bytes) SELECT value ->> 0, 0, 0 FROM json_each($1) ORDER BY key
                    ON CONFLICT DO NOTHING";
        self.take(lock, make, names).await
    }

    /// Until the transaction ends nobody else takes slots or rates of these keys. After the datasets, never before.
    pub(crate) async fn take_keys<T: AsRef<str>>(
        &mut self,
        names: impl IntoIterator<Item = T>,
    ) -> Result<(), StoreError> {
        let lock = "SELECT key FROM limit_keys WHERE key IN (SELECT value ->> 0 FROM json_each($1))
                    ORDER BY key FOR UPDATE";
        let make = "INSERT INTO limit_keys (key) SELECT value ->> 0 FROM json_each($1) AS j ORDER BY j.key
                    ON CONFLICT DO NOTHING";
        self.take(lock, make, names).await
    }

    /// Always in the same order, so that two who take several do not wait for each other.
    async fn take<T: AsRef<str>>(
        &mut self,
        lock: &'static str,
        make: &'static str,
        names: impl IntoIterator<Item = T>,
    ) -> Result<(), StoreError> {
        let Self::Postgres(_) = self else { return Ok(()) };
        let names: BTreeSet<String> = names.into_iter().map(|n| n.as_ref().to_owned()).collect();
        let wanted = [Arg::column(&names)];
        if self.rows(lock, &wanted).await?.len() < names.len() {
            self.execute(make, &wanted).await?;
            self.rows(lock, &wanted).await?;
        }
        Ok(())
    }

    /// Numbers for new steps, ascending; within a dataset they are in the order of planning.
    pub(crate) async fn step_numbers(&mut self, count: usize) -> Result<Vec<i64>, StoreError> {
        let wanted = super::codec::number(count);
        let sql = match self {
            Self::Sqlite(_) => {
                "SELECT (SELECT coalesce(max(seq), 0) FROM steps) + key + 1 AS seq FROM json_each($1) ORDER BY key"
            }
            Self::Postgres(_) => "SELECT nextval('steps_seq') AS seq FROM json_each($1)",
        };
        let places: Vec<i64> = (0..wanted).collect();
        let rows = self.rows(sql, &[Arg::list(&places)]).await?;
        rows.iter().map(|row| super::codec::Cells(row).integer("seq")).collect()
    }
}

fn statement<'q>(sql: &'static str, args: &[Arg<'_>]) -> Query<'q, Sqlite, SqliteArguments> {
    let plain = LOCKING.iter().find_map(|lock| sql.strip_suffix(lock)).unwrap_or(sql);
    args.iter().fold(sqlx::query(plain), |query, arg| match arg {
        Arg::Integer(number) => query.bind(*number),
        Arg::Text(text) => query.bind(text.clone().into_owned()),
        Arg::List(list) => query.bind(list.clone()),
    })
}

fn sqlite_rows(rows: Vec<SqliteRow>) -> Result<Vec<Row>, StoreError> {
    let Some(first) = rows.first() else { return Ok(Vec::new()) };
    let names: Arc<[String]> = first.columns().iter().map(|c| c.name().to_owned()).collect();
    rows.iter().map(|row| Ok(Row { names: Arc::clone(&names), values: sqlite_values(row)? })).collect()
}

fn sqlite_values(row: &SqliteRow) -> Result<Vec<Value>, sqlx::Error> {
    let value = |n: usize| {
        let raw = row.try_get_raw(n)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let kind = raw.type_info().name().to_owned();
        let value = match kind.as_str() {
            "TEXT" => String::decode(raw).map(Value::Text),
            "REAL" => f64::decode(raw).map(Value::Real),
            _ => i64::decode(raw).map(Value::Integer),
        };
        value.map_err(sqlx::Error::Decode)
    };
    (0..row.len()).map(value).collect()
}
