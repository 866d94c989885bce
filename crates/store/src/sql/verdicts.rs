//! Verdicts on held steps. They are kept for good: they say who published what a gate had refused.
//!
//! Called by `store.rs` of this folder, inside a transaction.

use super::{
    Row, Session,
    codec::{Cells, Word, micros},
    runs, steps,
};
use crate::{StoreError, Verdict, VerdictKind, machine::step::Command};
use alluvium_model::{RunId, StepKey};

impl Word for VerdictKind {
    const WORDS: &'static [(Self, &'static str)] = Self::WORDS;
}

/// The verdict and the step's return are one transaction, and only a step that is held as the verdict says takes one: so of
/// two verdicts one counts.
pub(super) async fn pass(tx: &mut Session<'_>, verdict: &Verdict) -> Result<bool, StoreError> {
    let Verdict { step, dataset, kind, by, reason, run, decided_at, held } = verdict;
    // Nobody else changes the dataset's steps from here.
    let head = steps::head(tx, step).await?;
    let is_as_held = head.error.as_ref() == Some(held);
    let Ok(next) = head.step.after(Command::Verdict { is_as_held }) else { return Ok(false) };
    runs::require(tx, [run.as_str()]).await?;
    let sql = "INSERT INTO verdicts (step, dataset, kind, decided_by, reason, run, decided_at, held)
               VALUES ($1, $2, $3, $4, nullif($5, ''), $6, $7, $8)";
    let args = [
        step.as_str().into(),
        dataset.to_string().into(),
        kind.word().into(),
        by.as_str().into(),
        reason.as_deref().unwrap_or_default().into(),
        run.as_str().into(),
        micros(*decided_at).into(),
        held.as_str().into(),
    ];
    tx.execute(sql, &args).await?;
    steps::bring_back(tx, &head, next).await?;
    Ok(true)
}

/// The last one.
pub(super) async fn on(tx: &mut Session<'_>, step: &StepKey) -> Result<Option<Verdict>, StoreError> {
    let sql = "SELECT step, dataset, kind, decided_by, reason, run, decided_at, held FROM verdicts
               WHERE step = $1 ORDER BY seq DESC LIMIT 1";
    tx.row(sql, &[step.as_str().into()]).await?.as_ref().map(record_of).transpose()
}

fn record_of(row: &Row) -> Result<Verdict, StoreError> {
    let cells = Cells(row);
    Ok(Verdict {
        step: StepKey::from_stored(cells.text("step")?),
        dataset: cells.dataset("dataset")?,
        kind: cells.word("kind")?,
        by: cells.text("decided_by")?,
        reason: cells.optional_text("reason")?,
        run: RunId::from_stored(cells.text("run")?),
        decided_at: cells.time("decided_at")?,
        held: cells.text("held")?,
    })
}
