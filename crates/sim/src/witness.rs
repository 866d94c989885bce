//! What passes between a dataset that drift froze and its next attempt, as all processes together see it.
//!
//! Called by the store of each process at the moment at which the state changes.

use alluvium_model::StepKey;
use alluvium_spec::FROZEN;
use alluvium_store::{Failure, StepKind, StepRecord, StepState};
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

#[derive(Default)]
pub(crate) struct Witness(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    moments: u64,
    planned: BTreeMap<StepKey, u64>,
    /// Steps whose last attempt froze their dataset.
    frozen: BTreeMap<StepKey, u64>,
}

impl Witness {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        let mut seen = self.0.lock().expect("no holder of this lock panics");
        seen.moments += 1;
        seen
    }

    pub(crate) fn planned(&self, step: &StepKey) {
        let mut seen = self.seen();
        let now = seen.moments;
        seen.planned.insert(step.clone(), now);
    }

    /// The engine said so, and the step was given up.
    pub(crate) fn gave_up(&self, failure: &Failure) {
        let mut seen = self.seen();
        let now = seen.moments;
        if failure.error.starts_with(FROZEN) {
            seen.frozen.insert(failure.key.clone(), now);
        }
    }

    /// An attempt of a step begins. What was planned after its dataset froze has to wait for as long as that lasts.
    pub(crate) fn began(&self, step: &StepKey, open: &[StepRecord]) -> Option<String> {
        let mut seen = self.seen();
        seen.frozen.remove(step);
        let begun = open.iter().find(|s| s.key == *step && s.kind == StepKind::Ingest)?;
        let planned = seen.planned.get(step)?;
        let keeps = |s: &&StepRecord| {
            s.state == StepState::Dead
                && (&s.dataset, &s.version) == (&begun.dataset, &begun.version)
                && seen.frozen.get(&s.key).is_some_and(|at| at < planned)
        };
        let by = open.iter().find(keeps)?;
        Some(format!("{}: step {step} began while step {} froze its dataset", begun.dataset, by.key))
    }
}
