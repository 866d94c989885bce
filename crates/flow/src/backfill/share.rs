//! Windows that another process planned, made by one that has time: a service or a worker, beside its live work.
//!
//! Called by the server's loops. Whoever began the backfill sees their end in the state, and plans, compares and swaps. How many are made
//! at once, by all processes together, the state counts when a window is taken.

use crate::{
    Flow, FlowError, Judged, RefusedSteps, Signal, Summary,
    step::{FIRST_LOOK, LAST_LOOK, Taken},
};
use alluvium_model::RunId;
use alluvium_spec::Dataset;
use alluvium_store::StepRecord;
use std::{collections::BTreeSet, time::Duration};

/// A run ends when it found no window to take for so long, though some are open.
const LINGERS: Duration = Duration::from_secs(10);

/// What the process leaves to others.
#[derive(Debug, Default)]
pub struct Shared {
    refused: RefusedSteps,
    /// Backfills of another definition than the project's, each told once.
    strange: BTreeSet<RunId>,
}

/// What a look found.
struct Found<'f> {
    ready: Vec<(&'f Dataset, StepRecord)>,
    /// Some that are open may be this process's later.
    any: bool,
}

impl Flow<'_> {
    /// Whether a window waits that this process may take, and whether one may come without a word in the state.
    ///
    /// # Errors
    /// When the state store fails.
    pub async fn asked_for_windows(&self, shared: &mut Shared) -> Result<(bool, bool), FlowError> {
        let found = self.windows_left(shared).await?;
        Ok((!found.ready.is_empty(), found.any))
    }

    /// As one run, makes windows one after another as long as others come, or until `enough`, which is asked before each. When `stop` ends
    /// first, one that has not committed is handed back. One that fails is tried again at its time, by whoever comes first.
    ///
    /// # Errors
    /// When the state store fails.
    pub async fn make_windows(
        &self,
        shared: &mut Shared,
        enough: impl Fn() -> bool,
        stop: impl Future<Output = ()>,
    ) -> Result<Summary, FlowError> {
        let work = async |run: &RunId, summary: &mut Summary| {
            let (mut waited, mut wait) = (Duration::ZERO, FIRST_LOOK);
            while !enough() && waited < LINGERS {
                let found = self.windows_left(shared).await?;
                if !found.any {
                    break;
                }
                if self.make_ready(run, found.ready, shared, &enough, summary).await? {
                    (waited, wait) = (Duration::ZERO, FIRST_LOOK);
                } else {
                    self.timer.wait(wait).await;
                    waited += wait;
                    wait = (wait * 2).min(LAST_LOOK);
                }
            }
            Ok(())
        };
        self.live("windows", Judged::Steps, stop, work).await
    }

    /// `false`: none of them could be taken.
    async fn make_ready(
        &self,
        run: &RunId,
        ready: Vec<(&Dataset, StepRecord)>,
        shared: &mut Shared,
        enough: impl Fn() -> bool,
        summary: &mut Summary,
    ) -> Result<bool, FlowError> {
        let mut made = false;
        for (dataset, step) in ready {
            self.give_way(&enough).await?;
            if enough() {
                break;
            }
            match self.take_now(run, dataset, &step).await? {
                None | Some(Taken::Ended(_)) => {}
                Some(Taken::Later { until, why }) => {
                    shared.refused.until(step.key.clone(), until);
                    let (step, dataset) = (step.key, dataset.name.clone());
                    self.report.signal(Signal::StepWaits { step, dataset, until, why });
                }
                Some(Taken::Now(hand)) => {
                    made = true;
                    // The live table, which a run puts in order at its end, is as it was. Others wait for what it could do meanwhile.
                    let mut own = Summary { patience: Duration::ZERO, ..Summary::default() };
                    self.work(run, dataset, step, Some(hand), &mut own).await?;
                    summary.failed_steps += own.failed_steps;
                }
            }
        }
        Ok(made)
    }

    async fn windows_left(&self, shared: &mut Shared) -> Result<Found<'_>, FlowError> {
        let watch = self.watch();
        let open = self.store.open_windows(&watch).await?;
        shared.refused.forget(watch.now);
        let mut found = Found { ready: Vec::new(), any: open.any };
        for step in open.ready {
            match self.own(&step) {
                Some(dataset) if !shared.refused.holds(&step.key) => found.ready.push((dataset, step)),
                Some(_) => {}
                None if shared.strange.insert(step.run.clone()) => {
                    self.report.signal(Signal::WindowsLeft { dataset: step.dataset });
                }
                None => {}
            }
        }
        Ok(found)
    }
}
