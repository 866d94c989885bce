//! Fan-in: one event when a run has ended with all of its steps, whoever ended them.

use crate::{bronze, silver, stub::World};
use alluvium_flow::Options;
use alluvium_model::{Blame, RetryClass, Span};
use alluvium_spec::Jitter;
use alluvium_store::{Owner, RunState, Store, Topic};
use serde_json::{Value, json};
use std::time::Duration;

const PROJECT: (&str, &str) = ("alluvium.yaml", "name: stub\nsinks: { out: { files: out/ } }\npublish: out\n");

/// All that was told of runs, oldest first.
async fn told(world: &World) -> Vec<Value> {
    let owner = Owner { host: "here".into(), process: 77, started_ticks: 1 };
    let lane = (&Topic::Runs, "out");
    let part = world.store.take_lane(lane, "out", &owner, Span::from_secs(60), &world.watch(), 99).await;
    let event = |p: alluvium_store::Publication| {
        let event: Value = serde_json::from_str(&p.event).expect("an event");
        assert_eq!((p.committed, event["id"].as_str()), (None, Some(p.id.as_str())));
        event
    };
    part.expect("a lane").into_iter().map(event).collect()
}

fn ended(expected: u64, done: u64, dead: u64) -> Value {
    json!({ "expected": expected, "done": done, "dead": dead, "superseded": 0 })
}

#[tokio::test]
async fn a_run_is_told_once_with_all_that_it_did() {
    let world = World::with(&[PROJECT]).await;
    world.arrive("a.csv", 10);
    world.arrive("b.csv", 5);
    let run = world.run(&Options::default()).await.run.expect("a run");
    // It has nothing to do, and nothing to tell.
    world.run(&Options::default()).await;
    let events = told(&world).await;
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!(event["id"], format!("run-{run}"));
    assert_eq!(
        (event["type"].as_str(), event["subject"].as_str(), event["source"].as_str()),
        (Some("io.alluvium.run.completed"), Some(run.as_str()), Some("/stub/dev"))
    );
    let data = &event["data"];
    assert_eq!((data["state"].as_str(), data["objects"]["new"].as_u64()), (Some("done"), Some(2)));
    assert_eq!(data["steps"], ended(2, 2, 0));
    assert_eq!(data["balance"]["received"], 30);
    assert_eq!(data["datasets"].as_object().map(|d| d.len()), Some(2));
    assert_eq!(data["datasets"]["silver.t"]["balance"]["loaded"], 15);
    assert_eq!(data["datasets"]["silver.t"]["table_version"], 1);
}

#[tokio::test]
async fn a_run_is_told_when_the_last_of_its_steps_has_ended() {
    let mut world = World::with(&[PROJECT]).await;
    world.arrive("a.csv", 10);
    world.engine.reject(&silver(), RetryClass::Transient, Blame::Nothing, 1);
    world.effort(&silver()).retry.transient.interval = Span::from_secs(60);
    world.effort(&silver()).retry.transient.jitter = Jitter::None;
    let first = world.run(&Options::default()).await;
    assert_eq!(first.failed_steps, 1);
    assert!(told(&world).await.is_empty(), "a step of it is to be tried again");
    world.pass(Duration::from_secs(60));
    world.run(&Options::default()).await;
    let events = told(&world).await;
    // The second run planned nothing: what it did is told with the first one.
    assert_eq!(events.len(), 1);
    let data = &events[0]["data"];
    assert_eq!(data["run"], first.run.expect("a run").as_str());
    assert_eq!((data["state"].as_str(), &data["steps"]), (Some("failed"), &ended(2, 2, 0)));
}

#[tokio::test]
async fn a_dead_letter_has_ended() {
    let world = World::with(&[PROJECT]).await;
    world.arrive("a.csv", 10);
    world.engine.fail_next(&silver());
    world.run(&Options::default()).await;
    let events = told(&world).await;
    assert_eq!(events[0]["data"]["steps"], ended(2, 1, 1));
    assert_eq!(events[0]["data"]["datasets"]["silver.t"]["steps"], ended(1, 0, 1));
}

#[tokio::test]
async fn a_run_that_died_is_told_by_who_ends_its_steps() {
    let world = World::with(&[PROJECT]).await;
    world.arrive("a.csv", 10);
    world.engine.hang(&silver());
    {
        let flow = world.flow();
        let options = Options::default();
        let dies = flow.run(&options, std::future::pending());
        tokio::select! {
            _ = dies => panic!("it hangs"),
            () = world.engine.hangs.notified() => {}
        }
    }
    let died = world.store.runs(1, &world.watch()).await.expect("runs").remove(0);
    assert_eq!(died.state, RunState::Running);
    // While its lease holds it may still be at work.
    let other = Options { command: "other".into(), ..Options::default() };
    world.pass(Duration::from_secs(3_600));
    let second = world.run(&other).await;
    assert!(second.complete());
    let events = told(&world).await;
    assert_eq!(events.len(), 1, "{events:?}");
    let data = &events[0]["data"];
    assert_eq!((data["run"].as_str(), data["state"].as_str()), (Some(died.run.as_str()), Some("interrupted")));
    assert_eq!((&data["steps"], &data["finished_at"]), (&ended(2, 2, 0), &Value::Null));
    assert_eq!(data["balance"]["received"], 20);
    // Whoever comes later has nothing to add.
    world.run(&other).await;
    assert_eq!(told(&world).await, events);
}

#[tokio::test]
async fn a_project_that_names_no_sink_tells_nothing_later_either() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.run(&Options::default()).await;
    assert!(world.store.ended_runs(&world.watch()).await.expect("runs").is_empty());
    assert!(!world.engine.executed().is_empty(), "{} was made", bronze());
}
