//! Orchestration over the real state store, with an engine and a landing zone made of memory.

mod abandoned;
mod agenda;
mod alerts;
mod backfill;
mod branch;
mod dead_letters;
mod discard;
mod endings;
mod parts;
mod retry;
mod stub;
mod workers;

use alluvium_flow::{Options, Signal, Waiting};
use alluvium_model::{Blame, DatasetName, Fault, Layer, RetryClass, Span};
use alluvium_spec::{IngestMode, Jitter};
use alluvium_store::{RunState, StepState, Store};
use std::{collections::BTreeSet, time::Duration};
use stub::{Folder, Stage, World};

fn bronze() -> DatasetName {
    DatasetName::new(Layer::Bronze, "t").expect("a name")
}

fn silver() -> DatasetName {
    DatasetName::new(Layer::Silver, "t").expect("a name")
}

#[tokio::test]
async fn what_arrived_goes_through_every_layer_once() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    let first = world.run(&Options::default()).await;
    assert!(first.complete());
    assert_eq!(world.engine.executed(), vec![(bronze(), Stage::Executed), (silver(), Stage::Executed)]);

    let again = world.run(&Options::default()).await;
    assert!(again.did_nothing());
    assert_eq!(world.engine.executed().len(), 2, "nothing arrived, so nothing may run");
}

/// Whose file it is that cannot be loaded is then whose step it is.
#[tokio::test]
async fn each_object_is_a_step_of_its_own_where_the_source_says_so() {
    for (mode, steps) in [(IngestMode::Batch, 1), (IngestMode::PerObject, 3)] {
        let mut world = World::new().await;
        world.mode(&bronze(), mode);
        for file in ["a.csv", "b.csv", "c.csv"] {
            world.arrive(file, 10);
        }
        let run = world.run(&Options::default()).await;
        assert_eq!((run.complete(), run.datasets[&bronze()].balance.received), (true, 30));
        let executed = world.engine.executed().into_iter().filter(|(d, _)| *d == bronze()).count();
        assert_eq!(executed, steps, "{mode:?}");
    }
}

#[tokio::test]
async fn the_same_content_under_another_name_does_no_work() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.run(&Options::default()).await;
    world.arrive_as("b.csv", "a.csv", 10);
    let second = world.run(&Options::default()).await;
    assert_eq!((second.objects_new, second.objects_duplicate), (0, 1));
    assert_eq!(world.engine.executed().len(), 2);
}

#[tokio::test]
async fn a_failed_step_stays_open_and_the_next_run_finishes_it() {
    let mut world = World::new().await;
    world.arrive("a.csv", 10);
    world.engine.reject(&silver(), RetryClass::Transient, Blame::Nothing, 1);
    world.effort(&silver()).retry.transient.interval = Span::from_secs(60);
    world.effort(&silver()).retry.transient.jitter = Jitter::None;
    let failed = world.run(&Options::default()).await;
    assert_eq!(failed.failed_steps, 1);
    let open = world.store.open_steps().await.expect("steps");
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].state, StepState::Failed);
    world.pass(Duration::from_secs(60));

    let mended = world.run(&Options::default()).await;
    assert!(mended.complete());
    assert!(world.store.open_steps().await.expect("steps").is_empty());
}

#[tokio::test]
async fn a_step_that_committed_before_a_crash_is_not_executed_again() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.engine.lose_next(&bronze());
    let lost = world.run(&Options::default()).await;
    assert_eq!(lost.failed_steps, 1, "the engine committed and then failed to say so");
    let after = world.run(&Options::default()).await;
    assert!(after.complete());
    let mut of_bronze: Vec<_> = world.engine.executed().into_iter().filter(|(d, _)| *d == bronze()).collect();
    // Asked for its key before it comes back, and once more under its lease.
    of_bronze.dedup();
    assert_eq!(of_bronze, vec![(bronze(), Stage::Executed), (bronze(), Stage::Recovered)]);
}

#[tokio::test]
async fn a_changed_definition_holds_new_input_until_a_person_decides() {
    let mut world = World::new().await;
    world.arrive("a.csv", 10);
    world.run(&Options::default()).await;
    world.redefine(&silver());
    world.arrive("b.csv", 5);
    let held = world.run(&Options::default()).await;
    assert_eq!(held.held, BTreeSet::from([silver()]));
    assert!(!held.complete());

    let adopt = Options { adopt: BTreeSet::from([silver()]), ..Options::default() };
    let adopted = world.run(&adopt).await;
    assert!(adopted.complete());
    assert_eq!(adopted.datasets[&silver()].balance.received, 5, "only the new rows");
}

#[tokio::test]
async fn a_rebuild_reads_all_input_again() {
    let mut world = World::new().await;
    world.arrive("a.csv", 10);
    world.run(&Options::default()).await;
    world.redefine(&silver());
    let rebuild = Options { rebuild: BTreeSet::from([silver()]), ..Options::default() };
    let rebuilt = world.run(&rebuild).await;
    assert!(rebuilt.complete(), "{rebuilt:?}");
    assert_eq!(rebuilt.datasets[&silver()].balance.received, 10);
    assert!(world.run(&Options::default()).await.did_nothing());
}

#[tokio::test]
async fn going_back_to_an_earlier_definition_is_work_of_its_own() {
    let mut world = World::new().await;
    world.arrive("a.csv", 10);
    world.run(&Options::default()).await;
    let first = world.version(&silver());
    let rebuild = Options { rebuild: BTreeSet::from([silver()]), ..Options::default() };
    for _ in 0..2 {
        world.redefine(&silver());
        assert!(world.run(&rebuild).await.complete());
        world.define(&silver(), first.clone());
        let back = world.run(&rebuild).await;
        assert!(back.complete() && !back.did_nothing(), "{back:?}");
    }
    let of_silver = world.engine.executed().into_iter().filter(|(d, _)| *d == silver()).count();
    assert_eq!(of_silver, 5);
}

fn adopting() -> Options {
    Options { adopt: BTreeSet::from([silver()]), ..Options::default() }
}

#[tokio::test]
async fn a_changed_definition_without_new_input_is_only_noted() {
    let mut world = World::new().await;
    world.arrive("a.csv", 10);
    world.run(&Options::default()).await;
    world.redefine(&silver());
    world.signals();
    let noted = world.run(&Options::default()).await;
    assert!(noted.complete() && noted.held.is_empty(), "{noted:?}");
    assert_eq!(noted.changed, BTreeSet::from([silver()]));
    let told = world.signals();
    let notes = told.iter().filter(|s| matches!(s, Signal::Held { waiting: Waiting::Nothing, rows: 10, .. }));
    assert_eq!(notes.count(), 1, "{told:?}");
}

#[tokio::test]
async fn a_replay_adopts_a_changed_definition_only_when_told() {
    let mut world = World::new().await;
    world.arrive("a.csv", 10);
    world.run(&Options::default()).await;
    let first = world.version(&silver());
    world.engine.set_aside(&silver(), 4);
    world.redefine(&silver());
    let refused = world.replay(&silver(), &Options::default()).await;
    assert_eq!(refused.held, BTreeSet::from([silver()]));
    assert!(!refused.complete() && refused.did_nothing());
    let active = async || -> Vec<_> {
        let versions = world.store.versions().await.expect("versions");
        versions.into_iter().filter(|v| v.active && v.dataset == silver()).map(|v| v.version).collect()
    };
    assert_eq!(active().await, [first]);
    assert!(world.store.open_steps().await.expect("steps").is_empty());

    let adopted = world.replay(&silver(), &adopting()).await;
    assert!(adopted.complete());
    assert_eq!(adopted.datasets[&silver()].balance.received, 4);
    assert_eq!(active().await, [world.version(&silver())]);
    // With nothing in quarantine there is nothing to refuse.
    world.redefine(&silver());
    assert!(world.replay(&silver(), &Options::default()).await.complete());
}

#[tokio::test]
async fn what_is_refused_is_told_once_a_run() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.refuse("folder.csv");
    let run = world.run(&Options::default()).await;
    let told = world.signals();
    let looks = told.iter().filter(|s| matches!(s, Signal::Looked { .. })).count();
    assert!(looks > 1, "the run looked again for what arrived meanwhile");
    assert_eq!(told.iter().filter(|s| matches!(s, Signal::Refused { .. })).count(), 1);
    assert_eq!(run.objects_refused(), 1);
    world.run(&Options::default()).await;
    assert_eq!(world.signals().iter().filter(|s| matches!(s, Signal::Refused { .. })).count(), 1, "and by each run");
}

#[tokio::test]
async fn a_run_that_is_stopped_ends_and_gives_back_its_step() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.engine.hang(&silver());
    let stopped = world.run_until(&Options::default(), world.engine.hangs.notified()).await;
    assert!(stopped.stopped && !stopped.complete());
    let last = world.store.runs(1, &world.watch()).await.expect("runs").remove(0);
    assert_eq!((last.state, last.finished_at.is_some()), (RunState::Interrupted, true));
    assert!(world.store.open_steps().await.expect("steps").iter().all(|s| s.state == StepState::Planned));
    assert!(world.run(&Options::default()).await.complete(), "nothing holds the step any more");
}

#[tokio::test]
async fn a_run_that_cannot_go_on_is_failed() {
    let world = World::new().await;
    world.folder(Folder::Unreadable);
    let error = world.flow().run(&Options::default(), std::future::pending()).await.expect_err("it cannot look");
    assert_eq!(error.code(), "T0001");
    let runs = world.store.runs(1, &world.watch()).await.expect("runs");
    assert_eq!((runs[0].state, runs[0].finished_at.is_some()), (RunState::Failed, true));
}

#[tokio::test]
async fn a_run_renews_its_lease_whatever_it_is_at() {
    let world = World::new().await;
    world.folder(Folder::Hanging);
    world.let_pass(5);
    let mut seen = Vec::new();
    let look = async {
        world.ticks.over.notified().await;
        seen = world.store.runs(9, &world.watch()).await.expect("runs");
    };
    world.run_until(&Options::default(), look).await;
    assert_eq!(seen[0].state, RunState::Running, "five times twenty seconds are more than a lease lasts");
    let ended = world.store.runs(9, &world.watch()).await.expect("runs");
    assert_eq!(ended[0].state, RunState::Interrupted);
}

#[tokio::test]
async fn a_step_is_shown_by_the_run_that_planned_it_and_the_one_that_finished_it() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.engine.lose_next(&bronze());
    let lost = world.run(&Options::default()).await.run.expect("a run");
    let after = world.run(&Options::default()).await.run.expect("a run");
    for (run, tried, failed) in [(&lost, 1, true), (&after, 1, false)] {
        let steps = world.store.run_steps(run, &world.watch()).await.expect("steps");
        let step = steps.iter().find(|s| s.step.dataset == bronze()).expect("the step of bronze");
        assert_eq!((step.attempts, step.error.is_some()), (tried, failed));
        assert_eq!(step.step.finished_by.as_ref(), Some(&after));
    }
}

#[tokio::test]
async fn a_step_that_lost_its_commit_is_executed_again_in_the_same_run() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.engine.conflict_next(&silver());
    let run = world.run(&Options::default()).await;
    assert!(run.complete());
    assert_eq!(world.engine.executed(), vec![(bronze(), Stage::Executed), (silver(), Stage::Executed)]);
}

#[tokio::test]
async fn tables_are_put_in_order_after_the_work_and_only_those_with_a_commit() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.run(&Options::default()).await;
    assert_eq!(world.engine.maintained(), vec![(bronze(), 1, 1), (silver(), 1, i64::MAX)]);
    world.run(&Options::default()).await;
    assert!(world.engine.maintained().is_empty(), "nothing was committed");

    // What silver has not processed yet has to stay in bronze.
    world.arrive("b.csv", 10);
    world.engine.fail_next(&silver());
    world.run(&Options::default()).await;
    assert_eq!(world.engine.maintained(), vec![(bronze(), 2, 1)], "a table with an open step is left alone");
}

#[tokio::test]
async fn tables_that_cannot_be_put_in_order_fail_no_run() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.engine.untidy_next(&bronze());
    let run = world.run(&Options::default()).await;
    assert!(run.complete());
    let signals = world.signals();
    let told = |s: &Signal| matches!(s, Signal::NotMaintained { dataset, code: "T0001", .. } if *dataset == bronze());
    assert_eq!(signals.iter().filter(|s| told(s)).count(), 1);
    assert!(signals.iter().any(|s| matches!(s, Signal::Maintained { dataset, .. } if *dataset == silver())));
}

#[tokio::test]
async fn gold_tables_are_brought_up_to_date_beside_each_other() {
    let sum = "SELECT id, count(*) AS n FROM silver.t GROUP BY id";
    let world = World::with(&[("datasets/gold/a.sql", sum), ("datasets/gold/b.sql", sum)]).await;
    world.arrive("a.csv", 10);
    world.run(&Options::default()).await;
    assert_eq!(world.engine.windows().1, 1, "each is made by itself");
    world.engine.let_them_meet(2);
    world.arrive("b.csv", 10);
    world.run(&Options::default()).await;
    assert_eq!(world.engine.windows().1, 2);
    world.engine.let_them_meet(0);
    world.engine.take_a_whole_hand(&DatasetName::new(Layer::Gold, "b").expect("a name"));
    world.arrive("c.csv", 10);
    world.run(&Options::default()).await;
    assert_eq!(world.engine.windows().1, 1, "one of them wants all of it");
}
