//! The inbox: what arrived, and what became of it.
//!
//! Called by `store.rs` of this folder, inside a transaction. It never forgets an arrival.

use super::{
    Arg, Row, Session,
    codec::{Cells, ROWS_PER_STATEMENT, Word, micros, signed},
    runs,
    sets::over,
};
use crate::{EventRecord, EventState, NewEvent, Recorded, StoreError};
use alluvium_model::{ContentHash, DatasetName, EventId, RunId, StepKey};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

macro_rules! select_events {
    ($tail:expr) => {
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
    tx: &mut Session<'_>,
    dataset: &DatasetName,
) -> Result<BTreeMap<String, (u64, i64)>, StoreError> {
    let sql = "SELECT path, bytes, modified_nanos FROM files WHERE dataset = $1";
    let rows = tx.rows(sql, &[dataset.to_string().into()]).await?;
    let entry = |row: &Row| {
        let cells = Cells(row);
        Ok((cells.text("path")?, (cells.count("bytes")?, cells.integer("modified_nanos")?)))
    };
    rows.iter().map(entry).collect()
}

pub(super) async fn record(
    tx: &mut Session<'_>,
    run: &RunId,
    events: &[NewEvent],
) -> Result<Vec<Recorded>, StoreError> {
    runs::require(tx, [run.as_str()]).await?;
    tx.take_datasets(events.iter().map(|e| e.dataset.to_string())).await?;
    let mut answers = Vec::with_capacity(events.len());
    let (mut new, mut arrived) = (0, 0);
    for chunk in events.chunks(ROWS_PER_STATEMENT) {
        let counts = record_chunk(tx, run, chunk, &mut answers).await?;
        new += counts.0;
        arrived += counts.1;
    }
    runs::count_objects(tx, run, new, arrived - new).await?;
    Ok(answers)
}

/// Counts of new events, and of arrivals that were not told before.
async fn record_chunk(
    tx: &mut Session<'_>,
    run: &RunId,
    chunk: &[NewEvent],
    answers: &mut Vec<Recorded>,
) -> Result<(u64, u64), StoreError> {
    let all: Vec<EventRow<'_>> = chunk.iter().map(EventRow::from).collect();
    let mut first_paths = first_paths(tx, &all).await?;
    // Of several with one path and content the last one's size and time hold.
    let (mut new, mut again) = (Vec::new(), BTreeMap::new());
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
    insert_events(tx, run, &new).await?;
    refresh_events(tx, &again.into_values().collect::<Vec<_>>()).await?;
    let arrived = insert_arrivals(tx, run, &all).await?;
    Ok((new.len() as u64, arrived))
}

async fn first_paths(tx: &mut Session<'_>, rows: &[EventRow<'_>]) -> Result<HashMap<String, String>, StoreError> {
    let sql = "SELECT e.event, e.path FROM json_each($1) AS j CROSS JOIN events AS e WHERE e.event = j.value ->> 0";
    let found = tx.rows(sql, &[Arg::column(rows.iter().map(|r| r.event))]).await?;
    let pair = |row: &Row| Ok((Cells(row).text("event")?, Cells(row).text("path")?));
    found.iter().map(pair).collect()
}

async fn insert_events(tx: &mut Session<'_>, run: &RunId, rows: &[&EventRow<'_>]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    tx.execute(
        "INSERT INTO events (event, dataset, path, content, bytes, modified_nanos, received_at, state, run)
         SELECT value ->> 'event', value ->> 'dataset', value ->> 'path', value ->> 'content',
                CAST(value ->> 'bytes' AS BIGINT), CAST(value ->> 'modified_nanos' AS BIGINT),
                CAST(value ->> 'received_at' AS BIGINT), $2, $3
         FROM json_each($1)",
        &[Arg::list(rows), EventState::Pending.word().into(), run.as_str().into()],
    )
    .await?;
    Ok(())
}

async fn refresh_events(tx: &mut Session<'_>, rows: &[&EventRow<'_>]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    tx.execute(
        "UPDATE events SET bytes = CAST(j.value ->> 'bytes' AS BIGINT),
             modified_nanos = CAST(j.value ->> 'modified_nanos' AS BIGINT)
         FROM json_each($1) AS j WHERE events.event = j.value ->> 'event'",
        &[Arg::list(rows)],
    )
    .await?;
    Ok(())
}

/// How many contents lay under their path for the first time. A path that is told twice has the last one's size and time.
async fn insert_arrivals(tx: &mut Session<'_>, run: &RunId, rows: &[EventRow<'_>]) -> Result<u64, StoreError> {
    let arrived = tx
        .execute(
            "INSERT INTO arrivals (event, path, run)
             SELECT value ->> 'event', value ->> 'path', $2 FROM json_each($1) WHERE true
             ON CONFLICT DO NOTHING",
            &[Arg::list(rows), run.as_str().into()],
        )
        .await?;
    let last: BTreeMap<(&str, &str), &EventRow<'_>> = rows.iter().map(|r| ((&*r.dataset, r.path), r)).collect();
    tx.execute(
        "INSERT INTO files (dataset, path, bytes, modified_nanos)
         SELECT value ->> 'dataset', value ->> 'path', CAST(value ->> 'bytes' AS BIGINT),
                CAST(value ->> 'modified_nanos' AS BIGINT)
         FROM json_each($1) WHERE true
         ON CONFLICT (dataset, path) DO UPDATE SET bytes = excluded.bytes, modified_nanos = excluded.modified_nanos",
        &[Arg::list(&last.into_values().collect::<Vec<_>>())],
    )
    .await?;
    Ok(arrived)
}

/// By way of the indexes of what waits and of open steps: most objects are done with.
pub(super) async fn unfinished(
    tx: &mut Session<'_>,
    dataset: &DatasetName,
) -> Result<BTreeSet<ContentHash>, StoreError> {
    let sql = concat!(
        "SELECT content FROM events WHERE dataset = $1 AND state = 'pending'
         UNION SELECT content FROM events WHERE dataset = $1 AND state = 'dead'
         UNION SELECT e.content FROM steps AS s JOIN events AS e ON e.step = s.key
               WHERE s.dataset = $1 AND s.kind = 'ingest' AND s.state NOT IN ",
        over!()
    );
    let rows = tx.rows(sql, &[dataset.to_string().into()]).await?;
    rows.iter().map(|row| Ok(ContentHash::from_stored(Cells(row).text("content")?))).collect()
}

pub(super) async fn pending(tx: &mut Session<'_>, dataset: &DatasetName) -> Result<Vec<EventRecord>, StoreError> {
    let sql = select_events!(
        "events AS e WHERE e.state = 'pending' AND e.dataset = $1 ORDER BY e.received_at, e.path, e.event"
    );
    let rows = tx.rows(sql, &[dataset.to_string().into()]).await?;
    rows.iter().map(record_of).collect()
}

/// By the indexes of pending events and of open steps.
pub(super) async fn waiting(
    tx: &mut Session<'_>,
    dataset: Option<&DatasetName>,
    limit: u32,
) -> Result<Vec<EventRecord>, StoreError> {
    let sql = select_events!(concat!(
        "(SELECT * FROM events WHERE state = 'pending'
          UNION ALL
          SELECT p.* FROM steps AS s JOIN events AS p ON p.step = s.key
          WHERE s.state NOT IN ",
        over!(),
        " AND p.state = 'planned') AS e
         WHERE e.dataset = $1 OR $1 = '' ORDER BY e.received_at DESC, e.path DESC, e.event LIMIT $2"
    ));
    let dataset = dataset.map(ToString::to_string).unwrap_or_default();
    let rows = tx.rows(sql, &[dataset.into(), i64::from(limit).into()]).await?;
    rows.iter().map(record_of).collect()
}

/// In the order asked for; an id that is not known is left out.
pub(super) async fn by_id(tx: &mut Session<'_>, ids: &[EventId]) -> Result<Vec<EventRecord>, StoreError> {
    let mut found = Vec::with_capacity(ids.len());
    for chunk in ids.chunks(ROWS_PER_STATEMENT) {
        let sql =
            select_events!("json_each($1) AS j CROSS JOIN events AS e WHERE e.event = j.value ->> 0 ORDER BY j.key");
        let rows = tx.rows(sql, &[Arg::column(chunk.iter().map(EventId::as_str))]).await?;
        for row in &rows {
            found.push(record_of(row)?);
        }
    }
    Ok(found)
}

/// Of a run that had no lease yet nobody knows the host.
pub(super) async fn found_by(tx: &mut Session<'_>, step: &StepKey) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT e.path, coalesce(r.host, '') AS host FROM events AS e JOIN runs AS r ON r.run = e.run WHERE e.step = $1";
    let rows = tx.rows(sql, &[step.as_str().into()]).await?;
    rows.iter().map(Cells).map(|cells| Ok((cells.text("path")?, cells.text("host")?))).collect()
}

fn record_of(row: &Row) -> Result<EventRecord, StoreError> {
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
        step: cells.optional_text("step")?.map(StepKey::from_stored),
        reason: cells.optional_text("reason")?,
    })
}
