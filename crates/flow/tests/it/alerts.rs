//! Alerts: one when something goes wrong, none while it lasts, and one when it is over.

use crate::{bronze, silver, stub::World};
use alluvium_flow::{Judged, Options};
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
    assert!(world.store.revive_step(&dead[0].step).await.expect("revived"));
    world.run(&Options::default()).await;
    assert_eq!(told(&world).await, ["resolved dead_letter silver.t"]);
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
