//! The promises of [`Store`], each over a fresh store of whatever kind.

use crate::build::*;
use alluvium_model::{DefinitionVersion, Fault, RetryClass, RunId, Span, Window};
use alluvium_store::{
    AfterFailure, Claim, Claimed, EventState, Failure, NewStep, Planned, Reached, RunState, StepDone, StepKind,
    StepState, Store, StoreError, Terms, Value, WatermarkRecord,
};
use std::collections::BTreeMap;

pub async fn a_state_belongs_to_the_first_lake(store: &dyn Store) {
    assert_eq!(store.lake().await.unwrap(), None);
    assert_eq!(store.belong("a").await.unwrap(), "a");
    assert_eq!(store.belong("b").await.unwrap(), "a");
    assert_eq!(store.lake().await.unwrap().as_deref(), Some("a"));
}

pub async fn arrivals_are_told_apart(store: &dyn Store) {
    started(store).await;
    let list = [event("a", "1"), event("b", "1"), event("c", "2"), event("c", "2")];
    let answers = store.record_events(&run(), &list).await.unwrap();
    assert_eq!(answers, [NEW, duplicate("a"), NEW, NEW]);
    // A path with other content is another event.
    assert_eq!(store.record_events(&run(), &[event("a", "3")]).await.unwrap(), [NEW]);
    assert_eq!(store.record_events(&run(), &[]).await.unwrap(), []);

    let ids = [event_id("3"), event_id("unknown"), event_id("1")];
    let events = store.events(&ids).await.unwrap();
    assert_eq!(events.iter().map(|e| e.path.as_str()).collect::<Vec<_>>(), ["a", "a"]);
    assert_eq!(events[0].event, event_id("3"));
    assert_eq!((events[0].state, events[0].step.as_ref()), (EventState::Pending, None));

    let known = store.known_files(&name("bronze.flights")).await.unwrap();
    assert_eq!(known.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(store.known_files(&name("bronze.other")).await.unwrap().is_empty());
    let run = store.runs(1, &watch(0)).await.unwrap().remove(0);
    assert_eq!((run.objects_new, run.objects_duplicate, run.objects_dead), (3, 1, 0));
}

pub async fn a_path_that_is_told_again_counts_once(store: &dyn Store) {
    started(store).await;
    let mut list = [event("a", "1"), event("b", "1"), event("b", "2")];
    let first = store.record_events(&run(), &list).await.unwrap();
    for e in &mut list {
        e.modified_nanos = 99;
        e.received_at = at(50);
    }
    assert_eq!(store.record_events(&run(), &list).await.unwrap(), first);
    let run = store.runs(1, &watch(0)).await.unwrap().remove(0);
    assert_eq!((run.objects_new, run.objects_duplicate), (2, 1));
    assert_eq!(store.known_files(&name("bronze.flights")).await.unwrap()["a"], (10, 99));
    let event = store.events(&[event_id("1")]).await.unwrap().remove(0);
    assert_eq!((event.modified_nanos, event.received_at), (99, at(0)));
}

pub async fn the_objects_of_a_step_tell_where_they_were_found(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1", "2", "3"]).await;
    planned(store, &ingest("s", &["1", "3"])).await;
    let mut found = store.found_by(&key("s")).await.unwrap();
    found.sort();
    let paths: Vec<String> =
        store.events(&[event_id("1"), event_id("3")]).await.unwrap().into_iter().map(|e| e.path).collect();
    assert_eq!(found, paths.into_iter().map(|path| (path, owner(1).host)).collect::<Vec<_>>());
    assert_eq!(store.found_by(&key("unknown")).await.unwrap(), []);
}

pub async fn hostile_text_comes_back_as_it_was(store: &dyn Store) {
    started(store).await;
    let path = "a\0b/\u{1F600} '\"\\;--\n\u{FEFF}\u{7f}{}[]\r%_.csv";
    let mut hostile = event(path, "1");
    hostile.bytes = u64::MAX;
    hostile.modified_nanos = i64::MIN;
    store.record_events(&run(), &[hostile]).await.unwrap();
    let again = store.record_events(&run(), &[event("b", "1")]).await.unwrap();
    assert_eq!(again, [duplicate(path)]);
    assert_eq!(store.known_files(&name("bronze.flights")).await.unwrap()[path], (u64::MAX, i64::MIN));

    planned(store, &ingest("s", &["1"])).await;
    fail(store, &Failure { error: path.into(), ..failure("s", 2, 0, 9) }).await;
    assert_eq!(found(store, "s").await.error.as_deref(), Some(path));
    let mut end = done("s");
    end.dead = vec![(event_id("1"), path.into())];
    end.quality = vec![quality(path, Some(path))];
    store.finish(&end).await.unwrap();
    assert_eq!(store.dead_letters().await.unwrap()[0].message, path);
    let tables = store.tables(&watch(0)).await.unwrap();
    let quality = tables.iter().find(|t| t.name == "quality").unwrap();
    assert!(quality.rows[0].iter().filter(|v| **v == Value::Text(path.into())).count() == 2);
}

pub async fn pending_events_come_in_order(store: &dyn Store) {
    started(store).await;
    let mut list = [event("b", "1"), event("a", "2"), event("c", "3")];
    list[2].received_at = at(-5);
    store.record_events(&run(), &list).await.unwrap();
    assert_eq!(pending_paths(store).await, ["c", "a", "b"]);
    planned(store, &ingest("s", &["2"])).await;
    assert_eq!(pending_paths(store).await, ["c", "b"]);
}

pub async fn a_step_comes_back_as_it_was_planned(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1", "2"]).await;
    for (n, kind) in
        [StepKind::Ingest, StepKind::Refine, StepKind::Curate, StepKind::ReplayQuarantine, StepKind::Rebuild]
            .into_iter()
            .enumerate()
    {
        let step = NewStep {
            key: key(&format!("s{n}")),
            kind,
            events: if n == 0 { vec![event_id("2"), event_id("1")] } else { vec![] },
            inputs: BTreeMap::from([(name(&format!("bronze.t{n}")), Claimed { after: -1, upto: i64::MAX })]),
            lookups: BTreeMap::from([(name("silver.airlines"), 4), (name("silver.planes"), -1)]),
            windows: (n == 2).then(|| vec![Window { from: i64::MIN, to: 0 }, Window { from: 0, to: i64::MAX }]),
            watermark: (n == 1).then(|| at(-7)),
            ..ingest("", &[])
        };
        assert_eq!(planned(store, &step).await, Planned::New);
        let back = found(store, step.key.as_str()).await;
        assert_eq!((&back.key, &back.run, back.kind, &back.dataset), (&step.key, &step.run, kind, &step.dataset));
        assert_eq!((&back.version, &back.events, &back.inputs), (&step.version, &step.events, &step.inputs));
        assert_eq!((&back.lookups, &back.windows, back.planned_at), (&step.lookups, &step.windows, step.planned_at));
        assert_eq!(back.watermark, step.watermark);
        assert_eq!((back.state, back.attempts, back.committed), (StepState::Planned, 0, None));
        assert_eq!((back.finished_at, back.error), (None, None));
    }
    assert_eq!(open_keys(store).await, ["s0", "s1", "s2", "s3", "s4"]);
    assert_eq!(store.run_steps(&run(), &watch(0)).await.unwrap().len(), 5);
    assert_eq!(store.step(&key("none")).await.unwrap(), None);
}

pub async fn an_event_is_taken_once(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1", "2"]).await;
    assert_eq!(planned(store, &ingest("a", &["1"])).await, Planned::New);
    assert_eq!(planned(store, &ingest("a", &["1"])).await, Planned::Exists);
    assert_eq!(planned(store, &ingest("b", &["2", "1"])).await, Planned::Conflict);
    assert_eq!(store.step(&key("b")).await.unwrap(), None);
    assert_eq!(pending_paths(store).await, ["2.csv"]);
    store.finish(&done("a")).await.unwrap();
    assert_eq!(planned(store, &ingest("b", &["1"])).await, Planned::Conflict);
}

pub async fn a_position_moves_once(store: &dyn Store) {
    started(store).await;
    assert_eq!(position(store).await, None);
    assert_eq!(planned(store, &refine("early", 0, 3)).await, Planned::Conflict);
    assert_eq!(planned(store, &refine("a", -1, 3)).await, Planned::New);
    assert_eq!(position(store).await, Some(3));
    for (after, upto) in [(-1, 3), (2, 5), (4, 5)] {
        assert_eq!(planned(store, &refine("b", after, upto)).await, Planned::Conflict);
    }
    assert_eq!(planned(store, &refine("b", 3, 5)).await, Planned::New);
    assert_eq!(position(store).await, Some(5));
    // Another dataset reads the same input from its own position.
    let other = NewStep { dataset: name("silver.other"), ..refine("c", -1, 2) };
    assert_eq!(planned(store, &other).await, Planned::New);
    assert_eq!(position(store).await, Some(5));
    // One input out of place is enough, and nothing of the step stays.
    let mut two = refine("d", 5, 6);
    two.inputs.insert(name("bronze.planes"), Claimed { after: 1, upto: 2 });
    assert_eq!(planned(store, &two).await, Planned::Conflict);
    assert_eq!(store.positions(&name("silver.flights")).await.unwrap().len(), 1);
}

pub async fn a_table_made_anew_may_start_before_the_position(store: &dyn Store) {
    started(store).await;
    planned(store, &refine("a", -1, 3)).await;
    let day = Some(vec![Window { from: 0, to: 1 }]);
    assert_eq!(planned(store, &curate("by_window", -1, 4, day.clone())).await, Planned::Conflict);
    assert_eq!(planned(store, &curate("whole", 1, 4, None)).await, Planned::New);
    let rebuild = NewStep { kind: StepKind::Rebuild, windows: day, ..refine("rebuild", -1, 4) };
    assert_eq!(planned(store, &rebuild).await, Planned::New);
    assert_eq!(position(store).await, Some(4));
    // It may not start after it: something would be left out.
    let beyond = NewStep { kind: StepKind::Rebuild, ..refine("beyond", 5, 6) };
    assert_eq!(planned(store, &beyond).await, Planned::Conflict);
}

pub async fn conflicts_do_not_undo_the_others(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1", "2"]).await;
    let steps = [
        ingest("a", &["1"]),
        ingest("b", &["1", "2"]),
        ingest("c", &["2"]),
        ingest("a", &["1"]),
        refine("d", -1, 3),
        refine("e", -1, 3),
        refine("f", 3, 4),
    ];
    use Planned::{Conflict, Exists, New};
    let answers = store.plan_many(&steps).await.unwrap();
    assert_eq!(answers, [New, Conflict, New, Exists, New, Conflict, New]);
    assert_eq!(open_keys(store).await, ["a", "c", "d", "f"]);
    assert_eq!(position(store).await, Some(4));
    assert_eq!(store.plan_many(&[]).await.unwrap(), []);
}

pub async fn superseding_gives_back_what_was_taken(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1", "2"]).await;
    let mut step = ingest("a", &["1", "2"]);
    step.inputs = BTreeMap::from([
        (name("bronze.x"), Claimed { after: -1, upto: 2 }),
        (name("bronze.y"), Claimed { after: -1, upto: 7 }),
    ]);
    planned(store, &step).await;
    assert!(claim(store, "a", 1, 0).await.is_taken());
    supersede(store, "a").await;
    assert_eq!(pending_paths(store).await, ["1.csv", "2.csv"]);
    assert!(store.positions(&step.dataset).await.unwrap().is_empty());
    assert_eq!(found(store, "a").await.state, StepState::Superseded);
    assert_eq!(found(store, "a").await.events.len(), 2);
    assert!(open_keys(store).await.is_empty());
    assert!(!store.renew(&key("a"), &owner(1), at(1), Span::from_secs(60)).await.unwrap());
    supersede(store, "a").await;
    // Its dataset is free for the step that takes over.
    assert_eq!(planned(store, &ingest("b", &["1", "2"])).await, Planned::New);
    assert!(claim(store, "b", 2, 0).await.is_taken());
    supersede(store, "a").await;
    assert!(pending_paths(store).await.is_empty());
    // What was committed is not taken back.
    store.finish(&done("b")).await.unwrap();
    supersede(store, "b").await;
    assert_eq!(found(store, "b").await.state, StepState::Done);
    assert_eq!(event_state(store, "1").await, EventState::Done);
}

pub async fn superseding_an_older_step_leaves_the_newest_position(store: &dyn Store) {
    started(store).await;
    store.plan_many(&[refine("a", -1, 3), refine("b", 3, 5), refine("c", 5, 9)]).await.unwrap();
    supersede(store, "b").await;
    assert_eq!(position(store).await, Some(9));
    supersede(store, "c").await;
    assert_eq!(position(store).await, Some(3));
    assert_eq!(planned(store, &refine("d", 3, 9)).await, Planned::New);
    supersede(store, "a").await;
    assert_eq!(position(store).await, Some(9));
    supersede(store, "d").await;
    assert_eq!(position(store).await, None);
}

pub async fn a_superseded_step_can_be_planned_again(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1"]).await;
    planned(store, &ingest("a", &["1"])).await;
    claim(store, "a", 1, 0).await;
    supersede(store, "a").await;
    planned(store, &refine("between", -1, 1)).await;
    assert_eq!(planned(store, &ingest("a", &["1"])).await, Planned::New);
    assert_eq!(open_keys(store).await, ["between", "a"]);
    let again = found(store, "a").await;
    assert_eq!(
        (again.state, again.attempts, again.failures),
        (StepState::Planned, 1, 0),
        "its attempts have new numbers"
    );
    assert!(claim(store, "a", 2, 0).await.is_taken());
}

pub async fn one_step_of_a_dataset_runs_at_a_time(store: &dyn Store) {
    started(store).await;
    store.plan_many(&[refine("a", -1, 3), refine("b", 3, 5), ingest("c", &[])]).await.unwrap();
    assert!(claim(store, "a", 1, 0).await.is_taken());
    let held = Claim::Held { by: owner(1), until: at(60) };
    assert_eq!(claim(store, "a", 2, 0).await, held);
    assert_eq!(claim(store, "b", 2, 0).await, held);
    // Two tasks of one process are two claimants.
    assert_eq!(claim(store, "a", 1, 0).await, held);
    assert!(claim(store, "c", 2, 0).await.is_taken());
    assert_eq!((found(store, "a").await.state, found(store, "a").await.attempts), (StepState::Running, 1));
    assert_eq!((found(store, "b").await.state, found(store, "b").await.attempts), (StepState::Planned, 0));
    store.finish(&done("a")).await.unwrap();
    assert!(claim(store, "b", 2, 0).await.is_taken());
}

pub async fn dead_and_late_owners_lose_their_lease(store: &dyn Store) {
    started(store).await;
    store.plan_many(&[refine("a", -1, 3), refine("b", 3, 5)]).await.unwrap();
    let minute = Span::from_secs(60);
    assert!(claim(store, "a", 1, 0).await.is_taken());
    assert!(store.renew(&key("a"), &owner(1), at(30), minute).await.unwrap());
    assert!(matches!(claim(store, "a", 2, 89).await, Claim::Held { .. }));
    assert!(!store.renew(&key("a"), &owner(2), at(30), minute).await.unwrap());
    // Its end is past.
    assert!(claim(store, "a", 13, 90).await.is_taken());
    assert!(!store.renew(&key("a"), &owner(1), at(91), minute).await.unwrap());
    assert_eq!(found(store, "a").await.attempts, 2);
    // Its owner is dead; the step that the owner left is open and does not run.
    assert!(claim(store, "b", 3, 91).await.is_taken());
    assert_eq!(found(store, "a").await.state, StepState::Planned);
    assert!(!store.renew(&key("a"), &owner(13), at(91), minute).await.unwrap());
    assert_eq!(claim(store, "a", 2, 92).await, Claim::Held { by: owner(3), until: at(151) });
    // A lease past its end that nobody took can be renewed.
    assert!(store.renew(&key("b"), &owner(3), at(500), minute).await.unwrap());
    // A process with the same id that started at another time is another one.
    let mut again = owner(3);
    again.started_ticks = 1;
    assert!(!store.renew(&key("b"), &again, at(500), minute).await.unwrap());
}

pub async fn a_closed_step_is_not_claimed(store: &dyn Store) {
    started(store).await;
    store.plan_many(&[refine("a", -1, 3), refine("b", 3, 5)]).await.unwrap();
    store.finish(&done("a")).await.unwrap();
    supersede(store, "b").await;
    assert_eq!(claim(store, "a", 1, 0).await, Claim::Closed);
    assert_eq!(claim(store, "b", 1, 0).await, Claim::Closed);
    assert_eq!(found(store, "a").await.attempts, 0);
}

pub async fn an_attempt_that_had_nothing_to_commit_ends_the_step_only_as_its_newest(store: &dyn Store) {
    started(store).await;
    store.plan_many(&[refine("a", -1, 3), refine("b", 3, 5)]).await.unwrap();
    let idle = |step: &str, attempt| {
        let mut end = done(step);
        (end.committed, end.ledger.attempt) = (None, attempt);
        end
    };
    claim(store, "a", 13, 0).await;
    claim(store, "a", 13, 1).await;
    assert!(!store.finish_many(&[idle("a", 1), idle("b", 0)]).await.unwrap(), "not all of them");
    assert_eq!((found(store, "a").await.state, found(store, "b").await.state), (StepState::Running, StepState::Done));
    assert!(store.finish(&idle("a", 2)).await.unwrap());
    assert_eq!((found(store, "a").await.state, found(store, "a").await.committed), (StepState::Done, None));
    assert!(store.finish(&idle("a", 1)).await.unwrap(), "it is done");
    // A commit is the step's, whoever made it.
    planned(store, &refine("c", 5, 6)).await;
    claim(store, "c", 13, 2).await;
    claim(store, "c", 13, 3).await;
    assert!(store.finish(&done("c")).await.unwrap());
}

pub async fn a_failed_step_stays_open(store: &dyn Store) {
    started(store).await;
    store.plan_many(&[refine("a", -1, 3), refine("b", 3, 5)]).await.unwrap();
    claim(store, "a", 1, 0).await;
    assert_eq!(fail(store, &failure("a", 1, 0, 9)).await, AfterFailure::Open);
    let failed = found(store, "a").await;
    assert_eq!((failed.state, failed.error.as_deref()), (StepState::Failed, Some("L0001: the disk is full")));
    assert_eq!((failed.failures, failed.retry_at), (1, Some(at(1))));
    assert_eq!(open_keys(store).await, ["a", "b"]);
    assert_eq!(position(store).await, Some(5));
    assert!(claim(store, "b", 2, 1).await.is_taken());
    store.finish(&done("b")).await.unwrap();
    assert!(claim(store, "a", 2, 1).await.is_taken());
    assert_eq!(found(store, "a").await.attempts, 2);
    // A step that ended is not failed by an attempt that comes late.
    store.finish(&done("a")).await.unwrap();
    assert_eq!(fail(store, &failure("a", 3, 0, 1)).await, AfterFailure::Closed);
    assert_eq!(found(store, "a").await.state, StepState::Done);
}

pub async fn finishing_ends_everything_at_once(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1", "2", "3"]).await;
    planned(store, &ingest("a", &["1", "2"])).await;
    planned(store, &ingest("b", &["3"])).await;
    claim(store, "a", 1, 0).await;
    let mut end = done("a");
    end.dead = vec![(event_id("2"), "D0001: 2.csv: truncated: twice".into()), (event_id("2"), "again".into())];
    end.quality = vec![quality("one", None), quality("two", Some("note"))];
    store.finish(&end).await.unwrap();

    let step = found(store, "a").await;
    assert_eq!((step.state, step.committed, step.finished_at), (StepState::Done, Some(3), Some(at(9))));
    assert_eq!((step.balance, step.attempts), (end.balance, 1));
    assert_eq!(event_state(store, "1").await, EventState::Done);
    assert_eq!(event_state(store, "3").await, EventState::Planned);
    let dead = store.dead_letters().await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].code.as_deref(), dead[0].message.as_str()), (Some("D0001"), "2.csv: truncated: twice"));
    assert_eq!((dead[0].event.clone(), &dead[0].step), (Some(event_id("2")), &key("a")));
    assert_eq!((dead[0].object.as_deref(), dead[0].bytes, dead[0].objects), (Some("2.csv"), Some(10), 1));
    assert_eq!((dead[0].kind, dead[0].version.as_str(), dead[0].attempts), (StepKind::Ingest, "v1", 1));
    assert_eq!((&dead[0].run, dead[0].died_at), (&run(), at(9)));
    assert_eq!(store.runs(1, &watch(0)).await.unwrap()[0].objects_dead, 1);
    assert!(claim(store, "b", 2, 0).await.is_taken());
    assert_eq!(open_keys(store).await, ["b"]);

    // A dead letter of another step is refused as a whole.
    let mut wrong = done("b");
    wrong.dead = vec![(event_id("3"), "x".into()), (event_id("1"), "x".into())];
    assert!(matches!(store.finish(&wrong).await, Err(StoreError::Unknown { what: "event", .. })));
    assert_eq!(found(store, "b").await.state, StepState::Running);
    assert_eq!(event_state(store, "3").await, EventState::Planned);
}

pub async fn finishing_twice_changes_nothing(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1"]).await;
    planned(store, &ingest("a", &["1"])).await;
    let mut end = done("a");
    end.quality = vec![quality("one", None)];
    store.finish(&end).await.unwrap();
    let before = (store.tables(&watch(0)).await.unwrap(), found(store, "a").await);
    let mut other = done("a");
    other.committed = Some(99);
    other.dead = vec![(event_id("1"), "x".into())];
    store.finish(&other).await.unwrap();
    store.finish_many(&[end, other]).await.unwrap();
    assert_eq!((store.tables(&watch(0)).await.unwrap(), found(store, "a").await), before);
}

pub async fn finishing_many_is_one_change(store: &dyn Store) {
    started(store).await;
    store.plan_many(&[refine("a", -1, 3), refine("b", 3, 5)]).await.unwrap();
    let unknown = store.finish_many(&[done("a"), done("nowhere")]).await.unwrap_err();
    assert!(matches!(unknown, StoreError::Unknown { what: "step", .. }));
    assert_eq!(found(store, "a").await.state, StepState::Planned);
    let mut second = done("a");
    second.committed = Some(99);
    store.finish_many(&[done("a"), done("b"), second]).await.unwrap();
    assert!(open_keys(store).await.is_empty());
    assert_eq!(found(store, "a").await.committed, Some(3));
    store.finish_many(&[]).await.unwrap();
}

pub async fn a_superseded_step_cannot_be_finished(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1"]).await;
    planned(store, &ingest("a", &["1"])).await;
    supersede(store, "a").await;
    let error = store.finish(&done("a")).await.unwrap_err();
    assert!(matches!(error, StoreError::Superseded { .. }));
    assert_eq!(event_state(store, "1").await, EventState::Pending);
}

pub async fn the_last_finished_version_is_active(store: &dyn Store) {
    started(store).await;
    let version = |v: &str| DefinitionVersion::from_stored(v);
    let of = |step: NewStep, v: &str| NewStep { version: version(v), ..step };
    let steps =
        [of(refine("a", -1, 1), "v1"), of(refine("b", 1, 2), "v2"), of(refine("c", 2, 3), "v1"), ingest("d", &[])];
    store.plan_many(&steps).await.unwrap();
    assert_eq!(store.versions().await.unwrap(), []);
    let active = async || -> Vec<(String, String)> {
        let all = store.versions().await.unwrap();
        all.iter().filter(|v| v.active).map(|v| (v.dataset.to_string(), v.version.to_string())).collect()
    };
    let pair = |d: &str, v: &str| (d.to_owned(), v.to_owned());
    store.finish_many(&[done("a"), done("b")]).await.unwrap();
    assert_eq!(active().await, [pair("silver.flights", "v2")]);
    store.finish_many(&[done("d"), done("c")]).await.unwrap();
    assert_eq!(active().await, [pair("bronze.flights", "v1"), pair("silver.flights", "v1")]);
    store.activate(&name("silver.flights"), &version("v3"), at(70)).await.unwrap();
    store.activate(&name("silver.flights"), &version("v2"), at(80)).await.unwrap();
    assert_eq!(active().await, [pair("bronze.flights", "v1"), pair("silver.flights", "v2")]);
    let seen: Vec<_> = store.versions().await.unwrap().into_iter().map(|v| v.first_seen).collect();
    assert_eq!(seen, [at(1), at(1), at(1), at(70)]);
}

pub async fn runs_come_newest_first(store: &dyn Store) {
    for (n, start) in [(1, 10), (2, 30), (3, 20), (4, 30)] {
        let mut record = run_record(&RunId::from_stored(format!("r{n}")), start);
        record.objects_new = n;
        for _ in 0..2 {
            store.start_run(&record, &owner(1), MINUTE, &watch(start)).await.unwrap();
        }
    }
    let runs = store.runs(3, &watch(0)).await.unwrap();
    assert_eq!(runs.iter().map(|r| r.run.as_str()).collect::<Vec<_>>(), ["r4", "r2", "r3"]);
    assert_eq!(runs[0].objects_new, 4);
    store.finish_run(&RunId::from_stored("r4"), RunState::Failed, at(99)).await.unwrap();
    let newest = store.runs(1, &watch(0)).await.unwrap().remove(0);
    assert_eq!((newest.state, newest.finished_at), (RunState::Failed, Some(at(99))));
    assert_eq!(store.runs(0, &watch(0)).await.unwrap(), []);
}

pub async fn what_was_never_told_is_refused(store: &dyn Store) {
    let nobody = RunId::from_stored("nobody");
    let never = key("never");
    let errors = [
        store.record_events(&nobody, &[event("a", "1")]).await.unwrap_err(),
        store.plan(&ingest("a", &[])).await.unwrap_err(),
        store.finish_run(&nobody, RunState::Done, at(0)).await.unwrap_err(),
        store.fail(&failure("never", 0, 0, 9)).await.unwrap_err(),
        store.supersede(&never, 0).await.unwrap_err(),
        store.finish(&done("never")).await.unwrap_err(),
        store.claim(&never, &run(), &owner(1), Span::ZERO, &Terms::default(), &watch(0)).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, StoreError::Unknown { .. }), "{error}");
        assert_eq!(error.class(), RetryClass::Internal);
    }
    started(store).await;
    assert!(matches!(store.plan(&ingest("a", &["1"])).await, Err(StoreError::Unknown { what: "event", .. })));
    assert!(!store.renew(&never, &owner(1), at(0), Span::ZERO).await.unwrap());
    assert!(store.known_files(&name("bronze.flights")).await.unwrap().is_empty());
}

pub async fn a_watermark_moves_and_never_back(store: &dyn Store) {
    started(store).await;
    assert_eq!(store.watermarks().await.unwrap(), []);
    let reaching = |step: &str, event_time: &str, to: i64| {
        let reached = Some(Reached { event_time: event_time.into(), upto: at(to) });
        StepDone { finished_at: at(to.abs()), reached, ..done(step) }
    };
    let moved = |event_time: &str, to: i64, step: &str| WatermarkRecord {
        dataset: name("silver.flights"),
        event_time: event_time.into(),
        watermark: at(to),
        moved_at: at(to.abs()),
        step: key(step),
    };
    for (n, step) in ["a", "b", "c", "d", "e", "f"].iter().enumerate() {
        let after = i64::try_from(n).unwrap() - 1;
        assert_eq!(planned(store, &refine(step, after, after + 1)).await, Planned::New);
    }
    // Of two steps that are done at once, the further one counts, and before 1970 is a time, too.
    store.finish_many(&[reaching("a", "day", -1_800_000_000), reaching("b", "day", -1_900_000_000)]).await.unwrap();
    assert_eq!(store.watermarks().await.unwrap(), [moved("day", -1_800_000_000, "a")]);
    store.finish(&reaching("c", "day", 5)).await.unwrap();
    store.finish(&reaching("d", "day", 4)).await.unwrap();
    // What is told again says nothing new.
    store.finish(&reaching("d", "day", 6)).await.unwrap();
    store.finish(&done("e")).await.unwrap();
    assert_eq!(store.watermarks().await.unwrap(), [moved("day", 5, "c")]);
    // Another column is another time.
    store.finish(&reaching("f", "at", 2)).await.unwrap();
    assert_eq!(store.watermarks().await.unwrap(), [moved("at", 2, "f"), moved("day", 5, "c")]);
    let tables = store.tables(&watch(0)).await.unwrap();
    let dump = tables.iter().find(|t| t.name == "watermarks").unwrap();
    assert_eq!(dump.rows[1][2], Value::Integer(at(5).as_microsecond()));
}

pub async fn tables_show_what_happened(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1"]).await;
    planned(store, &ingest("a", &["1"])).await;
    let mut end = done("a");
    end.quality = vec![quality("origin in airports", None)];
    store.finish(&end).await.unwrap();

    let tables = store.tables(&watch(0)).await.unwrap();
    let names: Vec<_> = tables.iter().map(|t| t.name).collect();
    assert_eq!(
        names,
        [
            "runs",
            "steps",
            "events",
            "dead_letters",
            "quality",
            "ledger",
            "versions",
            "watermarks",
            "retries",
            "backfills",
            "decisions",
            "verdicts",
            "discards",
            "quarantine_notes",
            "replays",
            "contracts",
            "contracts_in_force",
            "definitions",
            "definition_files",
            "alerts",
            "publications",
            "lanes",
            "audit"
        ]
    );
    let cell = |table: &str, column: &str| {
        let table = tables.iter().find(|t| t.name == table).unwrap();
        assert_eq!(table.rows.len(), 1, "{}", table.name);
        let at = table.columns.iter().position(|(name, _)| *name == column).unwrap();
        table.rows[0][at].clone()
    };
    for table in ["steps", "quality", "ledger"] {
        assert_eq!(cell(table, "run"), Value::Text(run().to_string()));
        assert_eq!(cell(table, "dataset"), Value::Text("bronze.flights".into()));
        assert_eq!(cell(table, "step"), Value::Text("a".into()));
    }
    let counts = ["received", "loaded", "quarantined", "dropped", "dead", "duplicates", "late"];
    let counts = counts.map(|c| cell("steps", c));
    assert_eq!(counts, [5, 3, 1, 1, 0, 0, 0].map(Value::Integer));
    assert_eq!(cell("steps", "finished_at"), Value::Integer(at(9).as_microsecond()));
    assert_eq!(cell("ledger", "wall_micros"), Value::Integer(7));
    assert_eq!(cell("quality", "passed"), Value::Integer(0));
    assert_eq!(cell("quality", "note"), Value::Null);
    assert_eq!(cell("events", "state"), Value::Text("done".into()));
    assert_eq!(cell("versions", "active"), Value::Integer(1));
    for table in &tables {
        assert!(table.rows.iter().all(|row| row.len() == table.columns.len()), "{}", table.name);
    }
}

pub async fn ten_thousand_at_once(store: &dyn Store) {
    started(store).await;
    let events: Vec<_> = (0..10_000).map(|n| event(&format!("{n:05}.csv"), &n.to_string())).collect();
    let answers = store.record_events(&run(), &events).await.unwrap();
    assert!(answers.iter().all(|a| *a == NEW));
    assert_eq!(store.pending_events(&name("bronze.flights")).await.unwrap().len(), 10_000);
    let steps: Vec<_> = (0..10_000).map(|n| ingest(&format!("s{n}"), &[&n.to_string()])).collect();
    let answers = store.plan_many(&steps).await.unwrap();
    assert!(answers.iter().all(|a| *a == Planned::New));
    let ends: Vec<_> = steps.iter().map(|s| done(s.key.as_str())).collect();
    store.finish_many(&ends).await.unwrap();
    assert!(store.open_steps().await.unwrap().is_empty());
    let ids: Vec<_> = events.iter().map(|e| e.event.clone()).collect();
    let events = store.events(&ids).await.unwrap();
    assert!(events.iter().zip(&ids).all(|(e, id)| e.event == *id && e.state == EventState::Done));
}

pub async fn a_run_without_its_process_is_interrupted(store: &dyn Store) {
    let id = |n: &str| RunId::from_stored(n);
    let states = async |now: i64| -> Vec<(String, RunState)> {
        let runs = store.runs(9, &watch(now)).await.unwrap();
        let mut states: Vec<_> = runs.into_iter().map(|r| (r.run.to_string(), r.state)).collect();
        states.sort_by(|a, b| a.0.cmp(&b.0));
        let tables = store.tables(&watch(now)).await.unwrap();
        let column = |name: &str| tables[0].columns.iter().position(|(c, _)| *c == name).unwrap();
        let mut told: Vec<_> =
            tables[0].rows.iter().map(|r| (r[column("run")].clone(), r[column("state")].clone())).collect();
        told.sort_by_key(|(run, _)| format!("{run:?}"));
        for ((run, state), told) in states.iter().zip(told) {
            let word = if *state == RunState::Running { "running" } else { "interrupted" };
            assert_eq!(told, (Value::Text(run.clone()), Value::Text(word.into())));
        }
        states
    };
    let told = |list: &[(&str, RunState)]| list.iter().map(|(n, s)| ((*n).to_owned(), *s)).collect::<Vec<_>>();
    use RunState::{Interrupted, Running};
    start(store, &id("a"), 1, 0).await;
    start(store, &id("b"), 2, 30).await;
    assert_eq!(states(59).await, told(&[("a", Running), ("b", Running)]));
    assert_eq!(states(60).await, told(&[("a", Interrupted), ("b", Running)]));
    store.renew_run(&id("a"), at(61), MINUTE).await.unwrap();
    assert_eq!(states(100).await, told(&[("a", Running), ("b", Interrupted)]));
    // Its process is dead, whatever the lease says. The next run records what is lost, and a sleeper may come back.
    start(store, &id("c"), 13, 100).await;
    start(store, &id("d"), 3, 130).await;
    let lost = told(&[("a", Interrupted), ("b", Interrupted), ("c", Interrupted), ("d", Running)]);
    assert_eq!(states(131).await, lost);
    assert_eq!(states(0).await, lost);
    store.renew_run(&id("b"), at(131), MINUTE).await.unwrap();
    assert_eq!(states(132).await[1], ("b".into(), Running));
    store.finish_run(&id("d"), RunState::Interrupted, at(140)).await.unwrap();
    store.renew_run(&id("d"), at(141), MINUTE).await.unwrap();
    assert_eq!(states(142).await[3], ("d".into(), Interrupted));
}

pub async fn a_run_that_ends_gives_back_what_it_held(store: &dyn Store) {
    started(store).await;
    let other = RunId::from_stored("other");
    start(store, &other, 1, 0).await;
    store.plan_many(&[refine("a", -1, 3), ingest("b", &[])]).await.unwrap();
    assert!(claim(store, "a", 1, 0).await.is_taken());
    assert!(claim_in(store, &other, "b", 1, 0).await.is_taken());
    store.finish_run(&run(), RunState::Interrupted, at(5)).await.unwrap();
    assert_eq!(
        (found(store, "a").await.state, found(store, "b").await.state),
        (StepState::Planned, StepState::Running)
    );
    assert!(claim_in(store, &other, "a", 2, 6).await.is_taken());
    assert!(matches!(claim(store, "b", 2, 6).await, Claim::Held { .. }));
}

pub async fn a_step_is_told_with_the_run_that_finished_it(store: &dyn Store) {
    let first = started(store).await;
    let (second, third) = (RunId::from_stored("second"), RunId::from_stored("third"));
    start(store, &second, 2, 1).await;
    start(store, &third, 3, 1).await;
    recorded(store, &["1"]).await;
    store.plan_many(&[ingest("a", &["1"]), refine("b", -1, 3)]).await.unwrap();
    // Planned by the first, tried by the second, finished by the third.
    claim(store, "a", 13, 0).await;
    claim_in(store, &second, "a", 2, 1).await;
    fail(store, &Failure { run: second.clone(), ..failure("a", 2, 0, 9) }).await;
    claim_in(store, &third, "a", 3, 3).await;
    let mut end = done("a");
    end.run = third.clone();
    end.dead = vec![(event_id("1"), "D0001: 1.csv: cut".into())];
    end.quality = vec![quality("one", None)];
    store.finish(&end).await.unwrap();
    let of = async |run: &RunId| -> Vec<(String, u32, Option<String>, Option<RunId>)> {
        let steps = store.run_steps(run, &watch(4)).await.unwrap();
        steps.into_iter().map(|s| (s.step.key.to_string(), s.attempts, s.error, s.step.finished_by)).collect()
    };
    let by = Some(third.clone());
    assert_eq!(of(&first).await, [("a".into(), 1, None, by.clone()), ("b".into(), 0, None, None)]);
    assert_eq!(of(&second).await, [("a".into(), 1, Some("L0001: the disk is full".into()), by.clone())]);
    assert_eq!(of(&third).await, [("a".into(), 1, None, by)]);
    let dead: BTreeMap<_, _> =
        store.runs(9, &watch(4)).await.unwrap().into_iter().map(|r| (r.run, r.objects_dead)).collect();
    assert_eq!(dead, BTreeMap::from([(first.clone(), 0), (second, 0), (third.clone(), 1)]));
    for table in store.tables(&watch(4)).await.unwrap() {
        let at = |name: &str| table.columns.iter().position(|(c, _)| *c == name);
        let (column, expected) = match table.name {
            "steps" => ("finished_by", &third),
            "quality" | "ledger" | "dead_letters" => ("run", &third),
            _ => continue,
        };
        assert_eq!(table.rows[0][at(column).unwrap()], Value::Text(expected.to_string()), "{}", table.name);
    }
    // What a dead process was at work on is open again.
    claim(store, "b", 13, 4).await;
    assert_eq!(store.run_steps(&first, &watch(5)).await.unwrap()[1].step.state, StepState::Planned);
    // A step that is planned once more has no history of the plan that was given up.
    supersede(store, "b").await;
    assert_eq!(planned(store, &refine("b", -1, 3)).await, Planned::New);
    assert_eq!(store.run_steps(&first, &watch(5)).await.unwrap()[1].attempts, 0);
}
