//! Planning: a step, the events it takes and the positions it moves, all or none of them.
//!
//! Called by `store.rs` of this folder, inside a transaction that writes. What the steps touch is read once, each step
//! is decided on in order over that picture, and the accepted ones are written at once.

use super::{
    codec::{ROWS_PER_STATEMENT, Word, json, micros},
    runs,
};
use crate::{Claimed, EventState, NewStep, Planned, StepKind, StepState, StoreError};
use alluvium_model::{DatasetName, EventId, Window};
use serde::Serialize;
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Before the first version of a table.
const NEVER_READ: i64 = -1;

pub(super) async fn plan(conn: &mut SqliteConnection, steps: &[NewStep]) -> Result<Vec<Planned>, StoreError> {
    let mut answers = Vec::with_capacity(steps.len());
    for chunk in steps.chunks(ROWS_PER_STATEMENT) {
        let mut picture = Picture::read(conn, chunk).await?;
        let mut accepted = Vec::new();
        for step in chunk {
            let answer = picture.decide(step)?;
            if answer == Planned::New {
                accepted.push(step);
            }
            answers.push(answer);
        }
        picture.forget_superseded(conn, &accepted).await?;
        write(conn, picture.next_seq, &accepted).await?;
    }
    Ok(answers)
}

/// What the steps of one chunk touch, as the steps before them left it.
#[derive(Debug, Default)]
struct Picture<'a> {
    /// Steps that are there and not superseded.
    there: HashSet<String>,
    superseded: HashSet<String>,
    /// Whether an event may be taken.
    free: HashMap<String, bool>,
    positions: HashMap<(&'a DatasetName, &'a DatasetName), i64>,
    next_seq: i64,
}

impl<'a> Picture<'a> {
    async fn read(conn: &mut SqliteConnection, steps: &'a [NewStep]) -> Result<Self, StoreError> {
        runs::require(conn, steps.iter().map(|s| s.run.as_str())).await?;
        let mut picture = Self { next_seq: next_seq(conn).await?, ..Self::default() };
        let keys: Vec<&str> = steps.iter().map(|s| s.key.as_str()).collect();
        for (key, state) in states(conn, &keys).await? {
            if state == StepState::Superseded.word() {
                picture.superseded.insert(key);
            } else {
                picture.there.insert(key);
            }
        }
        let events: Vec<&str> = steps.iter().flat_map(|s| &s.events).map(EventId::as_str).collect();
        for ids in events.chunks(ROWS_PER_STATEMENT) {
            let free = free(conn, ids).await?;
            picture.free.extend(free);
        }
        picture.read_positions(conn, steps).await?;
        Ok(picture)
    }

    async fn read_positions(&mut self, conn: &mut SqliteConnection, steps: &'a [NewStep]) -> Result<(), StoreError> {
        let pairs: HashSet<_> = steps.iter().flat_map(|s| s.inputs.keys().map(move |i| (&s.dataset, i))).collect();
        if pairs.is_empty() {
            return Ok(());
        }
        let pairs: Vec<_> = pairs.into_iter().collect();
        let asked: Vec<(String, String)> = pairs.iter().map(|(d, i)| (d.to_string(), i.to_string())).collect();
        let found: Vec<Option<i64>> = sqlx::query_scalar(
            "SELECT (SELECT c.upto FROM consumed AS c WHERE c.dataset = j.value ->> 0 AND c.input = j.value ->> 1
                     ORDER BY c.seq DESC LIMIT 1)
             FROM json_each(?) AS j ORDER BY j.key",
        )
        .bind(json(&asked))
        .fetch_all(conn)
        .await?;
        self.positions = pairs.into_iter().zip(found.into_iter().map(|p| p.unwrap_or(NEVER_READ))).collect();
        Ok(())
    }

    /// A superseded step may be planned again: the definition went back to what it was.
    fn decide(&mut self, step: &'a NewStep) -> Result<Planned, StoreError> {
        if self.there.contains(step.key.as_str()) {
            return Ok(Planned::Exists);
        }
        for event in &step.events {
            match self.free.get(event.as_str()) {
                None => return Err(StoreError::unknown("event", event)),
                Some(false) => return Ok(Planned::Conflict),
                Some(true) => {}
            }
        }
        let makes_anew = match step.kind {
            StepKind::Rebuild => true,
            StepKind::Curate => step.windows.is_none(),
            StepKind::Ingest | StepKind::Refine | StepKind::ReplayQuarantine => false,
        };
        for (input, claimed) in &step.inputs {
            let position = self.positions.get(&(&step.dataset, input)).copied().unwrap_or(NEVER_READ);
            if claimed.after != position && !(makes_anew && claimed.after < position) {
                return Ok(Planned::Conflict);
            }
        }
        self.take(step);
        Ok(Planned::New)
    }

    fn take(&mut self, step: &'a NewStep) {
        self.there.insert(step.key.as_str().to_owned());
        for event in &step.events {
            self.free.insert(event.as_str().to_owned(), false);
        }
        for (input, claimed) in &step.inputs {
            self.positions.insert((&step.dataset, input), claimed.upto);
        }
    }

    async fn forget_superseded(&self, conn: &mut SqliteConnection, accepted: &[&NewStep]) -> Result<(), StoreError> {
        let again: Vec<&str> =
            accepted.iter().map(|s| s.key.as_str()).filter(|k| self.superseded.contains(*k)).collect();
        if !again.is_empty() {
            for forget in [
                "DELETE FROM attempts WHERE step IN (SELECT value FROM json_each(?))",
                "DELETE FROM steps WHERE key IN (SELECT value FROM json_each(?))",
            ] {
                sqlx::query(forget).bind(json(&again)).execute(&mut *conn).await?;
            }
        }
        Ok(())
    }
}

async fn next_seq(conn: &mut SqliteConnection) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("SELECT coalesce(max(seq), 0) + 1 FROM steps").fetch_one(conn).await?)
}

async fn states(conn: &mut SqliteConnection, keys: &[&str]) -> Result<Vec<(String, String)>, StoreError> {
    let found =
        sqlx::query_as("SELECT s.key, s.state FROM json_each(?) AS j CROSS JOIN steps AS s WHERE s.key = j.value");
    Ok(found.bind(json(keys)).fetch_all(conn).await?)
}

async fn free(conn: &mut SqliteConnection, ids: &[&str]) -> Result<Vec<(String, bool)>, StoreError> {
    let found = sqlx::query_as(
        "SELECT e.event, e.state = ?2 FROM json_each(?1) AS j CROSS JOIN events AS e WHERE e.event = j.value",
    );
    Ok(found.bind(json(ids)).bind(EventState::Pending.word()).fetch_all(conn).await?)
}

#[derive(Serialize)]
struct StepRow<'a> {
    seq: i64,
    key: &'a str,
    run: &'a str,
    kind: &'static str,
    dataset: String,
    version: &'a str,
    events: &'a [EventId],
    inputs: &'a BTreeMap<DatasetName, Claimed>,
    lookups: &'a BTreeMap<DatasetName, i64>,
    windows: Option<&'a [Window]>,
    planned_at: i64,
}

async fn write(conn: &mut SqliteConnection, first_seq: i64, steps: &[&NewStep]) -> Result<(), StoreError> {
    if steps.is_empty() {
        return Ok(());
    }
    let row = |(seq, s): (i64, &&'_ NewStep)| -> String {
        json(&StepRow {
            seq,
            key: s.key.as_str(),
            run: s.run.as_str(),
            kind: s.kind.word(),
            dataset: s.dataset.to_string(),
            version: s.version.as_str(),
            events: &s.events,
            inputs: &s.inputs,
            lookups: &s.lookups,
            windows: s.windows.as_deref(),
            planned_at: micros(s.planned_at),
        })
    };
    let rows: Vec<String> = (first_seq..).zip(steps).map(row).collect();
    let rows = format!("[{}]", rows.join(","));
    sqlx::query(
        "INSERT INTO steps (seq, key, run, kind, dataset, version, events, inputs, lookups, windows, state, planned_at)
         SELECT value ->> 'seq', value ->> 'key', value ->> 'run', value ->> 'kind', value ->> 'dataset',
                value ->> 'version', value ->> 'events', value ->> 'inputs', value ->> 'lookups', value ->> 'windows',
                ?2, value ->> 'planned_at'
         FROM json_each(?1)",
    )
    .bind(&rows)
    .bind(StepState::Planned.word())
    .execute(&mut *conn)
    .await?;
    if steps.iter().any(|s| !s.inputs.is_empty()) {
        sqlx::query(
            "INSERT INTO consumed (dataset, input, seq, upto)
             SELECT j.value ->> 'dataset', i.key, j.value ->> 'seq', i.value ->> 'upto'
             FROM json_each(?) AS j CROSS JOIN json_each(j.value, '$.inputs') AS i",
        )
        .bind(&rows)
        .execute(&mut *conn)
        .await?;
    }
    if steps.iter().any(|s| !s.events.is_empty()) {
        take_events(conn, steps).await?;
    }
    Ok(())
}

async fn take_events(conn: &mut SqliteConnection, steps: &[&NewStep]) -> Result<(), StoreError> {
    let taken: Vec<(&str, &str)> =
        steps.iter().flat_map(|s| s.events.iter().map(|e| (e.as_str(), s.key.as_str()))).collect();
    for chunk in taken.chunks(ROWS_PER_STATEMENT) {
        sqlx::query(
            "UPDATE events SET state = ?2, step = j.value ->> 1 FROM json_each(?1) AS j
             WHERE events.event = j.value ->> 0",
        )
        .bind(json(chunk))
        .bind(EventState::Planned.word())
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}
