//! Runs and their counts of landing objects.
//!
//! Called by `store.rs` of this folder and by the files that change what a run counts, inside a transaction.

use super::codec::{Cells, Word, json, micros, signed};
use crate::{RunRecord, RunState, StoreError};
use alluvium_model::RunId;
use jiff::Timestamp;
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::collections::BTreeSet;

pub(super) async fn start(conn: &mut SqliteConnection, run: &RunRecord) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO runs (run, command, state, started_at, finished_at, objects_new, objects_duplicate, objects_dead)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run) DO NOTHING",
    )
    .bind(run.run.as_str())
    .bind(&run.command)
    .bind(run.state.word())
    .bind(micros(run.started_at))
    .bind(run.finished_at.map(micros))
    .bind(signed(run.objects_new))
    .bind(signed(run.objects_duplicate))
    .bind(signed(run.objects_dead))
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
        .execute(conn)
        .await?;
    if done.rows_affected() == 0 { Err(StoreError::unknown("run", run)) } else { Ok(()) }
}

pub(super) async fn newest(conn: &mut SqliteConnection, limit: u32) -> Result<Vec<RunRecord>, StoreError> {
    let rows = sqlx::query(
        "SELECT run, command, state, started_at, finished_at, objects_new, objects_duplicate, objects_dead
         FROM runs ORDER BY started_at DESC, seq DESC LIMIT ?",
    )
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await?;
    rows.iter().map(record_of).collect()
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
