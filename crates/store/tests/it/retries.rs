//! What [`Store`] promises of attempts that failed, and of dead letters.

use crate::build::*;
use alluvium_model::{DefinitionVersion, RetryClass};
use alluvium_store::{
    AfterFailure, Claim, Claimed, EventState, Failure, NewEvent, NewStep, NotYet, Planned, RunState, StepDone,
    StepState, Store, StoreError, Terms, Value, Verdict, VerdictKind,
};
use std::collections::BTreeMap;

fn not_yet(until: i64) -> Claim {
    Claim::NotYet { until: at(until), why: NotYet::Delay }
}

pub async fn a_failed_step_waits_for_its_time(store: &dyn Store) {
    started(store).await;
    store.plan_many(&[refine("a", -1, 3), refine("b", 3, 5)]).await.unwrap();
    claim(store, "a", 1, 0).await;
    assert_eq!(fail(store, &failure("a", 1, 30, 3)).await, AfterFailure::Open);
    assert_eq!(claim(store, "a", 2, 30).await, not_yet(31));
    assert_eq!((found(store, "a").await.attempts, found(store, "a").await.state), (1, StepState::Failed));
    assert!(claim(store, "b", 2, 30).await.is_taken(), "the lease of the dataset is free");
    store.finish(&done("b")).await.unwrap();
    assert!(claim(store, "a", 2, 31).await.is_taken());
    // Of an attempt that is not the newest nothing counts, also when that has ended.
    let first = Failure { attempt: 1, ..failure("a", 32, 0, 1) };
    assert_eq!(store.fail(&first).await.unwrap(), AfterFailure::Closed);
    assert_eq!(fail(store, &failure("a", 40, 60, 3)).await, AfterFailure::Open);
    assert_eq!(store.fail(&first).await.unwrap(), AfterFailure::Closed);
    assert_eq!(claim(store, "a", 2, 99).await, not_yet(100));
    let failed = found(store, "a").await;
    assert_eq!((failed.attempts, failed.failures, failed.retry_at), (2, 2, Some(at(100))));
}

pub async fn a_step_that_failed_too_often_is_a_dead_letter(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1", "2"]).await;
    planned(store, &ingest("s", &["1", "2"])).await;
    store.plan_many(&[refine("a", -1, 3), refine("b", 3, 5)]).await.unwrap();
    claim(store, "a", 1, 0).await;
    assert_eq!(fail(store, &failure("a", 1, 0, 2)).await, AfterFailure::Open);
    claim(store, "a", 1, 2).await;
    assert_eq!(fail(store, &failure("a", 3, 0, 2)).await, AfterFailure::Dead);
    let dead = found(store, "a").await;
    assert_eq!((dead.state, dead.attempts, dead.failures, dead.retry_at), (StepState::Dead, 2, 2, None));
    // It keeps what it took, and nobody tries it.
    assert_eq!(open_keys(store).await, ["s", "a", "b"]);
    assert_eq!(position(store).await, Some(5));
    assert_eq!(claim(store, "a", 1, 9).await, Claim::Closed);
    assert_eq!(fail(store, &failure("a", 9, 0, 2)).await, AfterFailure::Closed);

    // An error that stays needs no second attempt.
    claim(store, "s", 1, 4).await;
    let stays =
        Failure { retry_at: None, class: RetryClass::Schema, error: "D0009: no text".into(), ..failure("s", 5, 0, 9) };
    assert_eq!(fail(store, &stays).await, AfterFailure::Dead);
    assert_eq!(event_state(store, "1").await, EventState::Planned);
    let letters = store.dead_letters().await.unwrap();
    assert_eq!(letters.iter().map(|l| l.step.as_str()).collect::<Vec<_>>(), ["s", "a"]);
    let (s, a) = (&letters[0], &letters[1]);
    assert!(letters.iter().all(|l| l.event.is_none() && l.object.is_none() && l.run == run()));
    assert_eq!(
        (s.objects, s.bytes, s.code.as_deref(), s.class),
        (2, Some(20), Some("D0009"), Some(RetryClass::Schema))
    );
    assert_eq!((a.objects, a.bytes, a.message.as_str()), (0, None, "the disk is full"));
    assert_eq!((a.attempts, a.version.as_str(), a.died_at), (2, "v1", at(3)));
    assert_eq!(a.inputs[&name("bronze.flights")], Claimed { after: -1, upto: 3 });
}

pub async fn what_a_gate_measured_is_kept_while_the_step_is_held(store: &dyn Store) {
    started(store).await;
    planned(store, &refine("a", -1, 3)).await;
    let kept = async || {
        let tables = store.tables(&watch(0)).await.unwrap();
        let table = tables.iter().find(|t| t.name == "quality").unwrap();
        let place = |name| table.columns.iter().position(|(c, _)| *c == name).unwrap();
        let (by, rule) = (place("run"), place("rule"));
        assert!(table.rows.iter().all(|r| r[by] == Value::Text(run().as_str().into())));
        table.rows.iter().map(|r| r[rule].clone()).collect::<Vec<_>>()
    };
    let text = |rule: &str| Value::Text(rule.into());
    let of = |rule: &str, now, most| Failure { quality: vec![quality(rule, None)], ..failure("a", now, 0, most) };
    claim(store, "a", 1, 0).await;
    fail(store, &of("tried again", 1, 9)).await;
    assert!(kept().await.is_empty(), "it is not held yet");
    claim(store, "a", 1, 2).await;
    fail(store, &of("first", 3, 1)).await;
    assert_eq!(kept().await, [text("first")]);
    assert!(store.revive_step(&key("a"), false).await.unwrap());
    assert!(kept().await.is_empty(), "it goes on");
    claim(store, "a", 1, 4).await;
    fail(store, &of("second", 5, 1)).await;
    assert_eq!(kept().await, [text("second")]);
    supersede(store, "a").await;
    planned(store, &refine("a", -1, 3)).await;
    assert!(kept().await.is_empty(), "it is planned anew");
    claim(store, "a", 1, 6).await;
    fail(store, &of("again", 7, 1)).await;
    assert!(store.revive_step(&key("a"), false).await.unwrap());
    claim(store, "a", 1, 8).await;
    let mut end = done("a");
    (end.quality, end.ledger.attempt) = (vec![quality("third", None), quality("fourth", None)], 2);
    store.finish(&end).await.unwrap();
    assert_eq!(kept().await, [text("third"), text("fourth")]);
}

pub async fn a_dead_step_comes_back_once(store: &dyn Store) {
    started(store).await;
    planned(store, &refine("a", -1, 3)).await;
    assert!(!store.revive_step(&key("a"), false).await.unwrap(), "it is no dead letter");
    claim(store, "a", 1, 0).await;
    fail(store, &failure("a", 1, 0, 1)).await;
    assert!(store.revive_step(&key("a"), false).await.unwrap());
    assert!(!store.revive_step(&key("a"), false).await.unwrap());
    let back = found(store, "a").await;
    assert_eq!((back.state, back.attempts, back.failures), (StepState::Planned, 1, 0));
    assert!(store.dead_letters().await.unwrap().is_empty());
    claim(store, "a", 1, 2).await;
    fail(store, &failure("a", 3, 0, 1)).await;
    assert_eq!(store.dead_letters().await.unwrap().len(), 1, "it is one again");
    // A process that nobody waited for any more had committed it after all.
    store.finish(&done("a")).await.unwrap();
    assert_eq!(found(store, "a").await.state, StepState::Done);
    assert!(store.dead_letters().await.unwrap().is_empty() && !store.revive_step(&key("a"), false).await.unwrap());
}

pub async fn a_held_step_takes_one_verdict(store: &dyn Store) {
    started(store).await;
    planned(store, &refine("a", -1, 3)).await;
    let verdict = |kind, held: &str, second| Verdict {
        step: key("a"),
        dataset: name("silver.flights"),
        kind,
        by: "ann".into(),
        reason: None,
        run: run(),
        decided_at: at(second),
        held: held.into(),
    };
    let disk = failure("a", 1, 0, 1).error;
    let release = verdict(VerdictKind::Release, &disk, 2);
    assert!(!store.pass_verdict(&release).await.unwrap(), "it is not held");
    claim(store, "a", 1, 0).await;
    fail(store, &failure("a", 1, 0, 1)).await;
    let other = verdict(VerdictKind::Release, "L0201: something else", 2);
    assert!(!store.pass_verdict(&other).await.unwrap(), "it is held for another reason");
    assert_eq!((store.verdict(&key("a")).await.unwrap(), found(store, "a").await.state), (None, StepState::Dead));
    assert!(store.pass_verdict(&release).await.unwrap());
    assert_eq!(found(store, "a").await.state, StepState::Planned);
    assert!(!store.pass_verdict(&verdict(VerdictKind::Drop, &disk, 3)).await.unwrap(), "it has its verdict");
    assert_eq!(store.verdict(&key("a")).await.unwrap(), Some(release));
    // Held once more, it takes another one, and the last one counts.
    claim(store, "a", 1, 4).await;
    fail(store, &failure("a", 5, 0, 1)).await;
    let last = Verdict { reason: Some("a test file".into()), ..verdict(VerdictKind::Drop, &disk, 6) };
    assert!(store.pass_verdict(&last).await.unwrap());
    assert_eq!(store.verdict(&key("a")).await.unwrap(), Some(last));
}

pub async fn a_dead_step_can_give_back_what_it_took(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1"]).await;
    planned(store, &ingest("s", &["1"])).await;
    fail(store, &failure("s", 1, 0, 1)).await;
    supersede(store, "s").await;
    assert_eq!(
        (found(store, "s").await.state, event_state(store, "1").await),
        (StepState::Superseded, EventState::Pending)
    );
    assert!(store.dead_letters().await.unwrap().is_empty() && !store.revive_step(&key("s"), false).await.unwrap());
    assert_eq!(planned(store, &ingest("s", &["1"])).await, Planned::New);
}

pub async fn an_attempt_that_nobody_ended_has_failed(store: &dyn Store) {
    started(store).await;
    planned(store, &refine("a", -1, 3)).await;
    for failures in 0..3 {
        assert_eq!(found(store, "a").await.failures, failures.max(1) - 1);
        // Process 13 is gone as soon as it has the lease.
        assert!(claim(store, "a", 13, 0).await.is_taken());
    }
    assert_eq!((found(store, "a").await.failures, found(store, "a").await.attempts), (2, 3));
    // One that is handed back has not.
    store.finish_run(&run(), RunState::Interrupted, at(1)).await.unwrap();
    assert_eq!((found(store, "a").await.failures, found(store, "a").await.state), (2, StepState::Planned));
}

pub async fn a_dead_event_comes_back_once(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1", "2"]).await;
    planned(store, &ingest("s", &["1", "2"])).await;
    let mut end = done("s");
    end.dead = vec![(event_id("1"), "D0013: gone".into()), (event_id("2"), "D0013: gone".into())];
    store.finish(&end).await.unwrap();
    let again = NewEvent { event: event_id("1").again(), modified_nanos: 7, ..event("1.csv", "1") };
    assert!(store.replay_event(&run(), &event_id("1"), Some(&again), None).await.unwrap());
    assert!(!store.replay_event(&run(), &event_id("1"), Some(&again), None).await.unwrap());
    assert_eq!(event_state(store, "1").await, EventState::Replayed);
    let pending = store.pending_events(&name("bronze.flights")).await.unwrap();
    assert_eq!(pending.iter().map(|e| &e.event).collect::<Vec<_>>(), [&again.event]);
    assert_eq!((pending[0].path.as_str(), pending[0].modified_nanos), ("1.csv", 7));
    // Nothing takes the place of one whose file holds something else now.
    assert!(store.replay_event(&run(), &event_id("2"), None, None).await.unwrap());
    assert!(store.dead_letters().await.unwrap().is_empty());
    let done = NewEvent { event: again.event.clone(), ..again.clone() };
    assert!(!store.replay_event(&run(), &event_id("2"), Some(&done), None).await.unwrap());
    let unknown = store.replay_event(&run(), &event_id("3"), None, None).await;
    assert!(matches!(unknown, Err(StoreError::Unknown { what: "event", .. })), "{unknown:?}");
}

pub async fn a_dead_event_whose_content_came_again_is_only_closed(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1"]).await;
    planned(store, &ingest("s", &["1"])).await;
    let mut end = done("s");
    end.dead = vec![(event_id("1"), "D0013: gone".into())];
    store.finish(&end).await.unwrap();
    // Delivered once more, and loaded.
    let again = NewEvent { event: event_id("1").again(), ..event("other.csv", "1") };
    store.record_events(&run(), std::slice::from_ref(&again)).await.unwrap();
    planned(store, &NewStep { events: vec![again.event.clone()], ..ingest("t", &[]) }).await;
    store.finish(&crate::build::done("t")).await.unwrap();
    let here = NewEvent { path: "1.csv".into(), ..again.clone() };
    assert!(store.replay_event(&run(), &event_id("1"), Some(&here), None).await.unwrap());
    assert!(store.pending_events(&name("bronze.flights")).await.unwrap().is_empty());
    assert_eq!(store.events(&[again.event]).await.unwrap()[0].state, EventState::Done);
}

/// Second 0 of these tests is 22:13:20 UTC.
const MIDNIGHT: i64 = 6_400;

pub async fn retries_of_a_day_are_bounded(store: &dyn Store) {
    started(store).await;
    store.plan_many(&[refine("a", -1, 3), refine("b", 3, 5), curate("g", -1, 3, None)]).await.unwrap();
    let try_once = async |step: &str, now: i64| {
        let taken = claim_on(store, &Terms { retries_per_day: Some(2), ..Terms::default() }, step, 1, now).await;
        if taken.is_taken() {
            fail(store, &failure(step, now, 0, 99)).await;
        }
        taken
    };
    let used_up = Claim::NotYet { until: at(MIDNIGHT), why: NotYet::Budget { retries_per_day: 2 } };
    // First attempts are free, also when the budget is used up.
    assert!(try_once("a", 1).await.is_taken());
    assert!(try_once("a", 2).await.is_taken());
    assert!(try_once("b", 3).await.is_taken());
    assert!(try_once("b", 4).await.is_taken());
    assert_eq!(try_once("a", 5).await, used_up);
    assert_eq!(try_once("b", MIDNIGHT - 1).await, used_up);
    assert!(try_once("g", 6).await.is_taken());
    assert_eq!((found(store, "a").await.attempts, found(store, "a").await.state), (2, StepState::Failed));
    assert_eq!(store.retries(at(6)).await.unwrap(), BTreeMap::from([(name("silver.flights"), 2)]));
    assert!(store.retries(at(MIDNIGHT)).await.unwrap().is_empty());
    assert!(try_once("a", MIDNIGHT).await.is_taken());
    assert_eq!(store.retries(at(MIDNIGHT)).await.unwrap()[&name("silver.flights")], 1);
    // One that came back from the dead begins anew.
    fail(store, &failure("b", MIDNIGHT, 0, 1)).await;
    assert!(store.revive_step(&key("b"), false).await.unwrap());
    assert!(try_once("b", MIDNIGHT).await.is_taken());
    assert_eq!(store.retries(at(MIDNIGHT)).await.unwrap()[&name("silver.flights")], 1);
}

pub async fn what_comes_back_as_it_was_is_marked(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1"]).await;
    planned(store, &ingest("s", &["1"])).await;
    store.finish(&StepDone { dead: vec![(event_id("1"), "D0013: gone".into())], ..done("s") }).await.unwrap();
    let active = DefinitionVersion::from_stored("v9");
    store.activate(&name("bronze.flights"), &active, at(5)).await.unwrap();
    let again = NewEvent { event: event_id("1").again(), ..event("1.csv", "1") };
    let step = NewStep { events: vec![again.event.clone()], ..ingest("t", &[]) };
    assert!(store.replay_event(&run(), &event_id("1"), Some(&again), Some(&step)).await.unwrap());
    // No planner finds the event free.
    assert!(store.pending_events(&name("bronze.flights")).await.unwrap().is_empty());
    let open = store.open_steps().await.unwrap();
    assert_eq!((open.len(), open[0].original, &open[0].events), (1, true, &vec![again.event]));
    store.finish(&done("t")).await.unwrap();
    let versions = store.versions().await.unwrap();
    assert_eq!(versions.iter().find(|v| v.active).map(|v| &v.version), Some(&active), "{versions:?}");

    planned(store, &refine("a", -1, 3)).await;
    claim(store, "a", 1, 0).await;
    fail(store, &failure("a", 1, 0, 1)).await;
    assert!(store.revive_step(&key("a"), true).await.unwrap());
    assert!(found(store, "a").await.original);
    claim(store, "a", 1, 2).await;
    fail(store, &failure("a", 3, 0, 1)).await;
    assert!(store.revive_step(&key("a"), false).await.unwrap());
    assert!(!found(store, "a").await.original, "the last word counts");
}

pub async fn definitions_are_kept_once(store: &dyn Store) {
    let of = |d: &str, v: &str| (name(d), DefinitionVersion::from_stored(v));
    let files = |texts: &[(&str, &str)]| -> BTreeMap<String, String> {
        texts.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    };
    let (a, b) = (of("silver.flights", "v1"), of("silver.other", "v1"));
    assert_eq!(store.undefined(&[a.clone(), b.clone()]).await.unwrap(), [a.clone(), b.clone()]);
    let first = files(&[("x.yaml", "one"), ("y.sql", "it's \0 \u{1} \u{1F600}\n"), ("empty", "")]);
    store.keep_definitions(&[a.clone(), b.clone()], &first, at(1)).await.unwrap();
    assert_eq!(store.undefined(&[a.clone(), b.clone()]).await.unwrap(), []);
    let second = files(&[("x.yaml", "two"), ("y.sql", "it's \0 \u{1} \u{1F600}\n")]);
    // What is there stays.
    let c = of("silver.flights", "v2");
    store.keep_definitions(&[a.clone(), c.clone()], &second, at(2)).await.unwrap();
    assert_eq!(store.definition(&a.0, &a.1).await.unwrap(), Some(first));
    assert_eq!(store.definition(&c.0, &c.1).await.unwrap(), Some(second));
    assert_eq!(store.definition(&c.0, &DefinitionVersion::from_stored("v3")).await.unwrap(), None);
    let tables = store.tables(&watch(0)).await.unwrap();
    let texts = tables.iter().find(|t| t.name == "definition_files").expect("a table");
    assert_eq!(texts.rows.len(), 4, "a text once: {texts:?}");
}

pub async fn what_may_still_be_needed_of_landing_objects_is_known(store: &dyn Store) {
    started(store).await;
    recorded(store, &["1", "2", "3", "4"]).await;
    planned(store, &ingest("s", &["1", "2"])).await;
    planned(store, &ingest("t", &["3"])).await;
    let needed = async || -> Vec<String> {
        let all = store.unfinished_contents(&name("bronze.flights")).await.unwrap();
        all.into_iter().map(|c| c.to_string()).collect()
    };
    assert_eq!(needed().await, ["1", "2", "3", "4"]);
    store.finish(&StepDone { dead: vec![(event_id("1"), "D0001: broken".into())], ..done("s") }).await.unwrap();
    assert_eq!(needed().await, ["1", "3", "4"], "what was loaded is done with, what died is not");
    store.replay_event(&run(), &event_id("1"), None, None).await.unwrap();
    assert_eq!(needed().await, ["3", "4"]);
    assert!(store.unfinished_contents(&name("bronze.other")).await.unwrap().is_empty());
}
