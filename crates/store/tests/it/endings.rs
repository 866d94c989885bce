//! What waits for a dataset, and what is told when a run or a backfill has ended as a whole; over a fresh store of whatever kind.

use crate::{backfills::record, build::*};
use alluvium_model::{Balance, RunId};
use alluvium_store::{
    BackfillRecord, BackfillState, Claimed, Commits, Decision, EndedRun, Ending, NewPublication, NewStep, Owner,
    Planned, Publication, RunRecord, RunState, StepDone, StepKind, StepState, Store, StoreError, Topic,
};
use std::collections::BTreeMap;

/// Of `silver.flights`, done, with this version and so many rows.
async fn committed(store: &dyn Store, step: &str, after: i64, version: Option<i64>, rows: u64, end: i64) {
    store.plan(&refine(step, after, after + 1)).await.unwrap();
    let balance = Balance { received: rows, loaded: rows - 1, quarantined: 1, ..Balance::default() };
    store.finish(&StepDone { committed: version, balance, finished_at: at(end), ..done(step) }).await.unwrap();
}

async fn commits(store: &dyn Store, after: i64, upto: i64) -> (i64, u64, u64, Option<i64>) {
    let Commits { upto, steps, balance, oldest } =
        store.commits(&name("silver.flights"), Claimed { after, upto }).await.unwrap();
    (upto, steps, balance.received, oldest.map(|t| t.as_second() - at(0).as_second()))
}

pub async fn what_waits_is_what_was_committed_in_the_range(store: &dyn Store) {
    started(store).await;
    assert_eq!(commits(store, -1, 9).await, (9, 0, 0, None));
    committed(store, "a", -1, Some(1), 10, 20).await;
    committed(store, "b", 0, None, 100, 21).await;
    committed(store, "c", 1, Some(3), 1_000, 22).await;
    assert_eq!(commits(store, -1, 9).await, (9, 2, 1_010, Some(20)));
    assert_eq!(commits(store, 1, 9).await, (9, 1, 1_000, Some(22)));
    assert_eq!(commits(store, -1, 2).await, (2, 1, 10, Some(20)));
    assert_eq!(commits(store, 3, 9).await, (9, 0, 0, None));
    // Another table than the dataset's.
    store.start_backfill(&record()).await.unwrap();
    let window = NewStep { kind: StepKind::Backfill, inputs: BTreeMap::new(), ..refine("w", -1, 4) };
    store.plan(&window).await.unwrap();
    store.finish(&StepDone { committed: Some(7), ..done("w") }).await.unwrap();
    assert_eq!(commits(store, -1, 9).await.1, 2);
}

pub async fn what_is_not_known_to_be_committed_is_not_in_the_range(store: &dyn Store) {
    started(store).await;
    committed(store, "a", -1, Some(1), 10, 20).await;
    store.plan(&refine("b", 0, 1)).await.unwrap();
    assert_eq!(commits(store, -1, 9).await.0, 9, "nobody has begun it");
    claim(store, "b", 1, 30).await;
    assert_eq!(commits(store, -1, 9).await, (1, 1, 10, Some(20)), "it may have committed");
    assert_eq!(commits(store, 1, 9).await, (1, 0, 0, None));
    // Nor is that known of an attempt that nobody ended, or that failed.
    fail(store, &failure("b", 31, 60, 9)).await;
    assert_eq!(commits(store, 1, 9).await.0, 1);
    store.finish(&StepDone { committed: Some(2), ..done("b") }).await.unwrap();
    assert_eq!(commits(store, 1, 9).await.0, 9);
}

pub async fn the_last_decision_of_a_run_counts(store: &dyn Store) {
    started(store).await;
    let decision = |dataset: &str, second: i64, received: u64, taken: bool| Decision {
        run: run(),
        dataset: name(dataset),
        decided_at: at(second),
        condition: "received >= 10".into(),
        measures: BTreeMap::from([("received".into(), received.into()), ("age_seconds".into(), 1.into())]),
        taken,
    };
    let other = RunId::from_stored("other");
    let nobody = Decision { run: other.clone(), ..decision("silver.a", 1, 1, false) };
    assert!(store.decide(&nobody).await.is_err(), "its run is not there");
    for (n, taken) in [(4, false), (12, true)] {
        store.decide(&decision("silver.a", n, n as u64, taken)).await.unwrap();
        store.decide(&decision("gold.b", 2, 7, false)).await.unwrap();
    }
    let expected = [decision("gold.b", 2, 7, false), decision("silver.a", 12, 12, true)];
    assert_eq!(store.decisions(&run()).await.unwrap(), expected);
    assert!(store.decisions(&other).await.unwrap().is_empty());
}

fn ending(id: &str, sinks: &[&str]) -> Ending {
    let publish = sinks.iter().map(|s| NewPublication { sink: (*s).into(), event: format!("{{\"of\":\"{id}\"}}") });
    Ending { id: id.into(), committed: None, publish: publish.collect() }
}

async fn begun(store: &dyn Store, run: &str, process: u32) -> RunId {
    let id = RunId::from_stored(run);
    let record = RunRecord { tells: true, ..run_record(&id, 0) };
    store.start_run(&record, &owner(process), MINUTE, &watch(0)).await.unwrap();
    id
}

async fn ended(store: &dyn Store, now: i64) -> Vec<String> {
    store.ended_runs(&watch(now)).await.unwrap().into_iter().map(|e| e.run.run.to_string()).collect()
}

async fn taken(store: &dyn Store, topic: &Topic, now: i64) -> Vec<Publication> {
    let owner = Owner { host: "there".into(), process: 7, started_ticks: 7 };
    store.take_lane((topic, "hook"), "here", &owner, MINUTE, &watch(now), 9).await.unwrap()
}

pub async fn a_run_has_ended_with_the_last_of_its_steps(store: &dyn Store) {
    let first = begun(store, "first", 1).await;
    start(store, &run(), 1, 0).await;
    let steps = [("a", -1), ("b", 0), ("c", 1), ("d", 2)];
    for (step, after) in steps {
        store.plan(&NewStep { run: first.clone(), ..refine(step, after, after + 1) }).await.unwrap();
    }
    store.finish(&StepDone { committed: Some(4), ..done("a") }).await.unwrap();
    store.finish_run(&first, RunState::Failed, at(5)).await.unwrap();
    store.finish_run(&run(), RunState::Done, at(5)).await.unwrap();
    assert!(ended(store, 6).await.is_empty(), "three of its steps are open, and the other run is not to be told");
    assert!(!store.tell_run(&ended_at(store, &first, 6).await, &ending("run-first", &["hook"]), at(6)).await.unwrap());
    // Others end them, each in another way.
    store.finish(&StepDone { committed: Some(5), ..done("b") }).await.unwrap();
    supersede(store, "d").await;
    assert!(ended(store, 6).await.is_empty());
    fail(store, &failure("c", 6, 60, 1)).await;
    let all = store.ended_runs(&watch(7)).await.unwrap();
    let [EndedRun { run: record, datasets }] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((record.state, record.finished_at), (RunState::Failed, Some(at(5))));
    let of = &datasets[&name("silver.flights")];
    let states = [(StepState::Done, 2), (StepState::Dead, 1), (StepState::Superseded, 1)];
    assert_eq!((of.states.clone(), of.balance.received, of.committed), (states.into(), 10, Some(5)));

    assert!(store.lanes().await.unwrap().is_empty());
    assert!(store.tell_run(&all[0], &ending("run-first", &["hook", "folder"]), at(8)).await.unwrap());
    assert!(!store.tell_run(&all[0], &ending("other", &["hook"]), at(9)).await.unwrap(), "once");
    assert!(ended(store, 10).await.is_empty());
    let part = taken(store, &Topic::Runs, 10).await;
    let told: Vec<_> = part.iter().map(|p| (p.id.as_str(), p.committed, p.event.as_str())).collect();
    assert_eq!(told, [("run-first", None, "{\"of\":\"run-first\"}")]);
    assert_eq!(store.lanes().await.unwrap().len(), 2);
    assert!(store.delivered(&part[0], &part_owner(), at(11), MINUTE).await.unwrap());
    assert!(taken(store, &Topic::Runs, 12).await.is_empty());
}

fn part_owner() -> Owner {
    Owner { host: "there".into(), process: 7, started_ticks: 7 }
}

/// A process that was cut off comes back, and goes on before it hears of that.
pub async fn a_word_that_is_not_true_any_more_is_not_said(store: &dyn Store) {
    started(store).await;
    let run = begun(store, "cut-off", 13).await;
    let step = |name: &str, after: i64| NewStep { run: run.clone(), ..refine(name, after, after + 1) };
    store.plan_many(&[step("a", -1), step("b", 0)]).await.unwrap();
    store.finish(&done("a")).await.unwrap();
    fail(store, &failure("b", 2, 60, 1)).await;
    let early = ended_at(store, &run, 3).await;
    let tell = async |found: &EndedRun| store.tell_run(found, &ending("run-cut-off", &["hook"]), at(9)).await.unwrap();
    store.plan(&step("c", 1)).await.unwrap();
    store.finish(&done("c")).await.unwrap();
    assert!(!tell(&early).await, "one more is done");
    let later = ended_at(store, &run, 4).await;
    assert!(store.revive_step(&key("b"), false).await.unwrap());
    store.finish(&done("b")).await.unwrap();
    assert!(!tell(&later).await, "a dead letter came back");
    assert!(store.lanes().await.unwrap().is_empty());
    let last = ended_at(store, &run, 5).await;
    assert_eq!(last.datasets[&name("silver.flights")].states, BTreeMap::from([(StepState::Done, 3)]));
    assert!(tell(&last).await);
}

pub async fn a_run_without_its_process_has_ended(store: &dyn Store) {
    begun(store, "empty", 1).await;
    begun(store, "dead", 13).await;
    assert_eq!(ended(store, 30).await, ["dead"], "the other one lives");
    let all = store.ended_runs(&watch(100)).await.unwrap();
    let seen: Vec<_> = all.iter().map(|e| (e.run.run.as_str(), e.run.state, e.datasets.len())).collect();
    assert_eq!(seen, [("empty", RunState::Interrupted, 0), ("dead", RunState::Interrupted, 0)]);
    // Nothing to tell of it is a word as well.
    assert!(store.tell_run(&all[0], &ending("run-empty", &[]), at(101)).await.unwrap());
    assert_eq!(ended(store, 102).await, ["dead"]);
    // Its machine only slept: what it plans now nobody would tell.
    let late = |step: &str| NewStep { run: all[0].run.run.clone(), ..refine(step, -1, 0) };
    let refused = store.plan(&late("late")).await.unwrap_err();
    assert!(matches!(refused, StoreError::RunTold { .. }), "{refused:?}");
    assert!(store.step(&key("late")).await.unwrap().is_none());
    store.start_backfill(&BackfillRecord { id: all[0].run.run.clone(), ..record() }).await.unwrap();
    let window = NewStep { kind: StepKind::Backfill, inputs: BTreeMap::new(), ..late("window") };
    assert_eq!(store.plan(&window).await.unwrap(), Planned::New);
    let own = NewStep { run: all[1].run.run.clone(), ..refine("own", -1, 0) };
    assert_eq!(store.plan(&own).await.unwrap(), Planned::New, "the other one was not told");
    assert!(!store.tell_run(&all[1], &ending("run-dead", &[]), at(103)).await.unwrap(), "it has an open step now");
    assert!(store.lanes().await.unwrap().is_empty());
}

pub async fn a_backfill_ends_once_and_is_told_with_that(store: &dyn Store) {
    started(store).await;
    let record = BackfillRecord {
        id: run(),
        dataset: name("silver.flights"),
        version: alluvium_model::DefinitionVersion::from_stored("v2"),
        range: alluvium_model::Window { from: -5, to: 7 },
        stride: "1mo".parse().expect("a stride"),
        inputs: BTreeMap::new(),
        max_active: 3,
        tolerated: 0,
        state: BackfillState::Built,
        summary: None,
        started_at: at(1),
        changed_at: at(4),
    };
    store.start_backfill(&record).await.unwrap();
    let word = Ending { committed: Some(9), ..ending("backfill-x", &["hook"]) };
    assert!(store.end_backfill(&record, &word).await.unwrap());
    assert!(!store.end_backfill(&record, &Ending { id: "other".into(), ..word }).await.unwrap());
    // Whoever still works on it does not bring it back.
    assert!(!store.change_backfill(&record).await.unwrap());
    let swapped = BackfillRecord { state: BackfillState::Swapped, ..record };
    assert_eq!(store.backfills().await.unwrap(), [swapped]);
    let part = taken(store, &Topic::Dataset(name("silver.flights")), 5).await;
    assert_eq!(part.iter().map(|p| (p.id.as_str(), p.committed)).collect::<Vec<_>>(), [("backfill-x", Some(9))]);
}
