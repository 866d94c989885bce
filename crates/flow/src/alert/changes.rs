//! From what is wrong, and what was told, to what has to be told. Pure.

use super::{Judged, conditions::Condition};
use crate::{Dependency, breaker::Word};
use alluvium_store::{Alert, AlertKind, Alerts};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What whoever looks can say.
pub(super) struct Seen<'a> {
    pub(super) words: &'a BTreeMap<Dependency, Word>,
    /// What the project's steps need, by name.
    pub(super) needed: &'a BTreeSet<String>,
    /// The project's datasets whose age is watched, by name, and those of them that were looked at.
    pub(super) watched: &'a BTreeSet<String>,
    pub(super) aged: &'a BTreeSet<String>,
    pub(super) judged: Judged,
}

/// Alerts that open, and those that are resolved, as they are from now on. What ends comes first: a person reads it in that order.
pub(super) fn between(
    found: Vec<Condition>,
    known: &Alerts,
    seen: &Seen<'_>,
    now: Timestamp,
    mut fresh: impl FnMut() -> String,
) -> Vec<Alert> {
    let holding: BTreeSet<&str> = found.iter().map(|c| c.key.as_str()).collect();
    let open = || known.alerts.iter().filter(|a| a.resolved_at.is_none());
    let is_over = |alert: &&Alert| {
        let is_judged = match alert.kind {
            AlertKind::DeadLetter | AlertKind::Acceptance | AlertKind::Overdue | AlertKind::Backlog => true,
            // Only who has read its table knows its age.
            AlertKind::Stale => !seen.watched.contains(&alert.subject) || seen.aged.contains(&alert.subject),
            AlertKind::Anomaly => seen.judged == Judged::All,
            // Of what nothing needs any more nobody will hear.
            AlertKind::Breaker if !seen.needed.contains(&alert.subject) => true,
            // Only who has tried it can say that it answers.
            AlertKind::Breaker => seen.words.iter().any(|(dependency, word)| {
                matches!(word, Word::Answered { at } if *at > alert.opened_at)
                    && dependency.to_string() == alert.subject
            }),
        };
        is_judged && !holding.contains(alert.key.as_str())
    };
    let mut changed: Vec<Alert> =
        open().filter(is_over).map(|a| Alert { resolved_at: Some(now), ..a.clone() }).collect();
    let mut told: BTreeSet<String> = open().map(|a| a.key.clone()).collect();
    for Condition { key, kind, subject, code, summary } in found {
        if told.insert(key.clone()) {
            changed.push(Alert { id: fresh(), key, kind, subject, code, summary, opened_at: now, resolved_at: None });
        }
    }
    changed
}
