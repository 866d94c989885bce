//! Orchestration over the real state store, with an engine and a landing zone made of memory.

mod stub;

use alluvium_flow::Options;
use alluvium_model::{DatasetName, Layer};
use alluvium_store::{StepState, Store};
use std::collections::BTreeSet;
use stub::{Stage, World};

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
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.engine.fail_next(&silver());
    let failed = world.run(&Options::default()).await;
    assert_eq!(failed.failed_steps, 1);
    let open = world.store.open_steps().await.expect("steps");
    assert_eq!(open.len(), 1);
    assert_eq!(open[0].state, StepState::Failed);

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
    let of_bronze: Vec<_> = world.engine.executed().into_iter().filter(|(d, _)| *d == bronze()).collect();
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
    assert_eq!(held.held, vec![silver()]);
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
