//! What [`Store`] promises of backfills, over a fresh store of whatever kind.

use crate::build::*;
use alluvium_model::{DefinitionVersion, Window};
use alluvium_store::{
    AfterFailure, BackfillRecord, BackfillState, Claim, Claimed, Ending, Forgotten, NewStep, Planned, StepKind,
    StepState, Store, StoreError,
};
use std::collections::BTreeMap;

pub fn record() -> BackfillRecord {
    BackfillRecord {
        id: run(),
        dataset: name("silver.flights"),
        version: DefinitionVersion::from_stored("v2"),
        range: Window { from: -5, to: 7 },
        stride: "1mo".parse().expect("a stride"),
        inputs: BTreeMap::from([(name("bronze.flights"), 4)]),
        max_active: 3,
        tolerated: 250,
        state: BackfillState::Building,
        summary: None,
        started_at: at(1),
        changed_at: at(1),
    }
}

/// A window of the backfill of `silver.flights`.
fn window(step: &str, from: i64) -> NewStep {
    NewStep {
        kind: StepKind::Backfill,
        version: DefinitionVersion::from_stored("v2"),
        inputs: BTreeMap::new(),
        lookups: BTreeMap::from([(name("bronze.flights"), 4)]),
        windows: Some(vec![Window { from, to: from + 1 }]),
        ..refine(step, -1, 4)
    }
}

pub async fn one_backfill_of_a_dataset_is_under_way(store: &dyn Store) {
    assert!(matches!(store.start_backfill(&record()).await, Err(StoreError::Unknown { .. })), "its run is not there");
    started(store).await;
    let second = alluvium_model::RunId::from_stored("20260101T000000-00000002");
    start(store, &second, 1, 0).await;
    assert_eq!(store.start_backfill(&record()).await.unwrap(), None);
    assert_eq!(store.start_backfill(&record()).await.unwrap(), None, "told twice, begun once");
    let other = BackfillRecord { id: second.clone(), started_at: at(2), ..record() };
    assert_eq!(store.start_backfill(&other).await.unwrap(), Some(run()));
    assert_eq!(store.backfills().await.unwrap(), [record()]);

    let summary = Some("{\"same\":1}".to_owned());
    let inputs = BTreeMap::from([(name("bronze.flights"), 9)]);
    let now = BackfillRecord { state: BackfillState::Swapped, summary, inputs, changed_at: at(5), ..record() };
    store.change_backfill(&now).await.unwrap();
    assert_eq!(store.start_backfill(&other).await.unwrap(), None, "the first one has come to its end");
    assert_eq!(store.backfills().await.unwrap(), [now, other]);
    let unknown = BackfillRecord { id: alluvium_model::RunId::from_stored("never"), ..record() };
    assert!(matches!(store.change_backfill(&unknown).await, Err(StoreError::Unknown { .. })));
}

pub async fn windows_stand_beside_the_live_step(store: &dyn Store) {
    started(store).await;
    store.start_backfill(&record()).await.unwrap();
    let steps = [refine("live", -1, 1), window("a", 0), window("b", 1)];
    assert_eq!(store.plan_many(&steps).await.unwrap(), [Planned::New, Planned::New, Planned::New]);
    assert!(!store.is_busy(&watch(2)).await.unwrap());
    for step in ["a", "b", "live"] {
        assert!(claim(store, step, 1, 2).await.is_taken(), "{step}");
        assert!(matches!(claim(store, step, 2, 2).await, Claim::Held { .. }), "{step} is taken once");
        assert_eq!(store.is_busy(&watch(2)).await.unwrap(), step == "live", "{step}");
    }
    assert!(store.renew(&key("a"), &owner(1), at(3), MINUTE).await.unwrap());
    // What it reads it does not consume.
    let positions = store.positions(&name("silver.flights")).await.unwrap();
    assert_eq!(positions, BTreeMap::from([(name("bronze.flights"), 1)]));
    store.finish_many(&[done("live"), done("a")]).await.unwrap();
    let active: Vec<_> = store.versions().await.unwrap().into_iter().filter(|v| v.active).collect();
    assert_eq!(active.len(), 1);
    assert_eq!(active[0].version, DefinitionVersion::from_stored("v1"), "no live row was made by a window");

    // One that is given up is no dead letter, and comes back when the backfill goes on.
    assert_eq!(fail(store, &failure("b", 5, 1, 1)).await, AfterFailure::Dead);
    assert!(store.dead_letters().await.unwrap().is_empty());
    assert!(store.revive_step(&key("b"), false).await.unwrap());
    // A lease whose holder is gone is free.
    assert!(claim(store, "b", 13, 6).await.is_taken());
    assert!(claim(store, "b", 2, 7).await.is_taken());
}

pub async fn a_backfill_that_is_dropped_is_forgotten(store: &dyn Store) {
    started(store).await;
    store.start_backfill(&record()).await.unwrap();
    store.plan_many(&[refine("live", -1, 1), window("a", 0), window("b", 1)]).await.unwrap();
    claim(store, "a", 1, 2).await;
    store.finish(&done("a")).await.unwrap();
    claim(store, "b", 1, 2).await;
    assert_eq!(store.forget_backfill(&run()).await.unwrap(), Forgotten::Now);
    assert_eq!(store.forget_backfill(&run()).await.unwrap(), Forgotten::NotThere);
    assert!(store.backfills().await.unwrap().is_empty());
    let mut states = Vec::new();
    for step in ["live", "a", "b"] {
        states.push(store.step(&key(step)).await.unwrap().map(|s| s.state));
    }
    assert_eq!(states, [Some(StepState::Planned), Some(StepState::Done), Some(StepState::Superseded)]);
    assert!(!store.renew(&key("b"), &owner(1), at(3), MINUTE).await.unwrap(), "whoever works on it stops");
}

/// Windows that somebody may take, and whether any is open.
async fn open(store: &dyn Store, now: i64) -> (Vec<String>, bool) {
    let windows = store.open_windows(&watch(now)).await.unwrap();
    (windows.ready.iter().map(|s| s.key.to_string()).collect(), windows.any)
}

fn one(step: &str) -> (Vec<String>, bool) {
    (vec![step.to_owned()], true)
}

fn full() -> Claim {
    Claim::Full { key: "windows".into() }
}

pub async fn windows_are_bounded_over_all_processes(store: &dyn Store) {
    started(store).await;
    store.start_backfill(&BackfillRecord { max_active: 2, ..record() }).await.unwrap();
    assert_eq!(open(store, 2).await, (Vec::new(), false));
    let steps = [refine("live", -1, 1), window("a", 0), window("b", 1), window("c", 2), window("d", 3)];
    store.plan_many(&steps).await.unwrap();
    for (step, process) in [("a", 1), ("b", 2)] {
        assert_eq!(open(store, 2).await, one(step), "the oldest that nobody has");
        assert!(claim(store, step, process, 2).await.is_taken());
    }
    assert_eq!(open(store, 2).await, (Vec::new(), true));
    assert_eq!(claim(store, "c", 3, 2).await, full());
    assert!(claim(store, "live", 3, 2).await.is_taken(), "live work has nothing to do with it");

    // Both are past their end; one was only late, the other is taken, and its holder hears of it.
    assert_eq!(open(store, 62).await, one("a"));
    assert!(store.renew(&key("a"), &owner(1), at(62), MINUTE).await.unwrap());
    assert_eq!(open(store, 62).await, one("b"));
    assert!(claim(store, "b", 3, 62).await.is_taken());
    assert!(!store.renew(&key("b"), &owner(2), at(62), MINUTE).await.unwrap());
    assert_eq!(claim(store, "c", 2, 62).await, full());

    store.finish(&done("a")).await.unwrap();
    assert!(claim(store, "c", 13, 63).await.is_taken());
    assert_eq!(open(store, 63).await, one("c"), "with its process its place is gone");
    assert!(claim(store, "c", 2, 63).await.is_taken());
    assert_eq!(claim(store, "d", 1, 63).await, full());
    assert!(store.change_backfill(&record()).await.unwrap());
    assert_eq!(open(store, 63).await, one("d"), "it has three by now");
    assert!(claim(store, "d", 1, 63).await.is_taken());
}

pub async fn a_window_waits_for_its_time_and_for_its_backfill(store: &dyn Store) {
    started(store).await;
    store.start_backfill(&record()).await.unwrap();
    store.plan_many(&[window("a", 0), window("b", 1), window("c", 2)]).await.unwrap();
    claim(store, "a", 1, 2).await;
    assert_eq!(fail(store, &failure("a", 3, 60, 9)).await, AfterFailure::Open);
    claim(store, "b", 1, 3).await;
    assert_eq!(fail(store, &failure("b", 3, 60, 1)).await, AfterFailure::Dead);
    assert_eq!(open(store, 3).await, one("c"));
    assert_eq!(open(store, 63).await, one("c"), "one that was tried, and may have no retry left, holds up no other");
    store.finish(&done("c")).await.unwrap();
    assert_eq!(open(store, 62).await, (Vec::new(), true));
    assert_eq!(open(store, 63).await, one("a"));
    for state in [BackfillState::Failed, BackfillState::Built] {
        store.change_backfill(&BackfillRecord { state, ..record() }).await.unwrap();
        assert_eq!(open(store, 63).await, (Vec::new(), false), "{state:?}");
    }
    store.change_backfill(&record()).await.unwrap();
    assert_eq!(open(store, 63).await, one("a"));
}

/// Those windows take their place.
fn swap(step: &str) -> NewStep {
    NewStep { kind: StepKind::Swap, ..window(step, 0) }
}

/// What was planned before would be executed after it, and take away what it brought.
pub async fn a_whole_table_is_not_swapped_over_open_steps(store: &dyn Store) {
    started(store).await;
    store.start_backfill(&record()).await.unwrap();
    let inputs = BTreeMap::from([(name("bronze.flights"), Claimed { after: -1, upto: 4 })]);
    let whole = |step: &str| NewStep { windows: None, inputs: inputs.clone(), ..swap(step) };
    store.plan_many(&[curate("live", -1, 3, None), window("w", 0)]).await.unwrap();
    assert_eq!(store.plan(&whole("s")).await.unwrap(), Planned::Conflict);
    assert_eq!(store.plan(&swap("part")).await.unwrap(), Planned::New, "what it does not touch is no matter");
    supersede(store, "part").await;
    fail(store, &failure("live", 2, 1, 1)).await;
    assert_eq!(store.plan(&whole("s")).await.unwrap(), Planned::Conflict, "a dead letter may come back");
    supersede(store, "live").await;
    assert_eq!(store.plan(&whole("s")).await.unwrap(), Planned::New);
    assert_eq!(store.plan(&whole("s")).await.unwrap(), Planned::Exists);
}

/// A process that still works on it does not know.
pub async fn a_backfill_that_is_over_plans_nothing(store: &dyn Store) {
    started(store).await;
    let plan = async |step: &NewStep| store.plan(step).await.unwrap();
    assert_eq!(plan(&window("early", 0)).await, Planned::Conflict, "it has not begun");
    store.start_backfill(&record()).await.unwrap();
    assert_eq!(store.plan_many(&[window("a", 0), swap("s")]).await.unwrap(), [Planned::New, Planned::New]);
    // What may take its place, or has, is not forgotten.
    assert_eq!(store.forget_backfill(&run()).await.unwrap(), Forgotten::Swapping);
    assert_eq!(store.backfills().await.unwrap(), [record()]);
    supersede(store, "s").await;
    assert_eq!(store.forget_backfill(&run()).await.unwrap(), Forgotten::Now);
    assert_eq!(plan(&window("b", 1)).await, Planned::Conflict);
    assert_eq!(plan(&swap("t")).await, Planned::Conflict);
    assert!(store.step(&key("b")).await.unwrap().is_none());
    assert_eq!(plan(&refine("live", -1, 1)).await, Planned::New, "live work has nothing to do with it");

    store.start_backfill(&record()).await.unwrap();
    let steps = ["c", "d", "e", "f", "h"].map(|step| window(step, 1));
    store.plan_many(&steps).await.unwrap();
    store.plan(&swap("u")).await.unwrap();
    for step in ["d", "e", "f", "h"] {
        claim(store, step, 1, 2).await;
    }
    fail(store, &failure("e", 3, 1, 1)).await;
    fail(store, &failure("h", 3, 0, 9)).await;
    store.finish_many(&[done("f"), done("u")]).await.unwrap();
    assert_eq!(store.forget_backfill(&run()).await.unwrap(), Forgotten::Swapping);
    let ending = Ending { id: "backfill".into(), committed: Some(9), publish: Vec::new() };
    assert!(store.end_backfill(&record(), &ending).await.unwrap());
    assert_eq!(plan(&window("g", 2)).await, Planned::Conflict);
    let mut states = Vec::new();
    for step in ["c", "d", "e", "f", "h"] {
        states.push(found(store, step).await.state);
    }
    use StepState::{Dead, Done, Superseded};
    assert_eq!(states, [Superseded, Superseded, Dead, Done, Superseded], "what failed for good says why");
    assert!(!store.renew(&key("d"), &owner(1), at(4), MINUTE).await.unwrap(), "whoever works on it stops");
}
