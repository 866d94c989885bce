//! What is told of commits and of refusals, over a fresh store of whatever kind.

use crate::build::*;
use alluvium_store::{
    DayFigure, Hour, LaneEnd, NewPublication, Past, Publication, QualityResult, Refusal, RefusalKind, StepDone, Store,
    TableDump, Topic, Value,
};

const TARGET: &str = "here";

fn published(step: &str, sinks: &[&str]) -> StepDone {
    let publish = sinks.iter().map(|s| NewPublication { sink: (*s).into(), event: format!("{{\"of\":\"{step}\"}}") });
    StepDone { publish: publish.collect(), ..done(step) }
}

async fn finished(store: &dyn Store, step: &str, after: i64, sinks: &[&str]) {
    store.plan(&refine(step, after, after + 1)).await.unwrap();
    store.finish(&published(step, sinks)).await.unwrap();
}

fn flights() -> Topic {
    Topic::Dataset(name("silver.flights"))
}

async fn taken(store: &dyn Store, sink: &str, process: u32, now: i64) -> Vec<Publication> {
    let (lane, topic) = (sink, flights());
    store.take_lane((&topic, lane), TARGET, &owner(process), MINUTE, &watch(now), 9).await.unwrap()
}

fn steps(part: &[Publication]) -> Vec<&str> {
    part.iter().map(|p| p.id.as_str()).collect()
}

async fn table(store: &dyn Store, name: &str) -> TableDump {
    store.tables(&watch(0)).await.unwrap().into_iter().find(|t| t.name == name).unwrap()
}

pub async fn a_commit_is_told_with_the_end_of_its_step(store: &dyn Store) {
    started(store).await;
    store.plan(&refine("a", -1, 0)).await.unwrap();
    assert!(store.lanes().await.unwrap().is_empty(), "nothing before the commit");
    let end = published("a", &["hook", "folder"]);
    store.finish_many(&[end.clone(), end.clone()]).await.unwrap();
    store.finish(&end).await.unwrap();
    // A step that changed nothing has nothing to tell.
    store.plan(&refine("b", 0, 1)).await.unwrap();
    store.finish(&StepDone { committed: None, ..published("b", &["hook"]) }).await.unwrap();
    let lanes = store.lanes().await.unwrap();
    let seen: Vec<_> = lanes.iter().map(|l| (l.sink.as_str(), l.waiting, l.oldest, l.failures)).collect();
    assert_eq!(seen, [("folder", 1, Some(at(9)), 0), ("hook", 1, Some(at(9)), 0)]);
    let part = taken(store, "hook", 1, 10).await;
    assert_eq!((steps(&part), part[0].committed.unwrap(), part[0].event.as_str()), (vec!["a"], 3, "{\"of\":\"a\"}"));
    assert_eq!(table(store, "publications").await.rows.len(), 2);
}

pub async fn a_lane_keeps_its_order_and_one_works_on_it(store: &dyn Store) {
    started(store).await;
    for (n, step) in ["a", "b", "c"].into_iter().enumerate() {
        finished(store, step, n as i64 - 1, &["hook"]).await;
    }
    let part = taken(store, "hook", 1, 10).await;
    assert_eq!(steps(&part), ["a", "b", "c"]);
    assert!(taken(store, "hook", 2, 11).await.is_empty(), "another is at it");
    assert!(store.delivered(&part[0], &owner(1), at(12), MINUTE).await.unwrap());
    // Renewed: what was the lease's end is not any more.
    assert!(taken(store, "hook", 2, 71).await.is_empty());
    // A holder that is gone, or late, is followed by another, who goes on where it was.
    assert_eq!(steps(&taken(store, "hook", 2, 73).await), ["b", "c"]);
    assert!(!store.delivered(&part[1], &owner(1), at(74), MINUTE).await.unwrap(), "it has to stop");
    assert_eq!(steps(&taken(store, "hook", 2, 75).await), ["c"], "and yet it was delivered");
    let lane = flights();
    store.end_lane((&lane, "hook"), &owner(1), &LaneEnd::Done).await.unwrap();
    assert!(taken(store, "hook", 3, 76).await.is_empty(), "who lost it cannot end it");
    store.end_lane((&lane, "hook"), &owner(2), &LaneEnd::Done).await.unwrap();
    assert_eq!(steps(&taken(store, "hook", 13, 77).await), ["c"]);
    assert_eq!(steps(&taken(store, "hook", 4, 78).await), ["c"], "process 13 is dead");
}

pub async fn a_failed_delivery_waits_for_its_time(store: &dyn Store) {
    started(store).await;
    finished(store, "a", -1, &["hook"]).await;
    let lane = flights();
    for (n, now) in [10, 20].into_iter().enumerate() {
        assert_eq!(taken(store, "hook", 1, now).await.len(), 1);
        let end = LaneEnd::Failed { error: "H0310: 500".into(), next_at: at(now + 10) };
        store.end_lane((&lane, "hook"), &owner(1), &end).await.unwrap();
        assert!(taken(store, "hook", 1, now + 9).await.is_empty(), "not yet");
        let seen = store.lanes().await.unwrap().remove(0);
        assert_eq!((seen.failures, seen.next_at), (n as u32 + 1, at(now + 10)));
        assert_eq!(seen.error.as_deref(), Some("H0310: 500"));
    }
    let part = taken(store, "hook", 1, 30).await;
    assert!(store.delivered(&part[0], &owner(1), at(30), MINUTE).await.unwrap());
    let seen = store.lanes().await.unwrap().remove(0);
    assert_eq!((seen.failures, seen.waiting, seen.error, seen.oldest), (0, 0, None, None));
    // Nothing more: the lane is free for whoever publishes next.
    assert!(taken(store, "hook", 1, 31).await.is_empty());
    finished(store, "b", 0, &["hook"]).await;
    assert_eq!(steps(&taken(store, "hook", 2, 32).await), ["b"]);
}

pub async fn a_lane_that_waits_for_its_sink_has_not_failed(store: &dyn Store) {
    started(store).await;
    finished(store, "a", -1, &["hook"]).await;
    let lane = flights();
    assert_eq!(taken(store, "hook", 1, 10).await.len(), 1);
    store.end_lane((&lane, "hook"), &owner(1), &LaneEnd::Later { next_at: at(40) }).await.unwrap();
    let seen = store.lanes().await.unwrap().remove(0);
    assert_eq!((seen.failures, seen.next_at, seen.error, seen.waiting), (0, at(40), None, 1));
    assert!(taken(store, "hook", 2, 39).await.is_empty());
    assert_eq!(steps(&taken(store, "hook", 2, 40).await), ["a"]);
}

pub async fn a_sink_that_wants_no_more_is_off_until_it_is_another(store: &dyn Store) {
    started(store).await;
    finished(store, "a", -1, &["hook"]).await;
    let other = name("silver.other");
    let mut step = refine("o", -1, 0);
    step.dataset = other.clone();
    store.plan(&step).await.unwrap();
    store.finish(&published("o", &["hook"])).await.unwrap();
    let lane = flights();
    assert_eq!(taken(store, "hook", 1, 10).await.len(), 1);
    let off = LaneEnd::Off { error: "H0311: gone".into(), target: TARGET.into() };
    store.end_lane((&lane, "hook"), &owner(1), &off).await.unwrap();
    assert!(taken(store, "hook", 1, 11).await.is_empty());
    let of_other = async |target: &str| {
        store
            .take_lane((&Topic::Dataset(other.clone()), "hook"), target, &owner(1), MINUTE, &watch(12), 9)
            .await
            .unwrap()
            .len()
    };
    assert_eq!(of_other(TARGET).await, 0, "every lane of the sink is off");
    assert_eq!(of_other("there").await, 1, "another target is another receiver");
    assert_eq!(store.reopen_sink("hook").await.unwrap(), 2);
    assert_eq!(taken(store, "hook", 1, 13).await.len(), 1);
}

fn refusal(n: u64) -> Refusal {
    Refusal {
        at: at(0),
        kind: RefusalKind::Forged,
        path: "/hooks/a".into(),
        peer: "192.0.2.1".into(),
        reason: "no signature fits".into(),
        id: (n > 1).then(|| format!("msg_{n}")),
        times: n,
    }
}

pub async fn only_the_newest_refusals_are_kept(store: &dyn Store) {
    store.audit(&[refusal(1), refusal(2)], 3).await.unwrap();
    store.audit(&[], 3).await.unwrap();
    store.audit(&[refusal(3), refusal(4)], 3).await.unwrap();
    let audit = table(store, "audit").await;
    let times = audit.columns.iter().position(|(c, _)| *c == "times").unwrap();
    let kept: Vec<_> = audit.rows.iter().map(|r| r[times].clone()).collect();
    assert_eq!(kept, [2, 3, 4].map(Value::Integer));
    assert_eq!(audit.rows[0][1], Value::Text("forged".into()));
}

pub async fn everything_is_counted(store: &dyn Store) {
    started(store).await;
    let events: Vec<_> = ["1", "2", "3"].iter().map(|c| event(&format!("{c}.csv"), c)).collect();
    store.record_events(&run(), &events).await.unwrap();
    store.plan(&ingest("s", &["1", "2"])).await.unwrap();
    claim(store, "s", 1, 1).await;
    fail(store, &failure("s", 2, 0, 9)).await;
    claim(store, "s", 1, 3).await;
    let mut end = done("s");
    end.dead = vec![(event_id("2"), "D0001: cut".into())];
    let measured = |rule: &str, figure| QualityResult { figure, ..quality(rule, None) };
    end.quality = vec![
        measured("accept:mean(amount)", Some(-2.5)),
        measured("accept:rows", None),
        measured("accept:max(amount)", Some(f64::MAX)),
        measured("accept:min(amount)", Some(f64::NAN)),
        // Its mean is nearer to zero than any number.
        measured("accept:p5(amount)", Some(f64::from_bits(1))),
        measured("accept:p5(amount)", Some(0.0)),
    ];
    store.finish(&end).await.unwrap();
    // Held by a process that is gone: open again.
    store.plan(&refine("r", -1, 1)).await.unwrap();
    claim(store, "r", 13, 4).await;
    store.audit(&[refusal(2), refusal(3)], 9).await.unwrap();
    let measures = store.measures(&watch(5)).await.unwrap();
    assert_eq!(measures.runs, [(alluvium_store::RunState::Running, 1)].into());
    let bronze = &measures.datasets[&name("bronze.flights")];
    use alluvium_store::{EventState, StepState};
    assert_eq!(bronze.steps, [(StepState::Done, 1)].into());
    assert_eq!((bronze.balance, bronze.retries, bronze.last_commit), (end.balance, 1, Some(at(9))));
    assert_eq!(bronze.objects, [(EventState::Pending, 1), (EventState::Done, 1), (EventState::Dead, 1)].into());
    let silver = &measures.datasets[&name("silver.flights")];
    assert_eq!(silver.steps.get(&StepState::Planned), Some(&1));
    assert_eq!(silver.steps.get(&StepState::Running).copied().unwrap_or(0), 0);
    assert_eq!(measures.refused, [(RefusalKind::Forged, 5)].into());
    // By the hour in which steps ended.
    let hour = Hour { dataset: name("bronze.flights"), hour: at(9).as_second() / 3600, balance: end.balance };
    let past = store.past(at(9)).await.unwrap();
    assert_eq!(past.hours, [hour]);
    // A figure counts by what it is of; one that is none, or is too large to add, is left out.
    let figure = DayFigure {
        dataset: name("bronze.flights"),
        rule: "accept:mean(amount)".into(),
        day: at(9).as_second() / 86_400,
        mean: -2.5,
        sum: -2.5,
        checked: 5,
    };
    let [mean, small] = past.figures.as_slice() else { panic!("{:?}", past.figures) };
    assert_eq!(*mean, figure);
    assert!(small.rule == "accept:p5(amount)" && small.mean.abs() < 1e-300, "{small:?}");
    assert_eq!(store.past(at(10)).await.unwrap(), Past::default());
    // A run whose lease has ended is interrupted.
    let later = store.measures(&watch(500)).await.unwrap();
    assert_eq!(later.runs.get(&alluvium_store::RunState::Interrupted), Some(&1));
}
