//! Steps as they were planned, how far they consumed their inputs, and their end without a commit.
//!
//! Called by `store.rs` of this folder, inside a transaction.

use super::{
    Arg, Row, Session,
    codec::{Cells, Word, micros},
    leases, quality, runs,
};
use crate::{AfterFailure, Claimed, Failure, HeldOff, RunStep, StepKind, StepRecord, StepState, StoreError, Watch};
use alluvium_model::{DatasetName, DefinitionVersion, EventId, RunId, StepKey, Window};
use jiff::Timestamp;
use std::collections::BTreeMap;

macro_rules! select_steps {
    ($tail:literal) => {
        select_steps!("", $tail)
    };
    ($more:literal, $tail:literal) => {
        concat!(
            "SELECT key, run, kind, dataset, version, events, inputs, lookups, windows, watermark, state, attempts, failures, \
             retry_at, planned_at, finished_at, finished_by, committed, received, loaded, quarantined, dropped, dead, duplicates, late, \
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
    pub(super) kind: StepKind,
    pub(super) dataset: DatasetName,
    pub(super) state: StepState,
    pub(super) attempts: u32,
    pub(super) failures: u32,
    pub(super) retry_at: Option<Timestamp>,
}

/// The step, whose dataset nobody else changes until the transaction ends.
pub(super) async fn head(tx: &mut Session<'_>, key: &StepKey) -> Result<Head, StoreError> {
    let unknown = || StoreError::unknown("step", key);
    let row = tx.row("SELECT dataset FROM steps WHERE key = $1", &[key.as_str().into()]).await?.ok_or_else(unknown)?;
    tx.take_datasets([Cells(&row).text("dataset")?]).await?;
    let sql = "SELECT seq, kind, dataset, state, attempts, failures, retry_at FROM steps WHERE key = $1";
    let row = tx.row(sql, &[key.as_str().into()]).await?.ok_or_else(unknown)?;
    let cells = Cells(&row);
    Ok(Head {
        seq: cells.integer("seq")?,
        kind: cells.word("kind")?,
        dataset: cells.dataset("dataset")?,
        state: cells.word("state")?,
        attempts: cells.small("attempts")?,
        failures: cells.small("failures")?,
        retry_at: cells.optional_time("retry_at")?,
    })
}

pub(super) async fn open(tx: &mut Session<'_>) -> Result<Vec<StepRecord>, StoreError> {
    let rows = tx.rows(select_steps!("WHERE state NOT IN ('done', 'superseded') ORDER BY seq"), &[]).await?;
    rows.iter().map(record_of).collect()
}

pub(super) async fn ready(tx: &mut Session<'_>, watch: &Watch<'_>) -> Result<Vec<StepRecord>, StoreError> {
    let sql = select_steps!(
        "WHERE seq IN (SELECT min(seq) FROM steps
                       WHERE state NOT IN ('done', 'superseded') AND NOT (state = 'dead' AND kind = 'ingest') AND kind <> 'backfill'
                       GROUP BY dataset)
             AND state <> 'dead' AND (retry_at IS NULL OR retry_at <= $1) ORDER BY seq"
    );
    let rows = tx.rows(sql, &[micros(watch.now).into()]).await?;
    let held = leases::held(tx, watch).await?;
    let free = rows.iter().map(record_of).filter(|s| s.as_ref().map_or(true, |s| !held.contains(&s.dataset)));
    free.collect()
}

pub(super) async fn by_key(tx: &mut Session<'_>, key: &StepKey) -> Result<Option<StepRecord>, StoreError> {
    let row = tx.row(select_steps!("WHERE key = $1"), &[key.as_str().into()]).await?;
    row.as_ref().map(record_of).transpose()
}

pub(super) async fn state(tx: &mut Session<'_>, key: &StepKey) -> Result<Option<StepState>, StoreError> {
    let row = tx.row("SELECT state FROM steps WHERE key = $1", &[key.as_str().into()]).await?;
    row.map(|row| Cells(&row).word("state")).transpose()
}

pub(super) async fn of_run(tx: &mut Session<'_>, run: &RunId, watch: &Watch<'_>) -> Result<Vec<RunStep>, StoreError> {
    let sql = select_steps!(
        ", (SELECT count(*) FROM attempts AS a WHERE a.step = key AND a.run = $1) AS tried, \
         (SELECT a.error FROM attempts AS a WHERE a.step = key AND a.run = $1 ORDER BY a.attempt DESC LIMIT 1) AS fault",
        "WHERE run = $1 OR finished_by = $1 OR key IN (SELECT step FROM attempts WHERE run = $1) ORDER BY seq"
    );
    let rows = tx.rows(sql, &[run.as_str().into()]).await?;
    let lost = leases::lost(tx, watch).await?;
    let of_run = |row: &Row| {
        let cells = Cells(row);
        let mut step = record_of(row)?;
        if step.state == StepState::Running && lost.contains(step.key.as_str()) {
            step.state = StepState::Planned;
        }
        Ok(RunStep { step, attempts: cells.small("tried")?, error: cells.optional_text("fault")? })
    };
    rows.iter().map(of_run).collect()
}

fn record_of(row: &Row) -> Result<StepRecord, StoreError> {
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
        watermark: cells.optional_time("watermark")?,
        state: cells.word("state")?,
        attempts: cells.small("attempts")?,
        failures: cells.small("failures")?,
        retry_at: cells.optional_time("retry_at")?,
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
    tx: &mut Session<'_>,
    dataset: &DatasetName,
) -> Result<BTreeMap<DatasetName, i64>, StoreError> {
    let rows = tx
        .rows(
            "WITH RECURSIVE inputs (input) AS (
             SELECT min(input) FROM consumed WHERE dataset = $1
             UNION ALL
             SELECT (SELECT min(c.input) FROM consumed AS c WHERE c.dataset = $1 AND c.input > inputs.input)
             FROM inputs WHERE inputs.input IS NOT NULL
         )
         SELECT input, (SELECT c.upto FROM consumed AS c WHERE c.dataset = $1 AND c.input = inputs.input
                        ORDER BY c.seq DESC LIMIT 1) AS upto
         FROM inputs WHERE input IS NOT NULL",
            &[dataset.to_string().into()],
        )
        .await?;
    let entry = |row: &Row| {
        let cells = Cells(row);
        Ok((cells.dataset("input")?, cells.integer("upto")?))
    };
    rows.iter().map(entry).collect()
}

/// A step that ended already stays as it is.
pub(super) async fn fail(tx: &mut Session<'_>, failure: &Failure) -> Result<AfterFailure, StoreError> {
    let Failure { key, run, attempt, error, class, at, retry_at, most, quality: measured } = failure;
    let head = head(tx, key).await?;
    match head.state {
        StepState::Done | StepState::Superseded | StepState::Dead => return Ok(AfterFailure::Closed),
        StepState::Planned | StepState::Running | StepState::Failed => {}
    }
    if head.attempts != *attempt {
        return Ok(AfterFailure::Closed);
    }
    let failures = head.failures.saturating_add(1);
    let retry_at = retry_at.filter(|_| failures < *most);
    let state = if retry_at.is_some() { StepState::Failed } else { StepState::Dead };
    let sql = "UPDATE steps SET state = $1, error = $2, class = $3, failed_at = $4, failures = $5, retry_at = $6
               WHERE seq = $7";
    let args = [
        state.word().into(),
        error.as_str().into(),
        class.word().into(),
        micros(*at).into(),
        i64::from(failures).into(),
        retry_at.map(micros).into(),
        head.seq.into(),
    ];
    tx.execute(sql, &args).await?;
    if state == StepState::Dead {
        runs::require(tx, [run.as_str()]).await?;
        let sql = "UPDATE steps SET died_by = $1, died_at = $2 WHERE seq = $3";
        tx.execute(sql, &[run.as_str().into(), micros(*at).into(), head.seq.into()]).await?;
        // Results of an earlier attempt say nothing about this one.
        if head.attempts > 1 {
            quality::forget(tx, &[key.as_str()]).await?;
        }
        quality::insert(tx, &[(key.as_str(), measured.as_slice())]).await?;
    }
    let sql = "UPDATE attempts SET error = $1
               WHERE step = $2 AND attempt = (SELECT s.attempts FROM steps AS s WHERE s.key = $2)";
    tx.execute(sql, &[error.as_str().into(), key.as_str().into()]).await?;
    leases::end(tx, key.as_str()).await?;
    Ok(if retry_at.is_some() { AfterFailure::Open } else { AfterFailure::Dead })
}

/// The number that is counted belongs to no attempt: all that there were are older, and the next one is newer.
pub(super) async fn hold_off(tx: &mut Session<'_>, key: &StepKey, watch: &Watch<'_>) -> Result<HeldOff, StoreError> {
    let head = head(tx, key).await?;
    if let Some(by) = leases::holder_of(tx, &head, key, watch).await? {
        return Ok(HeldOff::Not { by });
    }
    let has_ended = matches!(head.state, StepState::Done | StepState::Superseded);
    if has_ended || head.attempts == 0 {
        return Ok(HeldOff::Upto { attempt: head.attempts });
    }
    leases::abandoned(tx, key.as_str()).await?;
    tx.execute("UPDATE steps SET attempts = attempts + 1 WHERE seq = $1", &[head.seq.into()]).await?;
    Ok(HeldOff::Upto { attempt: head.attempts.saturating_add(1) })
}

/// A step that ended already stays as it is: what was committed cannot be taken back here.
pub(super) async fn supersede(tx: &mut Session<'_>, key: &StepKey, attempts: u32) -> Result<bool, StoreError> {
    let head = head(tx, key).await?;
    match head.state {
        StepState::Done | StepState::Superseded => return Ok(true),
        StepState::Planned | StepState::Running | StepState::Failed | StepState::Dead => {}
    }
    if head.attempts != attempts {
        return Ok(false);
    }
    tx.execute("UPDATE steps SET state = 'superseded' WHERE seq = $1", &[head.seq.into()]).await?;
    let sql = "UPDATE events SET state = 'pending', step = NULL WHERE step = $1";
    tx.execute(sql, &[key.as_str().into()]).await?;
    if let Some(step) = by_key(tx, key).await? {
        let inputs = Arg::column(step.inputs.keys().map(ToString::to_string));
        let sql = "DELETE FROM consumed WHERE dataset = $1 AND seq = $2
                   AND input IN (SELECT value ->> 0 FROM json_each($3))";
        tx.execute(sql, &[head.dataset.to_string().into(), head.seq.into(), inputs]).await?;
    }
    leases::end(tx, key.as_str()).await?;
    Ok(true)
}
