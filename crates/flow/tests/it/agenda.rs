//! When a service does what.

use crate::{bronze, silver, stub::World};
use alluvium_flow::{Agenda, Arrived, Options, Signal, Summary, Turn};
use alluvium_model::{DatasetName, SeededEntropy};
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeSet, time::Duration};

fn at(millis: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_millis(millis)
}

/// No turn goes on.
fn idle() -> BTreeSet<DatasetName> {
    BTreeSet::new()
}

fn all() -> Turn {
    Turn { datasets: BTreeSet::from([bronze(), silver()]), failing: BTreeSet::new() }
}

/// One file of 100 bytes came just now.
fn notice(agenda: &mut Agenda<'_>, now: Timestamp) {
    agenda.arrived(&bronze(), Arrived { objects: 1, bytes: 100 }, now, now);
}

/// With the one dataset `bronze.t`.
fn project(bronze: &str) -> alluvium_spec::Project {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir_all(folder.path().join("datasets/bronze")).expect("a folder");
    std::fs::write(folder.path().join("alluvium.yaml"), "name: t\n").expect("a file");
    std::fs::write(folder.path().join("datasets/bronze/t.yaml"), bronze).expect("a file");
    alluvium_spec::load(folder.path(), &alluvium_spec::Environment::default()).expect("a project")
}

#[tokio::test]
async fn the_first_turn_is_everything_and_then_nothing_is_due() {
    let world = World::new().await;
    let mut agenda = Agenda::new(world.project(), at(0));
    assert_eq!(agenda.take(at(0), &idle()), Some(all()));
    agenda.did(&all(), &Summary::default(), at(1), &SeededEntropy::new(1));
    assert_eq!(agenda.next(&idle()), None);
}

/// The stub's source settles in two seconds.
#[tokio::test]
async fn a_burst_is_one_turn_and_an_endless_one_is_cut() {
    let world = World::new().await;
    let mut agenda = Agenda::new(world.project(), at(0));
    agenda.take(at(0), &idle());
    notice(&mut agenda, at(1_000));
    notice(&mut agenda, at(2_500));
    assert_eq!(agenda.take(at(4_499), &idle()), None);
    assert_eq!(agenda.take(at(4_500), &idle()), Some(all()));
    for second in 10..30 {
        notice(&mut agenda, at(second * 1_000));
    }
    assert_eq!(agenda.next(&idle()), Some(at(20_000)));
}

#[tokio::test]
async fn what_may_pass_is_tried_again_later_and_later() {
    let world = World::new().await;
    let entropy = SeededEntropy::new(1);
    let mut agenda = Agenda::new(world.project(), at(0));
    let mut turn = agenda.take(at(0), &idle()).expect("a turn");
    let failed = || BTreeSet::from([bronze(), silver()]);
    let (mut now, mut waits) = (at(0), Vec::new());
    for _ in 0..12 {
        let summary = Summary { failed: failed(), passing: failed(), ..Summary::default() };
        agenda.did(&turn, &summary, now, &entropy);
        let next = agenda.next(&idle()).expect("it is tried again");
        waits.push(next.duration_since(now).as_millis());
        now = next;
        turn = agenda.take(now, &idle()).expect("it is due");
        assert_eq!(turn, all(), "with what waits for it");
    }
    assert!((1_000..=2_000).contains(&waits[0]), "{waits:?}");
    assert!((8_000..=16_000).contains(&waits[3]), "{waits:?}");
    assert!((150_000..=300_000).contains(&waits[11]), "{waits:?}");
}

#[tokio::test]
async fn what_stays_waits_for_an_arrival_and_for_nothing_else() {
    let world = World::new().await;
    let mut agenda = Agenda::new(world.project(), at(0));
    let turn = agenda.take(at(0), &idle()).expect("a turn");
    let summary = Summary { failed: BTreeSet::from([silver()]), ..Summary::default() };
    agenda.did(&turn, &summary, at(1), &SeededEntropy::new(1));
    assert_eq!(agenda.next(&idle()), None);
    notice(&mut agenda, at(10));
    assert_eq!(agenda.take(at(5_000), &idle()), Some(all()));
}

#[tokio::test]
async fn young_files_come_up_again_when_they_are_old_enough() {
    let world = World::new().await;
    let mut agenda = Agenda::new(world.project(), at(0));
    let turn = agenda.take(at(0), &idle()).expect("a turn");
    let settled_in = [(bronze(), Duration::from_millis(700))].into();
    agenda.did(&turn, &Summary { settled_in, ..Summary::default() }, at(100), &SeededEntropy::new(1));
    assert_eq!(agenda.next(&idle()), Some(at(800)));
}

#[tokio::test]
async fn a_turn_takes_its_datasets_and_leaves_what_needs_a_failing_one() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    let only = |datasets: &[_], failing: &[_]| Options {
        turn: Some(Turn { datasets: datasets.iter().cloned().collect(), failing: failing.iter().cloned().collect() }),
        ..Options::default()
    };
    world.run(&only(&[bronze()], &[])).await;
    assert_eq!(world.engine.executed().len(), 1);
    let waits = world.run(&only(&[silver()], &[bronze()])).await;
    assert!(waits.failed.contains(&silver()) && waits.failed_steps == 0);
    assert_eq!(world.engine.executed().len(), 1);
    world.run(&only(&[silver()], &[])).await;
    assert_eq!(world.engine.executed().len(), 2);
}

#[tokio::test]
async fn in_a_turn_a_folder_that_cannot_be_read_is_told_and_the_run_goes_on() {
    let world = World::new().await;
    world.folder(crate::stub::Folder::Unreadable);
    let options = Options { turn: Some(all()), ..Options::default() };
    let summary = world.run(&options).await;
    assert_eq!(summary.failed, BTreeSet::from([bronze(), silver()]));
    assert!(summary.passing.is_empty(), "the stub's error stays");
    assert!(world.signals().iter().any(|s| matches!(s, Signal::NotLooked { code: "T0001", .. })));
}

#[tokio::test]
async fn a_schedule_decides_when_its_folder_is_looked_at() {
    let scheduled = |catch_up: &str| {
        project(&format!(
            "source: {{ files: landing/, schedule: {{ cron: \"0 6 * * *\", time_zone: Asia/Tokyo, catch_up: {catch_up} }} }}\n"
        ))
    };
    const HOUR: i64 = 3_600_000;
    let turn = Turn { datasets: BTreeSet::from([bronze()]), failing: BTreeSet::new() };
    let latest = scheduled("latest");
    let mut agenda = Agenda::new(&latest, at(0));
    assert_eq!(agenda.take(at(0), &idle()), Some(turn.clone()), "for all times before");
    assert_eq!(agenda.next(&idle()), Some(at(21 * HOUR)));
    assert_eq!(agenda.take(at(21 * HOUR), &idle()), Some(turn.clone()));
    assert_eq!(agenda.next(&idle()), Some(at(45 * HOUR)));
    // The machine slept for three days: once for all of them.
    assert_eq!(agenda.take(at(100 * HOUR), &idle()), Some(turn));
    assert_eq!(agenda.next(&idle()), Some(at(117 * HOUR)));
    let none = scheduled("none");
    let mut agenda = Agenda::new(&none, at(0));
    assert_eq!(agenda.take(at(0), &idle()), None);
    assert_eq!(agenda.next(&idle()), Some(at(21 * HOUR)));
}

#[tokio::test]
async fn what_shares_nothing_with_a_turn_is_done_beside_it() {
    let world = World::wide().await;
    let mut agenda = Agenda::new(world.project(), at(0));
    agenda.take(at(0), &idle());
    let other = "bronze.u".parse().expect("a name");
    notice(&mut agenda, at(0));
    let first = agenda.take(at(2_000), &idle()).expect("a turn");
    notice(&mut agenda, at(3_000));
    assert_eq!(agenda.take(at(9_000), &first.datasets), None, "it goes on with these datasets");
    assert_eq!(agenda.next(&first.datasets), None);
    agenda.arrived(&other, Arrived::default(), at(3_000), at(3_000));
    let beside = agenda.take(at(9_000), &first.datasets).expect("another turn");
    assert!(beside.datasets.is_disjoint(&first.datasets), "{beside:?}");
    assert!(beside.datasets.contains(&other));
    // What waited is due when the turn ends.
    assert_eq!(agenda.take(at(9_000), &beside.datasets), Some(first));
}

/// Five minutes of freshness, of which the agenda keeps a tenth for the work.
#[test]
fn small_arrivals_are_collected_within_the_freshness() {
    const SECOND: i64 = 1_000;
    let project = project("source: { files: landing/, settle: 2s }\nfreshness: 5 minutes\n");
    let turn = Turn { datasets: BTreeSet::from([bronze()]), failing: BTreeSet::new() };
    let entropy = SeededEntropy::new(1);
    let mut agenda = Agenda::new(&project, at(0));
    assert_eq!(agenda.take(at(0), &idle()), Some(turn.clone()), "what came before waits for nothing");
    agenda.did(&turn, &Summary::default(), at(0), &entropy);
    // However often something comes, the first of them is not left alone for longer.
    for second in 10..270 {
        notice(&mut agenda, at(second * SECOND));
        assert_eq!(agenda.next(&idle()), Some(at(280 * SECOND)));
        assert_eq!(agenda.take(at(second * SECOND), &idle()), None);
    }
    assert_eq!(agenda.take(at(280 * SECOND), &idle()), Some(turn.clone()));
    // The turn took 40 seconds, and left files that were too young: these wait for others again, from when they came.
    let settled_in = [(bronze(), Duration::from_secs(1))].into();
    agenda.did(&turn, &Summary { settled_in, ..Summary::default() }, at(320 * SECOND), &entropy);
    // Twice as long as that turn is left for the next one.
    assert_eq!(agenda.next(&idle()), Some(at((318 + 300 - 80) * SECOND)));
    agenda.take(at(538 * SECOND), &idle()).expect("a turn");
    agenda.did(&turn, &Summary::default(), at(538 * SECOND), &entropy);
    // Of what came while nobody listened it is not known when it did.
    agenda.arrived(&bronze(), Arrived { objects: 1, bytes: 1 }, at(540 * SECOND), at(600 * SECOND));
    assert_eq!(agenda.next(&idle()), Some(at(810 * SECOND)));
}

#[test]
fn what_is_much_is_not_left_to_wait() {
    let project = project("source: { files: landing/, settle: 2s }\nfreshness: 1 hour\n");
    for (more, what) in
        [(Arrived { objects: 1, bytes: 32 << 20 }, "bytes"), (Arrived { objects: 9_999, bytes: 1 }, "objects")]
    {
        let mut agenda = Agenda::new(&project, at(0));
        agenda.take(at(0), &idle());
        notice(&mut agenda, at(1_000));
        assert_eq!(agenda.next(&idle()), Some(at(1_000 + 54 * 60_000)), "{what}");
        agenda.arrived(&bronze(), more, at(3_000), at(3_000));
        assert_eq!(agenda.next(&idle()), Some(at(5_000)), "{what}");
    }
}

#[test]
fn a_dataset_says_itself_what_is_much() {
    let project =
        project("source: { files: landing/, settle: 2s }\nfreshness: 1 hour\nbatch: { objects: 3, size: 1 KiB }\n");
    for (more, what) in [(Arrived { objects: 1, bytes: 924 }, "bytes"), (Arrived { objects: 2, bytes: 1 }, "objects")] {
        let mut agenda = Agenda::new(&project, at(0));
        agenda.take(at(0), &idle());
        notice(&mut agenda, at(1_000));
        assert_eq!(agenda.next(&idle()), Some(at(1_000 + 54 * 60_000)), "{what}");
        agenda.arrived(&bronze(), more, at(3_000), at(3_000));
        assert_eq!(agenda.next(&idle()), Some(at(5_000)), "{what}");
    }
}
