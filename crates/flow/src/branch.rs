//! Branching: whether a dataset takes what waits for it, by its condition over what its inputs' steps did.
//!
//! Called by `drain.rs` before it plans. What is not taken stays where it is: no position moves, and the next turn decides anew over
//! all that waits then. Only what the state knows of is decided over, and only that is taken.

use crate::{Flow, FlowError, NotTaken, Signal, Summary, retry::after};
use alluvium_model::{Balance, DatasetName, RunId};
use alluvium_spec::{Condition, Dataset, Measured};
use alluvium_store::{Claimed, Commits, Decision, Store, StoreError};
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
        let (mut sums, mut known) = (Sums::default(), BTreeMap::new());
        for (input, range) in waiting {
            let commits = self.store.commits(input, *range).await?;
            if commits.upto > range.after {
                known.insert(input.clone(), commits.upto);
            }
            sums.add(&commits);
        }
        // Whoever is at work on the inputs comes to this dataset afterwards.
        if known.is_empty() {
            return Ok(None);
        }
        let now = self.clock.now();
        let seen = sums.measured(now);
        let taken = when.holds(&seen);
        self.store.decide(&decision(run, dataset, when, &seen, taken, now)).await?;
        if taken {
            summary.not_taken.remove(&dataset.name);
            return Ok(Some(known));
        }
        let again = sums.oldest.and_then(|at| Some(after(at, when.turns_at(&seen)?)));
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
    let mut sums = Sums::default();
    for input in dataset.consumes() {
        let after = positions.get(&input).copied().unwrap_or(-1);
        sums.add(&store.commits(&input, Claimed { after, upto: i64::MAX }).await?);
    }
    Ok(sums.measured(now))
}

/// What the inputs of a dataset did, together.
#[derive(Default)]
struct Sums {
    balance: Balance,
    steps: u64,
    oldest: Option<Timestamp>,
}

impl Sums {
    fn add(&mut self, commits: &Commits) {
        self.balance += commits.balance;
        self.steps += commits.steps;
        self.oldest = self.oldest.into_iter().chain(commits.oldest).min();
    }

    /// No age, where the clock was set back.
    fn measured(&self, now: Timestamp) -> Measured {
        let age = self.oldest.map(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default());
        Measured { balance: self.balance, steps: self.steps, age: age.unwrap_or_default() }
    }
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
