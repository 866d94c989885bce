//! A discard takes what waited when it was asked for: not less, and not what came since.

use crate::{silver, stub::World};
use alluvium_flow::{Discard, Replay};
use alluvium_store::{Selection, Store};
use std::{future::pending, time::Duration};

fn discard(rule: Option<&str>) -> Replay {
    Replay::Discard(Discard {
        dataset: silver(),
        selection: Selection { rule: rule.map(str::to_owned), ..Selection::default() },
        by: "ann".to_owned(),
        reason: "rubbish".to_owned(),
    })
}

async fn steps(world: &World) -> usize {
    let tables = world.store.tables(&world.watch()).await.expect("tables");
    let steps = tables.iter().find(|t| t.name == "steps").expect("the steps");
    let kind = steps.columns.iter().position(|(c, _)| *c == "kind").expect("a kind");
    let word = alluvium_store::Value::Text("discard".into());
    steps.rows.iter().filter(|r| r[kind] == word).count()
}

#[tokio::test]
async fn a_request_that_is_taken_up_again_discards_nothing_that_came_since() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.run(&Default::default()).await;
    world.engine.set_aside(&silver(), 3);
    let (_, id) = world.flow().ask_replay(&discard(None), None).await.expect("asked");
    let asked = async || world.store.replay(&id, &world.watch()).await.expect("read").expect("a replay");
    // The rows are gone, and the process ends before it can say so.
    world.engine.hang_tidying(&silver());
    let first = world.flow().replay_asked(&asked().await, world.engine.hangs.notified()).await.expect("begun");
    assert!(first.expect("taken").0.stopped);
    assert_eq!(world.engine.waiting(&silver()), 0);
    world.engine.set_more_aside(&silver(), 5);
    let again = world.flow().replay_asked(&asked().await, pending()).await.expect("done");
    assert!(!again.expect("taken").0.stopped);
    assert!(asked().await.ended_at.is_some());
    assert_eq!((world.engine.waiting(&silver()), steps(&world).await), (5, 1), "nobody has seen these");
    // Who asks now has seen them.
    world.flow().replay(&discard(None), pending()).await.expect("done");
    assert_eq!(world.engine.waiting(&silver()), 0);
}

#[tokio::test]
async fn what_a_service_does_later_is_of_the_time_at_which_it_was_asked() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.run(&Default::default()).await;
    world.engine.set_aside(&silver(), 3);
    let id = world.flow().ask_replay(&discard(None), None).await.expect("asked").1;
    let asked = world.store.replay(&id, &world.watch()).await.expect("read").expect("a replay");
    world.pass(Duration::from_secs(60));
    world.flow().replay_asked(&asked, pending()).await.expect("done").expect("taken");
    let steps = world.store.discards_of(&id).await.expect("steps");
    let word = world.store.discard(&steps[0]).await.expect("read").expect("a discard");
    assert_eq!(word.asked_at, asked.asked_at);
}

#[tokio::test]
async fn a_discard_to_which_nothing_applies_is_done_once() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.run(&Default::default()).await;
    world.engine.set_aside(&silver(), 3);
    world.flow().replay(&discard(Some("none")), pending()).await.expect("not overtaken, however much comes meanwhile");
    assert_eq!((world.engine.waiting(&silver()), steps(&world).await), (4, 1));
}
