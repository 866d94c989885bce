//! Staged data that a gate held back, after a person has looked at it: published, or never.
//!
//! Called by `request.rs`. A verdict is on steps as they were held, and each step takes one: the state decides. What follows
//! is done as by any run, so that a process that is killed after the verdict leaves nothing undone.

use super::{Replayed, Tried};
use crate::{Flow, FlowError, Signal, Summary};
use alluvium_model::{DatasetName, RunId, crash_point};
use alluvium_store::{DeadLetter, StepKind, Verdict, VerdictKind};
use serde::{Deserialize, Serialize};

/// Code of the error with which a step is held.
pub const HELD: &str = "L0201";

/// What is said of all that is held of one dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    pub dataset: DatasetName,
    pub verdict: VerdictKind,
    /// Who says so.
    pub by: String,
    #[serde(default)]
    pub reason: Option<String>,
}

impl Settle {
    pub(super) fn command(&self) -> String {
        match self.verdict {
            VerdictKind::Release => format!("release {}", self.dataset),
            VerdictKind::Drop => format!("drop held {}", self.dataset),
        }
    }
}

/// Whether a dead letter is a step that its gate held back. A swap is asked for again instead.
pub fn is_held(letter: &DeadLetter) -> bool {
    letter.event.is_none()
        && letter.code.as_deref() == Some(HELD)
        && !matches!(letter.kind, StepKind::Swap | StepKind::Backfill)
}

impl Flow<'_> {
    pub(super) async fn settle_held(
        &self,
        run: &RunId,
        what: &Settle,
        tried: &mut Tried,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        let letters = self.store.dead_letters().await?;
        for letter in letters.into_iter().filter(|l| l.dataset == what.dataset && is_held(l)) {
            let done = self.settle_one(run, what, &letter).await?;
            let id = letter.step.as_str().to_owned();
            self.replayed(letter.dataset, id, done, tried, summary);
        }
        self.what_follows(run, tried, summary).await
    }

    async fn settle_one(&self, run: &RunId, what: &Settle, letter: &DeadLetter) -> Result<Replayed, FlowError> {
        let Some(dataset) = self.project.datasets.get(&letter.dataset) else { return Ok(Replayed::NoDataset) };
        if letter.version != dataset.version {
            return Ok(Replayed::OtherVersion { was: letter.version.clone(), now: dataset.version.clone() });
        }
        // What a replay or a rebuild takes is counted already, where it came from.
        if what.verdict == VerdictKind::Drop && !matches!(letter.kind, StepKind::Ingest | StepKind::Refine) {
            return Ok(Replayed::NoInput);
        }
        let verdict = Verdict {
            step: letter.step.clone(),
            dataset: letter.dataset.clone(),
            kind: what.verdict,
            by: what.by.clone(),
            reason: what.reason.clone(),
            run: run.clone(),
            decided_at: self.clock.now(),
            held: format!("{HELD}: {}", letter.message),
        };
        crash_point("hold.before_verdict");
        let passed = self.store.pass_verdict(&verdict).await?;
        crash_point("hold.after_verdict");
        Ok(if passed { Replayed::Settled(what.verdict) } else { Replayed::Gone })
    }

    pub(super) fn replayed(
        &self,
        dataset: DatasetName,
        id: String,
        done: Replayed,
        tried: &mut Tried,
        summary: &mut Summary,
    ) {
        if done.is_work() {
            tried.datasets.insert(dataset.clone());
        }
        summary.letters_left += u64::from(done.stays());
        tried.letter(&dataset, &id, &done);
        self.report.signal(Signal::LetterReplayed { dataset, letter: id, done });
    }
}
