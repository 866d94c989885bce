//! What is wrong now: conditions, each with a key by which it is known again.
//!
//! Pure: made of what the state tells, of what this process knows of what it needs, and of the time.

use crate::{Anomaly, Dependency, alert::Ages, breaker::Word};
use alluvium_model::{DatasetName, Span, is_unseen};
use alluvium_spec::{Check, Due, Project};
use alluvium_store::{AlertKind, Alerts, Troubles, Warned};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Codes of alerts that no error bears. Dead letters are told with their own.
pub const ALERT_CODES: [&str; 6] = [ACCEPTANCE, ANOMALY, OVERDUE, BREAKER, STALE, BACKLOG];
const ACCEPTANCE: &str = "F0175";
const ANOMALY: &str = "F0176";
const OVERDUE: &str = "F0177";
const BREAKER: &str = "F0178";
const STALE: &str = "F0185";
const BACKLOG: &str = "F0186";

/// Results of the criteria of `accept`; others are of the contract's rules.
const ACCEPT: &str = "accept:";
/// Those of them that the age of the table tells better.
const FRESHNESS: &str = "accept:freshness(";

/// How long something may wait where nothing says how old the data may be.
const MAY_WAIT: Span = Span::from_secs(3_600);

/// A summary is cut there: it is read in a chat, and all of it is in the state.
const MOST_CHARS: usize = 500;

/// A trouble that lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) key: String,
    pub(super) kind: AlertKind,
    pub(super) subject: String,
    pub(super) code: Option<String>,
    pub(super) summary: String,
}

impl Condition {
    /// `part`: what tells it from others of its kind and subject.
    pub(super) fn new(kind: AlertKind, subject: String, part: &str, code: Option<&str>, summary: String) -> Self {
        let key = format!("{}/{subject}/{part}", kind.word());
        Self { key, kind, subject, code: code.map(str::to_owned), summary: line(&summary) }
    }
}

/// A line of bounded length. Messages name files and quote records, which others wrote.
fn line(text: &str) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == MOST_CHARS {
            out.push('…');
            break;
        }
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_unseen(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// What somebody can do about each kind.
pub(super) fn remedy(code: &str) -> Option<&'static str> {
    match code {
        ACCEPTANCE => {
            Some("look at `alluvium show quarantine`, and correct the data or the rule; the next clean batch ends it")
        }
        ANOMALY => {
            Some("compare with `alluvium show anomalies`, and ask who delivers; it ends when it is as usual again")
        }
        OVERDUE => Some("find what keeps the dataset from its next commit; that ends it"),
        BACKLOG => Some(
            "find what the work fails at or waits for, or give it more workers; it ends when nothing waits so long",
        ),
        STALE => Some("find what keeps newer events from the dataset; the first that comes ends it"),
        BREAKER => Some("make it reachable again; the first step that succeeds ends it"),
        _ => None,
    }
}

/// Whether a limit was passed: one of `accept`, or of a rule of the contract that tolerates some or looks at the table. That single
/// rows are warned of is what they are counted for.
fn is_limit(project: &Project, warned: &Warned) -> bool {
    if warned.rule.starts_with(ACCEPT) {
        return !warned.rule.starts_with(FRESHNESS);
    }
    let contract = project.datasets.get(&warned.dataset).and_then(|d| project.contract_of(d));
    let rule = contract.and_then(|c| c.rules.iter().find(|r| r.id == warned.rule));
    rule.is_some_and(|r| r.threshold.is_some() || matches!(r.check, Check::RowCount | Check::Query { .. }))
}

/// Of datasets that the project has.
pub(super) fn of_state(project: &Project, troubles: &Troubles, now: Timestamp) -> Vec<Condition> {
    let mut found = Vec::new();
    for group in troubles.dead.iter().filter(|g| project.datasets.contains_key(&g.dataset)) {
        let (subject, code) = (group.dataset.to_string(), group.code.as_deref());
        let message = &group.message;
        let summary = match group.letters {
            1 => format!("given up: {message}"),
            n => format!("{n} were given up, as: {message}"),
        };
        found.push(Condition::new(AlertKind::DeadLetter, subject, code.unwrap_or("-"), code, summary));
    }
    for warned in troubles.warned.iter().filter(|w| is_limit(project, w)) {
        let what = warned.note.clone().unwrap_or_else(|| format!("{} was not kept", warned.rule));
        let subject = warned.dataset.to_string();
        found.push(Condition::new(AlertKind::Acceptance, subject, &warned.rule, Some(ACCEPTANCE), what));
    }
    for dataset in project.datasets.values() {
        let Some((due, last)) = dataset.due.as_ref().zip(troubles.committed.get(&dataset.name)) else { continue };
        if due.next(*last).is_some_and(|by| now > by) {
            let summary = match due {
                Due::After(after) => format!("no commit since {last}, and one is agreed each {after}"),
                Due::At { times, .. } => {
                    let agreed = times.next(*last).map_or_else(String::new, |at| at.to_string());
                    format!("no commit since {last}, and one was agreed for {agreed}")
                }
            };
            let subject = dataset.name.to_string();
            found.push(Condition::new(AlertKind::Overdue, subject, "agreed", Some(OVERDUE), summary));
        }
    }
    found
}

/// Of what waits longer than the data may be old that is made from it, and than the dataset itself lets it wait for more.
pub(super) fn of_waiting(project: &Project, troubles: &Troubles, now: Timestamp) -> Vec<Condition> {
    let limits = limits(project);
    let mut found = Vec::new();
    for waiting in &troubles.waiting {
        let known = project.datasets.get(&waiting.dataset).zip(limits.get(&waiting.dataset));
        let Some((dataset, limit)) = known else { continue };
        // Before its next time nothing that has a schedule is late.
        let due = dataset.schedule().and_then(|s| s.next(waiting.since)).unwrap_or(waiting.since);
        if now.as_microsecond().saturating_sub(due.as_microsecond()) <= limit.micros() {
            continue;
        }
        let counted = |n: u64, what: &str| (n > 0).then(|| format!("{n} {what}{}", if n == 1 { "" } else { "s" }));
        let what = [counted(waiting.objects, "landing object"), counted(waiting.steps, "step")];
        let what: Vec<String> = what.into_iter().flatten().collect();
        let one = waiting.objects + waiting.steps == 1;
        let (wait, first) = if one { ("waits", "") } else { ("wait", "the first ") };
        let summary =
            format!("{} {wait}, {first}since {:.0}, for more than {limit}", what.join(" and "), waiting.since);
        let subject = waiting.dataset.to_string();
        found.push(Condition::new(AlertKind::Backlog, subject, "waits", Some(BACKLOG), summary));
    }
    found
}

/// How long each dataset's input may wait: as long as the strictest `accept.freshness` allows of what is made from it.
fn limits(project: &Project) -> BTreeMap<DatasetName, Span> {
    let mut allowed: BTreeMap<DatasetName, Span> = BTreeMap::new();
    // Who reads comes after what it reads.
    for dataset in project.order.iter().rev().filter_map(|name| project.datasets.get(name)) {
        let own = dataset.accept.freshness.as_ref().and_then(|f| f.warn_after.or(f.error_after));
        let strictest = allowed.get(&dataset.name).copied().into_iter().chain(own).min();
        let Some(strictest) = strictest else { continue };
        for input in dataset.consumes().into_iter().chain([dataset.name.clone()]) {
            let limit = allowed.entry(input).or_insert(strictest);
            *limit = strictest.min(*limit);
        }
    }
    let limit = |dataset: &alluvium_spec::Dataset| {
        let allowed = allowed.get(&dataset.name).copied().unwrap_or(MAY_WAIT);
        dataset.freshness().map_or(allowed, |collects| allowed.max(collects))
    };
    project.datasets.values().map(|d| (d.name.clone(), limit(d))).collect()
}

/// Of tables that were looked at. Beside the graver level the lesser one lasts only if it was told before.
pub(super) fn of_ages(project: &Project, ages: &Ages, known: &Alerts, now: Timestamp) -> Vec<Condition> {
    let is_open = |key: &str| known.alerts.iter().any(|a| a.resolved_at.is_none() && a.key == key);
    let mut found = Vec::new();
    for (dataset, newest) in ages {
        let Some(of) = project.datasets.get(dataset).and_then(|d| d.accept.freshness.as_ref()) else { continue };
        let age = newest.map_or(i64::MAX, |n| now.as_microsecond().saturating_sub(n.as_microsecond()));
        let newest = match newest {
            Some(at) => format!("the newest `{}` is {at:.0}", of.column),
            None => format!("no row has a `{}`", of.column),
        };
        let levels = [(of.error_after, "error"), (of.warn_after, "warn")];
        let passed = levels.into_iter().filter_map(|(after, part)| Some((after.filter(|a| age > a.micros())?, part)));
        for (n, (after, part)) in passed.enumerate() {
            let summary = format!("{newest}, more than {after} ago");
            let condition = Condition::new(AlertKind::Stale, dataset.to_string(), part, Some(STALE), summary);
            if n == 0 || is_open(&condition.key) {
                found.push(condition);
            }
        }
    }
    found
}

/// A breaker that opened before the alert was resolved was closed by the word of another process.
pub(super) fn of_breakers(words: &BTreeMap<Dependency, Word>, known: &Alerts) -> Vec<Condition> {
    let mut found = Vec::new();
    for (dependency, word) in words {
        let Word::Open { since } = word else { continue };
        let subject = dependency.to_string();
        let summary = "failed several times in a row, and is left alone for a while".to_owned();
        let condition = Condition::new(AlertKind::Breaker, subject, "open", Some(BREAKER), summary);
        let ended = known.alerts.iter().filter(|a| a.key == condition.key).filter_map(|a| a.resolved_at).max();
        if ended.is_none_or(|at| *since > at) {
            found.push(condition);
        }
    }
    found
}

pub(super) fn of_history(project: &Project, anomalies: &[Anomaly]) -> Vec<Condition> {
    let lasting = anomalies.iter().filter(|a| a.open && project.datasets.contains_key(&a.dataset));
    lasting
        .map(|a| {
            let (subject, part) = (a.dataset.to_string(), a.measure.word());
            Condition::new(AlertKind::Anomaly, subject, part, Some(ANOMALY), a.to_string())
        })
        .collect()
}
