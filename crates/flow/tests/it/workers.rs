//! Steps that one process plans and another one executes.

use crate::{
    bronze, silver,
    stub::{Stage, World},
};
use alluvium_flow::{Engine, Flow, Left, Options, RefusedSteps, Signal, Turn};
use alluvium_model::DatasetName;
use alluvium_spec::IngestMode;
use alluvium_store::{Owner, RunState, StepState, Store};
use std::{collections::BTreeSet, future::pending, sync::Arc};
use tokio::sync::{Notify, oneshot};

fn name(text: &str) -> DatasetName {
    text.parse().expect("a name")
}

/// A step of `bronze.t` is planned, and whoever planned it is gone.
async fn planned(world: &World) {
    world.arrive("a.csv", 10);
    world.engine.hang(&bronze());
    let stopped = world.run_until(&Options::default(), world.engine.hangs.notified()).await;
    assert!(stopped.stopped);
}

#[tokio::test]
async fn a_worker_does_what_the_planner_has_no_hand_for() {
    let world = World::wide().await;
    world.arrive("a.csv", 10);
    world.engine.hang(&bronze());
    let (enough, stop) = oneshot::channel::<()>();
    let options = Options::default();
    let planner = world.run_until(&options, async { drop(stop.await) });
    let last = name("silver.u");
    let worker = async {
        world.engine.hangs.notified().await;
        let flow = world.worker();
        while !world.engine.executed().iter().any(|(d, _)| *d == last) {
            if flow.is_asked(&mut RefusedSteps::default()).await.expect("the state works") {
                flow.assist(&mut RefusedSteps::default(), || false, pending()).await.expect("the state works");
            }
            tokio::task::yield_now().await;
        }
        drop(enough);
    };
    let (summary, ()) = tokio::join!(planner, worker);
    assert!(summary.stopped, "its hand was full all the time");
    let runs = world.store.runs(9, &world.watch()).await.expect("runs");
    let worker = runs.iter().find(|r| r.command == "worker").expect("the worker's run");
    assert_eq!(worker.state, RunState::Done);
    let steps = world.store.run_steps(&worker.run, &world.watch()).await.expect("steps");
    assert!(steps.iter().any(|s| s.step.dataset == last && s.step.finished_by.as_ref() == Some(&worker.run)));
    assert!(world.run(&Options::default()).await.complete());
    assert_eq!(world.engine.executed().len(), 4, "each step once");
}

#[tokio::test]
async fn a_worker_plans_nothing() {
    let world = World::new().await;
    planned(&world).await;
    let summary =
        world.worker().assist(&mut RefusedSteps::default(), || false, pending()).await.expect("the state works");
    assert_eq!(summary.datasets.keys().collect::<Vec<_>>(), [&bronze()]);
    assert_eq!(world.engine.executed(), vec![(bronze(), Stage::Executed)], "silver is the planner's to plan");
    assert!(!world.worker().is_asked(&mut RefusedSteps::default()).await.expect("the state works"));
    // What it committed is put in order, too.
    assert_eq!(world.engine.maintained().len(), 1);
}

#[tokio::test]
async fn a_step_that_fails_is_tried_again_at_its_time() {
    let world = World::new().await;
    planned(&world).await;
    world.engine.conflict_next(&bronze());
    let mut refused = RefusedSteps::default();
    let flow = world.worker();
    let summary = flow.assist(&mut refused, || false, pending()).await.expect("the state works");
    assert_eq!((summary.failed_steps, summary.failed), (1, BTreeSet::from([bronze()])));
    assert!(!flow.is_asked(&mut refused).await.expect("the state works"), "not at once");
    // A second later its delay has passed.
    let flow = world.worker();
    assert!(flow.is_asked(&mut refused).await.expect("the state works"));
    flow.assist(&mut refused, || false, pending()).await.expect("the state works");
    assert_eq!(world.engine.executed(), vec![(bronze(), Stage::Executed)]);
}

#[tokio::test]
async fn a_dead_letter_is_left_alone() {
    let world = World::new().await;
    planned(&world).await;
    world.engine.fail_next(&bronze());
    let summary = world.worker().assist(&mut RefusedSteps::default(), || false, pending()).await;
    assert_eq!(summary.expect("the state works").dead.len(), 1);
    assert!(!world.worker().is_asked(&mut RefusedSteps::default()).await.expect("the state works"));
}

/// More than one step takes.
const LARGE: u64 = 600 << 20;

#[tokio::test]
async fn what_comes_after_a_step_that_froze_its_dataset_waits_for_another_definition() {
    let bronze_file = "source: { files: landing/t/, glob: \"*.csv\" }\ndrift: freeze\n";
    let mut world = World::with(&[("datasets/bronze/t.yaml", bronze_file)]).await;
    world.arrive("a.csv", 7);
    assert!(world.run(&Options::default()).await.complete());
    world.arrive("b.csv", LARGE);
    world.arrive("c.csv", LARGE);
    world.engine.freeze_next(&bronze());
    let summary = world.run(&Options::default()).await;
    assert_eq!((summary.dead.len(), summary.complete(), summary.failed.is_empty()), (1, false, true));
    let states = async |world: &World| {
        let open = world.store.open_steps().await.expect("steps");
        open.iter().map(|s| s.state).collect::<Vec<_>>()
    };
    assert_eq!(states(&world).await, [StepState::Dead, StepState::Planned]);
    assert!(!world.worker().is_asked(&mut RefusedSteps::default()).await.expect("the state works"));
    // Neither what was planned nor what is new.
    world.arrive("d.csv", 7);
    assert!(!world.run(&Options::default()).await.complete());
    assert!(!world.worker().is_asked(&mut RefusedSteps::default()).await.expect("the state works"));
    assert_eq!(states(&world).await, [StepState::Dead, StepState::Planned]);
    assert_eq!(world.engine.rows(&bronze()).await.expect("rows"), 7);
    world.redefine(&bronze());
    assert!(world.run(&Options::default()).await.complete());
    assert_eq!(world.engine.rows(&bronze()).await.expect("rows"), 2 * LARGE + 14);
    assert_eq!(world.engine.rows(&silver()).await.expect("rows"), 2 * LARGE + 14);
}

#[tokio::test]
async fn a_worker_leaves_what_was_planned_under_another_definition() {
    let mut world = World::new().await;
    planned(&world).await;
    world.redefine(&bronze());
    assert!(!world.worker().is_asked(&mut RefusedSteps::default()).await.expect("the state works"));
    let summary =
        world.worker().assist(&mut RefusedSteps::default(), || false, pending()).await.expect("the state works");
    assert!(summary.did_nothing());
    let open = world.store.open_steps().await.expect("steps");
    assert_eq!(open.iter().map(|s| s.state).collect::<Vec<_>>(), [StepState::Planned]);
    assert!(world.run(&Options::default()).await.complete(), "who plans under the new one takes its input anew");
}

#[tokio::test]
async fn a_worker_that_is_to_stop_takes_no_other_step_and_hands_back_what_does_not_end() {
    let world = World::new().await;
    planned(&world).await;
    world.worker().assist(&mut RefusedSteps::default(), || true, pending()).await.expect("the state works");
    assert!(world.engine.executed().is_empty(), "it was to stop before the first one");
    world.engine.hang(&bronze());
    let summary = world
        .worker()
        .assist(&mut RefusedSteps::default(), || false, world.engine.hangs.notified())
        .await
        .expect("the state works");
    assert!(summary.stopped);
    assert!(
        world.worker().is_asked(&mut RefusedSteps::default()).await.expect("the state works"),
        "another one may take it at once"
    );
    world.worker().assist(&mut RefusedSteps::default(), || false, pending()).await.expect("the state works");
    assert_eq!(world.engine.executed(), vec![(bronze(), Stage::Executed)]);
}

/// A definition changes while a process of the older one executes a step: that step is waited for, not superseded.
#[tokio::test]
async fn a_step_that_is_executed_elsewhere_is_not_superseded() {
    let mut old = World::new().await;
    planned(&old).await;
    let before = old.version(&bronze());
    old.redefine(&bronze());
    let after = old.version(&bronze());
    old.define(&bronze(), before);
    let world = old;
    let changed = {
        let mut project = world.project().clone();
        project.datasets.get_mut(&bronze()).expect("a dataset").version = after;
        project
    };
    world.engine.hang(&bronze());
    let (enough, stop) = oneshot::channel::<()>();
    let worker = async {
        let flow = world.worker();
        flow.assist(&mut RefusedSteps::default(), || false, async { drop(stop.await) }).await.expect("the state works")
    };
    let planner = async {
        world.engine.hangs.notified().await;
        let flow = Flow { project: &changed, ..world.flow() };
        let options = Options::default();
        let run = flow.run(&options, pending());
        let look = async {
            while !world.signals().iter().any(|s| matches!(s, Signal::StepHeldBy { .. })) {
                tokio::task::yield_now().await;
            }
            let open = world.store.open_steps().await.expect("steps");
            assert_eq!(open.iter().map(|s| s.state).collect::<Vec<_>>(), [StepState::Running]);
            drop(enough);
        };
        tokio::join!(run, look).0.expect("the state works")
    };
    let (_, summary) = tokio::join!(worker, planner);
    assert!(summary.complete());
    assert_eq!(world.engine.executed().len(), 2, "bronze once, under the new definition, and silver");
}

#[tokio::test]
async fn a_turn_tells_which_datasets_it_has_still_to_do() {
    let world = World::wide().await;
    world.arrive("a.csv", 10);
    world.engine.hang(&silver());
    let all: BTreeSet<DatasetName> = world.project().order.iter().cloned().collect();
    let turn = Turn { datasets: all, failing: BTreeSet::new() };
    let left = Arc::new(Left::of(&turn, Arc::new(Notify::new())));
    let options = Options { turn: Some(turn), left: Some(left.clone()), ..Options::default() };
    world.run_until(&options, world.engine.hangs.notified()).await;
    assert!(left.datasets().contains(&silver()));
    assert!(!left.datasets().contains(&bronze()));
}

#[tokio::test]
async fn a_clock_that_is_set_back_an_hour_holds_up_nothing() {
    let world = World::new().await;
    planned(&world).await;
    world.engine.hang(&bronze());
    // Killed with the step's lease in its hand, which now lasts for an hour and a minute.
    tokio::select! {
        _ = async { world.worker().assist(&mut RefusedSteps::default(), || false, pending()).await } => unreachable!("it hangs"),
        () = world.engine.hangs.notified() => {}
    }
    world.set_clock_back(3_600);
    let flow = Flow { alive: &|o| o.process != 2, ..world.flow() };
    let summary = flow.run(&Options::default(), pending()).await.expect("the state works");
    assert!(summary.complete());
    assert_eq!(world.engine.executed(), vec![(bronze(), Stage::Executed), (silver(), Stage::Executed)]);
    // Nor does it make new what was there before.
    world.set_clock_back(3_600);
    assert!(world.run(&Options::default()).await.did_nothing());
    world.arrive("b.csv", 10);
    assert!(world.run(&Options::default()).await.complete());
    assert_eq!(world.engine.executed().len(), 4);
}

#[tokio::test]
async fn files_that_another_machine_found_are_left_to_it() {
    let world = World::new().await;
    planned(&world).await;
    world.lose("a.csv");
    world.arrive("b.csv", 10);
    // A worker takes no such step, wherever it is.
    for flow in [world.worker(), world.far()] {
        assert!(!flow.is_asked(&mut RefusedSteps::default()).await.expect("the state works"));
    }
    // Who plans elsewhere goes on with what is there.
    let summary = world.far().run(&Options::default(), pending()).await.expect("the state works");
    assert!(!summary.complete() && summary.dead.is_empty() && summary.failed.is_empty(), "{summary:?}");
    assert_eq!(summary.elsewhere.len(), 1);
    let told = world.signals();
    assert!(
        told.iter().any(|s| matches!(s, Signal::Elsewhere { path, host, .. } if path == "a.csv" && host == "here"))
    );
    let open = world.store.open_steps().await.expect("steps");
    assert_eq!(open.iter().map(|s| (&s.dataset, s.state)).collect::<Vec<_>>(), [(&bronze(), StepState::Planned)]);
    assert_eq!(world.engine.executed(), [(bronze(), Stage::Executed), (silver(), Stage::Executed)]);
    // Where it was found it is gone, and that is the engine's to tell.
    world.engine.fail_next(&bronze());
    assert_eq!(world.run(&Options::default()).await.dead.len(), 1);
}

#[tokio::test]
async fn a_worker_goes_on_behind_a_file_that_it_does_not_see() {
    let mut world = World::new().await;
    world.mode(&bronze(), IngestMode::PerObject);
    world.arrive("b.csv", 10);
    planned(&world).await;
    let open = world.store.open_steps().await.expect("steps");
    assert_eq!(open.iter().map(|s| s.state).collect::<Vec<_>>(), [StepState::Planned, StepState::Planned]);
    let files = world.store.found_by(&open[0].key).await.expect("files");
    world.lose(&files[0].0);
    let flow = world.worker();
    assert!(flow.is_asked(&mut RefusedSteps::default()).await.expect("the state works"));
    let summary = flow.assist(&mut RefusedSteps::default(), || false, pending()).await.expect("the state works");
    assert!(summary.dead.is_empty(), "{summary:?}");
    assert_eq!(world.engine.executed(), [(bronze(), Stage::Executed)]);
    let left = world.store.open_steps().await.expect("steps");
    assert_eq!(left.iter().map(|s| &s.key).collect::<Vec<_>>(), [&open[0].key]);
    assert!(!world.worker().is_asked(&mut RefusedSteps::default()).await.expect("the state works"));
}

#[tokio::test]
async fn a_container_that_was_started_anew_is_the_same_machine() {
    let world = World::new().await;
    planned(&world).await;
    world.lose("a.csv");
    world.engine.fail_next(&bronze());
    let anew = Owner { host: "here pid:[4026532000]".into(), process: 1, started_ticks: 2 };
    let flow = Flow { owner: anew, ..world.flow() };
    let summary = flow.run(&Options::default(), pending()).await.expect("the state works");
    assert!(summary.elsewhere.is_empty(), "{summary:?}");
    assert_eq!(summary.dead.len(), 1, "the file is gone, and that is the engine's to tell");
}

#[tokio::test]
async fn a_file_that_another_machine_found_and_this_one_sees_is_loaded_here() {
    let world = World::new().await;
    planned(&world).await;
    assert!(world.far().run(&Options::default(), pending()).await.expect("the state works").complete());
    assert_eq!(world.engine.executed().len(), 2);
}
