//! Dead letters come back once, after what was wrong is mended.

use crate::{
    bronze, silver,
    stub::{Stage, World},
};
use alluvium_flow::{Letters, NotKept, Options, Replay, Replayed, Signal, Turn, Version};
use alluvium_model::{Blame, DatasetName, Fault, RetryClass};
use alluvium_store::{AskedReplay, DeadLetter, EventState, Store};

async fn letters(world: &World) -> Vec<DeadLetter> {
    world.store.dead_letters().await.expect("letters")
}

fn replayed(world: &World) -> Vec<Replayed> {
    let done = |s| match s {
        Signal::LetterReplayed { done, .. } => Some(done),
        _ => None,
    };
    world.signals().into_iter().filter_map(done).collect()
}

fn times(world: &World, dataset: &DatasetName, stage: Stage) -> usize {
    world.engine.executed().iter().filter(|(d, s)| d == dataset && *s == stage).count()
}

/// Its silver step is a dead letter.
async fn with_dead_step() -> World {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.engine.reject(&silver(), RetryClass::Data, Blame::Nothing, 1);
    assert_eq!(world.run(&Options::default()).await.failed_steps, 1);
    world.arrive("b.csv", 5);
    world.run(&Options::default()).await;
    assert_eq!((letters(&world).await.len(), times(&world, &bronze(), Stage::Executed)), (1, 2));
    assert_eq!(times(&world, &silver(), Stage::Executed), 0, "later input waits behind it");
    world.signals();
    world
}

#[tokio::test]
async fn a_dead_step_is_tried_again_once_and_what_waited_behind_it_follows() {
    let world = with_dead_step().await;
    let mended = world.replay_letters(&Letters::default()).await;
    assert!(mended.complete(), "{mended:?}");
    assert_eq!(replayed(&world), [Replayed::Step]);
    assert_eq!((letters(&world).await.len(), times(&world, &silver(), Stage::Executed)), (0, 2));
    assert_eq!(mended.datasets[&silver()].balance.received, 15);
    let again = world.replay_letters(&Letters::default()).await;
    assert!(again.complete() && again.did_nothing() && replayed(&world).is_empty());
}

#[tokio::test]
async fn many_who_ask_at_once_bring_it_back_once() {
    let world = with_dead_step().await;
    let which = Letters::default();
    let (a, b) = tokio::join!(world.replay_letters(&which), world.replay_letters(&which));
    assert_eq!(a.datasets.len() + b.datasets.len(), 1, "{a:?}\n{b:?}");
    assert_eq!(times(&world, &silver(), Stage::Executed), 2);
    assert!(letters(&world).await.is_empty());
}

#[tokio::test]
async fn a_letter_that_fails_again_is_one_again() {
    let world = with_dead_step().await;
    world.engine.reject(&silver(), RetryClass::Data, Blame::Nothing, 1);
    let failed = world.replay_letters(&Letters::default()).await;
    assert!(!failed.complete() && failed.failed_steps == 1);
    assert_eq!(letters(&world).await[0].attempts, 2);
    assert!(world.replay_letters(&Letters::default()).await.complete());
}

#[tokio::test]
async fn under_a_corrected_definition_its_input_is_planned_anew() {
    let mut world = with_dead_step().await;
    let was = world.version(&silver());
    world.redefine(&silver());
    let original = Letters { version: Version::Original, ..Letters::default() };
    let refused = world.replay_letters(&original).await;
    assert!(!refused.complete());
    let told = replayed(&world);
    assert_eq!(told, [Replayed::NotKept { was, why: NotKept::Never }], "nothing kept definitions here");
    assert!(told[0].why_it_stays().is_some_and(|why| why.starts_with("F0117: ") && why.contains("--version current")));
    assert_eq!(letters(&world).await.len(), 1);
    // Nothing was made under the older one, so nothing is held.
    let anew = world.replay_letters(&Letters::default()).await;
    assert!(anew.complete(), "{anew:?}");
    assert_eq!(replayed(&world), [Replayed::PlannedAnew]);
    assert_eq!(anew.datasets[&silver()].balance.received, 15);
}

#[tokio::test]
async fn a_run_plans_anew_what_died_under_an_older_definition() {
    let mut world = with_dead_step().await;
    world.redefine(&silver());
    assert!(world.run(&Options::default()).await.complete());
    assert!(letters(&world).await.is_empty());
}

#[tokio::test]
async fn a_dead_ingest_holds_up_nothing() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.engine.reject(&bronze(), RetryClass::Schema, Blame::Nothing, 1);
    let first = world.run(&Options::default()).await;
    assert_eq!((first.failed_steps, first.dead.len()), (1, 1));
    world.arrive("b.csv", 5);
    let second = world.run(&Options::default()).await;
    assert!(!second.complete(), "it is told as long as it is there");
    assert_eq!(second.datasets[&silver()].balance.received, 5);
    assert_eq!(letters(&world).await[0].objects, 1);
    let mended = world.replay_letters(&Letters::default()).await;
    assert!(mended.complete() && mended.datasets[&silver()].balance.received == 10);
}

#[tokio::test]
async fn a_dead_event_is_read_again_when_its_file_is_there() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.engine.can_read("a.csv", false);
    assert_eq!(world.run(&Options::default()).await.objects_dead, 1);
    let letter = letters(&world).await.remove(0);
    world.remove("a.csv");
    world.signals();
    let gone = world.replay_letters(&Letters::default()).await;
    assert!(!gone.complete() && letters(&world).await.len() == 1);
    assert_eq!(replayed(&world), [Replayed::Missing { path: "a.csv".into() }]);

    world.arrive("a.csv", 10);
    world.engine.can_read("a.csv", true);
    let event = letter.event.expect("an event");
    let one = Letters { ids: vec![event.as_str()[..12].to_owned()], ..Letters::default() };
    let mended = world.replay_letters(&one).await;
    assert!(mended.complete(), "{mended:?}");
    assert_eq!(replayed(&world), [Replayed::Event]);
    assert_eq!(mended.datasets[&silver()].balance.received, 10);
    assert_eq!(world.store.events(std::slice::from_ref(&event)).await.expect("events")[0].state, EventState::Replayed);
    // Once is enough, by whatever name it is asked for.
    let whole = Letters { ids: vec![event.to_string()], ..Letters::default() };
    assert!(world.replay_letters(&whole).await.did_nothing());
    assert!(world.run(&Options::default()).await.did_nothing());
}

#[tokio::test]
async fn what_was_delivered_again_is_not_read_twice() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.engine.can_read("a.csv", false);
    world.run(&Options::default()).await;
    world.engine.can_read("a.csv", true);
    // The same content under another name: whoever delivers it wants it tried.
    world.arrive_as("b.csv", "a.csv", 10);
    assert_eq!(world.run(&Options::default()).await.datasets[&bronze()].balance.loaded, 10);
    assert!(letters(&world).await.is_empty(), "the letter is closed with that");
    let replay = world.replay_letters(&Letters::default()).await;
    assert!(replay.did_nothing() && replay.complete());
}

#[tokio::test]
async fn a_file_that_was_corrected_in_its_place_is_an_event_of_its_own() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.engine.can_read("a.csv", false);
    world.run(&Options::default()).await;
    world.remove("a.csv");
    world.engine.can_read("a.csv", true);
    world.arrive_as("a.csv", "corrected", 7);
    world.signals();
    // The stub tells a path that is known no more: it is the state that knows which content it had.
    let replay = world.replay_letters(&Letters::default()).await;
    assert!(replay.complete(), "{replay:?}");
    assert_eq!(replayed(&world), [Replayed::Closed]);
    assert!(letters(&world).await.is_empty());
}

#[tokio::test]
async fn what_is_no_dead_letter_is_refused_before_there_is_a_run() {
    let world = with_dead_step().await;
    let runs = async || world.store.runs(99, &world.watch()).await.expect("runs").len();
    let before = runs().await;
    let code = async |which: Letters| {
        let flow = world.flow();
        flow.replay(&Replay::DeadLetters(which), std::future::pending()).await.expect_err("refused").code()
    };
    assert_eq!(code(Letters { ids: vec!["ffff".into()], ..Letters::default() }).await, "F0105");
    let other = "silver.other".parse().expect("a name");
    assert_eq!(code(Letters { dataset: Some(other), ..Letters::default() }).await, "F0101");
    assert_eq!(runs().await, before);
    let elsewhere = Letters { dataset: Some(bronze()), ..Letters::default() };
    assert!(world.replay_letters(&elsewhere).await.did_nothing());
    assert_eq!(letters(&world).await.len(), 1);
}

#[tokio::test]
async fn what_was_asked_for_is_done_once_by_whoever_takes_it() {
    let world = with_dead_step().await;
    let (flow, all) = (world.flow(), Replay::DeadLetters(Letters::default()));
    let (answer, id) = flow.ask_replay(&all, Some("k")).await.expect("asked");
    assert_eq!(answer, AskedReplay::New);
    assert_eq!(flow.ask_replay(&all, Some("k")).await.expect("asked"), (AskedReplay::Known(id.clone()), id.clone()));
    let asked = async || world.store.replay(&id, &world.watch()).await.expect("read").expect("it is there");
    assert_eq!(letters(&world).await.len(), 1, "it waits");

    // A service that stops hands it back.
    let stopped = flow.replay_asked(&asked().await, std::future::ready(())).await.expect("taken");
    assert!(stopped.expect("it was free").0.stopped);
    assert_eq!(asked().await.ended_at, None);
    let record = asked().await;
    let (a, b) = tokio::join!(
        flow.replay_asked(&record, std::future::pending()),
        flow.replay_asked(&record, std::future::pending())
    );
    let (a, b) = (a.expect("the store works"), b.expect("the store works"));
    assert!(a.is_some() != b.is_some(), "one of the two");
    let (summary, tried) = a.or(b).expect("one of the two");
    assert!(summary.complete() && tried.datasets.contains(&silver()), "{summary:?}");
    assert!(letters(&world).await.is_empty());
    let outcome = asked().await.outcome.expect("it has ended");
    assert!(outcome.contains("\"complete\":true") && outcome.contains("\"letters_back\":1"), "{outcome}");
    assert!(flow.replay_asked(&asked().await, std::future::pending()).await.expect("the store works").is_none());
    assert_eq!(times(&world, &silver(), Stage::Executed), 2);
}

#[tokio::test]
async fn a_replay_that_cannot_be_done_ends_with_its_reason() {
    let mut world = with_dead_step().await;
    let what = Replay::Quarantine { dataset: silver(), adopt: false };
    let (_, id) = world.flow().ask_replay(&what, None).await.expect("asked");
    let asked = world.store.replay(&id, &world.watch()).await.expect("read").expect("it is there");
    // Another process is at it, whose project has no such dataset.
    world.forget(&silver());
    let error = world.flow().replay_asked(&asked, std::future::pending()).await.expect_err("it is not there");
    assert_eq!(error.code(), "F0101");
    let ended = world.store.replay(&id, &world.watch()).await.expect("read").expect("it is there");
    assert!(ended.ended_at.is_some() && ended.outcome.expect("an outcome").contains("F0101"));
}

#[tokio::test]
async fn what_others_committed_leaves_something_to_do_until_it_is_planned() {
    let world = World::new().await;
    let behind = async || {
        let committed = world.store.news(&[bronze(), silver()], &world.watch()).await.expect("read").committed;
        world.flow().behind(&bronze(), &committed).await.expect("read")
    };
    world.arrive("a.csv", 10);
    let only_bronze = Turn { datasets: [bronze()].into(), ..Turn::default() };
    world.run(&Options { turn: Some(only_bronze), ..Options::default() }).await;
    assert_eq!(behind().await, [silver()]);
    world.engine.reject(&silver(), RetryClass::Transient, Blame::Nothing, 1);
    let turn = Turn { datasets: [silver()].into(), ..Turn::default() };
    let options = Options { turn: Some(turn), ..Options::default() };
    assert_eq!(world.run(&options).await.failed_steps, 1);
    assert_eq!(behind().await, [silver()], "its step is open");
    world.pass(std::time::Duration::from_secs(3_600));
    world.run(&options).await;
    assert_eq!(behind().await, []);
}
