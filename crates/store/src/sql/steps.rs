//! Steps as they were planned, how far they consumed their inputs, and their end without a commit.
//!
//! Called by `store.rs` of this folder, inside a transaction.

use super::{
    Arg, Row, Session,
    codec::{Cells, ROWS_PER_STATEMENT, Word, micros},
    leases, quality, runs,
    sets::over,
};
use crate::{
    AfterFailure, Claimed, Failure, HeldOff, RunStep, StepKind, StepRecord, StepState, StoreError, Watch,
    machine::{
        event,
        step::{Command, Refusal, Step},
    },
};
use alluvium_model::{DatasetName, DefinitionVersion, EventId, RunId, StepKey, Window};
use serde::Serialize;
use std::collections::BTreeMap;

macro_rules! select_steps {
    ($tail:expr) => {
        select_steps!("", $tail)
    };
    ($more:literal, $tail:expr) => {
        concat!(
            "SELECT key, run, kind, dataset, version, events, inputs, lookups, windows, watermark, state, attempts, failures, \
             retry_at, planned_at, finished_at, finished_by, committed, received, loaded, quarantined, dropped, dead, duplicates, late, \
             error, original",
            $more,
            " FROM steps ",
            $tail
        )
    };
}

/// Writes what the machine said of one step. The first arguments are those of [`Head::moved`].
macro_rules! move_step {
    ($also:literal) => {
        concat!("UPDATE steps SET state = $2, attempts = $3, failures = $4, retry_at = $5", $also, " WHERE seq = $1")
    };
}

/// What a change of one step has to know of it.
pub(super) struct Head {
    pub(super) seq: i64,
    pub(super) kind: StepKind,
    pub(super) dataset: DatasetName,
    pub(super) step: Step,
    /// Code and message of the last failed attempt.
    pub(super) error: Option<String>,
}

impl Head {
    fn moved(&self, next: Step) -> [Arg<'static>; 5] {
        [
            self.seq.into(),
            next.state.word().into(),
            i64::from(next.attempts).into(),
            i64::from(next.failures).into(),
            next.retry_at.map(micros).into(),
        ]
    }

    /// The machine said so, of a dataset that is taken.
    pub(super) async fn write(&mut self, tx: &mut Session<'_>, next: Step) -> Result<(), StoreError> {
        tx.execute(move_step!(""), &self.moved(next)).await?;
        self.step = next;
        Ok(())
    }
}

/// As the machine said of a dead letter. Nobody has given it up any more.
pub(super) async fn bring_back(tx: &mut Session<'_>, head: &Head, next: Step) -> Result<(), StoreError> {
    tx.execute(move_step!(", died_by = NULL, died_at = NULL"), &head.moved(next)).await?;
    Ok(())
}

/// From the columns of the same names.
pub(super) fn step_of(cells: &Cells<'_>) -> Result<Step, StoreError> {
    Ok(Step {
        state: cells.word("state")?,
        attempts: cells.small("attempts")?,
        failures: cells.small("failures")?,
        retry_at: cells.optional_time("retry_at")?,
    })
}

/// The step, whose dataset nobody else changes until the transaction ends.
pub(super) async fn head(tx: &mut Session<'_>, key: &StepKey) -> Result<Head, StoreError> {
    let unknown = || StoreError::unknown("step", key);
    let row = tx.row("SELECT dataset FROM steps WHERE key = $1", &[key.as_str().into()]).await?.ok_or_else(unknown)?;
    tx.take_datasets([Cells(&row).text("dataset")?]).await?;
    taken_head(tx, key.as_str()).await?.ok_or_else(unknown)
}

/// As [`head`], of a step whose dataset is taken.
pub(super) async fn taken_head(tx: &mut Session<'_>, key: &str) -> Result<Option<Head>, StoreError> {
    let sql = "SELECT seq, kind, dataset, state, attempts, failures, retry_at, error FROM steps WHERE key = $1";
    let Some(row) = tx.row(sql, &[key.into()]).await? else { return Ok(None) };
    let cells = Cells(&row);
    Ok(Some(Head {
        seq: cells.integer("seq")?,
        kind: cells.word("kind")?,
        dataset: cells.dataset("dataset")?,
        step: step_of(&cells)?,
        error: cells.optional_text("error")?,
    }))
}

#[derive(Serialize)]
struct Moved {
    seq: i64,
    state: &'static str,
    attempts: u32,
    failures: u32,
    retry_at: Option<i64>,
}

/// The command is for all of these steps, of a dataset that is taken, and their leases end. Those that refuse it stay as they are. The rows have `key`,
/// `seq` and the columns of [`step_of`].
pub(super) async fn move_all(tx: &mut Session<'_>, rows: &[Row], command: Command) -> Result<(), StoreError> {
    let (mut keys, mut moved) = (Vec::new(), Vec::new());
    for cells in rows.iter().map(Cells) {
        let Ok(next) = step_of(&cells)?.after(command) else { continue };
        keys.push(cells.text("key")?);
        moved.push(Moved {
            seq: cells.integer("seq")?,
            state: next.state.word(),
            attempts: next.attempts,
            failures: next.failures,
            retry_at: next.retry_at.map(micros),
        });
    }
    for (keys, moved) in keys.chunks(ROWS_PER_STATEMENT).zip(moved.chunks(ROWS_PER_STATEMENT)) {
        let sql = "UPDATE steps SET state = j.value ->> 'state', attempts = CAST(j.value ->> 'attempts' AS BIGINT),
                       failures = CAST(j.value ->> 'failures' AS BIGINT), retry_at = CAST(j.value ->> 'retry_at' AS BIGINT)
                   FROM json_each($1) AS j WHERE steps.seq = CAST(j.value ->> 'seq' AS BIGINT)";
        tx.execute(sql, &[Arg::list(moved)]).await?;
        leases::end(tx, keys).await?;
    }
    Ok(())
}

pub(super) async fn open(tx: &mut Session<'_>) -> Result<Vec<StepRecord>, StoreError> {
    let rows = tx.rows(select_steps!(concat!("WHERE state NOT IN ", over!(), " ORDER BY seq")), &[]).await?;
    rows.iter().map(record_of).collect()
}

pub(super) async fn ready(tx: &mut Session<'_>, watch: &Watch<'_>) -> Result<Vec<StepRecord>, StoreError> {
    let sql = select_steps!(concat!(
        "WHERE seq IN (SELECT min(seq) FROM steps WHERE state NOT IN ",
        over!(),
        " AND NOT (state = 'dead' AND kind = 'ingest') AND kind <> 'backfill' GROUP BY dataset)
          AND state <> 'dead' AND (retry_at IS NULL OR retry_at <= $1) ORDER BY seq"
    ));
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
        if lost.contains(step.key.as_str()) {
            step.state = step.state.without_lease();
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
        original: cells.integer("original")? != 0,
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

/// What refuses it stays as it is.
pub(super) async fn fail(tx: &mut Session<'_>, failure: &Failure) -> Result<AfterFailure, StoreError> {
    let Failure { key, run, attempt, error, class, at, retry_at, most, quality: measured } = failure;
    let head = head(tx, key).await?;
    let command = Command::Fail { attempt: *attempt, most: *most, retry_at: *retry_at };
    let Ok(next) = head.step.after(command) else { return Ok(AfterFailure::Closed) };
    let mut args = head.moved(next).to_vec();
    args.extend([error.as_str().into(), class.word().into(), micros(*at).into()]);
    tx.execute(move_step!(", error = $6, class = $7, failed_at = $8"), &args).await?;
    if next.state == StepState::Dead {
        runs::require(tx, [run.as_str()]).await?;
        let sql = "UPDATE steps SET died_by = $1, died_at = $2 WHERE seq = $3";
        tx.execute(sql, &[run.as_str().into(), micros(*at).into(), head.seq.into()]).await?;
        // Results of an earlier attempt say nothing about this one.
        if next.attempts > 1 {
            quality::forget(tx, &[key.as_str()]).await?;
        }
        quality::insert(tx, &[(key.as_str(), measured.as_slice())]).await?;
    }
    let sql = "UPDATE attempts SET error = $1 WHERE step = $2 AND attempt = $3";
    tx.execute(sql, &[error.as_str().into(), key.as_str().into(), i64::from(next.attempts).into()]).await?;
    leases::end(tx, &[key.as_str()]).await?;
    Ok(if next.state == StepState::Dead { AfterFailure::Dead } else { AfterFailure::Open })
}

pub(super) async fn hold_off(tx: &mut Session<'_>, key: &StepKey, watch: &Watch<'_>) -> Result<HeldOff, StoreError> {
    let mut head = head(tx, key).await?;
    if let Some(by) = leases::holder_of(tx, &head, key, watch).await? {
        return Ok(HeldOff::Not { by });
    }
    // Nobody holds it: one that is running lost its lease.
    let before = head.step.after(Command::Lose).unwrap_or(head.step);
    if let Ok(next) = before.after(Command::HoldOff)
        && next != head.step
    {
        head.write(tx, next).await?;
        leases::end(tx, &[key.as_str()]).await?;
    }
    Ok(HeldOff::Upto { attempt: head.step.attempts })
}

/// What was committed cannot be taken back here.
pub(super) async fn supersede(tx: &mut Session<'_>, key: &StepKey, attempts: u32) -> Result<bool, StoreError> {
    let mut head = head(tx, key).await?;
    let next = match head.step.after(Command::Supersede { attempts }) {
        Ok(next) => next,
        Err(Refusal::OtherAttempt) => return Ok(false),
        // It has ended already.
        Err(_) => return Ok(true),
    };
    head.write(tx, next).await?;
    let (from, to) = event::Command::GiveBack.moves();
    let sql = "UPDATE events SET state = $2, step = NULL WHERE step = $1 AND state = $3";
    tx.execute(sql, &[key.as_str().into(), to.word().into(), from.word().into()]).await?;
    if let Some(step) = by_key(tx, key).await? {
        let inputs = Arg::column(step.inputs.keys().map(ToString::to_string));
        let sql = "DELETE FROM consumed WHERE dataset = $1 AND seq = $2
                   AND input IN (SELECT value ->> 0 FROM json_each($3))";
        tx.execute(sql, &[head.dataset.to_string().into(), head.seq.into(), inputs]).await?;
    }
    leases::end(tx, &[key.as_str()]).await?;
    Ok(true)
}
