//! Runs and their counts of landing objects.
//!
//! Called by `store.rs` of this folder and by the files that change what a run counts, inside a transaction.

use super::{
    Arg, Row, Session,
    codec::{Cells, Word, micros, micros_after, signed},
    steps,
};
use crate::{
    Owner, RunRecord, RunState, StoreError, Watch,
    machine::{
        run::{Command, Run},
        step,
    },
};
use alluvium_model::{RunId, Span};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// In `tells`: that the run has ended was told.
const TOLD: i64 = 2;

pub(super) async fn start(
    tx: &mut Session<'_>,
    run: &RunRecord,
    owner: &Owner,
    ttl: Span,
    watch: &Watch<'_>,
) -> Result<(), StoreError> {
    let lost = lost(tx, watch).await?;
    if !lost.is_empty() {
        // One that came to its end since it was looked for keeps it.
        let from = RunState::Running;
        let sql = "UPDATE runs SET state = $1 WHERE state = $2 AND run IN (SELECT value ->> 0 FROM json_each($3))";
        tx.execute(sql, &[from.without_lease().word().into(), from.word().into(), Arg::column(&lost)]).await?;
    }
    tx.execute(
        "INSERT INTO runs (run, command, state, started_at, finished_at, objects_new, objects_duplicate, objects_dead,
                           host, process, started_ticks, until, tells)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (run) DO NOTHING",
        &[
            run.run.as_str().into(),
            run.command.as_str().into(),
            run.state.word().into(),
            micros(run.started_at).into(),
            run.finished_at.map(micros).into(),
            signed(run.objects_new).into(),
            signed(run.objects_duplicate).into(),
            signed(run.objects_dead).into(),
            owner.host.as_str().into(),
            i64::from(owner.process).into(),
            owner.started_ticks.cast_signed().into(),
            micros_after(watch.now, ttl).into(),
            i64::from(run.tells).into(),
        ],
    )
    .await?;
    Ok(())
}

/// Runs that never ended and whose lease does not hold any more.
pub(super) async fn lost(tx: &mut Session<'_>, watch: &Watch<'_>) -> Result<BTreeSet<String>, StoreError> {
    let sql = "SELECT run, host, process, started_ticks, until FROM runs WHERE state = 'running'";
    let rows = tx.rows(sql, &[]).await?;
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

/// Whether the run goes on, and its process lives.
pub(super) async fn is_live(tx: &mut Session<'_>, run: &RunId, watch: &Watch<'_>) -> Result<bool, StoreError> {
    let sql = "SELECT host, process, started_ticks, until FROM runs WHERE run = $1 AND state = 'running'";
    let Some(row) = tx.row(sql, &[run.as_str().into()]).await? else { return Ok(false) };
    let cells = Cells(&row);
    Ok(match cells.optional_time("until")? {
        Some(until) => watch.holds(&cells.owner()?, until),
        None => false,
    })
}

/// The run, which nobody else changes until the transaction ends. Who has taken a dataset, and names the run in a row of its own, does
/// not wait: the transaction may take that dataset yet.
async fn taken(tx: &mut Session<'_>, run: &RunId) -> Result<Option<Run>, StoreError> {
    let sql = "SELECT state, finished_at FROM runs WHERE run = $1 FOR NO KEY UPDATE";
    let row = tx.row(sql, &[run.as_str().into()]).await?;
    let run = row.as_ref().map(Cells).map(|cells| {
        Ok(Run { state: cells.word("state")?, has_ended: cells.optional_integer("finished_at")?.is_some() })
    });
    run.transpose()
}

/// A run that was taken for interrupted while its machine slept runs again.
pub(super) async fn renew(tx: &mut Session<'_>, run: &RunId, now: Timestamp, ttl: Span) -> Result<(), StoreError> {
    if let Some(before) = taken(tx, run).await?
        && let Ok(next) = before.after(Command::Renew)
    {
        let sql = "UPDATE runs SET until = $1, state = $2 WHERE run = $3";
        tx.execute(sql, &[micros_after(now, ttl).into(), next.state.word().into(), run.as_str().into()]).await?;
    }
    Ok(())
}

/// What the run was to do is done by this process from now on, from its beginning.
pub(super) async fn start_again(
    tx: &mut Session<'_>,
    run: &RunId,
    owner: &Owner,
    ttl: Span,
    now: Timestamp,
) -> Result<(), StoreError> {
    let before = taken(tx, run).await?.ok_or_else(|| StoreError::unknown("run", run))?;
    let Ok(next) = before.after(Command::StartAgain) else { return Ok(()) };
    let sql = "UPDATE runs SET state = $1, finished_at = NULL, host = $2, process = $3, started_ticks = $4, until = $5
               WHERE run = $6";
    let args = [
        next.state.word().into(),
        owner.host.as_str().into(),
        i64::from(owner.process).into(),
        owner.started_ticks.cast_signed().into(),
        micros_after(now, ttl).into(),
        run.as_str().into(),
    ];
    tx.execute(sql, &args).await?;
    Ok(())
}

pub(super) async fn finish(
    tx: &mut Session<'_>,
    run: &RunId,
    state: RunState,
    at: Timestamp,
) -> Result<(), StoreError> {
    let before = taken(tx, run).await?.ok_or_else(|| StoreError::unknown("run", run))?;
    if let Ok(next) = before.after(Command::Finish(state)) {
        let sql = "UPDATE runs SET state = $1, finished_at = $2 WHERE run = $3";
        tx.execute(sql, &[next.state.word().into(), micros(at).into(), run.as_str().into()]).await?;
    }
    hand_back(tx, run).await
}

/// What the run executes is open again, as if its newest attempt had not begun.
async fn hand_back(tx: &mut Session<'_>, run: &RunId) -> Result<(), StoreError> {
    let held = "SELECT s.key, s.seq, s.dataset, s.state, s.attempts, s.failures, s.retry_at
                FROM leases AS l JOIN steps AS s ON s.key = l.step
                JOIN attempts AS a ON a.step = s.key AND a.attempt = s.attempts WHERE a.run = $1";
    let run = [run.as_str().into()];
    let datasets = tx.rows(held, &run).await?;
    if datasets.is_empty() {
        return Ok(());
    }
    let datasets: Vec<String> = datasets.iter().map(|row| Cells(row).text("dataset")).collect::<Result<_, _>>()?;
    tx.take_datasets(datasets).await?;
    // As they are now that nobody else changes them.
    let held = tx.rows(held, &run).await?;
    steps::move_all(tx, &held, step::Command::HandBack).await
}

pub(super) async fn newest(tx: &mut Session<'_>, limit: u32, watch: &Watch<'_>) -> Result<Vec<RunRecord>, StoreError> {
    let lost = lost(tx, watch).await?;
    let sql = "SELECT run, command, state, started_at, finished_at, objects_new, objects_duplicate, objects_dead, tells
               FROM runs ORDER BY started_at DESC, seq DESC LIMIT $1";
    let rows = tx.rows(sql, &[i64::from(limit).into()]).await?;
    let mut records: Vec<RunRecord> = rows.iter().map(record_of).collect::<Result<_, _>>()?;
    for record in records.iter_mut().filter(|r| lost.contains(r.run.as_str())) {
        record.state = record.state.without_lease();
    }
    Ok(records)
}

pub(super) fn record_of(row: &Row) -> Result<RunRecord, StoreError> {
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
        tells: cells.integer("tells")? == 1,
    })
}

/// [`StoreError::Unknown`] for the first run that was never started.
pub(super) async fn require<'a>(
    tx: &mut Session<'_>,
    runs: impl IntoIterator<Item = &'a str>,
) -> Result<(), StoreError> {
    let asked: BTreeSet<&str> = runs.into_iter().collect();
    let sql = "SELECT j.value ->> 0 AS run FROM json_each($1) AS j
               WHERE NOT EXISTS (SELECT 1 FROM runs AS r WHERE r.run = j.value ->> 0) LIMIT 1";
    match tx.row(sql, &[Arg::column(asked)]).await? {
        None => Ok(()),
        Some(row) => Err(StoreError::unknown("run", Cells(&row).text("run")?)),
    }
}

/// What a run still plans, it plans before it is told that it has ended: who tells waits, and sees it.
pub(super) async fn not_told<'a>(
    tx: &mut Session<'_>,
    runs: impl IntoIterator<Item = &'a str>,
) -> Result<(), StoreError> {
    let asked: BTreeSet<&str> = runs.into_iter().collect();
    let sql = "SELECT run, tells FROM runs
               WHERE tells <> 0 AND run IN (SELECT value ->> 0 FROM json_each($1)) ORDER BY run FOR UPDATE";
    for row in tx.rows(sql, &[Arg::column(asked)]).await? {
        let cells = Cells(&row);
        if cells.integer("tells")? == TOLD {
            return Err(StoreError::RunTold { run: cells.text("run")? });
        }
    }
    Ok(())
}

pub(super) async fn count_objects(
    tx: &mut Session<'_>,
    run: &RunId,
    new: u64,
    duplicate: u64,
) -> Result<(), StoreError> {
    let sql =
        "UPDATE runs SET objects_new = objects_new + $1, objects_duplicate = objects_duplicate + $2 WHERE run = $3";
    tx.execute(sql, &[signed(new).into(), signed(duplicate).into(), run.as_str().into()]).await?;
    Ok(())
}

pub(super) async fn count_dead(tx: &mut Session<'_>, run: &str, dead: u64) -> Result<(), StoreError> {
    let sql = "UPDATE runs SET objects_dead = objects_dead + $1 WHERE run = $2";
    tx.execute(sql, &[signed(dead).into(), run.into()]).await?;
    Ok(())
}
