//! The end of a step that committed, or had nothing to commit: its state, events, quality, ledger, lease, publications and version, all or none
//! of them.
//!
//! Called by `store.rs` of this folder, inside a transaction that writes.

use super::{
    Arg, Row, Session,
    codec::{Cells, ROWS_PER_STATEMENT, Word, micros, signed},
    lanes, leases, quality, runs,
    steps::step_of,
    versions::{self, Activation},
    watermarks,
};
use crate::{
    LedgerEntry, StepDone, StepKind, StoreError,
    machine::{
        event,
        step::{Command, Refusal, Step},
    },
};
use alluvium_model::Balance;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

pub(super) async fn finish(tx: &mut Session<'_>, done: &[StepDone]) -> Result<bool, StoreError> {
    let mut ended = true;
    for chunk in done.chunks(ROWS_PER_STATEMENT) {
        ended &= finish_chunk(tx, chunk).await?;
    }
    Ok(ended)
}

struct Head {
    seq: i64,
    step: Step,
    kind: StepKind,
    original: bool,
    activation: Activation,
}

impl Head {
    /// Rows under a definition that the project may have left, beside those that are there: because of them nobody goes back to it.
    fn adds_as_before(&self) -> bool {
        self.original && matches!(self.kind, StepKind::Ingest | StepKind::Refine)
    }
}

/// `false`: some did not end, as their newest attempt may still commit.
async fn finish_chunk(tx: &mut Session<'_>, chunk: &[StepDone]) -> Result<bool, StoreError> {
    runs::require(tx, chunk.iter().map(|d| d.run.as_str())).await?;
    let mut heads = heads(tx, chunk).await?;
    let (mut ending, mut ended): (Vec<(&StepDone, Head)>, _) = (Vec::with_capacity(chunk.len()), true);
    for done in chunk {
        let head = heads.get_mut(done.key.as_str()).ok_or_else(|| StoreError::unknown("step", &done.key))?;
        // Earlier in this list.
        let Some(before) = head else { continue };
        let command = Command::Finish { attempt: done.ledger.attempt, has_committed: done.committed.is_some() };
        match before.step.after(command) {
            Ok(next) => ending.extend(head.take().map(|head| (done, Head { step: next, ..head }))),
            Err(Refusal::OtherAttempt) => ended = false,
            Err(Refusal::Superseded) => return Err(StoreError::Superseded { key: done.key.to_string() }),
            // It is done.
            Err(_) => {}
        }
    }
    if ending.is_empty() {
        return Ok(ended);
    }
    end_steps(tx, &ending).await?;
    end_events(tx, &ending).await?;
    // Only an attempt that was held leaves results, and it was not the last.
    let again = ending.iter().filter(|(done, _)| done.ledger.attempt > 1);
    let again: Vec<&str> = again.map(|(done, _)| done.key.as_str()).collect();
    quality::forget(tx, &again).await?;
    let results: Vec<_> = ending.iter().map(|(done, _)| (done.key.as_str(), done.quality.as_slice())).collect();
    quality::insert(tx, &results).await?;
    insert_ledger(tx, &ending).await?;
    let reached: Vec<_> = ending.iter().map(|(done, head)| (*done, head.activation.dataset.as_str())).collect();
    watermarks::advance(tx, &reached).await?;
    for (done, head) in &ending {
        lanes::publish(tx, done, &head.activation.dataset).await?;
    }
    // What stands beside the live table, or takes nothing into it, made none of its rows.
    let live = ending.into_iter().filter(|(_, head)| !matches!(head.kind, StepKind::Backfill | StepKind::Discard));
    let (old, order): (Vec<Head>, Vec<Head>) = live.map(|(_, head)| head).partition(Head::adds_as_before);
    let activations = |heads: Vec<Head>| heads.into_iter().map(|head| head.activation).collect::<Vec<_>>();
    versions::activate_first(tx, activations(old)).await?;
    versions::activate(tx, &activations(order)).await?;
    Ok(ended)
}

async fn heads(tx: &mut Session<'_>, chunk: &[StepDone]) -> Result<HashMap<String, Option<Head>>, StoreError> {
    let keys = [Arg::column(chunk.iter().map(|d| d.key.as_str()))];
    let sql = "SELECT DISTINCT s.dataset FROM json_each($1) AS j CROSS JOIN steps AS s WHERE s.key = j.value ->> 0";
    let datasets = tx.rows(sql, &keys).await?;
    let datasets: Vec<String> = datasets.iter().map(|row| Cells(row).text("dataset")).collect::<Result<_, _>>()?;
    tx.take_datasets(datasets).await?;
    let sql = "SELECT s.seq, s.key, s.kind, s.dataset, s.version, s.planned_at, s.state, s.attempts, s.failures,
                      s.retry_at, s.original
               FROM json_each($1) AS j CROSS JOIN steps AS s WHERE s.key = j.value ->> 0";
    let rows = tx.rows(sql, &keys).await?;
    let head = |row: &Row| {
        let cells = Cells(row);
        let activation = Activation {
            dataset: cells.text("dataset")?,
            version: cells.text("version")?,
            seen: cells.integer("planned_at")?,
        };
        let (seq, kind, step) = (cells.integer("seq")?, cells.word("kind")?, step_of(&cells)?);
        let original = cells.integer("original")? != 0;
        Ok((cells.text("key")?, Some(Head { seq, step, kind, original, activation })))
    };
    rows.iter().map(head).collect()
}

#[derive(Serialize)]
struct Ending<'a> {
    seq: i64,
    state: &'static str,
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
    fn new(done: &'a StepDone, head: &Head) -> Self {
        let Balance { received, loaded, quarantined, dropped, dead, duplicates, late } = done.balance;
        Self {
            seq: head.seq,
            state: head.step.state.word(),
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

async fn end_steps(tx: &mut Session<'_>, ending: &[(&StepDone, Head)]) -> Result<(), StoreError> {
    let rows: Vec<Ending<'_>> = ending.iter().map(|(done, head)| Ending::new(done, head)).collect();
    tx.execute(
        "UPDATE steps SET state = j.value ->> 'state', finished_at = CAST(j.value ->> 'finished_at' AS BIGINT),
             finished_by = j.value ->> 'finished_by', committed = CAST(j.value ->> 'committed' AS BIGINT),
             received = CAST(j.value ->> 'received' AS BIGINT), loaded = CAST(j.value ->> 'loaded' AS BIGINT),
             quarantined = CAST(j.value ->> 'quarantined' AS BIGINT),
             dropped = CAST(j.value ->> 'dropped' AS BIGINT), dead = CAST(j.value ->> 'dead' AS BIGINT),
             duplicates = CAST(j.value ->> 'duplicates' AS BIGINT), late = CAST(j.value ->> 'late' AS BIGINT)
         FROM json_each($1) AS j WHERE steps.seq = CAST(j.value ->> 'seq' AS BIGINT)",
        &[Arg::list(&rows)],
    )
    .await?;
    leases::end(tx, &keys(ending)).await
}

fn keys<'a>(ending: &[(&'a StepDone, Head)]) -> Vec<&'a str> {
    ending.iter().map(|(done, _)| done.key.as_str()).collect()
}

/// First those that are given up, then all that are left.
async fn end_events(tx: &mut Session<'_>, ending: &[(&StepDone, Head)]) -> Result<(), StoreError> {
    let mut per_run: BTreeMap<&str, u64> = BTreeMap::new();
    for (done, _) in ending.iter().filter(|(done, _)| !done.dead.is_empty()) {
        *per_run.entry(done.run.as_str()).or_default() += bury(tx, done).await?;
    }
    for (run, dead) in per_run {
        runs::count_dead(tx, run, dead).await?;
    }
    let (from, to) = event::Command::Finish.moves();
    let sql = "UPDATE events SET state = $2
               WHERE step IN (SELECT value ->> 0 FROM json_each($1)) AND state = $3";
    tx.execute(sql, &[Arg::column(keys(ending)), to.word().into(), from.word().into()]).await?;
    Ok(())
}

/// How many events of the step became dead letters; the first of several reasons for one event stays.
async fn bury(tx: &mut Session<'_>, done: &StepDone) -> Result<u64, StoreError> {
    let mut reasons: BTreeMap<&str, &str> = BTreeMap::new();
    for (event, reason) in &done.dead {
        reasons.entry(event.as_str()).or_insert(reason);
    }
    let pairs: Vec<(&&str, &&str)> = reasons.iter().collect();
    let (from, to) = event::Command::Bury.moves();
    let sql = "UPDATE events SET state = $3, reason = j.value ->> 1 FROM json_each($1) AS j
               WHERE events.event = j.value ->> 0 AND events.step = $2 AND events.state = $4
               RETURNING events.event AS event";
    let args = [Arg::list(&pairs), done.key.as_str().into(), to.word().into(), from.word().into()];
    let buried = tx.rows(sql, &args).await?;
    for row in &buried {
        reasons.remove(Cells(row).text("event")?.as_str());
    }
    match reasons.into_keys().next() {
        Some(not_of_this_step) => Err(StoreError::unknown("event", not_of_this_step)),
        None => Ok(buried.len() as u64),
    }
}

#[derive(Serialize)]
struct LedgerRow<'a>(&'a str, u32, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64);

impl<'a> LedgerRow<'a> {
    fn new(step: &'a str, e: &LedgerEntry) -> Self {
        Self(
            step,
            e.attempt,
            signed(e.wall_micros),
            signed(e.cpu_micros),
            signed(e.peak_memory_bytes),
            signed(e.bytes_read),
            signed(e.bytes_written),
            signed(e.store_reads),
            signed(e.store_writes),
            signed(e.store_lists),
            signed(e.retries),
            signed(e.rows_in),
            signed(e.rows_out),
        )
    }
}

async fn insert_ledger(tx: &mut Session<'_>, ending: &[(&StepDone, Head)]) -> Result<(), StoreError> {
    let rows: Vec<LedgerRow<'_>> = ending.iter().map(|(d, _)| LedgerRow::new(d.key.as_str(), &d.ledger)).collect();
    tx.execute(
        "INSERT INTO ledger (step, attempt, wall_micros, cpu_micros, peak_memory_bytes, bytes_read, bytes_written,
                             store_reads, store_writes, store_lists, retries, rows_in, rows_out)
         SELECT value ->> 0, CAST(value ->> 1 AS BIGINT), CAST(value ->> 2 AS BIGINT), CAST(value ->> 3 AS BIGINT),
                CAST(value ->> 4 AS BIGINT), CAST(value ->> 5 AS BIGINT), CAST(value ->> 6 AS BIGINT),
                CAST(value ->> 7 AS BIGINT), CAST(value ->> 8 AS BIGINT), CAST(value ->> 9 AS BIGINT),
                CAST(value ->> 10 AS BIGINT), CAST(value ->> 11 AS BIGINT), CAST(value ->> 12 AS BIGINT)
         FROM json_each($1)",
        &[Arg::list(&rows)],
    )
    .await?;
    Ok(())
}
