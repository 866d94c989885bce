//! The end of a step that committed: its state, events, quality, ledger, lease and version, all or none of them.
//!
//! Called by `store.rs` of this folder, inside a transaction that writes.

use super::{
    codec::{Cells, ROWS_PER_STATEMENT, json, micros, signed},
    runs,
    versions::{self, Activation},
};
use crate::{LedgerEntry, QualityResult, StepDone, StepState, StoreError};
use alluvium_model::Balance;
use serde::Serialize;
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, HashMap};

pub(super) async fn finish(conn: &mut SqliteConnection, done: &[StepDone]) -> Result<(), StoreError> {
    for chunk in done.chunks(ROWS_PER_STATEMENT) {
        finish_chunk(conn, chunk).await?;
    }
    Ok(())
}

struct Open {
    seq: i64,
    activation: Activation,
}

async fn finish_chunk(conn: &mut SqliteConnection, chunk: &[StepDone]) -> Result<(), StoreError> {
    runs::require(conn, chunk.iter().map(|d| d.run.as_str())).await?;
    let mut heads = heads(conn, chunk).await?;
    let mut ending: Vec<(&StepDone, Open)> = Vec::with_capacity(chunk.len());
    for done in chunk {
        match heads.get_mut(done.key.as_str()) {
            None => return Err(StoreError::unknown("step", &done.key)),
            Some((StepState::Superseded, _)) => {
                return Err(StoreError::Superseded { key: done.key.to_string() });
            }
            // Done before, or earlier in this list.
            Some((_, None)) | Some((StepState::Done, _)) => {}
            Some((_, open)) => ending.extend(open.take().map(|o| (done, o))),
        }
    }
    if ending.is_empty() {
        return Ok(());
    }
    end_steps(conn, &ending).await?;
    end_events(conn, &ending).await?;
    insert_quality(conn, &ending).await?;
    insert_ledger(conn, &ending).await?;
    let order: Vec<Activation> = ending.into_iter().map(|(_, open)| open.activation).collect();
    versions::activate(conn, &order).await
}

async fn heads(
    conn: &mut SqliteConnection,
    chunk: &[StepDone],
) -> Result<HashMap<String, (StepState, Option<Open>)>, StoreError> {
    let keys: Vec<&str> = chunk.iter().map(|d| d.key.as_str()).collect();
    let rows = sqlx::query(
        "SELECT s.seq, s.key, s.dataset, s.version, s.planned_at, s.state
         FROM json_each(?) AS j CROSS JOIN steps AS s WHERE s.key = j.value",
    )
    .bind(json(&keys))
    .fetch_all(conn)
    .await?;
    let head = |row| {
        let cells = Cells(row);
        let activation = Activation {
            dataset: cells.text("dataset")?,
            version: cells.text("version")?,
            seen: cells.integer("planned_at")?,
        };
        let open = Open { seq: cells.integer("seq")?, activation };
        Ok((cells.text("key")?, (cells.word("state")?, Some(open))))
    };
    rows.iter().map(head).collect()
}

#[derive(Serialize)]
struct Ending<'a> {
    seq: i64,
    finished_at: i64,
    finished_by: &'a str,
    committed: Option<i64>,
    received: i64,
    loaded: i64,
    quarantined: i64,
    dropped: i64,
    dead: i64,
    duplicates: i64,
    late: i64,
}

impl<'a> Ending<'a> {
    fn new(done: &'a StepDone, open: &Open) -> Self {
        let Balance { received, loaded, quarantined, dropped, dead, duplicates, late } = done.balance;
        Self {
            seq: open.seq,
            finished_at: micros(done.finished_at),
            finished_by: done.run.as_str(),
            committed: done.committed,
            received: signed(received),
            loaded: signed(loaded),
            quarantined: signed(quarantined),
            dropped: signed(dropped),
            dead: signed(dead),
            duplicates: signed(duplicates),
            late: signed(late),
        }
    }
}

async fn end_steps(conn: &mut SqliteConnection, ending: &[(&StepDone, Open)]) -> Result<(), StoreError> {
    let rows: Vec<Ending<'_>> = ending.iter().map(|(done, open)| Ending::new(done, open)).collect();
    sqlx::query(
        "UPDATE steps SET state = 'done', finished_at = j.value ->> 'finished_at',
             finished_by = j.value ->> 'finished_by', committed = j.value ->> 'committed', received = j.value ->> 'received', loaded = j.value ->> 'loaded',
             quarantined = j.value ->> 'quarantined', dropped = j.value ->> 'dropped', dead = j.value ->> 'dead',
             duplicates = j.value ->> 'duplicates', late = j.value ->> 'late'
         FROM json_each(?) AS j WHERE steps.seq = j.value ->> 'seq'",
    )
    .bind(json(&rows))
    .execute(&mut *conn)
    .await?;
    let keys: Vec<&str> = ending.iter().map(|(done, _)| done.key.as_str()).collect();
    sqlx::query("DELETE FROM leases WHERE step IN (SELECT value FROM json_each(?))")
        .bind(json(&keys))
        .execute(conn)
        .await?;
    Ok(())
}

async fn end_events(conn: &mut SqliteConnection, ending: &[(&StepDone, Open)]) -> Result<(), StoreError> {
    let keys: Vec<&str> = ending.iter().map(|(done, _)| done.key.as_str()).collect();
    sqlx::query(
        "UPDATE events SET state = 'done' WHERE step IN (SELECT value FROM json_each(?)) AND state = 'planned'",
    )
    .bind(json(&keys))
    .execute(&mut *conn)
    .await?;
    let mut per_run: BTreeMap<&str, u64> = BTreeMap::new();
    for (done, _) in ending.iter().filter(|(done, _)| !done.dead.is_empty()) {
        *per_run.entry(done.run.as_str()).or_default() += bury(conn, done).await?;
    }
    for (run, dead) in per_run {
        runs::count_dead(conn, run, dead).await?;
    }
    Ok(())
}

/// How many events of the step became dead letters; the first of several reasons for one event stays.
async fn bury(conn: &mut SqliteConnection, done: &StepDone) -> Result<u64, StoreError> {
    let mut reasons: BTreeMap<&str, &str> = BTreeMap::new();
    for (event, reason) in &done.dead {
        reasons.entry(event.as_str()).or_insert(reason);
    }
    let buried: Vec<String> = sqlx::query_scalar(
        "UPDATE events SET state = 'dead', reason = j.value FROM json_each(?1) AS j
         WHERE events.event = j.key AND events.step = ?2 RETURNING events.event",
    )
    .bind(json(&reasons))
    .bind(done.key.as_str())
    .fetch_all(conn)
    .await?;
    for event in &buried {
        reasons.remove(event.as_str());
    }
    match reasons.into_keys().next() {
        Some(not_of_this_step) => Err(StoreError::unknown("event", not_of_this_step)),
        None => Ok(buried.len() as u64),
    }
}

#[derive(Serialize)]
struct QualityRow<'a> {
    step: &'a str,
    ordinal: usize,
    rule: &'a str,
    action: &'a str,
    severity: &'a str,
    dimension: Option<&'a str>,
    checked: i64,
    violations: i64,
    passed: bool,
    note: Option<&'a str>,
}

impl<'a> QualityRow<'a> {
    fn new(step: &'a str, ordinal: usize, q: &'a QualityResult) -> Self {
        Self {
            step,
            ordinal,
            rule: &q.rule,
            action: &q.action,
            severity: &q.severity,
            dimension: q.dimension.as_deref(),
            checked: signed(q.checked),
            violations: signed(q.violations),
            passed: q.passed,
            note: q.note.as_deref(),
        }
    }
}

async fn insert_quality(conn: &mut SqliteConnection, ending: &[(&StepDone, Open)]) -> Result<(), StoreError> {
    let rows: Vec<QualityRow<'_>> = ending
        .iter()
        .flat_map(|(d, _)| d.quality.iter().enumerate().map(|(n, q)| QualityRow::new(d.key.as_str(), n, q)))
        .collect();
    for chunk in rows.chunks(ROWS_PER_STATEMENT) {
        sqlx::query(
            "INSERT INTO quality (step, ordinal, rule, action, severity, dimension, checked, violations, passed, note)
             SELECT value ->> 'step', value ->> 'ordinal', value ->> 'rule', value ->> 'action', value ->> 'severity',
                    value ->> 'dimension', value ->> 'checked', value ->> 'violations', value ->> 'passed',
                    value ->> 'note'
             FROM json_each(?)",
        )
        .bind(json(chunk))
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

#[derive(Serialize)]
struct LedgerRow<'a>(&'a str, u32, [i64; 11]);

impl<'a> LedgerRow<'a> {
    fn new(step: &'a str, entry: &LedgerEntry) -> Self {
        let counts = [
            entry.wall_micros,
            entry.cpu_micros,
            entry.peak_memory_bytes,
            entry.bytes_read,
            entry.bytes_written,
            entry.store_reads,
            entry.store_writes,
            entry.store_lists,
            entry.retries,
            entry.rows_in,
            entry.rows_out,
        ];
        Self(step, entry.attempt, counts.map(signed))
    }
}

async fn insert_ledger(conn: &mut SqliteConnection, ending: &[(&StepDone, Open)]) -> Result<(), StoreError> {
    let rows: Vec<LedgerRow<'_>> = ending.iter().map(|(d, _)| LedgerRow::new(d.key.as_str(), &d.ledger)).collect();
    sqlx::query(
        "INSERT INTO ledger (step, attempt, wall_micros, cpu_micros, peak_memory_bytes, bytes_read, bytes_written,
                             store_reads, store_writes, store_lists, retries, rows_in, rows_out)
         SELECT value ->> 0, value ->> 1, value ->> '$[2][0]', value ->> '$[2][1]', value ->> '$[2][2]',
                value ->> '$[2][3]', value ->> '$[2][4]', value ->> '$[2][5]', value ->> '$[2][6]',
                value ->> '$[2][7]', value ->> '$[2][8]', value ->> '$[2][9]', value ->> '$[2][10]'
         FROM json_each(?)",
    )
    .bind(json(&rows))
    .execute(conn)
    .await?;
    Ok(())
}
