//! One more pair of hands: executes steps that other processes planned, and plans none.
//!
//! Called by the server's worker. It takes the oldest step of each dataset, under a definition that is its own, or where that loads
//! what is not here the next that loads something else; whoever planned the step sees its end in the state.

use crate::{
    Flow, FlowError, Judged, Signal, Summary,
    drain::{is_frozen, is_live},
    step::{FIRST_LOOK, LAST_LOOK, Taken},
};
use alluvium_model::{RunId, StepKey};
use alluvium_spec::{Dataset, DriftPolicy, Kind};
use alluvium_store::{StepKind, StepRecord};
use jiff::Timestamp;
use std::{collections::BTreeMap, time::Duration};

/// So many loads behind one whose files are not here are looked at.
const MOST_PASSED: usize = 16;

/// Steps that may not be tried before a time, as far as this process was told. Each is forgotten at its time.
#[derive(Debug, Default)]
pub struct Refused(BTreeMap<StepKey, Timestamp>);

impl Refused {
    pub(crate) fn until(&mut self, step: StepKey, time: Timestamp) {
        self.0.insert(step, time);
    }

    pub(crate) fn holds(&self, step: &StepKey) -> bool {
        self.0.contains_key(step)
    }

    /// Of those whose time has come.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        self.0.retain(|_, until| *until > now);
    }
}

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
                            refused.until(step.key.clone(), until);
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
        refused.forget(watch.now);
        let own = ready.into_iter().filter(|s| !refused.holds(&s.key));
        let mut own: Vec<(&Dataset, StepRecord)> = own.filter_map(|s| Some((self.own(&s)?, s))).collect();
        if own.iter().any(|(d, _)| can_freeze(d)) {
            let open = self.store.open_steps().await?;
            own.retain(|(d, _)| !can_freeze(d) || !open.iter().any(|s| is_frozen(d, s)));
        }
        let (mut seen, mut unseen) = (Vec::with_capacity(own.len()), Vec::new());
        for (dataset, step) in own {
            let is_seen = self.sees_files_of(dataset, &step).await?;
            let part = if is_seen { &mut seen } else { &mut unseen };
            part.push((dataset, step));
        }
        if unseen.is_empty() {
            return Ok(seen);
        }
        let open = self.store.open_steps().await?;
        for (dataset, oldest) in unseen {
            for step in loads_behind(&oldest, &open, watch.now).take(MOST_PASSED) {
                // It waits for its time, and what follows with it.
                if refused.holds(&step.key) {
                    break;
                }
                if step.version == dataset.version && self.sees_files_of(dataset, step).await? {
                    seen.push((dataset, step.clone()));
                    break;
                }
            }
        }
        Ok(seen)
    }

    /// The step's dataset, if the step was planned under the same definition as this process has.
    pub(crate) fn own(&self, step: &StepRecord) -> Option<&Dataset> {
        self.project.datasets.get(&step.dataset).filter(|d| d.version == step.version)
    }
}

/// Loads of the same dataset that may be taken although the oldest is left to another machine: landing objects do not depend on each other.
fn loads_behind<'s>(
    oldest: &'s StepRecord,
    open: &'s [StepRecord],
    now: Timestamp,
) -> impl Iterator<Item = &'s StepRecord> {
    let behind = open.iter().skip_while(move |s| s.key != oldest.key).skip(1);
    let live = behind.filter(move |s| s.dataset == oldest.dataset && is_live(s));
    let waits = move |s: &StepRecord| s.state.is_open() && s.retry_at.is_some_and(|at| at > now);
    let loads = live.take_while(move |s| s.kind == StepKind::Ingest && !waits(s));
    loads.filter(|s| s.state.is_open())
}

/// Whether drift may keep later input of the dataset out.
fn can_freeze(dataset: &Dataset) -> bool {
    matches!(&dataset.kind, Kind::Bronze(bronze) if bronze.drift.any(DriftPolicy::Freeze))
}
