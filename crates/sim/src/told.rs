//! What is wrong with what was told: of alerts, and of the datasets where people decide.

use crate::tables::Tables;
use alluvium_flow::Anomaly;
use alluvium_model::{DatasetName, Layer};
use alluvium_store::{Alert, AlertKind, StepKind, StepRecord, Troubles};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Each alert is told once when it opens and once when it is over, and of one condition one is open at most.
pub(crate) fn of_alerts(events: &[String], alerts: &[Alert]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut told: BTreeMap<(String, String), Vec<usize>> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for (at, event) in events.iter().enumerate() {
        let event: Value = serde_json::from_str(event).unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        told.entry((text(&event["data"]["alert"]), text(&event["data"]["state"]))).or_default().push(at);
        if !ids.insert(text(&event["id"])) {
            wrong.push(format!("the id {} is told of two alerts, or twice", event["id"]));
        }
    }
    // When the last one of each condition was over.
    let mut over: BTreeMap<&str, Option<usize>> = BTreeMap::new();
    for alert in alerts {
        let mut times = |state: &str| told.remove(&(alert.id.clone(), state.to_owned())).unwrap_or_default();
        let (opened, resolved) = (times("open"), times("resolved"));
        if opened.len() != 1 {
            wrong.push(format!("the alert {} of {} is told {} times when it opens", alert.id, alert.key, opened.len()));
        }
        if resolved.len() != usize::from(alert.resolved_at.is_some()) {
            wrong.push(format!("the alert {} of {} is told over {} times", alert.id, alert.key, resolved.len()));
        }
        let (first, last) = (opened.first().copied(), resolved.first().copied());
        let before = over.insert(&alert.key, last);
        if before.is_some_and(|end| end.is_none() || end >= first) || last.is_some_and(|end| Some(end) <= first) {
            wrong.push(format!("the alert {} of {} is told out of its turn", alert.id, alert.key));
        }
    }
    wrong.extend(told.into_keys().map(|(id, state)| format!("the alert {id} is told as {state}, and there is none")));
    wrong
}

/// Whose contract agrees on a commit in each of these times.
fn agreed() -> DatasetName {
    DatasetName::new(Layer::Silver, "a").expect("a name")
}

/// As the contract has it.
const AGREED: SignedDuration = SignedDuration::from_mins(10);

/// Where nothing says how old the data may be.
const MAY_WAIT: SignedDuration = SignedDuration::from_hours(1);

/// What is wrong, by the keys under which it has to be told. That something is left alone no state tells.
pub(crate) fn holding(troubles: &Troubles, anomalies: &[Anomaly], now: Timestamp) -> BTreeSet<String> {
    let dead = troubles.dead.iter().map(|g| format!("dead_letter/{}/{}", g.dataset, g.code.as_deref().unwrap_or("-")));
    let warned = troubles.warned.iter().map(|w| format!("acceptance/{}/{}", w.dataset, w.rule));
    let last = troubles.committed.get(&agreed());
    let overdue =
        last.filter(|last| now.duration_since(**last) > AGREED).map(|_| format!("overdue/{}/agreed", agreed()));
    let lasting = anomalies.iter().filter(|a| a.open);
    let unusual = lasting.map(|a| format!("anomaly/{}/{}", a.dataset, a.measure.word()));
    let waits = troubles.waiting.iter().filter(|w| now.duration_since(w.since) > MAY_WAIT);
    let waits = waits.map(|w| format!("backlog/{}/waits", w.dataset));
    dead.chain(warned).chain(waits).chain(overdue).chain(unusual).collect()
}

/// What is wrong is open, and nothing else is.
pub(crate) fn against(holding: &BTreeSet<String>, alerts: &[Alert]) -> Vec<String> {
    let open = alerts.iter().filter(|a| a.resolved_at.is_none() && a.kind != AlertKind::Breaker);
    let open: BTreeSet<String> = open.map(|a| a.key.clone()).collect();
    let untold = holding.difference(&open).map(|key| untold(key));
    untold.chain(open.difference(holding).map(|key| over(key))).collect()
}

/// Whether somebody left the lake alone and has not heard of it since.
pub(crate) fn of_breaker(is_open: bool, alerts: &[Alert]) -> Option<String> {
    const KEY: &str = "breaker/the lake/open";
    let is_told = alerts.iter().any(|a| a.resolved_at.is_none() && a.key == KEY);
    (is_told != is_open).then(|| if is_open { untold(KEY) } else { over(KEY) })
}

fn untold(key: &str) -> String {
    format!("{key} lasts, and nobody is told")
}

fn over(key: &str) -> String {
    format!("{key} is told, and does not last")
}

/// Each commit that brought rows where people decide, what they released among them, is told once.
pub(crate) fn of_commits(
    tables: &Tables,
    steps: &[StepRecord],
    dataset: &DatasetName,
    events: &[String],
) -> Vec<String> {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for event in events {
        let event: Value = serde_json::from_str(event).unwrap_or_default();
        *counts.entry(event["data"]["step"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    let kinds: BTreeMap<&str, StepKind> = steps.iter().map(|s| (s.key.as_str(), s.kind)).collect();
    let table = tables.live().remove(dataset).unwrap_or_default();
    let made = table.commits.iter().filter_map(|c| c.step.as_ref()).map(|s| s.as_str());
    let made = made.filter(|step| kinds.get(step) != Some(&StepKind::Discard));
    let made: BTreeMap<String, u32> = made.map(|step| (step.to_owned(), 1)).collect();
    let differs = made
        .iter()
        .find(|(step, _)| counts.get(*step) != Some(&1))
        .or_else(|| counts.iter().find(|(step, _)| !made.contains_key(*step)));
    let wrong = differs.map(|(step, _)| {
        format!("{dataset}: step {step} is told {} times", counts.get(step).copied().unwrap_or_default())
    });
    wrong.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate;
    use alluvium_store::DeadGroup;

    fn alert(id: &str, key: &str, is_over: bool) -> Alert {
        Alert {
            id: id.to_owned(),
            key: key.to_owned(),
            kind: AlertKind::DeadLetter,
            subject: "silver.c".to_owned(),
            code: None,
            summary: "given up".to_owned(),
            opened_at: Timestamp::UNIX_EPOCH,
            resolved_at: is_over.then_some(Timestamp::UNIX_EPOCH),
        }
    }

    fn event(id: &str, state: &str) -> String {
        serde_json::json!({ "id": format!("alert-{id}-{state}"), "data": { "alert": id, "state": state } }).to_string()
    }

    #[test]
    fn what_is_told_twice_or_never_or_out_of_turn_is_found() {
        let alerts = [alert("1", "k", true), alert("2", "k", false)];
        let events = [event("1", "open"), event("1", "resolved"), event("2", "open")];
        assert_eq!(of_alerts(&events, &alerts), Vec::<String>::new());
        let found = |events: &[String]| of_alerts(events, &alerts).join("\n");
        let twice = [&events[..], &events[..1]].concat();
        assert!(found(&twice).contains("told 2 times when it opens"), "{}", found(&twice));
        assert!(found(&twice).contains("told of two alerts, or twice"), "{}", found(&twice));
        assert!(found(&events[..2]).contains("told 0 times when it opens"), "{}", found(&events[..2]));
        let early = [&events[..1], &events[2..], &events[1..2]].concat();
        assert!(found(&early).contains("out of its turn"), "{}", found(&early));
        let of_nobody = [&events[..], &[event("3", "open")]].concat();
        assert!(found(&of_nobody).contains("there is none"), "{}", found(&of_nobody));
        let both = [alert("1", "k", false), alert("2", "k", false)];
        assert!(!of_alerts(&[event("1", "open"), event("2", "open")], &both).is_empty(), "two of one condition");
    }

    #[test]
    fn what_is_wrong_and_not_told_is_found() {
        let dataset = gate::cleaned();
        let group = DeadGroup { dataset, code: None, letters: 1, message: "given up".to_owned() };
        let troubles = Troubles { dead: vec![group], ..Troubles::default() };
        let holds = |troubles: &Troubles, micros| {
            holding(troubles, &[], Timestamp::from_microsecond(micros).expect("an instant"))
        };
        let open = [alert("1", "dead_letter/silver.c/-", false)];
        assert_eq!(against(&holds(&troubles, 0), &open), Vec::<String>::new());
        assert_eq!(against(&holds(&troubles, 0), &[]).len(), 1);
        assert_eq!(against(&holds(&Troubles::default(), 0), &open).len(), 1);
        let committed = BTreeMap::from([(agreed(), Timestamp::UNIX_EPOCH)]);
        let quiet = Troubles { committed, ..Troubles::default() };
        assert!(holds(&quiet, 600_000_000).is_empty());
        assert!(holds(&quiet, 600_000_001).contains("overdue/silver.a/agreed"));
        let left_alone = [Alert { kind: AlertKind::Breaker, ..alert("1", "breaker/the lake/open", false) }];
        assert!(against(&BTreeSet::new(), &left_alone).is_empty());
        assert_eq!((of_breaker(true, &left_alone), of_breaker(false, &[])), (None, None));
        assert!(of_breaker(false, &left_alone).is_some() && of_breaker(true, &[]).is_some());
    }
}
