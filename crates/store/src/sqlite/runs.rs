//! Runs and their counts of landing objects.
//!
//! Called by `store.rs` of this folder and by the files that change what a run counts, inside a transaction.

use super::codec::{Cells, Word, json, micros, micros_after, signed};
use crate::{Owner, RunRecord, RunState, StoreError, Watch};
use alluvium_model::{RunId, Span};
use jiff::Timestamp;
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::collections::BTreeSet;

pub(super) async fn start(
    conn: &mut SqliteConnection,
    run: &RunRecord,
    owner: &Owner,
    ttl: Span,
    watch: &Watch<'_>,
) -> Result<(), StoreError> {
    let lost = lost(conn, watch).await?;
    sqlx::query("UPDATE runs SET state = ? WHERE run IN (SELECT value FROM json_each(?))")
        .bind(RunState::Interrupted.word())
        .bind(json(&lost))
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "INSERT INTO runs (run, command, state, started_at, finished_at, objects_new, objects_duplicate, objects_dead,
                           host, process, started_ticks, until)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run) DO NOTHING",
    )
    .bind(run.run.as_str())
    .bind(&run.command)
    .bind(run.state.word())
    .bind(micros(run.started_at))
    .bind(run.finished_at.map(micros))
    .bind(signed(run.objects_new))
    .bind(signed(run.objects_duplicate))
    .bind(signed(run.objects_dead))
    .bind(&owner.host)
    .bind(i64::from(owner.process))
    .bind(owner.started_ticks.cast_signed())
    .bind(micros_after(watch.now, ttl))
    .execute(conn)
    .await?;
    Ok(())
}

/// Runs that never ended and whose lease does not hold any more.
pub(super) async fn lost(conn: &mut SqliteConnection, watch: &Watch<'_>) -> Result<BTreeSet<String>, StoreError> {
    let rows = sqlx::query("SELECT run, host, process, started_ticks, until FROM runs WHERE state = 'running'")
        .fetch_all(conn)
        .await?;
    let mut lost = BTreeSet::new();
    for row in &rows {
        let cells = Cells(row);
        // A run of an alluvium that gave runs no lease has ended long ago.
        let held = match cells.optional_time("until")? {
            Some(until) => watch.holds(&cells.owner()?, until),
            None => false,
        };
        if !held {
            lost.insert(cells.text("run")?);
        }
    }
    Ok(lost)
}

/// A run that was taken for interrupted while its machine slept runs again.
pub(super) async fn renew(
    conn: &mut SqliteConnection,
    run: &RunId,
    now: Timestamp,
    ttl: Span,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE runs SET until = ?, state = 'running' WHERE run = ? AND finished_at IS NULL")
        .bind(micros_after(now, ttl))
        .bind(run.as_str())
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn finish(
    conn: &mut SqliteConnection,
    run: &RunId,
    state: RunState,
    at: Timestamp,
) -> Result<(), StoreError> {
    let done = sqlx::query("UPDATE runs SET state = ?, finished_at = ? WHERE run = ?")
        .bind(state.word())
        .bind(micros(at))
        .bind(run.as_str())
        .execute(&mut *conn)
        .await?;
    if done.rows_affected() == 0 {
        return Err(StoreError::unknown("run", run));
    }
    for free in [
        "UPDATE steps SET state = 'planned' WHERE state = 'running' AND EXISTS
             (SELECT 1 FROM attempts AS a WHERE a.step = key AND a.attempt = steps.attempts AND a.run = ?)",
        "DELETE FROM leases WHERE EXISTS
             (SELECT 1 FROM steps AS s JOIN attempts AS a ON a.step = s.key AND a.attempt = s.attempts
              WHERE s.key = leases.step AND a.run = ?)",
    ] {
        sqlx::query(free).bind(run.as_str()).execute(&mut *conn).await?;
    }
    Ok(())
}

pub(super) async fn newest(
    conn: &mut SqliteConnection,
    limit: u32,
    watch: &Watch<'_>,
) -> Result<Vec<RunRecord>, StoreError> {
    let lost = lost(conn, watch).await?;
    let rows = sqlx::query(
        "SELECT run, command, state, started_at, finished_at, objects_new, objects_duplicate, objects_dead
         FROM runs ORDER BY started_at DESC, seq DESC LIMIT ?",
    )
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await?;
    let mut records: Vec<RunRecord> = rows.iter().map(record_of).collect::<Result<_, _>>()?;
    for record in records.iter_mut().filter(|r| lost.contains(r.run.as_str())) {
        record.state = RunState::Interrupted;
    }
    Ok(records)
}

fn record_of(row: &SqliteRow) -> Result<RunRecord, StoreError> {
    let cells = Cells(row);
    Ok(RunRecord {
        run: RunId::from_stored(cells.text("run")?),
        command: cells.text("command")?,
        state: cells.word("state")?,
        started_at: cells.time("started_at")?,
        finished_at: cells.optional_time("finished_at")?,
        objects_new: cells.count("objects_new")?,
        objects_duplicate: cells.count("objects_duplicate")?,
        objects_dead: cells.count("objects_dead")?,
    })
}

/// [`StoreError::Unknown`] for the first run that was never started.
pub(super) async fn require<'a>(
    conn: &mut SqliteConnection,
    runs: impl IntoIterator<Item = &'a str>,
) -> Result<(), StoreError> {
    let asked: BTreeSet<&str> = runs.into_iter().collect();
    let missing: Option<String> =
        sqlx::query_scalar("SELECT value FROM json_each(?) WHERE value NOT IN (SELECT run FROM runs) LIMIT 1")
            .bind(json(&asked))
            .fetch_optional(conn)
            .await?;
    missing.map_or(Ok(()), |run| Err(StoreError::unknown("run", run)))
}

pub(super) async fn count_objects(
    conn: &mut SqliteConnection,
    run: &RunId,
    new: u64,
    duplicate: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE runs SET objects_new = objects_new + ?, objects_duplicate = objects_duplicate + ? WHERE run = ?",
    )
    .bind(signed(new))
    .bind(signed(duplicate))
    .bind(run.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn count_dead(conn: &mut SqliteConnection, run: &str, dead: u64) -> Result<(), StoreError> {
    sqlx::query("UPDATE runs SET objects_dead = objects_dead + ? WHERE run = ?")
        .bind(signed(dead))
        .bind(run)
        .execute(conn)
        .await?;
    Ok(())
}
