//! How many steps a process executes at once.

use alluvium_store::{StepKind, StepRecord};
use tokio::sync::{Semaphore, SemaphorePermit};

/// So many small steps share a hand.
const SHARES: usize = 2;

/// A step takes a hand, with all cores and the memory limit. One that brings a gold table up to date with what changed takes half of one:
/// much of its time it waits for files and the state.
#[derive(Debug)]
pub struct Hands(Semaphore);

/// Held while a step is executed.
pub(crate) type Held<'h> = SemaphorePermit<'h>;

impl Hands {
    pub fn new(hands: usize) -> Self {
        Self(Semaphore::new(hands.saturating_mul(SHARES).min(Semaphore::MAX_PERMITS)))
    }

    pub(crate) async fn take(&self, step: &StepRecord) -> Held<'_> {
        self.0.acquire_many(share(step)).await.expect("nobody closes it")
    }

    pub(crate) fn try_take(&self, step: &StepRecord) -> Option<Held<'_>> {
        self.0.try_acquire_many(share(step)).ok()
    }
}

fn share(step: &StepRecord) -> u32 {
    // -1: all of that input.
    let small = step.kind == StepKind::Curate && step.inputs.values().all(|range| range.after >= 0);
    if small { 1 } else { SHARES as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_model::{Balance, DatasetName, DefinitionVersion, Layer, RunId, StepKey};
    use alluvium_store::{Claimed, StepState};
    use jiff::Timestamp;
    use std::collections::BTreeMap;

    fn step(kind: StepKind, after: &[i64]) -> StepRecord {
        let input = |i: usize| DatasetName::new(Layer::Silver, &format!("s{i}")).expect("a name");
        let inputs = after.iter().enumerate().map(|(i, after)| (input(i), Claimed { after: *after, upto: 9 }));
        StepRecord {
            key: StepKey::from_stored("k"),
            run: RunId::from_stored("r"),
            kind,
            dataset: DatasetName::new(Layer::Gold, "g").expect("a name"),
            version: DefinitionVersion::from_stored("v"),
            events: Vec::new(),
            inputs: inputs.collect(),
            lookups: BTreeMap::new(),
            windows: None,
            watermark: None,
            state: StepState::Planned,
            attempts: 0,
            failures: 0,
            retry_at: None,
            planned_at: Timestamp::UNIX_EPOCH,
            finished_at: None,
            finished_by: None,
            committed: None,
            balance: Balance::default(),
            error: None,
        }
    }

    #[test]
    fn only_what_brings_gold_up_to_date_shares_a_hand() {
        let small = step(StepKind::Curate, &[0, 4]);
        for whole in [step(StepKind::Ingest, &[]), step(StepKind::Refine, &[3]), step(StepKind::Curate, &[4, -1])] {
            let hands = Hands::new(1);
            let held = hands.try_take(&whole).expect("a free hand");
            assert!(hands.try_take(&small).is_none() && hands.try_take(&whole).is_none());
            drop(held);
            let first = hands.try_take(&small).expect("a free hand");
            assert!(hands.try_take(&whole).is_none(), "half of it is taken");
            let second = hands.try_take(&small).expect("half a hand");
            assert!(hands.try_take(&small).is_none());
            drop((first, second));
        }
    }
}
