//! The inbox: what arrived, and what became of it.
//!
//! Called by `store.rs` of this folder, inside a transaction. It never forgets an arrival.

use super::{
    codec::{Cells, ROWS_PER_STATEMENT, Word, json, micros, signed},
    runs,
};
use crate::{DeadLetter, EventRecord, EventState, NewEvent, Recorded, StoreError};
use alluvium_model::{DatasetName, EventId, RunId};
use serde::Serialize;
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::collections::{BTreeMap, HashMap};

macro_rules! select_events {
    ($tail:literal) => {
        concat!(
            "SELECT e.event, e.dataset, e.path, e.content, e.bytes, e.modified_nanos, e.received_at, e.state, e.step, \
             e.reason FROM ",
            $tail
        )
    };
}

#[derive(Serialize)]
struct EventRow<'a> {
    event: &'a str,
    dataset: String,
    path: &'a str,
    content: &'a str,
    bytes: i64,
    modified_nanos: i64,
    received_at: i64,
}

impl<'a> From<&'a NewEvent> for EventRow<'a> {
    fn from(e: &'a NewEvent) -> Self {
        Self {
            event: e.event.as_str(),
            dataset: e.dataset.to_string(),
            path: &e.path,
            content: e.content.as_str(),
            bytes: signed(e.bytes),
            modified_nanos: e.modified_nanos,
            received_at: micros(e.received_at),
        }
    }
}

pub(super) async fn known_files(
    conn: &mut SqliteConnection,
    dataset: &DatasetName,
) -> Result<BTreeMap<String, (u64, i64)>, StoreError> {
    let rows = sqlx::query("SELECT path, bytes, modified_nanos FROM files WHERE dataset = ?")
        .bind(dataset.to_string())
        .fetch_all(conn)
        .await?;
    let entry = |row: &SqliteRow| {
        let cells = Cells(row);
        Ok((cells.text("path")?, (cells.count("bytes")?, cells.integer("modified_nanos")?)))
    };
    rows.iter().map(entry).collect()
}

pub(super) async fn record(
    conn: &mut SqliteConnection,
    run: &RunId,
    events: &[NewEvent],
) -> Result<Vec<Recorded>, StoreError> {
    runs::require(conn, [run.as_str()]).await?;
    let mut answers = Vec::with_capacity(events.len());
    let (mut new, mut arrived) = (0, 0);
    for chunk in events.chunks(ROWS_PER_STATEMENT) {
        let counts = record_chunk(conn, run, chunk, &mut answers).await?;
        new += counts.0;
        arrived += counts.1;
    }
    runs::count_objects(conn, run, new, arrived - new).await?;
    Ok(answers)
}

/// Counts of new events, and of arrivals that were not told before.
async fn record_chunk(
    conn: &mut SqliteConnection,
    run: &RunId,
    chunk: &[NewEvent],
    answers: &mut Vec<Recorded>,
) -> Result<(u64, u64), StoreError> {
    let all: Vec<EventRow<'_>> = chunk.iter().map(EventRow::from).collect();
    let mut first_paths = first_paths(conn, &all).await?;
    // Of several with one path and content the last one's size and time hold.
    let (mut new, mut again) = (Vec::new(), HashMap::new());
    for (event, row) in chunk.iter().zip(&all) {
        match first_paths.get(row.event) {
            None => {
                first_paths.insert(row.event.to_owned(), event.path.clone());
                new.push(row);
                answers.push(Recorded::New);
            }
            Some(first) if *first == event.path => {
                again.insert(row.event, row);
                answers.push(Recorded::New);
            }
            Some(first) => answers.push(Recorded::Duplicate { first_path: first.clone() }),
        }
    }
    insert_events(conn, run, &new).await?;
    refresh_events(conn, &again.into_values().collect::<Vec<_>>()).await?;
    let arrived = insert_arrivals(conn, run, &json(&all)).await?;
    Ok((new.len() as u64, arrived))
}

async fn first_paths(
    conn: &mut SqliteConnection,
    rows: &[EventRow<'_>],
) -> Result<HashMap<String, String>, StoreError> {
    let ids: Vec<&str> = rows.iter().map(|r| r.event).collect();
    let found: Vec<(String, String)> =
        sqlx::query_as("SELECT e.event, e.path FROM json_each(?) AS j CROSS JOIN events AS e WHERE e.event = j.value")
            .bind(json(&ids))
            .fetch_all(conn)
            .await?;
    Ok(found.into_iter().collect())
}

async fn insert_events(conn: &mut SqliteConnection, run: &RunId, rows: &[&EventRow<'_>]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO events (event, dataset, path, content, bytes, modified_nanos, received_at, state, run)
         SELECT value ->> 'event', value ->> 'dataset', value ->> 'path', value ->> 'content', value ->> 'bytes',
                value ->> 'modified_nanos', value ->> 'received_at', ?2, ?3
         FROM json_each(?1)",
    )
    .bind(json(rows))
    .bind(EventState::Pending.word())
    .bind(run.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

async fn refresh_events(conn: &mut SqliteConnection, rows: &[&EventRow<'_>]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE events SET bytes = j.value ->> 'bytes', modified_nanos = j.value ->> 'modified_nanos'
         FROM json_each(?) AS j WHERE events.event = j.value ->> 'event'",
    )
    .bind(json(rows))
    .execute(conn)
    .await?;
    Ok(())
}

/// How many contents lay under their path for the first time.
async fn insert_arrivals(conn: &mut SqliteConnection, run: &RunId, rows: &str) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "INSERT INTO arrivals (event, path, run)
         SELECT value ->> 'event', value ->> 'path', ?2 FROM json_each(?1) WHERE true
         ON CONFLICT DO NOTHING",
    )
    .bind(rows)
    .bind(run.as_str())
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "INSERT INTO files (dataset, path, bytes, modified_nanos)
         SELECT value ->> 'dataset', value ->> 'path', value ->> 'bytes', value ->> 'modified_nanos'
         FROM json_each(?) WHERE true
         ON CONFLICT DO UPDATE SET bytes = excluded.bytes, modified_nanos = excluded.modified_nanos",
    )
    .bind(rows)
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

pub(super) async fn pending(
    conn: &mut SqliteConnection,
    dataset: &DatasetName,
) -> Result<Vec<EventRecord>, StoreError> {
    let rows = sqlx::query(select_events!(
        "events AS e WHERE e.state = 'pending' AND e.dataset = ? ORDER BY e.received_at, e.path, e.event"
    ))
    .bind(dataset.to_string())
    .fetch_all(conn)
    .await?;
    rows.iter().map(record_of).collect()
}

/// In the order asked for; an id that is not known is left out.
pub(super) async fn by_id(conn: &mut SqliteConnection, ids: &[EventId]) -> Result<Vec<EventRecord>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(ROWS_PER_STATEMENT) {
        let rows = sqlx::query(select_events!(
            "json_each(?) AS j CROSS JOIN events AS e WHERE e.event = j.value ORDER BY j.key"
        ))
        .bind(json(chunk))
        .fetch_all(&mut *conn)
        .await?;
        for row in &rows {
            found.push(record_of(row)?);
        }
    }
    Ok(found)
}

pub(super) async fn dead_letters(conn: &mut SqliteConnection) -> Result<Vec<DeadLetter>, StoreError> {
    let rows = sqlx::query(
        "SELECT event, dataset, object, bytes, code, message, run, died_at FROM dead_letters
         ORDER BY dataset, died_at, object, event",
    )
    .fetch_all(conn)
    .await?;
    let letter = |row: &SqliteRow| {
        let cells = Cells(row);
        Ok(DeadLetter {
            event: EventId::from_stored(cells.text("event")?),
            dataset: cells.dataset("dataset")?,
            object: cells.text("object")?,
            bytes: cells.count("bytes")?,
            code: cells.optional_text("code")?,
            message: cells.text("message")?,
            run: RunId::from_stored(cells.text("run")?),
            died_at: cells.time("died_at")?,
        })
    };
    rows.iter().map(letter).collect()
}

fn record_of(row: &SqliteRow) -> Result<EventRecord, StoreError> {
    let cells = Cells(row);
    Ok(EventRecord {
        event: EventId::from_stored(cells.text("event")?),
        dataset: cells.dataset("dataset")?,
        path: cells.text("path")?,
        content: alluvium_model::ContentHash::from_stored(cells.text("content")?),
        bytes: cells.count("bytes")?,
        modified_nanos: cells.integer("modified_nanos")?,
        received_at: cells.time("received_at")?,
        state: cells.word("state")?,
        step: cells.optional_text("step")?.map(alluvium_model::StepKey::from_stored),
        reason: cells.optional_text("reason")?,
    })
}
