//! What [`Store`] promises of replays that were asked for, and of what it tells a service that looks.

use crate::{backfills::record, build::*};
use alluvium_model::{DatasetName, RunId};
use alluvium_store::{
    AskedReplay, Ending, EventState, InboxBound, NewEvent, NewReplay, NewStep, PushedEvent, RunState, StepKind, Store,
    StoreError,
};
use std::collections::BTreeMap;

const MOST: u32 = 3;

fn id(n: u32) -> RunId {
    RunId::from_stored(format!("20260101T000000-{n:08}"))
}

fn new(n: u32, key: Option<&str>, request: &str) -> NewReplay {
    NewReplay {
        id: id(n),
        key: key.map(Into::into),
        asked: format!("asked {request}"),
        request: request.into(),
        command: "replay quarantine silver.flights".into(),
        asked_at: at(n.into()),
    }
}

async fn waiting(store: &dyn Store, now: i64) -> Vec<RunId> {
    store.news(&[], &watch(now)).await.expect("read").replays.into_iter().map(|r| r.id).collect()
}

async fn takes(store: &dyn Store, n: u32, process: u32, now: i64) -> bool {
    store.start_replay(&id(n), &owner(process), MINUTE, true, &watch(now)).await.expect("asked")
}

pub async fn a_replay_is_asked_for_once(store: &dyn Store) {
    let ask = async |new: &NewReplay| store.ask_replay(new, MOST).await.unwrap();
    assert_eq!(ask(&new(1, Some("k"), "a")).await, AskedReplay::New);
    assert_eq!(ask(&new(2, Some("k"), "a")).await, AskedReplay::Known(id(1)), "no answer came, and it was asked again");
    assert_eq!(ask(&new(2, Some("k"), "b")).await, AskedReplay::OtherUnderKey(id(1)));
    assert_eq!(ask(&new(2, None, "a")).await, AskedReplay::Known(id(1)), "the same waits");
    assert_eq!(ask(&new(2, None, "b\0\u{1}")).await, AskedReplay::New);
    assert_eq!(ask(&new(3, Some("l"), "a")).await, AskedReplay::New, "another key says that it is another");
    assert_eq!(ask(&new(4, None, "c")).await, AskedReplay::Full);
    assert_eq!(ask(&new(4, Some("l"), "a")).await, AskedReplay::Known(id(3)), "it is told however many wait");

    assert_eq!(
        store.replay_under("k", &watch(9)).await.unwrap().map(|r| (r.id, r.asked)),
        Some((id(1), "asked a".into()))
    );
    assert_eq!(store.replay_under("m", &watch(9)).await.unwrap(), None);
    let known = store.replay(&id(2), &watch(9)).await.unwrap().expect("it is there");
    assert_eq!((known.request.as_str(), known.key, known.asked_at), ("b\0\u{1}", None, at(2)));
    assert_eq!((known.ended_at, known.outcome), (None, None));
    assert_eq!(store.replay(&id(9), &watch(9)).await.unwrap(), None);
    let ids = store.replays(2, &watch(9)).await.unwrap().into_iter().map(|r| r.id).collect::<Vec<_>>();
    assert_eq!(ids, [id(3), id(2)]);

    // Once it has begun, the same may be asked for again.
    assert!(takes(store, 1, 1, 10).await);
    assert_eq!(ask(&new(5, None, "a")).await, AskedReplay::Known(id(3)));
    assert!(takes(store, 3, 1, 10).await);
    store.end_replay(&id(1), RunState::Done, at(11), "{}").await.unwrap();
    assert_eq!(ask(&new(5, None, "a")).await, AskedReplay::New);
}

pub async fn a_replay_is_taken_until_somebody_has_done_it(store: &dyn Store) {
    store.ask_replay(&new(1, None, "a"), MOST).await.unwrap();
    store.ask_replay(&new(2, None, "b"), MOST).await.unwrap();
    assert_eq!(waiting(store, 2).await, [id(1), id(2)]);
    assert!(takes(store, 1, 1, 3).await);
    assert!(!takes(store, 1, 2, 4).await, "another process is at it");
    assert!(!takes(store, 1, 1, 4).await, "so is this one");
    assert_eq!(waiting(store, 4).await, [id(2)]);
    let live = store.replays(9, &watch(4)).await.unwrap().into_iter().map(|r| (r.id, r.is_live)).collect::<Vec<_>>();
    assert_eq!(live, [(id(2), false), (id(1), true)]);
    let run = store.runs(1, &watch(4)).await.unwrap().remove(0);
    assert_eq!((run.run, run.state, run.started_at), (id(1), RunState::Running, at(3)));
    assert_eq!(run.command, "replay quarantine silver.flights");

    // It is not renewed.
    assert_eq!(waiting(store, 70).await, [id(1), id(2)]);
    assert!(takes(store, 1, 13, 70).await);
    assert_eq!(waiting(store, 71).await, [id(1), id(2)], "who took it is dead");
    assert!(takes(store, 1, 2, 72).await);
    // It was stopped in order.
    store.finish_run(&id(1), RunState::Interrupted, at(73)).await.unwrap();
    assert_eq!(waiting(store, 73).await, [id(1), id(2)]);
    assert!(store.ended_runs(&watch(73)).await.unwrap().is_empty(), "another process may go on with it");
    let ending = Ending { id: format!("run-{}", id(1)), committed: None, publish: Vec::new() };
    assert!(!store.tell_run(&ended_at(store, &id(1), 73).await, &ending, at(73)).await.unwrap());
    assert!(takes(store, 1, 3, 74).await);
    store.end_replay(&id(1), RunState::Failed, at(75), "first").await.unwrap();
    store.end_replay(&id(1), RunState::Done, at(76), "second").await.unwrap();
    let ended = store.replay(&id(1), &watch(76)).await.unwrap().expect("it is there");
    assert_eq!((ended.ended_at, ended.outcome.as_deref()), (Some(at(75)), Some("first")));
    let run = store.runs(1, &watch(76)).await.unwrap().remove(0);
    assert_eq!((run.state, run.finished_at), (RunState::Failed, Some(at(75))));
    assert_eq!(store.ended_runs(&watch(76)).await.unwrap()[0].run.run, id(1));
    assert!(store.tell_run(&ended_at(store, &id(1), 76).await, &ending, at(76)).await.unwrap());
    assert!(!takes(store, 1, 1, 200).await);
    assert_eq!(waiting(store, 200).await, [id(2)]);
    let unknown = store.start_replay(&id(9), &owner(1), MINUTE, true, &watch(1)).await;
    assert!(matches!(unknown, Err(StoreError::Unknown { .. })), "{unknown:?}");
    let unknown = store.end_replay(&id(9), RunState::Done, at(1), "").await;
    assert!(matches!(unknown, Err(StoreError::Unknown { .. })), "{unknown:?}");
}

pub async fn the_newest_commit_of_each_dataset_is_told(store: &dyn Store) {
    let names = [name("bronze.flights"), name("silver.flights"), name("gold.flights")];
    let news = async || store.news(&names, &watch(9)).await.unwrap().committed;
    assert_eq!(news().await, BTreeMap::new());
    started(store).await;
    store.start_backfill(&record()).await.unwrap();
    let window = NewStep { kind: StepKind::Backfill, inputs: BTreeMap::new(), ..refine("w", -1, 1) };
    let steps = [ingest("a", &[]), ingest("b", &[]), refine("s", -1, 1), window];
    store.plan_many(&steps).await.unwrap();
    let committed = |step, version| alluvium_store::StepDone { committed: version, ..done(step) };
    store.finish(&committed("a", Some(4))).await.unwrap();
    store.finish(&committed("s", None)).await.unwrap();
    assert_eq!(news().await, BTreeMap::from([(name("bronze.flights"), 4)]));
    store.finish(&committed("b", Some(6))).await.unwrap();
    // It is in no live table.
    store.finish(&committed("w", Some(9))).await.unwrap();
    assert_eq!(news().await, BTreeMap::from([(name("bronze.flights"), 6)]));
    assert_eq!(store.news(&names[1..], &watch(9)).await.unwrap().committed, BTreeMap::new(), "only what is asked for");
}

pub async fn what_nobody_takes_up_is_told(store: &dyn Store) {
    let names = [name("bronze.flights"), name("silver.flights")];
    let news = async |now| store.news(&names, &watch(now)).await.unwrap();
    let ready = async |now| news(now).await.ready.into_iter().map(|s| s.key.to_string()).collect::<Vec<_>>();
    started(store).await;
    assert!(!news(1).await.is_open());
    let pushed = |id: &str| PushedEvent {
        source: "/shop".into(),
        id: id.into(),
        record: id.into(),
        datasets: vec![name("bronze.flights")],
    };
    let bound = InboxBound { events: 9, bytes: 99 };
    store.push(&[vec![pushed("a"), pushed("b")].into()], bound, at(2)).await.unwrap();
    let found = news(3).await;
    let part = store.inbox(&name("bronze.flights"), 1).await.unwrap();
    assert_eq!((found.pushed, part.records.len()), (BTreeMap::from([(name("bronze.flights"), part.upto)]), 1));
    let late = NewEvent { received_at: at(9), ..event("late.csv", "late") };
    store.record_events(&run(), &[late, event("1.csv", "1")]).await.unwrap();
    assert_eq!(news(3).await.unplanned, BTreeMap::from([(name("bronze.flights"), event_id("1"))]), "the oldest");
    assert!(store.land(&run(), &event("2.csv", "2"), &part).await.unwrap());
    let second = store.inbox(&name("bronze.flights"), 9).await.unwrap();
    assert_eq!(news(3).await.pushed, BTreeMap::from([(name("bronze.flights"), second.upto)]));
    assert!(store.land(&run(), &event("3.csv", "3"), &second).await.unwrap());
    store.plan(&ingest("a", &["1", "2", "3", "late"])).await.unwrap();
    let found = news(3).await;
    assert_eq!((found.pushed, found.unplanned, found.going), (BTreeMap::new(), BTreeMap::new(), true));

    // A step is nobody's when none holds it, and its time has come.
    assert_eq!(ready(3).await, ["a"]);
    claim(store, "a", 1, 10).await;
    assert!(ready(69).await.is_empty());
    assert!(news(69).await.going, "who holds it may die");
    assert_eq!(ready(70).await, ["a"], "its lease has ended");
    fail(store, &failure("a", 71, 60, 9)).await;
    assert!(ready(100).await.is_empty());
    assert!(news(100).await.going, "who knows of its time may die");
    assert_eq!(ready(131).await, ["a"]);
    store.finish(&done("a")).await.unwrap();
    store.start_backfill(&record()).await.unwrap();
    let window = NewStep { kind: StepKind::Backfill, inputs: BTreeMap::new(), ..refine("w", -1, 1) };
    store.plan(&window).await.unwrap();
    assert!(!news(140).await.is_open(), "a window is done by nobody else");
    assert!(!news(140).await.untold);
    let record = alluvium_store::RunRecord { tells: true, ..run_record(&id(9), 141) };
    store.start_run(&record, &owner(1), MINUTE, &watch(141)).await.unwrap();
    assert!(news(142).await.untold);
    store.finish_run(&id(9), RunState::Done, at(143)).await.unwrap();
    let ending = Ending { id: "run".into(), committed: None, publish: Vec::new() };
    assert!(store.tell_run(&ended_at(store, &id(9), 144).await, &ending, at(144)).await.unwrap());
    assert!(!news(145).await.untold);
}

pub async fn what_waits_is_told_newest_first(store: &dyn Store) {
    started(store).await;
    let received = |path: &str, second| NewEvent { received_at: at(second), ..event(path, path) };
    let events = [received("a", 1), received("b", 3), received("c", 2)];
    store.record_events(&run(), &events).await.unwrap();
    let other = name("bronze.other");
    let paths = async |only: Option<&DatasetName>, limit| {
        let waiting = store.waiting_events(only, limit).await.unwrap();
        waiting.into_iter().map(|e| (e.path, e.state)).collect::<Vec<_>>()
    };
    let (pending, taken) = (EventState::Pending, EventState::Planned);
    assert_eq!(paths(None, 2).await, [("b".into(), pending), ("c".into(), pending)]);
    assert_eq!(paths(Some(&other), 9).await, []);
    store.plan(&ingest("s", &["a", "c"])).await.unwrap();
    let all = [("b".into(), pending), ("c".into(), taken), ("a".into(), taken)];
    assert_eq!(paths(Some(&name("bronze.flights")), 9).await, all);
    store.finish(&done("s")).await.unwrap();
    assert_eq!(paths(None, 9).await, [("b".into(), pending)]);

    let push = |id: &str| PushedEvent {
        source: "/s".into(),
        id: id.into(),
        datasets: vec![other.clone(), name("bronze.third")],
        record: format!("{{\"ce_id\":\"{id}\"}}"),
    };
    let bound = InboxBound { events: 9, bytes: 999 };
    store.push(&[vec![push("1"), push("2")].into(), vec![push("3")].into()], bound, at(7)).await.unwrap();
    let newest = store.newest_in_inbox(&other, 2).await.unwrap();
    let records: Vec<_> = newest.iter().map(|r| r.record.as_str()).collect();
    assert_eq!(records, ["{\"ce_id\":\"3\"}", "{\"ce_id\":\"2\"}"]);
    assert!(newest[0].place > newest[1].place && newest[0].dataset == other);
    assert_eq!(store.pushed_at("/s", "2").await.unwrap(), Some(at(7)));
    assert_eq!(store.pushed_at("/t", "2").await.unwrap(), None);
}
