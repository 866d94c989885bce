//! Steps as they were planned, how far they consumed their inputs, and their end without a commit.
//!
//! Called by `store.rs` of this folder, inside a transaction.

use super::{
    codec::{Cells, micros},
    leases,
};
use crate::{Claimed, RunStep, StepRecord, StepState, StoreError, Watch};
use alluvium_model::{DatasetName, DefinitionVersion, EventId, RunId, StepKey, Window};
use jiff::Timestamp;
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::collections::BTreeMap;

macro_rules! select_steps {
    ($tail:literal) => {
        select_steps!("", $tail)
    };
    ($more:literal, $tail:literal) => {
        concat!(
            "SELECT key, run, kind, dataset, version, events, inputs, lookups, windows, state, attempts, planned_at, \
             finished_at, finished_by, committed, received, loaded, quarantined, dropped, dead, duplicates, late, \
             error",
            $more,
            " FROM steps ",
            $tail
        )
    };
}

/// What a change of one step has to know of it.
pub(super) struct Head {
    pub(super) seq: i64,
    pub(super) dataset: DatasetName,
    pub(super) state: StepState,
}

pub(super) async fn head(conn: &mut SqliteConnection, key: &StepKey) -> Result<Head, StoreError> {
    let row = sqlx::query("SELECT seq, dataset, state FROM steps WHERE key = ?")
        .bind(key.as_str())
        .fetch_optional(conn)
        .await?
        .ok_or_else(|| StoreError::unknown("step", key))?;
    let cells = Cells(&row);
    Ok(Head { seq: cells.integer("seq")?, dataset: cells.dataset("dataset")?, state: cells.word("state")? })
}

pub(super) async fn open(conn: &mut SqliteConnection) -> Result<Vec<StepRecord>, StoreError> {
    let rows =
        sqlx::query(select_steps!("WHERE state NOT IN ('done', 'superseded') ORDER BY seq")).fetch_all(conn).await?;
    rows.iter().map(record_of).collect()
}

pub(super) async fn by_key(conn: &mut SqliteConnection, key: &StepKey) -> Result<Option<StepRecord>, StoreError> {
    let row = sqlx::query(select_steps!("WHERE key = ?")).bind(key.as_str()).fetch_optional(conn).await?;
    row.as_ref().map(record_of).transpose()
}

pub(super) async fn of_run(
    conn: &mut SqliteConnection,
    run: &RunId,
    watch: &Watch<'_>,
) -> Result<Vec<RunStep>, StoreError> {
    let rows = sqlx::query(select_steps!(
        ", (SELECT count(*) FROM attempts AS a WHERE a.step = key AND a.run = ?1) AS tried, \
         (SELECT a.error FROM attempts AS a WHERE a.step = key AND a.run = ?1 ORDER BY a.attempt DESC LIMIT 1) AS fault",
        "WHERE run = ?1 OR finished_by = ?1 OR key IN (SELECT step FROM attempts WHERE run = ?1) ORDER BY seq"
    ))
    .bind(run.as_str())
    .fetch_all(&mut *conn)
    .await?;
    let lost = leases::lost(conn, watch).await?;
    let of_run = |row: &SqliteRow| {
        let cells = Cells(row);
        let mut step = record_of(row)?;
        if step.state == StepState::Running && lost.contains(step.key.as_str()) {
            step.state = StepState::Planned;
        }
        Ok(RunStep { step, attempts: cells.small("tried")?, error: cells.optional_text("fault")? })
    };
    rows.iter().map(of_run).collect()
}

fn record_of(row: &SqliteRow) -> Result<StepRecord, StoreError> {
    let cells = Cells(row);
    Ok(StepRecord {
        key: StepKey::from_stored(cells.text("key")?),
        run: RunId::from_stored(cells.text("run")?),
        kind: cells.word("kind")?,
        dataset: cells.dataset("dataset")?,
        version: DefinitionVersion::from_stored(cells.text("version")?),
        events: cells.json::<Vec<EventId>>("events")?,
        inputs: cells.json::<BTreeMap<DatasetName, Claimed>>("inputs")?,
        lookups: cells.json::<BTreeMap<DatasetName, i64>>("lookups")?,
        windows: cells.optional_json::<Vec<Window>>("windows")?,
        state: cells.word("state")?,
        attempts: cells.small("attempts")?,
        planned_at: cells.time("planned_at")?,
        finished_at: cells.optional_time("finished_at")?,
        finished_by: cells.optional_text("finished_by")?.map(RunId::from_stored),
        committed: cells.optional_integer("committed")?,
        balance: cells.balance()?,
        error: cells.optional_text("error")?,
    })
}

/// Walks from input to input, so that the length of the history does not matter.
pub(super) async fn positions(
    conn: &mut SqliteConnection,
    dataset: &DatasetName,
) -> Result<BTreeMap<DatasetName, i64>, StoreError> {
    let rows = sqlx::query(
        "WITH RECURSIVE inputs (input) AS (
             SELECT min(input) FROM consumed WHERE dataset = ?1
             UNION ALL
             SELECT (SELECT min(c.input) FROM consumed AS c WHERE c.dataset = ?1 AND c.input > inputs.input)
             FROM inputs WHERE inputs.input IS NOT NULL
         )
         SELECT input, (SELECT c.upto FROM consumed AS c WHERE c.dataset = ?1 AND c.input = inputs.input
                        ORDER BY c.seq DESC LIMIT 1) AS upto
         FROM inputs WHERE input IS NOT NULL",
    )
    .bind(dataset.to_string())
    .fetch_all(conn)
    .await?;
    let entry = |row: &SqliteRow| {
        let cells = Cells(row);
        Ok((cells.dataset("input")?, cells.integer("upto")?))
    };
    rows.iter().map(entry).collect()
}

/// A step that ended already stays as it is.
pub(super) async fn fail(
    conn: &mut SqliteConnection,
    key: &StepKey,
    error: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    match head(conn, key).await?.state {
        StepState::Done | StepState::Superseded => return Ok(()),
        StepState::Planned | StepState::Running | StepState::Failed => {}
    }
    sqlx::query("UPDATE steps SET state = 'failed', error = ?, failed_at = ? WHERE key = ?")
        .bind(error)
        .bind(micros(now))
        .bind(key.as_str())
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "UPDATE attempts SET error = ?1 WHERE step = ?2 AND attempt = (SELECT attempts FROM steps WHERE key = ?2)",
    )
    .bind(error)
    .bind(key.as_str())
    .execute(&mut *conn)
    .await?;
    end_lease(conn, key).await
}

/// A step that ended already stays as it is: what was committed cannot be taken back here.
pub(super) async fn supersede(conn: &mut SqliteConnection, key: &StepKey) -> Result<(), StoreError> {
    let head = head(conn, key).await?;
    match head.state {
        StepState::Done | StepState::Superseded => return Ok(()),
        StepState::Planned | StepState::Running | StepState::Failed => {}
    }
    sqlx::query("UPDATE steps SET state = 'superseded' WHERE seq = ?").bind(head.seq).execute(&mut *conn).await?;
    sqlx::query("UPDATE events SET state = 'pending', step = NULL WHERE step = ?")
        .bind(key.as_str())
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "DELETE FROM consumed WHERE (dataset, input, seq) IN
             (SELECT s.dataset, j.key, s.seq FROM steps AS s CROSS JOIN json_each(s.inputs) AS j WHERE s.seq = ?)",
    )
    .bind(head.seq)
    .execute(&mut *conn)
    .await?;
    end_lease(conn, key).await
}

async fn end_lease(conn: &mut SqliteConnection, key: &StepKey) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM leases WHERE step = ?").bind(key.as_str()).execute(conn).await?;
    Ok(())
}
