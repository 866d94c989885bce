//! One alert while a condition lasts, and none is resolved by whoever cannot know.

use super::{
    Judged,
    changes::{self, Seen},
    conditions::{self, ALERT_CODES, Condition},
    runbook,
};
use crate::{Dependency, breaker::Word};
use alluvium_store::{AlertKind, Alerts};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

type Words = BTreeMap<Dependency, Word>;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("an instant")
}

fn condition(kind: AlertKind, subject: &str) -> Condition {
    let key = format!("{}/{subject}/x", kind.word());
    Condition { key, kind, subject: subject.to_owned(), code: Some("F0175".to_owned()), summary: "so".to_owned() }
}

/// As the store would hold it.
fn after(known: &mut Alerts, found: &[Condition], words: &Words, judged: Judged, now: i64) -> Vec<String> {
    let mut number = known.alerts.len();
    let fresh = || {
        number += 1;
        number.to_string()
    };
    let needed = BTreeSet::from([Dependency::Lake.to_string()]);
    let (watched, aged) = (BTreeSet::from(["silver.a".to_owned()]), BTreeSet::new());
    let seen = Seen { words, needed: &needed, watched: &watched, aged: &aged, judged };
    let changed = changes::between(found.to_vec(), known, &seen, at(now), fresh);
    let told =
        changed.iter().map(|a| format!("{} {}", if a.resolved_at.is_some() { "over" } else { "open" }, a.subject));
    let told = told.collect();
    for alert in changed {
        match known.alerts.iter_mut().find(|a| a.id == alert.id) {
            Some(was) => *was = alert,
            None => known.alerts.push(alert),
        }
    }
    told
}

#[test]
fn a_condition_is_told_once_while_it_lasts_and_once_when_it_is_over() {
    let (mut known, words) = (Alerts::default(), Words::new());
    let bad = [condition(AlertKind::Acceptance, "silver.a"), condition(AlertKind::Acceptance, "silver.a")];
    let mut look = |found: &[Condition], now| after(&mut known, found, &words, Judged::Steps, now);
    assert_eq!(look(&bad, 1), ["open silver.a"]);
    assert!(look(&bad, 2).is_empty());
    assert_eq!(look(&[], 3), ["over silver.a"]);
    assert!(look(&[], 4).is_empty());
    assert_eq!(look(&bad, 5), ["open silver.a"], "a new one");
}

#[test]
fn an_anomaly_is_over_only_for_who_has_looked() {
    let (mut known, words) = (Alerts::default(), Words::new());
    let odd = [condition(AlertKind::Anomaly, "silver.a")];
    assert_eq!(after(&mut known, &odd, &words, Judged::All, 1), ["open silver.a"]);
    assert!(after(&mut known, &[], &words, Judged::Steps, 2).is_empty());
    assert_eq!(after(&mut known, &[], &words, Judged::All, 3), ["over silver.a"]);
}

#[test]
fn an_age_is_over_only_for_who_has_read_the_table_or_where_none_is_watched() {
    let (mut known, words) = (Alerts::default(), Words::new());
    let old = [condition(AlertKind::Stale, "silver.a"), condition(AlertKind::Stale, "silver.b")];
    assert_eq!(after(&mut known, &old, &words, Judged::All, 1), ["open silver.a", "open silver.b"]);
    assert_eq!(after(&mut known, &[], &words, Judged::All, 2), ["over silver.b"]);
}

#[test]
fn a_breaker_is_closed_by_who_was_answered_after_it() {
    let mut known = Alerts::default();
    let open = |since| Words::from([(Dependency::Lake, Word::Open { since: at(since) })]);
    let answered = |then| Words::from([(Dependency::Lake, Word::Answered { at: at(then) })]);
    let mut look = |words: &Words, now| {
        let found = conditions::of_breakers(words, &known);
        after(&mut known, &found, words, Judged::Steps, now)
    };
    assert_eq!(look(&open(10), 11), ["open the lake"]);
    assert!(look(&open(10), 12).is_empty());
    assert!(look(&Words::new(), 13).is_empty(), "another process has not tried");
    assert!(look(&answered(5), 14).is_empty(), "it answered before");
    assert_eq!(look(&answered(20), 21), ["over the lake"]);
    assert!(look(&open(10), 22).is_empty(), "the newer word counts");
    assert_eq!(look(&open(30), 31), ["open the lake"]);
}

#[test]
fn each_kind_names_what_to_do() {
    for code in ALERT_CODES {
        assert!(conditions::remedy(code).is_some(), "{code}");
        assert_eq!(runbook(Some(code)), format!("alluvium explain {code}"));
    }
}

#[test]
fn a_summary_is_one_line_of_bounded_length() {
    let of = |summary: &str| {
        Condition::new(AlertKind::DeadLetter, "bronze.a".to_owned(), "-", None, summary.to_owned()).summary
    };
    let hostile = of("given up: a\n:white_check_mark: *all is well*\u{1b}[2J\u{202e}.csv");
    assert_eq!(hostile, "given up: a\\n:white_check_mark: *all is well*\\u{1b}[2J\\u{202e}.csv");
    assert_eq!(of(&"é".repeat(9_000)).chars().count(), 501);
    assert_eq!(of("12.40 % of 1200 rows are invalid"), "12.40 % of 1200 rows are invalid");
}

#[test]
fn a_breaker_of_what_the_project_has_no_more_is_over() {
    let mut known = Alerts::default();
    let gone = [condition(AlertKind::Breaker, "the landing folder old")];
    assert_eq!(after(&mut known, &gone, &Words::new(), Judged::Steps, 1), ["open the landing folder old"]);
    assert_eq!(after(&mut known, &[], &Words::new(), Judged::Steps, 2), ["over the landing folder old"]);
}
