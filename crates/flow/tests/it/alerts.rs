//! Alerts: one when something goes wrong, none while it lasts, and one when it is over.

use crate::{bronze, silver, stub::World};
use alluvium_flow::{Ages, FlowError, Judged, Options, Replay};
use alluvium_model::{Blame, RetryClass, Span};
use alluvium_store::{Owner, Store, Topic};
use jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;

const PROJECT: (&str, &str) = ("alluvium.yaml", "name: stub\nsinks: { out: { files: out/ } }\nalerts: out\n");
const DAY: Duration = Duration::from_secs(86_400);

/// State, kind and subject of all that was told since the last look.
async fn told(world: &World) -> Vec<String> {
    let owner = Owner { host: "here".into(), process: 77, started_ticks: 1 };
    let (lane, now) = ((&Topic::Alerts, "out"), world.watch().now);
    let part =
        world.store.take_lane(lane, "out", &owner, Span::from_secs(60), &world.watch(), 99).await.expect("a lane");
    let mut lines = Vec::new();
    for p in part {
        let event: Value = serde_json::from_str(&p.event).expect("an event");
        assert_eq!(event["id"], p.id);
        let data = &event["data"];
        assert!(data["runbook"].as_str().expect("a runbook").starts_with("alluvium "), "{data}");
        lines.push([&data["state"], &data["kind"], &data["subject"]].map(|v| v.as_str().expect("a text")).join(" "));
        assert!(world.store.delivered(&p, &owner, now, Span::from_secs(60)).await.expect("delivered"));
    }
    lines
}

async fn look(world: &World) {
    world.flow().tell_alerts(Judged::All).await.expect("a look");
}

#[tokio::test]
async fn a_dead_letter_is_told_until_it_is_replayed() {
    let world = World::with(&[PROJECT]).await;
    world.arrive("a.csv", 10);
    world.engine.reject(&silver(), RetryClass::Data, Blame::Nothing, 1);
    world.run(&Options::default()).await;
    assert_eq!(told(&world).await, ["open dead_letter silver.t"]);
    world.arrive("b.csv", 10);
    world.run(&Options::default()).await;
    look(&world).await;
    assert!(told(&world).await.is_empty(), "it lasts");
    let dead = world.store.dead_letters().await.expect("letters");
    assert!(world.store.revive_step(&dead[0].step, false).await.expect("revived"));
    world.run(&Options::default()).await;
    assert_eq!(told(&world).await, ["resolved dead_letter silver.t"]);
}

/// A dead letter that a run leaves behind which itself ends with an error.
#[tokio::test]
async fn a_run_that_fails_tells_what_it_came_upon() {
    let world = World::with(&[PROJECT]).await;
    world.arrive("a.csv", 10);
    world.engine.hang(&silver());
    world.run_until(&Options::default(), world.engine.hangs.notified()).await;
    assert!(told(&world).await.is_empty());
    world.engine.reject(&silver(), RetryClass::Data, Blame::Nothing, 1);
    world.engine.blind_next(&silver());
    let what = Replay::Quarantine { dataset: silver(), adopt: false };
    let failed = world.flow().replay(&what, std::future::pending()).await;
    assert!(matches!(failed, Err(FlowError::Look { .. })), "{failed:?}");
    assert_eq!(told(&world).await, ["open dead_letter silver.t"]);
}

#[tokio::test]
async fn who_names_no_sink_is_told_nothing() {
    let world = World::new().await;
    world.arrive("a.csv", 10);
    world.engine.reject(&silver(), RetryClass::Data, Blame::Nothing, 1);
    world.run(&Options::default()).await;
    look(&world).await;
    assert!(world.store.alerts(Timestamp::MIN).await.expect("alerts").alerts.is_empty());
}

#[tokio::test]
async fn a_breaker_that_opens_is_told_until_the_lake_answers() {
    let mut world = World::with(&[PROJECT]).await;
    let retry = &mut world.effort(&bronze()).retry.transient;
    (retry.max_attempts, retry.interval, retry.max_delay) = (9, Span::from_secs(1), Span::from_secs(1));
    world.arrive("a.csv", 10);
    world.engine.reject(&bronze(), RetryClass::Transient, Blame::Lake, 5);
    world.run(&Options::default()).await;
    assert_eq!(told(&world).await, ["open breaker the lake"]);
    world.pass(Duration::from_secs(120));
    assert!(world.run(&Options::default()).await.complete());
    assert_eq!(told(&world).await, ["resolved breaker the lake"]);
}

const AGREED: &str = "apiVersion: v3.1.0
kind: DataContract
id: t
name: t
version: 1.0.0
status: active
slaProperties:
  - { property: frequency, value: 1, unit: d }
  - { property: latency, value: 6, unit: h }
schema:
  - name: t
    properties:
      - { name: id, logicalType: integer }
";

#[tokio::test]
async fn a_table_is_overdue_when_the_agreed_time_has_passed() {
    let world = World::with(&[PROJECT, ("contracts/t.odcs.yaml", AGREED)]).await;
    world.arrive("a.csv", 10);
    world.run(&Options::default()).await;
    world.pass(Duration::from_secs(29 * 3600));
    look(&world).await;
    assert!(told(&world).await.is_empty());
    world.pass(Duration::from_secs(2 * 3600));
    look(&world).await;
    look(&world).await;
    assert_eq!(told(&world).await, ["open overdue silver.t"]);
    world.arrive("b.csv", 10);
    world.run(&Options::default()).await;
    assert_eq!(told(&world).await, ["resolved overdue silver.t"]);
}

/// Bronze, with a column that each row has.
const WATCHED: (&str, &str) = (
    "datasets/bronze/t.yaml",
    "source: { files: landing/t/, glob: \"*.csv\" }\n\
     accept: { freshness: { column: _received_at, warn_after: 1 hour, error_after: 1 day } }\n",
);

#[tokio::test]
async fn a_table_that_grew_old_is_told_at_each_level_until_something_newer_came() {
    let world = World::with(&[PROJECT, WATCHED]).await;
    world.arrive("a.csv", 10);
    world.run(&Options::default()).await;
    let newest = world.clock().now();
    let tell = async |newest: Option<Timestamp>| {
        let ages = Ages::from([(bronze(), newest)]);
        world.flow().tell_ages(&ages).await.expect("a look");
        told(&world).await
    };
    world.pass(Duration::from_secs(3590));
    assert!(tell(Some(newest)).await.is_empty(), "not older than it may be");
    world.pass(Duration::from_secs(20));
    assert_eq!(tell(Some(newest)).await, ["open stale bronze.t"]);
    assert!(tell(Some(newest)).await.is_empty(), "it lasts");
    look(&world).await;
    assert!(told(&world).await.is_empty(), "who did not read the table cannot say that it is over");
    world.pass(DAY);
    assert_eq!(tell(Some(newest)).await, ["open stale bronze.t"], "the graver level");
    assert_eq!(tell(Some(world.clock().now())).await, ["resolved stale bronze.t"; 2]);
    assert_eq!(tell(None).await, ["open stale bronze.t"], "the graver level alone");
    let alerts = world.store.alerts(Timestamp::MIN).await.expect("alerts").alerts;
    let said: Vec<&str> = alerts.iter().map(|a| a.summary.as_str()).collect();
    let of = |after| format!("the newest `_received_at` is {newest:.0}, more than {after} ago");
    assert_eq!(said, [&of("1h"), &of("1d"), "no row has a `_received_at`, more than 1d ago"]);
    assert!(alerts.iter().all(|a| a.code.as_deref() == Some("F0185")));
}

#[tokio::test]
async fn what_waits_too_long_is_told_until_it_is_done() {
    let world = World::with(&[PROJECT]).await;
    world.arrive("a.csv", 10);
    world.engine.hang(&silver());
    world.run_until(&Options::default(), world.engine.hangs.notified()).await;
    let since = world.clock().now();
    world.pass(Duration::from_secs(3590));
    look(&world).await;
    assert!(told(&world).await.is_empty(), "not longer than it may");
    world.pass(Duration::from_secs(20));
    look(&world).await;
    look(&world).await;
    assert_eq!(told(&world).await, ["open backlog silver.t"]);
    let alerts = world.store.alerts(Timestamp::MIN).await.expect("alerts").alerts;
    assert_eq!(alerts[0].summary, format!("1 step waits, since {since:.0}, for more than 1h"));
    assert_eq!(alerts[0].code.as_deref(), Some("F0186"));
    assert!(world.run(&Options::default()).await.complete());
    assert_eq!(told(&world).await, ["resolved backlog silver.t"]);
}

const TIMED: (&str, &str) = (
    "contracts/t.odcs.yaml",
    "apiVersion: v3.1.0\nkind: DataContract\nid: t\nname: t\nversion: 1.0.0\nstatus: active\nschema:
  - name: t
    properties:
      - { name: id, logicalType: integer }
      - { name: at, logicalType: timestamp }
",
);

#[tokio::test]
async fn how_long_it_may_wait_is_what_data_made_from_it_may_be_old() {
    const FRESH: (&str, &str) = (
        "datasets/silver/t.yaml",
        "from: bronze.t\ncontract: t\nwrite: append\naccept: { freshness: { column: at, warn_after: 10 minutes } }\n",
    );
    const COLLECTS: (&str, &str) =
        ("datasets/bronze/t.yaml", "source: { files: landing/t/, glob: \"*.csv\" }\nfreshness: 30 minutes\n");
    for (files, minutes) in [(vec![PROJECT, TIMED, FRESH], 10), (vec![PROJECT, TIMED, FRESH, COLLECTS], 30)] {
        let world = World::with(&files).await;
        world.arrive("a.csv", 10);
        world.engine.hang(&bronze());
        world.run_until(&Options::default(), world.engine.hangs.notified()).await;
        world.pass(Duration::from_secs(minutes * 60 - 5));
        look(&world).await;
        assert!(told(&world).await.is_empty(), "{minutes}");
        world.pass(Duration::from_secs(10));
        look(&world).await;
        assert_eq!(told(&world).await, ["open backlog bronze.t"], "{minutes}");
    }
}

#[tokio::test]
async fn a_feed_that_falls_silent_is_told_until_it_comes_again() {
    let world = World::with(&[PROJECT]).await;
    let mut number = 0;
    for _ in 0..40 {
        number += 1;
        world.arrive(&format!("{number}.csv"), 100);
        world.run(&Options::default()).await;
        world.pass(DAY);
    }
    assert!(told(&world).await.is_empty());
    world.pass(DAY * 2);
    look(&world).await;
    look(&world).await;
    let silent = told(&world).await;
    assert_eq!(silent, ["open anomaly bronze.t", "open anomaly silver.t"]);
    // The next day has its delivery again, and then is over.
    for _ in 0..3 {
        number += 1;
        world.arrive(&format!("{number}.csv"), 100);
        world.run(&Options::default()).await;
        world.pass(DAY);
    }
    look(&world).await;
    assert_eq!(told(&world).await, ["resolved anomaly bronze.t", "resolved anomaly silver.t"]);
}
