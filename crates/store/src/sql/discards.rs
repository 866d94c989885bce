//! Discards and notes of quarantines. They are kept for good: they say who threw what away, and why.
//!
//! Called by `store.rs` of this folder, inside a transaction.

use super::{
    Row, Session,
    codec::{Cells, json, micros},
    plan,
};
use crate::{Discard, NewStep, Planned, QuarantineNote, StoreError};
use alluvium_model::{DatasetName, RunId, StepKey};

/// The step and the word on it are one transaction. Of a step that is there already nothing is said again.
pub(super) async fn plan(tx: &mut Session<'_>, step: &NewStep, discard: &Discard) -> Result<Planned, StoreError> {
    let planned = plan::plan(tx, std::slice::from_ref(step)).await?.pop().expect("one answer a step");
    if planned != Planned::New {
        return Ok(planned);
    }
    // One that was superseded and is planned again has its word already.
    let sql = "INSERT INTO discards (step, dataset, selection, decided_by, reason, run, asked_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7)
               ON CONFLICT (step) DO UPDATE SET decided_by = excluded.decided_by, reason = excluded.reason,
                   run = excluded.run, asked_at = excluded.asked_at";
    let Discard { step, dataset, selection, by, reason, run, asked_at } = discard;
    let selection = json(selection);
    let args = [
        step.as_str().into(),
        dataset.to_string().into(),
        selection.as_str().into(),
        by.as_str().into(),
        reason.as_str().into(),
        run.as_str().into(),
        micros(*asked_at).into(),
    ];
    tx.execute(sql, &args).await?;
    Ok(planned)
}

pub(super) async fn of_step(tx: &mut Session<'_>, step: &StepKey) -> Result<Option<Discard>, StoreError> {
    let sql = "SELECT step, dataset, selection, decided_by, reason, run, asked_at FROM discards WHERE step = $1";
    tx.row(sql, &[step.as_str().into()]).await?.as_ref().map(record_of).transpose()
}

fn record_of(row: &Row) -> Result<Discard, StoreError> {
    let cells = Cells(row);
    Ok(Discard {
        step: StepKey::from_stored(cells.text("step")?),
        dataset: cells.dataset("dataset")?,
        selection: cells.json("selection")?,
        by: cells.text("decided_by")?,
        reason: cells.text("reason")?,
        run: RunId::from_stored(cells.text("run")?),
        asked_at: cells.time("asked_at")?,
    })
}

pub(super) async fn note(tx: &mut Session<'_>, note: &QuarantineNote) -> Result<(), StoreError> {
    let QuarantineNote { dataset, selection, text, by, noted_at } = note;
    let selection = json(selection);
    let sql = "INSERT INTO quarantine_notes (dataset, selection, text, noted_by, noted_at) VALUES ($1, $2, $3, $4, $5)";
    let args = [
        dataset.to_string().into(),
        selection.as_str().into(),
        text.as_str().into(),
        by.as_str().into(),
        micros(*noted_at).into(),
    ];
    tx.execute(sql, &args).await?;
    Ok(())
}

/// Oldest first.
pub(super) async fn notes(tx: &mut Session<'_>, dataset: &DatasetName) -> Result<Vec<QuarantineNote>, StoreError> {
    let sql =
        "SELECT dataset, selection, text, noted_by, noted_at FROM quarantine_notes WHERE dataset = $1 ORDER BY seq";
    let note = |row: &Row| {
        let cells = Cells(row);
        Ok(QuarantineNote {
            dataset: cells.dataset("dataset")?,
            selection: cells.json("selection")?,
            text: cells.text("text")?,
            by: cells.text("noted_by")?,
            noted_at: cells.time("noted_at")?,
        })
    };
    tx.rows(sql, &[dataset.to_string().into()]).await?.iter().map(note).collect()
}
