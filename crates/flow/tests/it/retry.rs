//! Attempts: how many, when, and what stops them.

use crate::{
    bronze, silver,
    stub::{Stage, World},
};
use alluvium_flow::{Dependency, Options, Signal, StepWait, Turn};
use alluvium_model::{Blame, DatasetName, RetryClass, Span};
use alluvium_spec::{Jitter, Timeout, TimeoutSource};
use alluvium_store::{StepRecord, StepState, Store, Terms};
use std::{collections::BTreeSet, time::Duration};

const TRANSIENT: RetryClass = RetryClass::Transient;

/// `silver.t` is tried so often, always after so many seconds.
async fn world(most: u32, seconds: i64) -> World {
    let mut world = World::new().await;
    world.arrive("a.csv", 10);
    let retry = &mut world.effort(&silver()).retry;
    for backoff in [&mut retry.transient, &mut retry.throttled, &mut retry.timeout] {
        (backoff.max_attempts, backoff.interval, backoff.max_delay) =
            (most, Span::from_secs(seconds), Span::from_secs(seconds));
        backoff.jitter = Jitter::None;
    }
    world
}

async fn step(world: &World) -> StepRecord {
    world.store.open_steps().await.expect("steps").pop().expect("an open step")
}

fn failures(world: &World) -> Vec<(u32, bool, bool)> {
    let failed = |s: Signal| match s {
        Signal::StepFailed { attempts, retry_at, again, .. } => Some((attempts, retry_at.is_some(), again)),
        _ => None,
    };
    world.signals().into_iter().filter_map(failed).collect()
}

#[tokio::test]
async fn short_delays_are_waited_for_and_long_ones_left_to_a_later_run() {
    let world = world(9, 4).await;
    world.engine.reject(&silver(), TRANSIENT, Blame::Nothing, 3);
    assert!(world.run(&Options::default()).await.complete());
    assert_eq!(failures(&world), [(1, true, true), (2, true, true), (3, true, true)]);

    // The stub's timer lets waits of more than five seconds last: this run must not wait.
    let mut world = self::world(9, 40).await;
    world.engine.reject(&silver(), TRANSIENT, Blame::Nothing, 1);
    let left = world.run(&Options::default()).await;
    assert!(!left.complete() && left.failed_steps == 1);
    assert_eq!(failures(&world), [(1, true, false)]);
    let at = step(&world).await.retry_at.expect("a time");
    assert_eq!(left.waiting[&silver()], at);

    // Before that time nobody tries it, and a run says so.
    world.arrive("b.csv", 5);
    let early = world.run(&Options::default()).await;
    assert!(!early.complete() && early.failed_steps == 0 && early.waiting[&silver()] == at, "{early:?}");
    let told = |s: &Signal| matches!(s, Signal::StepWaits { until, why: StepWait::Delay, .. } if *until == at);
    assert_eq!(world.signals().iter().filter(|s| told(s)).count(), 1);
    assert_eq!(world.engine.attempts(&silver()), 1);
    world.pass(Duration::from_secs(40));
    assert!(world.run(&Options::default()).await.complete());
    world.effort(&silver()).retry.transient.max_attempts = 1;
    assert!(world.run(&Options::default()).await.did_nothing());
}

#[tokio::test]
async fn the_wait_of_one_run_has_a_bound() {
    let world = world(1_000, 3).await;
    world.engine.reject(&silver(), TRANSIENT, Blame::Nothing, 1_000);
    let run = world.run(&Options::default()).await;
    assert_eq!((world.engine.attempts(&silver()), run.failed_steps), (11, 1), "thirty seconds, three at a time");
}

#[tokio::test]
async fn a_service_waits_for_nobody() {
    let world = world(9, 1).await;
    world.engine.reject(&silver(), TRANSIENT, Blame::Nothing, 9);
    let turn = Turn { datasets: BTreeSet::from([bronze(), silver()]), failing: BTreeSet::new() };
    let summary = world.run(&Options { turn: Some(turn), ..Options::default() }).await;
    assert_eq!((world.engine.attempts(&silver()), summary.failed_steps), (1, 1));
    assert_eq!(summary.waiting[&silver()], step(&world).await.retry_at.expect("a time"));
}

#[tokio::test]
async fn used_up_attempts_make_a_dead_letter_and_a_restart_does_not_begin_anew() {
    let world = world(3, 40).await;
    world.engine.reject(&silver(), TRANSIENT, Blame::Nothing, 99);
    // Each run is a process of its own, as far as the state goes.
    for failures in 1..=3 {
        world.run(&Options::default()).await;
        assert_eq!(step(&world).await.failures, failures);
        world.pass(Duration::from_secs(40));
    }
    assert_eq!(step(&world).await.state, StepState::Dead);
    for _ in 0..2 {
        world.signals();
        let after = world.run(&Options::default()).await;
        assert!(!after.complete() && after.failed_steps == 0 && after.dead.len() == 1, "{after:?}");
        let signals = world.signals();
        assert_eq!(signals.iter().filter(|s| matches!(s, Signal::StepDead { blocks: true, .. })).count(), 1);
    }
    assert_eq!(world.engine.attempts(&silver()), 3);
    let letter = world.store.dead_letters().await.expect("letters").pop().expect("a letter");
    assert_eq!((letter.attempts, letter.code.as_deref(), letter.class), (3, Some("T0004"), Some(TRANSIENT)));
}

#[tokio::test]
async fn an_error_that_stays_is_tried_once() {
    for class in [RetryClass::Auth, RetryClass::Schema, RetryClass::Data, RetryClass::Internal] {
        let world = world(9, 1).await;
        world.engine.reject(&silver(), class, Blame::Lake, 99);
        let run = world.run(&Options::default()).await;
        assert_eq!((world.engine.attempts(&silver()), run.failed_steps, run.dead.len()), (1, 1, 1), "{class}");
        assert_eq!(failures(&world), [(1, false, false)]);
        world.run(&Options::default()).await;
        assert_eq!(world.engine.attempts(&silver()), 1, "{class}");
    }
}

#[tokio::test]
async fn each_class_has_its_own_policy() {
    for (class, attempts) in [(RetryClass::Transient, 2), (RetryClass::Throttled, 3), (RetryClass::Timeout, 4)] {
        let mut world = world(9, 1).await;
        let retry = &mut world.effort(&silver()).retry;
        (retry.transient.max_attempts, retry.throttled.max_attempts, retry.timeout.max_attempts) = (2, 3, 4);
        world.engine.reject(&silver(), class, Blame::Nothing, 99);
        world.run(&Options::default()).await;
        assert_eq!(world.engine.attempts(&silver()), attempts, "{class}");
        assert_eq!(step(&world).await.state, StepState::Dead);
    }
}

#[tokio::test]
async fn a_commit_whose_answer_was_lost_is_no_dead_letter() {
    let world = world(1, 1).await;
    world.engine.lose_next(&silver());
    assert_eq!(world.run(&Options::default()).await.failed_steps, 1);
    assert_eq!(world.store.dead_letters().await.expect("letters").len(), 1, "as far as anybody knows");
    assert!(world.run(&Options::default()).await.complete());
    assert!(world.store.dead_letters().await.expect("letters").is_empty());
    assert_eq!(world.engine.executed().last(), Some(&(silver(), Stage::Recovered)));
}

#[tokio::test]
async fn the_budget_of_a_day_is_never_exceeded() {
    let mut world = world(99, 1).await;
    world.effort(&silver()).retries_per_day = Some(4);
    world.engine.reject(&silver(), TRANSIENT, Blame::Nothing, 99);
    for run in 0..4 {
        let summary = world.run(&Options::default()).await;
        assert_eq!(world.engine.attempts(&silver()), 5, "the first attempt, and four more; run {run}");
        let until = summary.waiting[&silver()];
        assert_eq!(until.as_second() % 86_400, 0, "the next day");
        let used_up = StepWait::Budget { retries_per_day: 4 };
        assert!(world.signals().iter().any(|s| matches!(s, Signal::StepWaits { why, .. } if *why == used_up)));
    }
    let now = world.watch().now;
    assert_eq!(world.store.retries(now).await.expect("retries")[&silver()], 4);
    world.pass(Duration::from_secs(86_400));
    world.run(&Options::default()).await;
    assert_eq!(world.engine.attempts(&silver()), 9, "four of the next day");
}

#[tokio::test]
async fn a_broken_lake_is_left_alone_by_every_dataset() {
    let mut world = world(99, 1).await;
    world.effort(&bronze()).retry = world.effort(&silver()).retry;
    world.engine.reject(&bronze(), TRANSIENT, Blame::Lake, 5);
    let run = world.run(&Options::default()).await;
    assert_eq!((world.engine.attempts(&bronze()), world.engine.attempts(&silver())), (5, 0), "{run:?}");
    let signals = world.signals();
    assert!(signals.iter().any(|s| matches!(s, Signal::BreakerOpened { dependency: Dependency::Lake, .. })));
    let left = StepWait::Breaker(Dependency::Lake);
    assert!(signals.iter().any(|s| matches!(s, Signal::StepWaits { why, .. } if *why == left)));
    // Whoever comes meanwhile does not try, and nothing is counted.
    let turn = Turn { datasets: BTreeSet::from([bronze(), silver()]), failing: BTreeSet::new() };
    world.run(&Options { turn: Some(turn), ..Options::default() }).await;
    assert_eq!((world.engine.attempts(&bronze()), step(&world).await.attempts), (5, 5));
    world.pass(Duration::from_secs(30));
    world.signals();
    assert!(world.run(&Options::default()).await.complete());
    assert!(world.signals().iter().any(|s| matches!(s, Signal::BreakerClosed { dependency: Dependency::Lake })));
}

#[tokio::test]
async fn who_waited_for_a_hand_heeds_the_breaker() {
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let retry = world(99, 40).await.effort(&silver()).retry.clone();
    let mut world = World::of(&names, &[]).await;
    world.arrive("a.csv", 10);
    let all = names.map(|n| format!("bronze.{n}").parse::<DatasetName>().expect("a name"));
    for name in &all {
        world.effort(name).retry = retry.clone();
        world.engine.reject(name, TRANSIENT, Blame::Lake, 9);
    }
    let turn = Turn { datasets: all.iter().cloned().collect(), failing: BTreeSet::new() };
    let summary = world.run(&Options { turn: Some(turn), ..Options::default() }).await;
    let tried: u32 = all.iter().map(|n| world.engine.attempts(n)).sum();
    assert_eq!((tried, summary.waiting.len()), (5, 7), "the breaker opened before the others had the hand");
}

#[tokio::test]
async fn a_conflict_opens_no_breaker() {
    let world = world(99, 1).await;
    world.engine.reject(&silver(), TRANSIENT, Blame::Nothing, 20);
    assert!(world.run(&Options::default()).await.complete());
    assert_eq!(world.engine.attempts(&silver()), 21);
}

#[tokio::test]
async fn a_hung_step_is_stopped_and_told() {
    let mut world = world(2, 1).await;
    world.effort(&silver()).timeout = Some(Timeout { after: Span::from_secs(600), source: TimeoutSource::Contract });
    world.engine.hang(&silver());
    world.ticks.gate_at(Duration::from_secs(600));
    let options = Options::default();
    let time_passes = async {
        world.engine.hangs.notified().await;
        world.ticks.gate.notify_one();
    };
    let (run, ()) = tokio::join!(world.run(&options), time_passes);
    let failed: Vec<_> = world
        .signals()
        .into_iter()
        .filter_map(|s| match s {
            Signal::StepFailed { code, message, again, .. } => Some((code, message, again)),
            _ => None,
        })
        .collect();
    let told = "it took longer than 10m, which its contract agrees on".to_owned();
    assert_eq!(failed, [("F0202", told, true)]);
    assert!(run.complete(), "the second attempt does not hang");
    assert_eq!(world.engine.executed().last(), Some(&(silver(), Stage::Executed)));
}

#[tokio::test]
async fn steps_whose_process_is_gone_each_time_end_as_dead_letters() {
    let world = world(3, 1).await;
    let flow = world.flow();
    let turn = Turn { datasets: BTreeSet::from([bronze()]), failing: BTreeSet::new() };
    world.run(&Options { turn: Some(turn), ..Options::default() }).await;
    // Planned, and then taken by processes that die.
    world.engine.hang(&silver());
    world.run_until(&Options::default(), world.engine.hangs.notified()).await;
    let key = step(&world).await.key;
    let run = alluvium_model::RunId::fresh(world.clock(), &alluvium_model::SeededEntropy::new(3));
    let record = alluvium_store::RunRecord {
        run: run.clone(),
        command: "run".into(),
        state: alluvium_store::RunState::Running,
        started_at: world.clock().now(),
        finished_at: None,
        objects_new: 0,
        objects_duplicate: 0,
        objects_dead: 0,
    };
    let dead = alluvium_store::Watch { now: world.clock().now(), alive: &|_| false };
    world.store.start_run(&record, &flow.owner, Span::from_secs(60), &dead).await.expect("a run");
    for _ in 0..4 {
        let taken = world.store.claim(&key, &run, &flow.owner, Span::from_secs(60), &Terms::default(), &dead).await;
        assert_eq!(taken.expect("a claim"), alluvium_store::Claim::Taken);
    }
    world.pass(Duration::from_secs(61));
    world.run(&Options::default()).await;
    let letter = world.store.dead_letters().await.expect("letters").pop().expect("a letter");
    assert_eq!(letter.code.as_deref(), Some("F0203"));
    assert_eq!(world.engine.attempts(&silver()), 0, "it is not executed once more");
}
