//! `when`: what waits is taken or left by what the inputs' steps did.

use crate::{
    bronze, silver,
    stub::{Stage, World},
};
use alluvium_flow::{Agenda, NotTaken, Options, Signal, Summary, Turn, what_waits};
use alluvium_model::{DatasetName, Layer, SeededEntropy};
use alluvium_store::Store;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

fn gold(name: &str) -> DatasetName {
    DatasetName::new(Layer::Gold, name).expect("a name")
}

/// `silver.t` with this condition.
async fn asking(when: &str) -> World {
    let text = format!("from: bronze.t\ncontract: t\nwrite: append\nwhen: {when}\n");
    World::with(&[("datasets/silver/t.yaml", &text)]).await
}

async fn run(world: &World) -> Summary {
    let run = world.run(&Options::default()).await;
    assert!(run.complete(), "{run:?}");
    run
}

fn received(run: &Summary, dataset: &DatasetName) -> Option<u64> {
    run.datasets.get(dataset).map(|d| d.balance.received)
}

fn told(world: &World) -> Vec<(DatasetName, NotTaken)> {
    let left = world.signals().into_iter().filter_map(|s| match s {
        Signal::NotTaken { dataset, left } => Some((dataset, left)),
        _ => None,
    });
    left.collect()
}

#[tokio::test]
async fn what_is_left_waits_and_is_taken_once_with_what_comes() {
    let world = asking("received >= 10").await;
    world.arrive("a.csv", 4);
    let first = run(&world).await;
    assert_eq!((received(&first, &bronze()), received(&first, &silver())), (Some(4), None));
    let left = told(&world);
    assert_eq!(left.len(), 1, "once, however often the run came by");
    assert_eq!((&left[0].0, left[0].1.condition.as_str()), (&silver(), "received >= 10"));
    assert_eq!(left[0].1.seen, BTreeMap::from([("received".to_owned(), 4.into())]));
    assert_eq!(left[0].1.again, None);
    assert!(world.store.positions(&silver()).await.expect("positions").is_empty(), "its input stays where it is");

    // Nothing new, and decided anew all the same.
    assert!(run(&world).await.not_taken.contains_key(&silver()));
    world.arrive("b.csv", 7);
    let taken = run(&world).await;
    assert_eq!(received(&taken, &silver()), Some(11));
    assert!(taken.not_taken.is_empty());
    let after = run(&world).await;
    assert!(after.did_nothing() && after.not_taken.is_empty(), "nothing waits, and nothing is asked");
    let of_silver = world.engine.executed().into_iter().filter(|e| *e == (silver(), Stage::Executed)).count();
    assert_eq!(of_silver, 1);
}

#[tokio::test]
async fn what_a_run_decided_is_in_the_state() {
    let world = asking("received >= 10 AND steps < 9").await;
    let mut decided = Vec::new();
    for bytes in [4, 7] {
        world.arrive(&format!("{bytes}.csv"), bytes);
        let id = run(&world).await.run.expect("a run");
        decided.extend(world.store.decisions(&id).await.expect("decisions"));
    }
    let seen = decided.iter().map(|d| (d.taken, d.measures["received"].as_u64(), d.measures["steps"].as_u64()));
    assert_eq!(seen.collect::<Vec<_>>(), [(false, Some(4), Some(1)), (true, Some(11), Some(2))]);
    let waits = what_waits(&world.store, &world.project().datasets[&silver()], world.clock().now()).await;
    assert_eq!(waits.expect("it can be read").steps, 0, "all is taken");
}

#[tokio::test]
async fn opposite_conditions_are_a_branch() {
    let world = World::with(&[
        ("datasets/gold/few.sql", "/* when: received < 10 */ SELECT count(*) AS n FROM silver.t\n"),
        ("datasets/gold/many.sql", "/* when: NOT (received < 10) */ SELECT count(*) AS n FROM silver.t\n"),
    ])
    .await;
    let mut ways = Vec::new();
    for (n, bytes) in [4, 20, 3].into_iter().enumerate() {
        world.arrive(&format!("{n}.csv"), bytes);
        let done = run(&world).await;
        let left: Vec<DatasetName> = done.not_taken.keys().cloned().collect();
        ways.push((received(&done, &gold("few")), received(&done, &gold("many")), left));
    }
    // Each decides over what waits for itself.
    let expected = [
        (Some(4), None, vec![gold("many")]),
        (None, Some(24), vec![gold("few")]),
        (None, None, vec![gold("few"), gold("many")]),
    ];
    assert_eq!(ways, expected);
    world.arrive("last.csv", 7);
    let last = run(&world).await;
    assert_eq!((received(&last, &gold("few")), received(&last, &gold("many"))), (None, Some(10)));
}

#[tokio::test]
async fn what_a_person_asks_for_is_not_asked_again() {
    let world = asking("received > 1000").await;
    world.arrive("a.csv", 4);
    run(&world).await;
    let rebuild = Options { rebuild: BTreeSet::from([silver()]), ..Options::default() };
    let rebuilt = world.run(&rebuild).await;
    assert_eq!(received(&rebuilt, &silver()), Some(4));
    world.engine.set_aside(&silver(), 2);
    let replayed = world.replay(&silver(), &Options::default()).await;
    assert_eq!(received(&replayed, &silver()), Some(2));
}

#[tokio::test]
async fn a_table_is_made_anew_without_a_question_only_if_it_takes_nothing_new() {
    let mut world =
        World::with(&[("datasets/gold/g.sql", "/* when: received >= 10 */ SELECT count(*) AS n FROM silver.t\n")])
            .await;
    world.arrive("a.csv", 10);
    assert_eq!(received(&run(&world).await, &gold("g")), Some(10));
    world.redefine(&gold("g"));
    assert_eq!(received(&run(&world).await, &gold("g")), Some(10), "nothing waits");
    world.redefine(&gold("g"));
    world.arrive("b.csv", 1);
    assert_eq!(received(&run(&world).await, &gold("g")), None);
    world.arrive("c.csv", 9);
    assert_eq!(received(&run(&world).await, &gold("g")), Some(20), "all of it, once");
}

#[tokio::test]
async fn a_service_comes_back_when_time_turns_it_and_not_before() {
    let world = asking("received >= 10 OR age_seconds >= 3600").await;
    let entropy = SeededEntropy::new(1);
    let now = || world.clock().now();
    let mut agenda = Agenda::new(world.project(), now());
    let idle = BTreeSet::new();
    world.arrive("a.csv", 4);
    let work = async |turn: Turn| world.run(&Options { turn: Some(turn), ..Options::default() }).await;
    let turn = agenda.take(now(), &idle).expect("the first turn");
    let first = work(turn.clone()).await;
    agenda.did(&turn, &first, now(), &entropy);
    let again = first.not_taken[&silver()].again.expect("time turns it");
    assert_eq!(agenda.next(&idle), Some(again), "it does not look in between");

    world.pass(Duration::try_from(again.duration_since(now())).expect("later"));
    let turn = agenda.take(now(), &idle).expect("it is due");
    assert_eq!(turn.datasets, BTreeSet::from([silver()]));
    let taken = work(turn.clone()).await;
    assert_eq!(received(&taken, &silver()), Some(4));
    agenda.did(&turn, &taken, now(), &entropy);
    assert_eq!(agenda.next(&idle), None);
}

#[tokio::test]
async fn a_service_waits_for_what_comes_where_time_turns_nothing() {
    let world = asking("received >= 10").await;
    let mut agenda = Agenda::new(world.project(), world.clock().now());
    let idle = BTreeSet::new();
    world.arrive("a.csv", 4);
    let turn = agenda.take(world.clock().now(), &idle).expect("the first turn");
    let first = world.run(&Options { turn: Some(turn.clone()), ..Options::default() }).await;
    assert!(first.not_taken.contains_key(&silver()));
    agenda.did(&turn, &first, world.clock().now(), &SeededEntropy::new(1));
    assert_eq!(agenda.next(&idle), None);
}
