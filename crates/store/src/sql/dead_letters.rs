//! Dead letters: events and steps that cannot proceed, and how they come back, each once.
//!
//! Called by `store.rs` of this folder, inside a transaction. What became a dead letter is never forgotten.

use super::{
    Row, Session,
    codec::{Cells, Word},
    events, plan, runs, steps,
};
use crate::{
    DeadLetter, NewEvent, NewStep, Planned, StoreError,
    machine::{event, step::Command},
};
use alluvium_model::{DefinitionVersion, EventId, RunId, StepKey};

pub(super) async fn all(tx: &mut Session<'_>) -> Result<Vec<DeadLetter>, StoreError> {
    let sql =
        "SELECT event, step, kind, dataset, version, object, bytes, objects, inputs, code, message, class, attempts,
                      run, died_at
               FROM dead_letters ORDER BY dataset, died_at, object, event, step";
    let rows = tx.rows(sql, &[]).await?;
    let letter = |row: &Row| {
        let cells = Cells(row);
        Ok(DeadLetter {
            event: cells.optional_text("event")?.map(EventId::from_stored),
            step: StepKey::from_stored(cells.text("step")?),
            kind: cells.word("kind")?,
            dataset: cells.dataset("dataset")?,
            version: DefinitionVersion::from_stored(cells.text("version")?),
            object: cells.optional_text("object")?,
            bytes: cells.optional_count("bytes")?,
            objects: cells.count("objects")?,
            inputs: cells.json("inputs")?,
            code: cells.optional_text("code")?,
            message: cells.text("message")?,
            class: cells.optional_word("class")?,
            attempts: cells.small("attempts")?,
            run: RunId::from_stored(cells.text("run")?),
            died_at: cells.time("died_at")?,
        })
    };
    rows.iter().map(letter).collect()
}

pub(super) async fn revive_step(tx: &mut Session<'_>, key: &StepKey, original: bool) -> Result<bool, StoreError> {
    let head = steps::head(tx, key).await?;
    let Ok(next) = head.step.after(Command::Replay) else { return Ok(false) };
    steps::bring_back(tx, &head, next).await?;
    mark(tx, key, original).await?;
    Ok(true)
}

pub(super) async fn replay_event(
    tx: &mut Session<'_>,
    run: &RunId,
    dead: &EventId,
    again: Option<&NewEvent>,
    original: Option<&NewStep>,
) -> Result<bool, StoreError> {
    runs::require(tx, [run.as_str()]).await?;
    let known = events::by_id(tx, std::slice::from_ref(dead)).await?.pop();
    let known = known.ok_or_else(|| StoreError::unknown("event", dead))?;
    // Whoever else records or replays an event of the dataset waits.
    tx.take_datasets([known.dataset.to_string()]).await?;
    let (from, to) = event::Command::Replay.moves();
    let sql = "UPDATE events SET state = $1 WHERE event = $2 AND state = $3";
    let args = [to.word().into(), dead.as_str().into(), from.word().into()];
    if tx.execute(sql, &args).await? == 0 {
        return Ok(false);
    }
    if let Some(again) = again {
        events::record(tx, run, std::slice::from_ref(again)).await?;
    }
    if let Some(step) = original
        && plan::plan(tx, std::slice::from_ref(step)).await? == [Planned::New]
    {
        mark(tx, &step.key, true).await?;
    }
    Ok(true)
}

/// Of a dataset that is taken.
async fn mark(tx: &mut Session<'_>, key: &StepKey, original: bool) -> Result<(), StoreError> {
    let sql = "UPDATE steps SET original = $2 WHERE key = $1 AND original <> $2";
    tx.execute(sql, &[key.as_str().into(), i64::from(original).into()]).await?;
    Ok(())
}
