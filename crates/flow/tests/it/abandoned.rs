//! An attempt whose process is gone, and whose commit is still on its way, when another one has its word on the step.

use crate::{
    silver,
    stub::{Stage, World},
};
use alluvium_flow::{Options, Replay, Settle};
use alluvium_store::{StepKind, StepRecord, StepState, Store, Value, VerdictKind};
use std::future::pending;

/// The silver step was sent to the table, and its process ended.
async fn on_its_way() -> World {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.engine.hang(&silver());
    assert!(world.run_until(&Options::default(), world.engine.hangs.notified()).await.stopped);
    world
}

async fn step(world: &World) -> StepRecord {
    let tables = world.store.tables(&world.watch()).await.expect("tables");
    let steps = tables.iter().find(|t| t.name == "steps").expect("the steps");
    let column = |name| steps.columns.iter().position(|(c, _)| *c == name).expect("a column");
    let (key, dataset) = (column("step"), column("dataset"));
    let of_silver = |row: &&Vec<Value>| row[dataset] == Value::Text(silver().to_string());
    let row = steps.rows.iter().find(of_silver).expect("a step");
    let Value::Text(key) = &row[key] else { panic!("a key is text") };
    let key = alluvium_model::StepKey::from_stored(key.clone());
    world.store.step(&key).await.expect("read").expect("it is there")
}

async fn settle(world: &World, verdict: VerdictKind) {
    let said = Settle { dataset: silver(), verdict, by: "ann".to_owned(), reason: None };
    world.flow().replay(&Replay::Held(said), pending()).await.expect("the store works");
}

#[tokio::test]
async fn what_is_held_and_dropped_then_does_not_land_later() {
    let world = on_its_way().await;
    world.engine.hold_next(&silver());
    assert_eq!(world.run(&Options::default()).await.failed_steps, 1);
    assert_eq!(step(&world).await.state, StepState::Dead);
    assert!(!world.engine.land(&silver()), "a person decides on it now");
    settle(&world, VerdictKind::Drop).await;
    let dropped = step(&world).await;
    assert_eq!((dropped.state, dropped.attempts, dropped.kind), (StepState::Done, 3, StepKind::Refine));
    assert!(!world.engine.executed().contains(&(silver(), Stage::Recovered)), "nothing else was committed");
}

#[tokio::test]
async fn a_release_whose_process_ended_does_not_land_after_the_step_was_held_again() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.engine.hold_next(&silver());
    world.run(&Options::default()).await;
    world.engine.hang(&silver());
    let said = Settle { dataset: silver(), verdict: VerdictKind::Release, by: "ann".to_owned(), reason: None };
    let released = world.flow().replay(&Replay::Held(said), world.engine.hangs.notified()).await;
    assert!(released.expect("the store works").stopped);
    world.engine.hold_next(&silver());
    world.run(&Options::default()).await;
    assert!(!world.engine.land(&silver()), "the gate has refused it meanwhile");
    settle(&world, VerdictKind::Release).await;
    assert_eq!(step(&world).await.state, StepState::Done);
    assert!(!world.engine.executed().contains(&(silver(), Stage::Recovered)), "by its own attempt");
}

#[tokio::test]
async fn what_landed_before_the_gate_refused_it_is_published() {
    let world = on_its_way().await;
    world.engine.land_meanwhile(&silver());
    world.engine.hold_next(&silver());
    assert!(world.run(&Options::default()).await.complete());
    let published = step(&world).await;
    assert_eq!((published.state, published.committed, published.balance.loaded), (StepState::Done, Some(1), 1));
    assert!(world.store.dead_letters().await.expect("letters").is_empty());
}

#[tokio::test]
async fn what_had_nothing_to_commit_does_not_land_later() {
    let world = on_its_way().await;
    world.engine.idle_next(&silver());
    assert!(world.run(&Options::default()).await.complete());
    assert_eq!((step(&world).await.state, step(&world).await.committed), (StepState::Done, None));
    assert!(!world.engine.land(&silver()), "it is done");

    let world = on_its_way().await;
    world.engine.land_meanwhile(&silver());
    world.engine.idle_next(&silver());
    assert!(world.run(&Options::default()).await.complete());
    assert_eq!((step(&world).await.state, step(&world).await.committed), (StepState::Done, Some(1)));
}
