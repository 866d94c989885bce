//! Alerts over a fresh store of whatever kind: each opens once, ends once, and is told with that.

use crate::build::*;
use alluvium_store::{
    Alert, AlertChange, AlertKind, NewEvent, NewPublication, NewStep, Owner, QualityResult, Store, StoreError, Topic,
};
use jiff::Timestamp;

fn alert(id: &str, opened: i64) -> Alert {
    Alert {
        id: id.into(),
        key: "overdue/silver.a/agreed".into(),
        kind: AlertKind::Overdue,
        subject: "silver.a".into(),
        code: Some("F0177".into()),
        summary: "since 'yesterday'".into(),
        opened_at: at(opened),
        resolved_at: None,
    }
}

fn change(alert: Alert, state: &str) -> AlertChange {
    let event_id = format!("{}-{state}", alert.id);
    let publish = vec![NewPublication { sink: "hook".into(), event: format!("{{\"is\":\"{state}\"}}") }];
    AlertChange { alert, event_id, publish }
}

async fn write(store: &dyn Store, changes: &[AlertChange], under: u64, now: i64) -> Result<bool, StoreError> {
    store.change_alerts(changes, under, at(now)).await
}

async fn told(store: &dyn Store) -> Vec<String> {
    let by = Owner { host: "here".into(), process: 5, started_ticks: 1 };
    let lane = (&Topic::Alerts, "hook");
    let part = store.take_lane(lane, "here", &by, MINUTE, &watch(100), 99).await.unwrap();
    part.into_iter().map(|p| p.id).collect()
}

pub async fn an_alert_opens_once_and_is_resolved_once(store: &dyn Store) {
    let known = store.alerts(Timestamp::MIN).await.unwrap();
    assert!(known.alerts.is_empty());
    assert!(write(store, &[change(alert("1", 1), "open")], known.revision, 1).await.unwrap());
    assert!(!write(store, &[change(alert("2", 2), "open")], known.revision, 2).await.unwrap(), "an older revision");
    let known = store.alerts(at(50)).await.unwrap();
    assert_eq!(known.alerts, [alert("1", 1)]);
    // Of one key one is open, whatever whoever asks believes.
    assert!(write(store, &[change(alert("3", 3), "open")], known.revision, 3).await.unwrap());
    let known = store.alerts(at(50)).await.unwrap();
    assert_eq!(known.alerts.len(), 1);
    let over = Alert { resolved_at: Some(at(4)), ..alert("1", 1) };
    let twice = [change(over.clone(), "resolved"), change(over.clone(), "resolved")];
    assert!(write(store, &twice, known.revision, 4).await.unwrap());
    assert_eq!(store.alerts(at(4)).await.unwrap().alerts, [over]);
    let known = store.alerts(at(5)).await.unwrap();
    assert!(known.alerts.is_empty(), "it was resolved before");
    assert!(write(store, &[change(alert("4", 6), "open")], known.revision, 6).await.unwrap());
    assert_eq!(told(store).await, ["1-open", "1-resolved", "4-open"]);
    let tables = store.tables(&watch(0)).await.unwrap();
    assert_eq!(tables.iter().find(|t| t.name == "alerts").unwrap().rows.len(), 2);
}

pub async fn troubles_are_those_of_now(store: &dyn Store) {
    started(store).await;
    let names = [name("bronze.flights"), name("silver.flights")];
    let found = |rule: &str, passed| QualityResult {
        rule: rule.into(),
        action: "warn".into(),
        severity: "warning".into(),
        dimension: None,
        checked: 10,
        violations: 2,
        passed,
        note: (!passed).then(|| "20.00 % of 10 rows are invalid".into()),
        figure: None,
    };
    let none = store.troubles(&names).await.unwrap();
    assert_eq!(none, Default::default());
    // Two steps of one run: what either of them was beyond counts.
    for (n, (step, passed)) in [("a", false), ("b", true)].into_iter().enumerate() {
        store.plan(&refine(step, n as i64 - 1, n as i64)).await.unwrap();
        let mut end = done(step);
        end.committed = Some(n as i64);
        let acting = QualityResult { action: "quarantine".into(), ..found("required:id", false) };
        end.quality = vec![found("accept:invalid", passed), found("few", false), acting];
        store.finish(&end).await.unwrap();
    }
    let now = store.troubles(&names).await.unwrap();
    let warned: Vec<_> = now.warned.iter().map(|w| (w.dataset.to_string(), w.rule.as_str())).collect();
    assert_eq!(warned, ["accept:invalid", "few"].map(|rule| ("silver.flights".to_owned(), rule)));
    assert_eq!(now.warned[0].note.as_deref(), Some("20.00 % of 10 rows are invalid"));
    assert_eq!(now.committed.get(&names[1]), Some(&at(9)));
    assert!(store.troubles(&names[..1]).await.unwrap().warned.is_empty(), "of those that are asked for");
    let again = alluvium_model::RunId::from_stored("20260101T000000-00000002");
    start(store, &again, 1, 10).await;
    store.plan(&NewStep { run: again.clone(), ..refine("c", 1, 2) }).await.unwrap();
    let mut end = done("c");
    (end.run, end.committed, end.quality) = (again, Some(2), vec![found("accept:invalid", true)]);
    store.finish(&end).await.unwrap();
    assert!(store.troubles(&names).await.unwrap().warned.is_empty(), "the newest run counts");
    // Two workers end what one run planned.
    let turn = alluvium_model::RunId::from_stored("20260101T000000-00000005");
    start(store, &turn, 1, 10).await;
    for (n, (step, by, passed)) in
        [("f", "20260101T000000-00000003", false), ("g", "20260101T000000-00000004", true)].into_iter().enumerate()
    {
        let by = alluvium_model::RunId::from_stored(by);
        start(store, &by, 1, 10).await;
        store.plan(&NewStep { run: turn.clone(), ..refine(step, n as i64 + 2, n as i64 + 3) }).await.unwrap();
        let mut end = done(step);
        (end.run, end.committed, end.quality) = (by, Some(n as i64 + 3), vec![found("accept:invalid", passed)]);
        store.finish(&end).await.unwrap();
    }
    assert_eq!(store.troubles(&names).await.unwrap().warned.len(), 1, "the other worker's step of the turn");
    store.plan(&refine("d", 4, 5)).await.unwrap();
    store.plan(&ingest("e", &[])).await.unwrap();
    for step in ["d", "e"] {
        assert!(claim(store, step, 1, 20).await.is_taken());
        fail(store, &failure(step, 21, 0, 1)).await;
    }
    let dead = store.troubles(&names).await.unwrap().dead;
    let dead: Vec<_> = dead.iter().map(|g| (g.dataset.to_string(), g.code.as_deref(), g.letters)).collect();
    let of = |name: &str| (name.to_owned(), Some("L0001"), 1);
    assert_eq!(dead, [of("bronze.flights"), of("silver.flights")]);
}

pub async fn what_waits_is_what_no_step_took_and_open_steps(store: &dyn Store) {
    started(store).await;
    let waiting = async || {
        let found = store.troubles(&[name("bronze.flights"), name("silver.flights")]).await.unwrap().waiting;
        found.into_iter().map(|w| (w.dataset.to_string(), w.objects, w.steps, w.since)).collect::<Vec<_>>()
    };
    assert_eq!(waiting().await, []);
    let late = NewEvent { received_at: at(30), ..event("late.csv", "late") };
    let early = NewEvent { received_at: at(20), ..event("a.csv", "a") };
    store.record_events(&run(), &[early, late]).await.unwrap();
    assert_eq!(waiting().await, [("bronze.flights".to_owned(), 2, 0, at(20))]);
    let step = ingest("e", &["a"]);
    store.plan(&NewStep { planned_at: at(25), ..step }).await.unwrap();
    store.plan(&refine("d", -1, 5)).await.unwrap();
    let silver = ("silver.flights".to_owned(), 0, 1, refine("d", -1, 5).planned_at);
    assert_eq!(waiting().await, [("bronze.flights".to_owned(), 1, 1, at(25)), silver.clone()]);
    // One that was given up, and one that is done, wait no more.
    for step in ["d", "e"] {
        assert!(claim(store, step, 1, 40).await.is_taken());
    }
    assert_eq!(waiting().await.len(), 2, "those at work may never end");
    fail(store, &failure("d", 41, 0, 1)).await;
    let mut end = done("e");
    end.committed = Some(1);
    store.finish(&end).await.unwrap();
    assert_eq!(waiting().await, [("bronze.flights".to_owned(), 1, 0, at(30))]);
}
