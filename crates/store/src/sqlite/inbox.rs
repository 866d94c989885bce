//! Events that were pushed, from their acknowledgement until they lie in a landing object.
//!
//! Called by `store.rs` of this folder, inside a transaction. It never forgets the source and id of an event.

use super::{
    codec::{Cells, json, micros, signed},
    events,
};
use crate::{InboxBound, InboxPart, NewEvent, Pushed, PushedEvent, StoreError};
use alluvium_model::{DatasetName, RunId};
use jiff::Timestamp;
use serde::Serialize;
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Serialize)]
struct Key<'a> {
    source: &'a str,
    id: &'a str,
}

#[derive(Serialize)]
struct Row<'a> {
    dataset: String,
    record: &'a str,
}

pub(super) async fn push(
    conn: &mut SqliteConnection,
    lists: &[Vec<PushedEvent>],
    bound: InboxBound,
    now: Timestamp,
) -> Result<Vec<Pushed>, StoreError> {
    let mut answers = Vec::with_capacity(lists.len());
    for list in lists {
        answers.push(push_list(conn, list, bound, now).await?);
    }
    Ok(answers)
}

async fn push_list(
    conn: &mut SqliteConnection,
    list: &[PushedEvent],
    bound: InboxBound,
    now: Timestamp,
) -> Result<Pushed, StoreError> {
    let mut known = known(conn, list).await?;
    let mut new = Vec::new();
    for event in list {
        if known.insert((event.source.clone(), event.id.clone())) {
            new.push(event);
        }
    }
    let mut added: BTreeMap<&DatasetName, (u64, u64)> = BTreeMap::new();
    for event in &new {
        for dataset in &event.datasets {
            let sums = added.entry(dataset).or_default();
            *sums = (sums.0 + 1, sums.1 + event.record.len() as u64);
        }
    }
    for (dataset, (events, bytes)) in &added {
        let (waiting, waiting_bytes) = backlog(conn, dataset).await?;
        // What is too large for an empty inbox would never be taken.
        if waiting > 0 && (waiting + events > bound.events || waiting_bytes + bytes > bound.bytes) {
            return Ok(Pushed::Full { dataset: (*dataset).clone() });
        }
    }
    insert(conn, &new, now).await?;
    for (dataset, (events, bytes)) in added {
        change_backlog(conn, dataset, signed(events), signed(bytes)).await?;
    }
    Ok(Pushed::Accepted { new: new.len() as u64, duplicates: (list.len() - new.len()) as u64 })
}

async fn known(conn: &mut SqliteConnection, list: &[PushedEvent]) -> Result<BTreeSet<(String, String)>, StoreError> {
    let keys: Vec<Key<'_>> = list.iter().map(|e| Key { source: &e.source, id: &e.id }).collect();
    let found: Vec<(String, String)> = sqlx::query_as(
        "SELECT p.source, p.id FROM json_each(?) AS j CROSS JOIN pushed AS p
         WHERE p.source = j.value ->> 'source' AND p.id = j.value ->> 'id'",
    )
    .bind(json(&keys))
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().collect())
}

async fn insert(conn: &mut SqliteConnection, new: &[&PushedEvent], now: Timestamp) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    let keys: Vec<Key<'_>> = new.iter().map(|e| Key { source: &e.source, id: &e.id }).collect();
    sqlx::query(
        "INSERT INTO pushed (source, id, received_at)
         SELECT value ->> 'source', value ->> 'id', ?2 FROM json_each(?1)",
    )
    .bind(json(&keys))
    .bind(micros(now))
    .execute(&mut *conn)
    .await?;
    let rows: Vec<Row<'_>> =
        new.iter().flat_map(|e| e.datasets.iter().map(|d| Row { dataset: d.to_string(), record: &e.record })).collect();
    sqlx::query(
        "INSERT INTO inbox (dataset, record)
         SELECT value ->> 'dataset', value ->> 'record' FROM json_each(?) ORDER BY key",
    )
    .bind(json(&rows))
    .execute(conn)
    .await?;
    Ok(())
}

/// Events and bytes that wait for the dataset.
async fn backlog(conn: &mut SqliteConnection, dataset: &DatasetName) -> Result<(u64, u64), StoreError> {
    let row = sqlx::query("SELECT events, bytes FROM backlog WHERE dataset = ?")
        .bind(dataset.to_string())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(Cells).map_or(Ok((0, 0)), |cells| Ok((cells.count("events")?, cells.count("bytes")?)))
}

async fn change_backlog(
    conn: &mut SqliteConnection,
    dataset: &DatasetName,
    events: i64,
    bytes: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO backlog (dataset, events, bytes) VALUES (?, ?, ?)
         ON CONFLICT DO UPDATE SET events = events + excluded.events, bytes = bytes + excluded.bytes",
    )
    .bind(dataset.to_string())
    .bind(events)
    .bind(bytes)
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn part(
    conn: &mut SqliteConnection,
    dataset: &DatasetName,
    bytes: u64,
) -> Result<InboxPart, StoreError> {
    // The sum over those before a record, so that the first one always fits.
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT seq, record FROM (
             SELECT seq, record, sum(octet_length(record)) OVER (ORDER BY seq) - octet_length(record) AS before
             FROM inbox WHERE dataset = ?1 ORDER BY seq)
         WHERE before < ?2 ORDER BY seq",
    )
    .bind(dataset.to_string())
    .bind(signed(bytes))
    .fetch_all(conn)
    .await?;
    let upto = rows.last().map_or(0, |(seq, _)| *seq);
    Ok(InboxPart { records: rows.into_iter().map(|(_, record)| record).collect(), upto })
}

/// `false`: the part is not there as a whole any more, and the caller takes everything back.
pub(super) async fn land(
    conn: &mut SqliteConnection,
    run: &RunId,
    event: &NewEvent,
    part: &InboxPart,
) -> Result<bool, StoreError> {
    let gone = sqlx::query("DELETE FROM inbox WHERE dataset = ? AND seq <= ?")
        .bind(event.dataset.to_string())
        .bind(part.upto)
        .execute(&mut *conn)
        .await?;
    if gone.rows_affected() != part.records.len() as u64 {
        return Ok(false);
    }
    let bytes: u64 = part.records.iter().map(|r| r.len() as u64).sum();
    change_backlog(conn, &event.dataset, -signed(part.records.len() as u64), -signed(bytes)).await?;
    events::record(conn, run, std::slice::from_ref(event)).await?;
    Ok(true)
}
