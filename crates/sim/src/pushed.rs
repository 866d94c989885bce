//! Producers that push events, tell one again when they are not sure, and believe what they are told.

use crate::{
    executor::Sim,
    landing::Folders,
    planted::Planted,
    tables::{Table, Tables},
};
use alluvium_flow::{Arrival, Flow, FlowError};
use alluvium_model::{Clock, ContentHash, DatasetName};
use alluvium_store::{InboxBound, Pushed, PushedEvent, PushedList, Rate};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

/// Few, so that most are told more than once, and by several.
const EVENTS: u64 = 60;
/// Small, so that producers are told to wait.
const BOUND: InboxBound = InboxBound { events: 8, bytes: 1 << 20 };
const SOURCE: &str = "/orders";
/// Before the records of a landing object.
const MARK: &str = "pushed:";

/// What producers were told is taken.
#[derive(Default)]
pub(crate) struct Acknowledged(Mutex<BTreeSet<String>>);

pub(crate) fn dataset() -> DatasetName {
    "bronze.d".parse().expect("a name")
}

/// A request of some events, of which one may be in it twice.
pub(crate) async fn push(
    flow: &Flow<'_>,
    sim: &Sim,
    acknowledged: &Acknowledged,
    planted: Planted,
) -> Result<(), FlowError> {
    let count = 1 + sim.below(4);
    let events: Vec<PushedEvent> = (0..count).map(|_| event(sim.below(EVENTS))).collect();
    let records: Vec<String> = events.iter().map(|e| e.record.clone()).collect();
    let rate = Rate { key: "orders".to_owned(), limit: 60, period: "1m".parse().expect("a span"), burst: 2 };
    let list = PushedList { events, rates: sim.once_in(2).then_some(rate).into_iter().collect() };
    let answers = match planted {
        Planted::Deaf => vec![Pushed::Accepted { new: count, duplicates: 0 }],
        _ => flow.store.push(&[list], BOUND, Clock::now(sim)).await?,
    };
    sim.note(format_args!("{records:?} are pushed: {answers:?}"));
    if matches!(answers[..], [Pushed::Accepted { .. }]) {
        acknowledged.0.lock().expect("no holder of this lock panics").extend(records);
    }
    Ok(())
}

fn event(number: u64) -> PushedEvent {
    let record = format!("event {number}");
    PushedEvent { source: SOURCE.to_owned(), id: number.to_string(), datasets: vec![dataset()], record }
}

/// The object that holds them, for all processes; its name is its content.
pub(crate) fn laid_down(folders: &Arc<Folders>, name: &DatasetName, records: &[String]) -> Arrival {
    let content = format!("{MARK}{}", records.join("|"));
    let count = records.len() as u64;
    folders.put(name, &content, &content, count);
    Arrival { path: content.clone(), bytes: count, modified_nanos: 1, content: ContentHash::from_stored(&content) }
}

/// Those of a landing object, if it is one.
pub(crate) fn records(content: &ContentHash) -> Option<impl Iterator<Item = String>> {
    content.as_str().strip_prefix(MARK).map(|all| all.split('|').map(str::to_owned))
}

/// What is wrong with the table: each event that a producer was told is taken is in it, and none is twice.
pub(crate) fn wrong(tables: &Tables, acknowledged: &Acknowledged) -> Vec<String> {
    let table = tables.live().get(&dataset()).map_or_else(Vec::new, |t: &Table| t.at(t.head()));
    let mut times: BTreeMap<&str, u32> = BTreeMap::new();
    table.iter().for_each(|r| *times.entry(r).or_default() += 1);
    let acknowledged = acknowledged.0.lock().expect("no holder of this lock panics");
    let lost = acknowledged.iter().filter(|r| !times.contains_key(r.as_str()));
    let lost = lost.map(|r| format!("{}: {r} was acknowledged and is not there", dataset()));
    let doubled = times.iter().filter(|(_, times)| **times > 1);
    lost.chain(doubled.map(|(r, times)| format!("{}: {r} is there {times} times", dataset()))).collect()
}
