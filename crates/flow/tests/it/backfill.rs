//! Fan-out and fan-in of a backfill, over an engine made of memory.

use crate::stub::World;
use alluvium_flow::{
    Backfill, Backfilled, Beside, Compared, Extent, Flow, FlowError, Options, SharedWindows, Signal, StepError,
    Windowed,
};
use alluvium_model::{DatasetName, DefinitionVersion, Layer, RunId, Span, StepKey, Window};
use alluvium_store::{BackfillState, Claimed, NewStep, Owner, RunState, StepKind, StepState, Store, Terms, Topic};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    sync::Mutex,
    time::Duration,
};
use tokio::sync::oneshot;

const DAY: i64 = 86_400_000_000;
const GOLD: &str = "/* window: { column: day, size: 1 day } */
SELECT CAST(id AS DATE) AS day, count(*) AS n FROM silver.t GROUP BY 1
";

/// Nothing changes and nothing differs.
#[derive(Default)]
struct Calm {
    /// Backfills that made something which is there.
    there: Mutex<BTreeSet<RunId>>,
}

#[async_trait]
impl Beside for Calm {
    async fn survey(
        &self,
        _: Windowed<'_>,
        _: &BTreeMap<DatasetName, i64>,
        windows: &[Window],
    ) -> Result<Vec<Extent>, StepError> {
        Ok(vec![Extent::default(); windows.len()])
    }

    async fn touched(
        &self,
        _: Windowed<'_>,
        _: &BTreeMap<DatasetName, Claimed>,
        windows: &[Window],
    ) -> Result<Vec<bool>, StepError> {
        Ok(vec![false; windows.len()])
    }

    async fn covers(&self, _: Windowed<'_>, _: &BTreeMap<DatasetName, i64>, _: Window) -> Result<bool, StepError> {
        Ok(true)
    }

    async fn compare(&self, _: Windowed<'_>, _: &RunId, windows: &[Window]) -> Result<Vec<Compared>, StepError> {
        Ok(vec![Compared { live_rows: 2, new_rows: 2, measures: Vec::new() }; windows.len()])
    }

    async fn made(&self, _: &DatasetName) -> Result<Vec<RunId>, StepError> {
        Ok(self.there.lock().expect("no holder panics").iter().cloned().collect())
    }

    async fn remove(&self, _: &DatasetName, id: &RunId) -> Result<(), StepError> {
        self.there.lock().expect("no holder panics").remove(id);
        Ok(())
    }
}

fn gold() -> DatasetName {
    DatasetName::new(Layer::Gold, "d").expect("a name")
}

/// With a table to read.
async fn world() -> World {
    let world = World::with(&[("datasets/gold/d.sql", GOLD)]).await;
    world.arrive("a.csv", 10);
    world.run(&Options::default()).await;
    world
}

fn days(days: i64, max_active: u32, tolerated: u32) -> Backfill {
    Backfill {
        dataset: gold(),
        range: Some((Window { from: 0, to: days * DAY }, "1d".parse().expect("a stride"))),
        max_active: Some(max_active),
        tolerated: Some(tolerated),
        resume: false,
        swap: false,
    }
}

fn resume() -> Backfill {
    Backfill { range: None, max_active: None, tolerated: None, resume: true, ..days(1, 1, 0) }
}

async fn ask(world: &World, asked: &Backfill) -> Result<Backfilled, FlowError> {
    ask_over(&Calm::default(), world, asked).await
}

async fn ask_over(beside: &Calm, world: &World, asked: &Backfill) -> Result<Backfilled, FlowError> {
    let done = world.flow().backfill(beside, asked, "backfill", std::future::pending()).await?;
    Ok(done.expect("nobody stopped it"))
}

fn made(done: &Backfilled) -> usize {
    done.parts.iter().filter(|p| p.is_made()).count()
}

#[tokio::test]
async fn at_most_so_many_windows_are_made_at_once() {
    let world = world().await;
    world.engine.let_them_meet(3);
    let done = ask(&world, &days(300, 3, 0)).await.expect("it works");
    assert_eq!((done.record.state, made(&done)), (BackfillState::Built, 300));
    let (windows, at_once) = world.engine.windows();
    assert_eq!(at_once, 3);
    assert!(windows.is_sorted(), "in the order of their time");
    let found = done.comparison().expect("it was compared");
    assert_eq!((found.same, found.different, found.new_rows), (300, 0, 600));
    assert!(world.store.dead_letters().await.expect("letters").is_empty());
    // A run has nothing to do with it.
    assert!(world.run(&Options::default()).await.did_nothing());
}

#[tokio::test]
async fn a_backfill_goes_on_with_what_is_not_made() {
    let world = world().await;
    world.engine.break_window(4 * DAY, true);
    let stopped = ask(&world, &days(40, 1, 0)).await.expect("a failing window is no error");
    assert_eq!((stopped.record.state, made(&stopped)), (BackfillState::Failed, 4));
    let failed: Vec<_> = stopped.parts.iter().filter(|p| p.state == StepState::Dead).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].window.from, failed[0].error.as_deref()), (4 * DAY, Some("T0001: told to fail")));
    assert_eq!(world.engine.windows().0, [0, DAY, 2 * DAY, 3 * DAY, 4 * DAY], "it stopped there");
    assert!(matches!(ask(&world, &days(40, 1, 0)).await, Err(FlowError::BackfillUnderWay { .. })));

    world.engine.break_window(4 * DAY, false);
    let done = ask(&world, &resume()).await.expect("it works");
    assert_eq!((done.record.state, made(&done)), (BackfillState::Built, 40));
    let expected: Vec<i64> = (4..40).map(|d| d * DAY).collect();
    assert_eq!(world.engine.windows().0, expected, "what was made is not made again");
}

/// A backfill of so many windows is begun by a process that is gone when it makes the first.
async fn left_behind(world: &World, windows: i64) {
    world.engine.hang_window(0);
    let (calm, begun, stop) = (Calm::default(), days(windows, 1, 0), world.engine.hangs.notified());
    let begun = world.flow().backfill(&calm, &begun, "backfill", stop).await;
    assert!(begun.expect("it works").is_none(), "it was stopped");
    assert_eq!(world.engine.windows().0, [0]);
}

async fn asked(flow: &Flow<'_>, shared: &mut SharedWindows) -> (bool, bool) {
    flow.asked_for_windows(shared).await.expect("the state works")
}

#[tokio::test]
async fn windows_that_a_process_planned_are_made_by_another() {
    let world = world().await;
    world.engine.maintained();
    left_behind(&world, 40).await;
    let (helper, mut shared) = (world.worker(), SharedWindows::default());
    assert_eq!(asked(&helper, &mut shared).await, (true, true));
    helper.make_windows(&mut shared, || false, pending()).await.expect("the state works");
    assert_eq!(world.engine.windows().0, (0..40).map(|d| d * DAY).collect::<Vec<_>>());
    assert_eq!(asked(&helper, &mut shared).await, (false, false));
    let run = world.store.runs(1, &world.watch()).await.expect("runs").remove(0);
    assert_eq!((run.command.as_str(), run.state), ("windows", RunState::Done));
    assert!(world.engine.maintained().is_empty(), "the live table is as it was");

    let done = ask(&world, &resume()).await.expect("it works");
    assert_eq!((done.record.state, made(&done)), (BackfillState::Built, 40));
    assert!(world.engine.windows().0.is_empty(), "it has only to compare them");
}

#[tokio::test]
async fn who_is_to_stop_takes_no_other_window() {
    let world = world().await;
    left_behind(&world, 3).await;
    let summary = world.worker().make_windows(&mut SharedWindows::default(), || true, pending()).await;
    assert_eq!(summary.expect("the state works").failed_steps, 0);
    assert!(world.engine.windows().0.is_empty());
}

#[tokio::test]
async fn who_makes_a_window_of_a_backfill_that_is_dropped_goes_on() {
    let world = world().await;
    left_behind(&world, 3).await;
    world.engine.let_them_meet(2);
    let (helper, mut shared) = (world.worker(), SharedWindows::default());
    let dropped = async {
        while world.engine.windows().0.is_empty() {
            tokio::task::yield_now().await;
        }
        world.flow().drop_backfill(&Calm::default(), &gold()).await.expect("dropped");
        world.engine.let_them_meet(0);
    };
    let (made, ()) = tokio::join!(helper.make_windows(&mut shared, || false, pending()), dropped);
    assert_eq!(made.expect("that is no error").failed_steps, 0);
    assert!(world.engine.windows().0.is_empty(), "and takes no other of it");
    assert!(world.store.open_steps().await.expect("steps").is_empty());
}

#[tokio::test]
async fn a_window_that_takes_long_keeps_its_place_and_no_hand() {
    let world = world().await;
    world.engine.hang_window(0);
    let (enough, stop) = oneshot::channel::<()>();
    let begun = days(3, 1, 0);
    let (calm, flow) = (Calm::default(), world.flow());
    let backfill = flow.backfill(&calm, &begun, "backfill", async { drop(stop.await) });
    let meanwhile = async {
        world.engine.hangs.notified().await;
        let found = asked(&world.worker(), &mut SharedWindows::default()).await;
        assert_eq!(found, (false, true), "one at once, whoever makes it");
        // Of the same process.
        world.arrive("b.csv", 10);
        let summary = world.run(&Options::default()).await;
        assert!(summary.complete() && summary.datasets.contains_key(&gold()));
        drop(enough);
    };
    let (stopped, ()) = tokio::join!(backfill, meanwhile);
    assert!(stopped.expect("it works").is_none(), "the window went on all the time");
}

#[tokio::test]
async fn windows_of_another_definition_are_left_alone_and_told_once() {
    let mut world = world().await;
    left_behind(&world, 3).await;
    let (version, mut shared) = (world.version(&gold()), SharedWindows::default());
    world.redefine(&gold());
    for _ in 0..2 {
        assert_eq!(asked(&world.worker(), &mut shared).await, (false, true));
    }
    let told = world.signals().into_iter().filter(|s| matches!(s, Signal::WindowsLeft { .. })).count();
    assert_eq!(told, 1);
    world.define(&gold(), version);
    assert_eq!(asked(&world.worker(), &mut shared).await, (true, true));
}

/// Else it would come when what was made has been compared, and maybe over older input than what is swapped in.
#[tokio::test]
async fn a_window_that_is_not_waited_for_is_made_by_nobody_until_the_backfill_goes_on() {
    let mut world = world().await;
    world.effort(&gold()).retries_per_day = Some(0);
    world.engine.conflict_next(&gold());
    let built = ask(&world, &days(10, 1, 1_000)).await.expect("it works");
    assert_eq!((built.record.state, made(&built)), (BackfillState::Built, 9));
    let missing: Vec<_> = built.parts.iter().filter(|p| !p.is_made()).collect();
    assert_eq!((missing.len(), missing[0].state, missing[0].window.from), (1, StepState::Failed, 0));
    assert!(missing[0].error.as_ref().is_some_and(|e| e.starts_with("T0003")), "{missing:?}");
    world.pass(Duration::from_secs(2 * 86_400));
    assert_eq!(asked(&world.worker(), &mut SharedWindows::default()).await, (false, false));
    assert_eq!(made(&ask(&world, &resume()).await.expect("it works")), 10);
}

/// It would take the place of what live work made of newer input.
#[tokio::test]
async fn a_window_that_is_made_late_shows_what_its_backfill_shows_by_then() {
    let world = world().await;
    world.engine.break_window(0, true);
    let built = ask(&world, &days(4, 1, 2_500)).await.expect("it works");
    assert_eq!((built.record.state, made(&built)), (BackfillState::Built, 3));
    world.arrive("b.csv", 10);
    world.run(&Options::default()).await;
    world.engine.fail_next(&gold());
    let swap = Backfill { resume: false, swap: true, tolerated: None, ..resume() };
    let failed = ask(&world, &swap).await.expect("a failing swap is no error");
    assert!(failed.committed.is_none() && failed.record.inputs != built.record.inputs, "it follows the live table");
    world.engine.break_window(0, false);
    let done = ask(&world, &resume()).await.expect("it works");
    assert_eq!(made(&done), 4);
    let steps = world.store.run_steps(&built.record.id, &world.watch()).await.expect("steps").into_iter();
    let late = steps.map(|s| s.step).rfind(|s| s.windows == Some(vec![Window { from: 0, to: DAY }]));
    assert_eq!(late.expect("its step").lookups, done.record.inputs);
}

#[tokio::test]
async fn what_a_backfill_shows_is_kept_until_it_is_in_place_or_dropped() {
    let world = world().await;
    ask(&world, &days(2, 1, 0)).await.expect("it works");
    let silver = DatasetName::new(Layer::Silver, "t").expect("a name");
    let needed = async |file: &str| {
        world.engine.maintained();
        world.arrive(file, 10);
        world.run(&Options::default()).await;
        world.engine.maintained().into_iter().find(|(name, ..)| *name == silver).map(|(.., needed)| needed)
    };
    assert_eq!(needed("b.csv").await, Some(1), "it was begun with version 1");
    world.flow().drop_backfill(&Calm::default(), &gold()).await.expect("dropped");
    assert_eq!(needed("c.csv").await, Some(3), "gold has read it all");
}

#[tokio::test]
async fn so_many_failures_are_tolerated() {
    let world = world().await;
    world.engine.break_window(4 * DAY, true);
    world.engine.break_window(6 * DAY, true);
    let done = ask(&world, &days(40, 2, 500)).await.expect("it works");
    assert_eq!((done.record.state, made(&done)), (BackfillState::Built, 38));
    assert_eq!(done.comparison().map(|c| c.same), Some(38), "what is not there is not compared");
}

#[tokio::test]
async fn a_window_lets_live_work_go_first_but_not_without_end() {
    let world = world().await;
    let calm = world.clock().now();
    ask(&world, &days(1, 1, 0)).await.expect("it works");
    let quick = world.clock().now().duration_since(calm).as_secs();
    assert!(quick < 5, "nothing was waited for: {quick} s");
    world.flow().drop_backfill(&Calm::default(), &gold()).await.expect("dropped");

    let run = world.store.runs(1, &world.watch()).await.expect("runs").remove(0).run;
    let step = NewStep {
        key: StepKey::from_stored("live"),
        run: run.clone(),
        kind: StepKind::Curate,
        dataset: DatasetName::new(Layer::Gold, "other").expect("a name"),
        version: DefinitionVersion::from_stored("v"),
        events: Vec::new(),
        inputs: BTreeMap::new(),
        lookups: BTreeMap::new(),
        windows: None,
        watermark: None,
        planned_at: world.clock().now(),
    };
    world.store.plan(&step).await.expect("planned");
    let other = Owner { host: "there".into(), process: 2, started_ticks: 2 };
    world
        .store
        .claim(&step.key, &run, &other, Span::from_secs(3_600), &Terms::default(), &world.watch())
        .await
        .expect("claimed");
    let before = world.clock().now();
    let done = ask(&world, &days(1, 1, 0)).await.expect("it works");
    let waited = world.clock().now().duration_since(before).as_secs();
    assert!((10..15).contains(&waited), "{waited} s");
    assert_eq!(made(&done), 1);
}

/// What the sinks of `gold.d` were told of backfills.
async fn told(world: &World) -> Vec<Value> {
    let owner = Owner { host: "here".into(), process: 77, started_ticks: 1 };
    let topic = Topic::Dataset(gold());
    let part = world.store.take_lane((&topic, "out"), "out", &owner, Span::from_secs(60), &world.watch(), 99).await;
    let events = part.expect("a lane").into_iter().map(|p| serde_json::from_str::<Value>(&p.event).expect("an event"));
    events.filter(|e| e["type"] == "io.alluvium.backfill.completed").collect()
}

#[tokio::test]
async fn a_backfill_that_is_in_place_is_told_once_with_what_was_expected_and_made() {
    let world = World::with(&[
        ("alluvium.yaml", "name: stub\nsinks: { out: { files: out/ } }\n"),
        ("datasets/gold/d.sql", &GOLD.replace("/* window", "/*\npublish: out\nwindow")),
    ])
    .await;
    world.arrive("a.csv", 10);
    world.run(&Options::default()).await;
    world.engine.break_window(4 * DAY, true);
    let built = ask(&world, &days(40, 2, 500)).await.expect("it works");
    assert!(told(&world).await.is_empty(), "nobody can see it yet");
    let swap = Backfill { resume: false, swap: true, tolerated: None, ..resume() };
    let done = ask(&world, &swap).await.expect("it works");
    assert_eq!(done.record.state, BackfillState::Swapped);
    let events = told(&world).await;
    assert_eq!(events.len(), 1, "{events:?}");
    let (id, data) = (&built.record.id, &events[0]["data"]);
    assert_eq!(events[0]["id"], format!("backfill-{id}"));
    assert_eq!(data["windows"], json!({ "expected": 40, "made": 39, "failed": 1 }));
    assert_eq!(data["table_version"].as_i64(), done.committed);
    assert_eq!(data["compared"], json!({ "same": 39, "different": 0, "live_rows": 78, "new_rows": 78 }));
    assert_eq!(
        (data["from"].as_str(), data["to"].as_str()),
        (Some("1970-01-01T00:00:00Z"), Some("1970-02-10T00:00:00Z"))
    );
    assert!(matches!(ask(&world, &swap).await, Err(FlowError::NoBackfill(_))));
    assert_eq!(told(&world).await, events);
}

#[tokio::test]
async fn two_thousand_windows_are_told_by_one_event() {
    let world = World::with(&[
        ("alluvium.yaml", "name: stub\nsinks: { out: { files: out/ } }\n"),
        ("datasets/gold/d.sql", &GOLD.replace("/* window", "/*\npublish: out\nwindow")),
    ])
    .await;
    world.arrive("a.csv", 10);
    world.run(&Options::default()).await;
    let built = ask(&world, &days(2_000, 8, 0)).await.expect("it works");
    assert_eq!(made(&built), 2_000);
    let (windows, at_once) = world.engine.windows();
    let each: BTreeSet<i64> = windows.iter().copied().collect();
    assert_eq!((windows.len(), each.len()), (2_000, 2_000), "each once");
    assert!(at_once <= 8, "{at_once}");
    let swap = Backfill { resume: false, swap: true, tolerated: None, ..resume() };
    assert_eq!(ask(&world, &swap).await.expect("it works").record.state, BackfillState::Swapped);
    let events = told(&world).await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["data"]["windows"], json!({ "expected": 2_000, "made": 2_000, "failed": 0 }));
    assert!(world.store.open_steps().await.expect("steps").is_empty());
}

#[tokio::test]
async fn a_swap_whose_process_died_is_told_by_the_next_one() {
    let world = World::with(&[
        ("alluvium.yaml", "name: stub\nsinks: { out: { files: out/ } }\n"),
        ("datasets/gold/d.sql", &GOLD.replace("/* window", "/*\npublish: out\nwindow")),
    ])
    .await;
    world.arrive("a.csv", 10);
    world.run(&Options::default()).await;
    ask(&world, &days(3, 2, 0)).await.expect("it works");
    // It commits, and nobody hears of it.
    world.engine.lose_next(&gold());
    let swap = Backfill { resume: false, swap: true, ..resume() };
    let lost = ask(&world, &swap).await.expect("a failing swap is no error");
    let again = match lost.record.state {
        BackfillState::Swapped => lost,
        _ => ask(&world, &swap).await.expect("it works"),
    };
    assert_eq!(again.record.state, BackfillState::Swapped);
    let events = told(&world).await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["data"]["windows"], json!({ "expected": 3, "made": 3, "failed": 0 }));
    assert_eq!(events[0]["data"]["table_version"].as_i64(), again.committed);
}

/// Each time it looks again at what came; in the end somebody has to try later.
#[tokio::test]
async fn a_swap_is_in_place_at_its_last_attempt() {
    for (times, at_last) in [(15, true), (16, false)] {
        let world = world().await;
        ask(&world, &days(3, 2, 0)).await.expect("it works");
        world.engine.overtake(&gold(), times);
        let swap = Backfill { resume: false, swap: true, ..resume() };
        match ask(&world, &swap).await {
            Ok(done) => {
                assert!(at_last, "after {times}");
                assert_eq!((done.record.state, done.committed), (BackfillState::Swapped, Some(17)));
            }
            Err(error) => {
                assert!(!at_last, "after {times}: {error}");
                assert!(matches!(error, FlowError::Contended(_)), "{error:?}");
                let done = ask(&world, &swap).await.expect("it works");
                assert_eq!(done.record.state, BackfillState::Swapped);
            }
        }
    }
}

/// One of a process that was killed at its end, and one of a process that has just begun.
#[tokio::test]
async fn what_is_under_way_stays_when_others_go() {
    let world = world().await;
    let beside = Calm::default();
    let put = |id: &RunId| beside.there.lock().expect("no holder panics").insert(id.clone());
    let there = || beside.there.lock().expect("no holder panics").iter().cloned().collect::<Vec<_>>();
    put(&RunId::from_stored("left"));
    let first = ask_over(&beside, &world, &days(2, 1, 0)).await.expect("it works").record.id;
    assert!(there().is_empty(), "what was left behind");
    put(&first);
    put(&RunId::from_stored("left"));
    world.flow().drop_backfill(&beside, &gold()).await.expect("dropped");
    assert!(there().is_empty());
    let second = ask_over(&beside, &world, &days(2, 1, 0)).await.expect("it works").record.id;
    put(&second);
    let swap = Backfill { resume: false, swap: true, ..resume() };
    ask_over(&beside, &world, &swap).await.expect("it works");
    assert!(there().is_empty(), "it is in place");
    // Whoever ends one that is over takes nothing of the next.
    let third = ask_over(&beside, &world, &days(2, 1, 0)).await.expect("it works").record.id;
    put(&second);
    put(&third);
    assert!(ask_over(&beside, &world, &Backfill { tolerated: Some(1), ..resume() }).await.is_ok());
    assert_eq!(there().len(), 2, "nobody has come to an end");
    let begin = ask_over(&beside, &world, &days(2, 1, 0)).await;
    assert!(matches!(begin, Err(FlowError::BackfillUnderWay { .. })));
    assert!(there().contains(&third));
}

/// Of the new definition, planned by a process that then died. Executed after the swap it would bring back older input.
#[tokio::test]
async fn a_swap_of_the_whole_table_comes_after_no_open_step() {
    let mut world = world().await;
    world.redefine(&gold());
    let built = ask(&world, &days(3, 2, 0)).await.expect("it works");
    let step = NewStep {
        key: StepKey::from_stored("older"),
        run: built.record.id.clone(),
        kind: StepKind::Curate,
        dataset: gold(),
        version: world.version(&gold()),
        events: Vec::new(),
        inputs: BTreeMap::from([(
            DatasetName::new(Layer::Silver, "t").expect("a name"),
            Claimed { after: -1, upto: 1 },
        )]),
        lookups: BTreeMap::new(),
        windows: None,
        watermark: None,
        planned_at: world.clock().now(),
    };
    let run = world.store.runs(9, &world.watch()).await.expect("runs").remove(1).run;
    let step = NewStep { run, ..step };
    world.store.plan(&step).await.expect("planned");
    let swap = Backfill { resume: false, swap: true, ..resume() };
    let done = ask(&world, &swap).await.expect("it works");
    assert_eq!(done.record.state, BackfillState::Swapped);
    assert_eq!(world.store.step_state(&step.key).await.expect("read"), Some(StepState::Superseded));
    assert!(world.run(&Options::default()).await.did_nothing(), "nothing is left to do");
}
