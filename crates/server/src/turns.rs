//! What the turns of the loop came to, for whoever waits for what comes of an event.
//!
//! Told by `service.rs`, asked by the API. It is in memory alone: who waits is gone with the process, and what is waited for is in the
//! state.

use alluvium_flow::{Summary, Turn};
use alluvium_model::DatasetName;
use std::collections::BTreeMap;
use tokio::sync::watch;

#[derive(Debug, Default)]
pub(crate) struct Turns(watch::Sender<Told>);

#[derive(Debug, Default)]
struct Told {
    begun: u64,
    /// The newest turn over each dataset that has ended.
    ended: BTreeMap<DatasetName, End>,
    over: bool,
}

#[derive(Debug, Clone, Copy)]
struct End {
    turn: u64,
    left: Left,
}

/// What a turn left of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Nothing,
    /// It is tried again by itself, here or on the machine that has its files.
    Waits,
    Failed,
    /// Its definition changed, and a person has to say how to go on.
    Held,
}

impl Left {
    fn of(name: &DatasetName, summary: &Summary) -> Self {
        let comes_back = summary.waiting.contains_key(name)
            || summary.passing.contains(name)
            || summary.settled_in.contains_key(name)
            || summary.elsewhere.values().any(|dataset| dataset == name);
        match () {
            () if comes_back => Self::Waits,
            () if summary.failed.contains(name) => Self::Failed,
            () if summary.held.contains(name) => Self::Held,
            () => Self::Nothing,
        }
    }
}

impl Turns {
    /// Its number, larger than that of any before it.
    pub(crate) fn begin(&self) -> u64 {
        let mut number = 0;
        self.0.send_modify(|told| {
            told.begun += 1;
            number = told.begun;
        });
        number
    }

    /// The number of the newest turn.
    pub(crate) fn begun(&self) -> u64 {
        self.0.borrow().begun
    }

    pub(crate) fn ended(&self, number: u64, turn: &Turn, summary: &Summary) {
        self.0.send_modify(|told| {
            for name in &turn.datasets {
                let end = End { turn: number, left: Left::of(name, summary) };
                let newest = told.ended.entry(name.clone()).or_insert(end);
                if newest.turn < number {
                    *newest = end;
                }
            }
        });
    }

    /// No other turn follows.
    pub(crate) fn over(&self) {
        self.0.send_modify(|told| told.over = true);
    }

    /// Waits until each of these datasets was in a turn that began after the one of that number, and nothing of them is tried
    /// again. `None`: the service ends before that.
    pub(crate) async fn done(&self, datasets: &BTreeMap<DatasetName, u64>) -> Option<BTreeMap<DatasetName, Left>> {
        let mut told = self.0.subscribe();
        let told = told.wait_for(|told| told.over || told.left(datasets).is_some()).await.ok()?;
        told.left(datasets)
    }
}

impl Told {
    /// `None`: something of them is still to be done.
    fn left(&self, datasets: &BTreeMap<DatasetName, u64>) -> Option<BTreeMap<DatasetName, Left>> {
        let left = |(name, after): (&DatasetName, &u64)| {
            let end = self.ended.get(name).filter(|end| end.turn > *after && end.left != Left::Waits)?;
            Some((name.clone(), end.left))
        };
        datasets.iter().map(left).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_model::StepKey;
    use futures::FutureExt as _;
    use std::collections::BTreeSet;

    fn name(text: &str) -> DatasetName {
        text.parse().expect("a name")
    }

    fn turn(names: &[&str]) -> Turn {
        Turn { datasets: names.iter().map(|n| name(n)).collect(), failing: BTreeSet::new() }
    }

    #[test]
    fn only_a_turn_that_began_later_counts_and_what_comes_back_is_waited_for() {
        let turns = Turns::default();
        let first = turns.begin();
        let asked = BTreeMap::from([(name("bronze.t"), turns.begun()), (name("silver.t"), turns.begun())]);
        let left = || turns.done(&asked).now_or_never().flatten();
        turns.ended(first, &turn(&["bronze.t", "silver.t"]), &Summary::default());
        assert_eq!(left(), None, "it may have begun before the event came");
        let (second, third) = (turns.begin(), turns.begin());
        let waits = Summary { waiting: [(name("silver.t"), jiff::Timestamp::MAX)].into(), ..Summary::default() };
        turns.ended(third, &turn(&["bronze.t", "silver.t"]), &waits);
        assert_eq!(left(), None, "silver is tried again");
        turns.ended(second, &turn(&["silver.t"]), &Summary::default());
        assert_eq!(left(), None, "an older turn says nothing of it");
        let failed = Summary { failed: [name("silver.t")].into(), ..Summary::default() };
        turns.ended(turns.begin(), &turn(&["silver.t"]), &failed);
        assert_eq!(left(), Some([(name("bronze.t"), Left::Nothing), (name("silver.t"), Left::Failed)].into()));
    }

    #[test]
    fn what_was_left_to_another_machine_is_not_done() {
        let turns = Turns::default();
        let asked = BTreeMap::from([(name("bronze.t"), 0), (name("silver.t"), 0)]);
        let left = || turns.done(&asked).now_or_never().flatten();
        let far = (StepKey::from_stored("a step"), name("bronze.t"));
        let elsewhere = Summary { elsewhere: [far].into(), ..Summary::default() };
        turns.ended(turns.begin(), &turn(&["bronze.t", "silver.t"]), &elsewhere);
        assert_eq!(left(), None);
        turns.ended(turns.begin(), &turn(&["bronze.t"]), &Summary::default());
        assert_eq!(left(), Some([(name("bronze.t"), Left::Nothing), (name("silver.t"), Left::Nothing)].into()));
    }

    #[test]
    fn who_waits_is_let_go_when_the_service_ends() {
        let turns = Turns::default();
        let asked = BTreeMap::from([(name("bronze.t"), 0)]);
        assert_eq!(turns.done(&asked).now_or_never(), None);
        turns.over();
        assert_eq!(turns.done(&asked).now_or_never(), Some(None));
    }
}
