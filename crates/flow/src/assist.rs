//! One more pair of hands: executes steps that other processes planned, and plans none.
//!
//! Called by the server's worker. It takes the oldest step of each dataset, under a definition that is its own; whoever planned
//! the step sees its end in the state.

use crate::{
    Flow, FlowError, Judged, Signal, Summary,
    drain::is_frozen,
    step::{FIRST_LOOK, LAST_LOOK, Taken},
};
use alluvium_model::{RunId, StepKey};
use alluvium_spec::{Dataset, DriftPolicy, Kind};
use alluvium_store::StepRecord;
use jiff::Timestamp;
use std::{collections::BTreeMap, time::Duration};

/// Steps that may not be tried before a time, as far as this process was told. At most so many as are looked at, at once.
#[derive(Debug, Default)]
pub struct Refused(BTreeMap<StepKey, Timestamp>);

impl Flow<'_> {
    /// Whether a step waits that this process may take.
    ///
    /// # Errors
    /// When the state store fails.
    pub async fn is_asked(&self, refused: &mut Refused) -> Result<bool, FlowError> {
        Ok(!self.asked(refused).await?.is_empty())
    }

    /// As one run, takes steps until none waits, or until `enough`, which is asked before each. When `stop` ends first, a step
    /// that has not committed is handed back. A step that fails is tried again at its time, by whoever comes first.
    ///
    /// # Errors
    /// When the state store fails.
    pub async fn assist(
        &self,
        refused: &mut Refused,
        enough: impl Fn() -> bool,
        stop: impl Future<Output = ()>,
    ) -> Result<Summary, FlowError> {
        let mut wait = FIRST_LOOK;
        let work = async |run: &RunId, summary: &mut Summary| {
            // Others wait for what it could do meanwhile.
            summary.patience = Duration::ZERO;
            while !enough() {
                let asked = self.asked(refused).await?;
                if asked.is_empty() {
                    break;
                }
                let mut took = false;
                for (dataset, step) in asked {
                    if enough() {
                        break;
                    }
                    match self.take_now(run, dataset, &step).await? {
                        None | Some(Taken::Ended(_)) => {}
                        Some(Taken::Later { until, why }) => {
                            refused.0.insert(step.key.clone(), until);
                            let (step, dataset) = (step.key, dataset.name.clone());
                            self.report.signal(Signal::StepWaits { step, dataset, until, why });
                        }
                        Some(Taken::Now(hand)) => {
                            took = true;
                            let (kind, key) = (step.kind, step.key.clone());
                            let worked = self.work(run, dataset, step, Some(hand), summary).await?;
                            self.goes_on(run, dataset, (kind, &key), worked, summary).await?;
                        }
                    }
                }
                if took {
                    wait = FIRST_LOOK;
                } else if !enough() {
                    self.timer.wait(wait).await;
                    wait = (wait * 2).min(LAST_LOOK);
                }
            }
            Ok(())
        };
        self.live("worker", Judged::Steps, stop, work).await
    }

    /// Steps that may be taken now, with their datasets.
    async fn asked(&self, refused: &mut Refused) -> Result<Vec<(&Dataset, StepRecord)>, FlowError> {
        let watch = self.watch();
        let ready = self.store.ready_steps(&watch).await?;
        refused.0.retain(|key, until| *until > watch.now && ready.iter().any(|s| s.key == *key));
        let own = ready.into_iter().filter(|s| !refused.0.contains_key(&s.key));
        let mut own: Vec<(&Dataset, StepRecord)> = own.filter_map(|s| Some((self.own(&s)?, s))).collect();
        if own.iter().any(|(d, _)| can_freeze(d)) {
            let open = self.store.open_steps().await?;
            own.retain(|(d, _)| !can_freeze(d) || !open.iter().any(|s| is_frozen(d, s)));
        }
        let mut seen = Vec::with_capacity(own.len());
        for (dataset, step) in own {
            if self.sees_files_of(dataset, &step).await? {
                seen.push((dataset, step));
            }
        }
        Ok(seen)
    }

    /// The step's dataset, if the step was planned under the same definition as this process has.
    fn own(&self, step: &StepRecord) -> Option<&Dataset> {
        self.project.datasets.get(&step.dataset).filter(|d| d.version == step.version)
    }
}

/// Whether drift may keep later input of the dataset out.
fn can_freeze(dataset: &Dataset) -> bool {
    matches!(&dataset.kind, Kind::Bronze(bronze) if bronze.drift.any(DriftPolicy::Freeze))
}
