//! Planning: a step, the events it takes and the positions it moves, all or none of them.
//!
//! Called by `store.rs` of this folder, inside a transaction that writes. What the steps touch is read once, each step
//! is decided on in order over that picture, and the accepted ones are written at once.

use super::{
    Arg, Row, Session, backfills,
    codec::{Cells, ROWS_PER_STATEMENT, Word, json, micros},
    runs,
    sets::over,
    steps::step_of,
};
use crate::{
    Claimed, NewStep, Planned, StepKind, StoreError,
    machine::{
        event,
        step::{Command, Step},
    },
};
use alluvium_model::{DatasetName, EventId, Window};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Before the first version of a table.
const NEVER_READ: i64 = -1;

pub(super) async fn plan(tx: &mut Session<'_>, steps: &[NewStep]) -> Result<Vec<Planned>, StoreError> {
    let mut answers = Vec::with_capacity(steps.len());
    for chunk in steps.chunks(ROWS_PER_STATEMENT) {
        let mut picture = Picture::read(tx, chunk).await?;
        let mut accepted = Vec::new();
        for step in chunk {
            let answer = picture.decide(step)?;
            if answer == Planned::New {
                accepted.push(step);
            }
            answers.push(answer);
        }
        picture.forget_superseded(tx, &accepted).await?;
        write(tx, &accepted, &picture.again).await?;
    }
    Ok(answers)
}

/// What the steps of one chunk touch, as the steps before them left it.
#[derive(Debug, Default)]
struct Picture<'a> {
    /// Steps under whose key none is planned again.
    there: HashSet<String>,
    /// What a step begins as whose key was there before.
    again: HashMap<String, Step>,
    /// Whether an event may be taken.
    free: HashMap<String, bool>,
    positions: HashMap<(&'a DatasetName, &'a DatasetName), i64>,
    /// Backfills that have not come to their end.
    backfills: HashSet<String>,
    /// Datasets with live steps that have not ended.
    open: HashSet<String>,
}

/// Whether the step replaces a live table.
fn is_whole_swap(step: &NewStep) -> bool {
    step.kind == StepKind::Swap && step.windows.is_none()
}

/// Whether the step is part of a backfill.
fn is_of_backfill(step: &NewStep) -> bool {
    matches!(step.kind, StepKind::Backfill | StepKind::Swap)
}

impl<'a> Picture<'a> {
    async fn read(tx: &mut Session<'_>, steps: &'a [NewStep]) -> Result<Self, StoreError> {
        runs::require(tx, steps.iter().map(|s| s.run.as_str())).await?;
        // What a backfill plans is told by its own word.
        let live = steps.iter().filter(|s| !is_of_backfill(s));
        runs::not_told(tx, live.map(|s| s.run.as_str())).await?;
        tx.take_datasets(steps.iter().map(|s| s.dataset.to_string())).await?;
        let of_backfills = steps.iter().filter(|s| is_of_backfill(s)).map(|s| s.run.as_str());
        let mut picture = Self { backfills: backfills::under_way(tx, of_backfills).await?, ..Self::default() };
        picture.open = open(tx, steps.iter().filter(|s| is_whole_swap(s)).map(|s| &s.dataset)).await?;
        let keys: Vec<&str> = steps.iter().map(|s| s.key.as_str()).collect();
        for (key, before) in known(tx, &keys).await? {
            if let Ok(again) = before.after(Command::Plan) {
                picture.again.insert(key, again);
            } else {
                picture.there.insert(key);
            }
        }
        let events: Vec<&str> = steps.iter().flat_map(|s| &s.events).map(EventId::as_str).collect();
        for ids in events.chunks(ROWS_PER_STATEMENT) {
            let free = free(tx, ids).await?;
            picture.free.extend(free);
        }
        picture.read_positions(tx, steps).await?;
        Ok(picture)
    }

    async fn read_positions(&mut self, tx: &mut Session<'_>, steps: &'a [NewStep]) -> Result<(), StoreError> {
        let pairs: HashSet<_> = steps.iter().flat_map(|s| s.inputs.keys().map(move |i| (&s.dataset, i))).collect();
        if pairs.is_empty() {
            return Ok(());
        }
        let pairs: Vec<_> = pairs.into_iter().collect();
        let asked: Vec<(String, String)> = pairs.iter().map(|(d, i)| (d.to_string(), i.to_string())).collect();
        let sql = "SELECT (SELECT c.upto FROM consumed AS c
                           WHERE c.dataset = j.value ->> 0 AND c.input = j.value ->> 1
                           ORDER BY c.seq DESC LIMIT 1) AS upto
                   FROM json_each($1) AS j ORDER BY j.key";
        for (pair, row) in pairs.into_iter().zip(tx.rows(sql, &[Arg::list(&asked)]).await?) {
            self.positions.insert(pair, Cells(&row).optional_integer("upto")?.unwrap_or(NEVER_READ));
        }
        Ok(())
    }

    /// A superseded step may be planned again: the definition went back to what it was.
    fn decide(&mut self, step: &'a NewStep) -> Result<Planned, StoreError> {
        if self.there.contains(step.key.as_str()) {
            return Ok(Planned::Exists);
        }
        if is_of_backfill(step) && !self.backfills.contains(step.run.as_str()) {
            return Ok(Planned::Conflict);
        }
        // It stands for all that was planned before, and none of that may be executed after it.
        if is_whole_swap(step) && self.open.contains(&step.dataset.to_string()) {
            return Ok(Planned::Conflict);
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
            StepKind::Curate | StepKind::Swap => step.windows.is_none(),
            StepKind::Ingest
            | StepKind::Refine
            | StepKind::ReplayQuarantine
            | StepKind::Discard
            | StepKind::Backfill => false,
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

    async fn forget_superseded(&self, tx: &mut Session<'_>, accepted: &[&NewStep]) -> Result<(), StoreError> {
        let again: Vec<&str> =
            accepted.iter().map(|s| s.key.as_str()).filter(|k| self.again.contains_key(*k)).collect();
        if !again.is_empty() {
            for forget in [
                "DELETE FROM quality WHERE step IN (SELECT value ->> 0 FROM json_each($1))",
                "DELETE FROM attempts WHERE step IN (SELECT value ->> 0 FROM json_each($1))",
                "DELETE FROM steps WHERE key IN (SELECT value ->> 0 FROM json_each($1))",
            ] {
                tx.execute(forget, &[Arg::column(&again)]).await?;
            }
        }
        Ok(())
    }
}

/// Of these datasets, those with live steps that have not ended.
async fn open<'a>(
    tx: &mut Session<'_>,
    datasets: impl IntoIterator<Item = &'a DatasetName>,
) -> Result<HashSet<String>, StoreError> {
    let datasets: HashSet<String> = datasets.into_iter().map(ToString::to_string).collect();
    if datasets.is_empty() {
        return Ok(HashSet::new());
    }
    let sql = concat!(
        "SELECT DISTINCT dataset FROM steps WHERE state NOT IN ",
        over!(),
        " AND kind <> 'backfill' AND dataset IN (SELECT value ->> 0 FROM json_each($1))"
    );
    tx.rows(sql, &[Arg::column(datasets)]).await?.iter().map(|row| Cells(row).text("dataset")).collect()
}

async fn known(tx: &mut Session<'_>, keys: &[&str]) -> Result<Vec<(String, Step)>, StoreError> {
    let sql = "SELECT s.key, s.state, s.attempts, s.failures, s.retry_at
               FROM json_each($1) AS j CROSS JOIN steps AS s WHERE s.key = j.value ->> 0";
    let of = |row: &Row| Ok((Cells(row).text("key")?, step_of(&Cells(row))?));
    tx.rows(sql, &[Arg::column(keys)]).await?.iter().map(of).collect()
}

/// Whoever else takes one of them meanwhile waits.
async fn free(tx: &mut Session<'_>, ids: &[&str]) -> Result<Vec<(String, bool)>, StoreError> {
    let sql = "SELECT e.event, e.state FROM events AS e
               WHERE e.event IN (SELECT value ->> 0 FROM json_each($1)) ORDER BY e.event FOR UPDATE";
    let pair = |row: &Row| Ok((Cells(row).text("event")?, event::Command::Take.is_for(Cells(row).word("state")?)));
    tx.rows(sql, &[Arg::column(ids)]).await?.iter().map(pair).collect()
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
    watermark: Option<i64>,
    state: &'static str,
    attempts: u32,
    planned_at: i64,
}

async fn write(tx: &mut Session<'_>, steps: &[&NewStep], again: &HashMap<String, Step>) -> Result<(), StoreError> {
    if steps.is_empty() {
        return Ok(());
    }
    let numbers = tx.step_numbers(steps.len()).await?;
    let row = |(seq, s): (&i64, &&'_ NewStep)| -> String {
        let begins = again.get(s.key.as_str()).unwrap_or(&Step::NEW);
        json(&StepRow {
            seq: *seq,
            key: s.key.as_str(),
            run: s.run.as_str(),
            kind: s.kind.word(),
            dataset: s.dataset.to_string(),
            version: s.version.as_str(),
            events: &s.events,
            inputs: &s.inputs,
            lookups: &s.lookups,
            windows: s.windows.as_deref(),
            watermark: s.watermark.map(micros),
            state: begins.state.word(),
            attempts: begins.attempts,
            planned_at: micros(s.planned_at),
        })
    };
    let rows: Vec<String> = numbers.iter().zip(steps).map(row).collect();
    tx.execute(
        "INSERT INTO steps (seq, key, run, kind, dataset, version, events, inputs, lookups, windows, watermark,
                            attempts, state, planned_at)
         SELECT CAST(value ->> 'seq' AS BIGINT), value ->> 'key', value ->> 'run', value ->> 'kind',
                value ->> 'dataset', value ->> 'version', value ->> 'events', value ->> 'inputs', value ->> 'lookups',
                value ->> 'windows', CAST(value ->> 'watermark' AS BIGINT),
                CAST(value ->> 'attempts' AS BIGINT), value ->> 'state', CAST(value ->> 'planned_at' AS BIGINT)
         FROM json_each($1)",
        &[Arg::List(format!("[{}]", rows.join(",")))],
    )
    .await?;
    let consumed = |(seq, s): (&i64, &&'_ NewStep)| {
        let of_step =
            |(input, claimed): (&DatasetName, &Claimed)| (s.dataset.to_string(), input.to_string(), *seq, claimed.upto);
        s.inputs.iter().map(of_step).collect::<Vec<_>>()
    };
    let consumed: Vec<_> = numbers.iter().zip(steps).flat_map(consumed).collect();
    for chunk in consumed.chunks(ROWS_PER_STATEMENT) {
        let sql = "INSERT INTO consumed (dataset, input, seq, upto)
                   SELECT value ->> 0, value ->> 1, CAST(value ->> 2 AS BIGINT), CAST(value ->> 3 AS BIGINT)
                   FROM json_each($1)";
        tx.execute(sql, &[Arg::list(chunk)]).await?;
    }
    take_events(tx, steps).await
}

async fn take_events(tx: &mut Session<'_>, steps: &[&NewStep]) -> Result<(), StoreError> {
    let taken: Vec<(&str, &str)> =
        steps.iter().flat_map(|s| s.events.iter().map(|e| (e.as_str(), s.key.as_str()))).collect();
    let (from, to) = event::Command::Take.moves();
    for chunk in taken.chunks(ROWS_PER_STATEMENT) {
        let sql = "UPDATE events SET state = $2, step = j.value ->> 1 FROM json_each($1) AS j
                   WHERE events.event = j.value ->> 0 AND events.state = $3";
        tx.execute(sql, &[Arg::list(chunk), to.word().into(), from.word().into()]).await?;
    }
    Ok(())
}
