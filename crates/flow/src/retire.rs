//! Steps that are not to run as they were planned: dead letters, and those whose input is planned anew.
//!
//! Called by `drain.rs` and `dead_letters.rs`. Before the input is another step's, nothing of this one may be on its way to the table.

use crate::{
    Flow, FlowError, Signal, StepError, Summary,
    drain::{is_frozen, is_live, look_error},
    step::{FIRST_LOOK, LAST_LOOK, Worked},
};
use alluvium_model::RunId;
use alluvium_spec::Dataset;
use alluvium_store::{HeldOff, StepKind, StepRecord, StepState};

/// What became of a step that was to make room.
pub(crate) enum Retired {
    /// It never commits, and its input can be planned anew.
    Superseded,
    /// It had committed, and is done.
    Finished,
    /// It had committed, and the table's log no longer tells what.
    Forgotten,
    /// The table could not be asked, or told.
    Failed(StepError),
}

impl Flow<'_> {
    /// A dead letter is not tried again as it is. Gold over other input than then is other work.
    pub(crate) async fn left_dead(
        &self,
        run: &RunId,
        dataset: &Dataset,
        step: StepRecord,
        summary: &mut Summary,
    ) -> Result<Worked, FlowError> {
        // The run has given it up itself, and told so.
        if summary.dead.contains(&step.key) {
            return Ok(Worked::Dead);
        }
        // Its commit happened, and only the word of it was lost.
        if matches!(self.engine.recover(dataset, &step).await, Ok(Some(_)))
            && self.store.revive_step(&step.key, step.original).await?
        {
            return self.work(run, dataset, step, None, summary).await;
        }
        let replace = step.kind == StepKind::Swap || step.kind == StepKind::Curate && self.has_moved(&step).await?;
        if replace && self.replaced(run, dataset, &step, summary).await? {
            return Ok(Worked::Done);
        }
        if !matches!(step.kind, StepKind::ReplayQuarantine | StepKind::Discard) {
            let blocks = step.kind != StepKind::Ingest || is_frozen(dataset, &step);
            let (dataset, error) = (dataset.name.clone(), step.error.unwrap_or_default());
            self.report.signal(Signal::StepDead { step: step.key, dataset, error, blocks });
        }
        Ok(Worked::Dead)
    }

    /// Whether an input of the step has rows that it does not know.
    async fn has_moved(&self, step: &StepRecord) -> Result<bool, FlowError> {
        for (input, claimed) in &step.inputs {
            let news = self.engine.increments(input, claimed.upto).await.map_err(|e| look_error(input, e))?;
            if !news.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A rebuild reads all input anew: steps that failed, or were given up, need not work before it.
    pub(crate) async fn give_up_failed(
        &self,
        run: &RunId,
        dataset: &Dataset,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        let failed = |s: &StepRecord| {
            is_live(s) && s.dataset == dataset.name && matches!(s.state, StepState::Failed | StepState::Dead)
        };
        for step in self.store.open_steps().await?.into_iter().filter(failed).rev() {
            self.replaced(run, dataset, &step, summary).await?;
        }
        Ok(())
    }

    /// As [`Flow::retire`]; `false`: it may still run.
    pub(crate) async fn replaced(
        &self,
        run: &RunId,
        dataset: &Dataset,
        step: &StepRecord,
        summary: &mut Summary,
    ) -> Result<bool, FlowError> {
        Ok(match self.retire(run, dataset, step, summary).await? {
            Retired::Superseded | Retired::Finished => true,
            Retired::Forgotten | Retired::Failed(_) => false,
        })
    }

    /// A step planned under an older definition, or given up: if it never committed, its input is planned anew. One that
    /// another process executes is waited for; one whose process may only be cut off is fenced off from its table. So
    /// neither commits what is planned anew.
    pub(crate) async fn retire(
        &self,
        run: &RunId,
        dataset: &Dataset,
        step: &StepRecord,
        summary: &mut Summary,
    ) -> Result<Retired, FlowError> {
        let (mut told, mut wait, mut committed) = (false, FIRST_LOOK, false);
        loop {
            match self.engine.recover(dataset, step).await {
                Ok(Some(outcome)) => {
                    self.done(run, dataset, step, outcome, true, summary).await?;
                    return Ok(Retired::Finished);
                }
                Ok(None) if committed => return Ok(Retired::Forgotten),
                Ok(None) => {}
                Err(error) => return Ok(Retired::Failed(error)),
            }
            match self.store.hold_off(&step.key, &self.watch()).await? {
                HeldOff::Upto { attempt } => {
                    if attempt > 0 {
                        match self.engine.fence(dataset, step, attempt).await {
                            Ok(is_off) => committed = !is_off,
                            Err(error) => return Ok(Retired::Failed(error)),
                        }
                    }
                    if !committed && self.store.supersede(&step.key, attempt).await? {
                        return Ok(Retired::Superseded);
                    }
                }
                HeldOff::Not { by } => {
                    if !std::mem::replace(&mut told, true) {
                        self.report.signal(Signal::StepHeldBy { dataset: dataset.name.clone(), process: by.process });
                    }
                    self.timer.wait(wait).await;
                    wait = (wait * 2).min(LAST_LOOK);
                }
            }
        }
    }
}
