//! Branching: whether a dataset takes what waits for it, by its condition over what its inputs' steps did.
//!
//! Called by `drain.rs` before it plans. What is not taken stays where it is: no position moves, and the next turn decides anew over
//! all that waits then. Only what the state knows of is decided over, and only that is taken.

use crate::{Flow, FlowError, NotTaken, Signal, Summary, retry::after};
use alluvium_model::{DatasetName, RunId};
use alluvium_spec::{Condition, Dataset, Measured};
use alluvium_store::{Claimed, Decision, Store, StoreError};
use jiff::Timestamp;
use serde_json::Number;
use std::{collections::BTreeMap, time::Duration};

impl Flow<'_> {
    /// How far each input is taken that has something new in this range. `None`: nothing is taken now.
    pub(crate) async fn taken(
        &self,
        run: &RunId,
        dataset: &Dataset,
        waiting: &BTreeMap<DatasetName, Claimed>,
        summary: &mut Summary,
    ) -> Result<Option<BTreeMap<DatasetName, i64>>, FlowError> {
        let all = waiting.iter().map(|(input, range)| (input.clone(), range.upto));
        let Some(when) = dataset.when.as_ref().filter(|_| !waiting.is_empty()) else { return Ok(Some(all.collect())) };
        let (mut seen, mut oldest, mut known) = (Measured::default(), None::<Timestamp>, BTreeMap::new());
        for (input, range) in waiting {
            let commits = self.store.commits(input, *range).await?;
            if commits.upto > range.after {
                known.insert(input.clone(), commits.upto);
            }
            seen.balance += commits.balance;
            seen.steps += commits.steps;
            oldest = oldest.into_iter().chain(commits.oldest).min();
        }
        // Whoever is at work on the inputs comes to this dataset afterwards.
        if known.is_empty() {
            return Ok(None);
        }
        let now = self.clock.now();
        seen.age = oldest.map(|at| age(at, now)).unwrap_or_default();
        let taken = when.holds(&seen);
        self.store.decide(&decision(run, dataset, when, &seen, taken, now)).await?;
        if taken {
            summary.not_taken.remove(&dataset.name);
            return Ok(Some(known));
        }
        let again = oldest.and_then(|at| Some(after(at, when.turns_at(&seen)?)));
        let left = NotTaken { condition: when.text.clone(), seen: numbers(when, &seen), again };
        let before = summary.not_taken.insert(dataset.name.clone(), left.clone());
        // A run comes by more than once.
        if before.is_none_or(|b| b.seen != left.seen) {
            self.report.signal(Signal::NotTaken { dataset: dataset.name.clone(), left });
        }
        Ok(None)
    }
}

/// What waits for the dataset as far as the state knows, for who looks at it. Reads only.
///
/// # Errors
/// When the state store fails.
pub async fn what_waits(store: &dyn Store, dataset: &Dataset, now: Timestamp) -> Result<Measured, StoreError> {
    let positions = store.positions(&dataset.name).await?;
    let (mut waits, mut oldest) = (Measured::default(), None::<Timestamp>);
    for input in dataset.consumes() {
        let after = positions.get(&input).copied().unwrap_or(-1);
        let commits = store.commits(&input, Claimed { after, upto: i64::MAX }).await?;
        waits.balance += commits.balance;
        waits.steps += commits.steps;
        oldest = oldest.into_iter().chain(commits.oldest).min();
    }
    waits.age = oldest.map(|at| age(at, now)).unwrap_or_default();
    Ok(waits)
}

/// None, where the clock was set back.
fn age(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

fn decision(
    run: &RunId,
    dataset: &Dataset,
    when: &Condition,
    seen: &Measured,
    taken: bool,
    now: Timestamp,
) -> Decision {
    Decision {
        run: run.clone(),
        dataset: dataset.name.clone(),
        decided_at: now,
        condition: when.text.clone(),
        measures: numbers(when, seen),
        taken,
    }
}

/// What the condition names, with what it is. Counts are whole numbers.
pub fn numbers(when: &Condition, seen: &Measured) -> BTreeMap<String, Number> {
    let number = |value: f64| match value.fract() == 0.0 && value < EXACT {
        true => Some(Number::from(value as u64)),
        false => Number::from_f64(value),
    };
    when.values(seen).into_iter().filter_map(|(m, value)| Some((m.word().to_owned(), number(value)?))).collect()
}

/// Up to here a float tells whole numbers apart.
const EXACT: f64 = 9_007_199_254_740_992.0;
