//! What every store promises of slots, rates and steps that wait for somebody to take them.

use crate::build::*;
use alluvium_store::{Claim, HeldOff, Rate, RunState, Slot, StepState, Store, Terms};

fn full(key: &str) -> Claim {
    Claim::Full { key: key.into() }
}

async fn ready(store: &dyn Store, now: i64) -> Vec<String> {
    let ready = store.ready_steps(&watch(now)).await.expect("read");
    ready.iter().map(|s| s.key.to_string()).collect()
}

pub async fn a_slot_is_held_with_the_lease_and_no_longer(store: &dyn Store) {
    started(store).await;
    store.plan_many(&datasets(8)).await.unwrap();
    let two = slots("warehouse", 2);
    for step in ["s0", "s1"] {
        assert!(claim_on(store, &two, step, 1, 0).await.is_taken());
    }
    // Each way in which a step or its lease ends frees one slot, and no more.
    for (way, next) in [("finish", "s2"), ("fail", "s3"), ("supersede", "s4")] {
        assert_eq!(claim_on(store, &two, next, 2, 1).await, full("warehouse"), "before {way}");
        match way {
            "finish" => assert!(store.finish(&done("s0")).await.unwrap()),
            "fail" => {
                fail(store, &failure("s1", 1, 60, 9)).await;
            }
            _ => supersede(store, "s2").await,
        }
        assert!(claim_on(store, &two, next, 2, 1).await.is_taken(), "after {way}");
    }
    assert_eq!(claim_on(store, &two, "s5", 2, 1).await, full("warehouse"));
    store.finish_run(&run(), RunState::Interrupted, at(1)).await.unwrap();
    for step in ["s5", "s6"] {
        assert!(claim_on(store, &two, step, 2, 1).await.is_taken());
    }
    assert_eq!(claim_on(store, &two, "s7", 2, 1).await, full("warehouse"));
}

pub async fn slots_of_the_dead_and_the_late_are_free(store: &dyn Store) {
    started(store).await;
    store.plan_many(&datasets(6)).await.unwrap();
    let one = slots("warehouse", 1);
    assert!(claim_on(store, &one, "s0", 13, 0).await.is_taken());
    // Its process is gone.
    assert!(claim_on(store, &one, "s1", 1, 0).await.is_taken());
    assert_eq!(claim_on(store, &one, "s2", 2, 59).await, full("warehouse"));
    // Its lease is past its end.
    assert!(claim_on(store, &one, "s2", 2, 60).await.is_taken());
    // It was only late: it goes on, because it can still commit, and its slot counts again.
    assert!(store.renew(&key("s1"), &owner(1), at(61), MINUTE).await.unwrap());
    store.finish(&done("s2")).await.unwrap();
    assert_eq!(claim_on(store, &one, "s3", 3, 62).await, full("warehouse"));
    store.finish(&done("s1")).await.unwrap();
    assert!(claim_on(store, &one, "s3", 3, 63).await.is_taken());
    // The step that the dead process left is taken by another, with a slot of its own.
    assert_eq!(claim_on(store, &one, "s0", 3, 63).await, full("warehouse"));
    store.finish(&done("s3")).await.unwrap();
    assert!(claim_on(store, &one, "s0", 3, 63).await.is_taken());
}

pub async fn a_step_takes_all_its_slots_or_none(store: &dyn Store) {
    started(store).await;
    store.plan_many(&datasets(4)).await.unwrap();
    let both = Terms {
        slots: vec![Slot { key: "a".into(), limit: 1 }, Slot { key: "b".into(), limit: 1 }],
        rate: Some(Rate { key: "a".into(), limit: 1, period: MINUTE, burst: 1 }),
        ..Terms::default()
    };
    assert!(claim_on(store, &slots("b", 1), "s0", 1, 0).await.is_taken());
    assert_eq!(claim_on(store, &both, "s1", 1, 0).await, full("b"));
    assert!(claim_on(store, &slots("a", 1), "s2", 1, 0).await.is_taken(), "the first one was not kept");
    store.finish_many(&[done("s0"), done("s2")]).await.unwrap();
    assert!(claim_on(store, &both, "s1", 1, 0).await.is_taken(), "nor was its place in the rate");
    assert_eq!(claim_on(store, &slots("a", 1), "s3", 1, 0).await, full("a"));
    // Who claims says what the limit is: the definition may have changed.
    assert!(claim_on(store, &slots("a", 2), "s3", 1, 0).await.is_taken());
}

pub async fn who_was_planned_first_gets_the_slot(store: &dyn Store) {
    started(store).await;
    store.plan_many(&datasets(5)).await.unwrap();
    let one = slots("warehouse", 1);
    assert!(claim_on(store, &one, "s4", 1, 0).await.is_taken());
    for waits in ["s3", "s1", "s2"] {
        assert_eq!(claim_on(store, &one, waits, 2, 1).await, full("warehouse"));
    }
    store.finish(&done("s4")).await.unwrap();
    assert_eq!(claim_on(store, &one, "s3", 2, 2).await, full("warehouse"), "two others were planned before it");
    assert_eq!(claim_on(store, &one, "s2", 2, 2).await, full("warehouse"), "one other was");
    assert!(claim_on(store, &one, "s0", 2, 2).await.is_taken(), "none was");
    store.finish(&done("s0")).await.unwrap();
    // Who does not ask any more has lost its place.
    assert_eq!(claim_on(store, &one, "s2", 2, 4).await, full("warehouse"));
    assert!(claim_on(store, &one, "s2", 2, 6).await.is_taken());
    // A clock that was set back leaves nobody waiting for a place of the future.
    assert_eq!(claim_on(store, &one, "s1", 2, 50).await, full("warehouse"));
    store.finish(&done("s2")).await.unwrap();
    assert!(claim_on(store, &one, "s3", 2, 7).await.is_taken());
}

pub async fn a_throttle_spreads_the_attempts(store: &dyn Store) {
    started(store).await;
    store.plan_many(&datasets(5)).await.unwrap();
    let rate = Rate { key: "api".into(), limit: 2, period: MINUTE, burst: 2 };
    let terms = Terms { rate: Some(rate), ..Terms::default() };
    let throttled = |until| Claim::Throttled { key: "api".into(), until: at(until) };
    assert!(claim_on(store, &terms, "s0", 1, 0).await.is_taken());
    assert!(claim_on(store, &terms, "s1", 1, 0).await.is_taken());
    store.finish(&done("s0")).await.unwrap();
    assert_eq!(claim_on(store, &terms, "s3", 1, 1).await, throttled(30), "an end gives nothing back");
    assert_eq!(claim_on(store, &terms, "s2", 1, 29).await, throttled(30));
    assert_eq!(claim_on(store, &terms, "s3", 1, 30).await, throttled(60), "the one before it waits");
    assert!(claim_on(store, &terms, "s2", 1, 30).await.is_taken());
    assert_eq!(claim_on(store, &terms, "s3", 1, 59).await, throttled(60));
    assert!(claim_on(store, &terms, "s3", 1, 60).await.is_taken());
    // A clock that was set back an hour costs a whole burst, not an hour.
    assert_eq!(claim_on(store, &terms, "s4", 1, -3_600).await, throttled(-3_600 + 30));
}

pub async fn a_step_is_ready_when_its_dataset_is_free(store: &dyn Store) {
    started(store).await;
    let mut steps = datasets(3);
    steps.extend([refine("a", -1, 3), refine("b", 3, 5)]);
    store.plan_many(&steps).await.unwrap();
    assert_eq!(ready(store, 0).await, ["s0", "s1", "s2", "a"], "one a dataset, oldest first");
    claim(store, "a", 1, 0).await;
    claim(store, "s0", 13, 0).await;
    store.finish(&done("s1")).await.unwrap();
    assert_eq!(ready(store, 1).await, ["s0", "s2"], "what a dead process held is free");
    assert_eq!(ready(store, 60).await, ["s0", "s2", "a"], "and what one held that is late");
    store.finish(&done("a")).await.unwrap();
    fail(store, &failure("s2", 2, 60, 9)).await;
    assert_eq!(ready(store, 61).await, ["s0", "b"], "one that failed has its time");
    assert_eq!(ready(store, 62).await, ["s0", "s2", "b"]);
    supersede(store, "s0").await;
    fail(store, &failure("s2", 3, 60, 1)).await;
    fail(store, &failure("b", 2, 60, 1)).await;
    assert!(ready(store, 99).await.is_empty(), "dead letters are not ready, nor what stands behind them");
}

pub async fn what_somebody_executes_is_not_held_off(store: &dyn Store) {
    started(store).await;
    store.plan_many(&[refine("a", -1, 3), refine("b", 3, 5)]).await.unwrap();
    let hold_off = async |step: &str, now: i64| store.hold_off(&key(step), &watch(now)).await.unwrap();
    let of = async |step: &str| store.step(&key(step)).await.unwrap().unwrap();
    claim(store, "a", 1, 0).await;
    assert_eq!(hold_off("a", 0).await, HeldOff::Not { by: owner(1) });
    assert_eq!((of("a").await.state, of("a").await.attempts), (StepState::Running, 1));
    assert_eq!(hold_off("b", 0).await, HeldOff::Upto { attempt: 0 }, "nobody ever began it");
    assert!(store.supersede(&key("b"), 0).await.unwrap());
    // Its lease is past its end. Whoever had it has it no more, and learns of it.
    assert_eq!(hold_off("a", 60).await, HeldOff::Upto { attempt: 2 });
    let a = of("a").await;
    assert_eq!((a.state, a.attempts, a.failures), (StepState::Planned, 2, 1));
    assert!(!store.renew(&key("a"), &owner(1), at(60), MINUTE).await.unwrap());
    // Somebody takes it in between: it is not superseded, and the new attempt is newer than what was held off.
    assert!(claim(store, "a", 2, 61).await.is_taken());
    assert!(!store.supersede(&key("a"), 2).await.unwrap());
    assert_eq!((of("a").await.state, of("a").await.attempts), (StepState::Running, 3));
    assert_eq!(hold_off("a", 200).await, HeldOff::Upto { attempt: 4 });
    assert!(store.supersede(&key("a"), 4).await.unwrap());
    assert_eq!(claim(store, "a", 2, 201).await, Claim::Closed);
    assert_eq!(hold_off("a", 201).await, HeldOff::Upto { attempt: 4 }, "it ended before");
    assert!(store.supersede(&key("a"), 0).await.unwrap());
}

pub async fn a_refused_retry_takes_nothing(store: &dyn Store) {
    started(store).await;
    store.plan_many(&datasets(3)).await.unwrap();
    let spare = Terms { retries_per_day: Some(1), ..slots("disk", 1) };
    assert!(claim_on(store, &spare, "s0", 1, 0).await.is_taken(), "the first attempt is no retry");
    fail(store, &failure("s0", 0, 1, 9)).await;
    assert!(matches!(claim_on(store, &spare, "s0", 1, 0).await, Claim::NotYet { .. }), "its delay has not passed");
    assert!(claim_on(store, &spare, "s1", 1, 1).await.is_taken(), "and it holds no slot");
    assert_eq!(claim_on(store, &spare, "s0", 1, 1).await, full("disk"));
    store.finish(&done("s1")).await.unwrap();
    assert!(claim_on(store, &spare, "s0", 1, 1).await.is_taken(), "what was refused is not counted");
    fail(store, &failure("s0", 1, 1, 9)).await;
    assert!(matches!(claim_on(store, &spare, "s0", 1, 2).await, Claim::NotYet { .. }), "one a day");
    assert!(claim_on(store, &spare, "s2", 1, 2).await.is_taken());
}

pub async fn calls_share_a_rate_and_wait_in_no_row(store: &dyn Store) {
    let rate = |key: &str| Rate { key: key.into(), limit: 2, period: MINUTE, burst: 1 };
    assert_eq!(store.pace(&rate("sink a"), at(0)).await.unwrap(), None);
    for _ in 0..3 {
        assert_eq!(store.pace(&rate("sink a"), at(1)).await.unwrap(), Some(at(30)), "asking takes nothing");
    }
    assert_eq!(store.pace(&rate("sink b"), at(1)).await.unwrap(), None, "another rate");
    assert_eq!(store.pace(&rate("sink a"), at(30)).await.unwrap(), None);
    // Who calls says what the rate is: the definition may have changed.
    let wider = Rate { burst: 3, ..rate("sink a") };
    assert_eq!(store.pace(&wider, at(31)).await.unwrap(), None);
}
