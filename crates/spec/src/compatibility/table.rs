//! Rules over several rows or columns, and those that tolerate some rows: which ones only one version has, and which let
//! other numbers of rows through than before.

use super::{
    change::{Change, Path, What},
    domain::{self, Side},
    shape::{About, Kind, Limits, ObjectShape, Scalar, TableRule},
    tolerance::{Numbers, Scale},
};
use crate::contract::Unit;
use std::collections::BTreeSet;

/// Values of each pair of rules are compared; of more rules than people write only the texts are.
const MOST_COMPARED: usize = 200;

pub(super) fn compare(path: &Path, old: &ObjectShape, new: &ObjectShape, out: &mut Vec<Change>) {
    let told: BTreeSet<&str> =
        old.rules.iter().chain(&new.rules).flat_map(|r| r.columns.iter().map(String::as_str)).collect();
    let [before, after] = [old, new].map(|o| promises(o, &told));
    let left = |of: &[Promise<'_>], r: &TableRule| !of.iter().any(|p| p.rule.is_some_and(|o| says(o, r)));
    let mut gone: Vec<&Promise<'_>> = before.iter().filter(|p| p.rule.is_some_and(|r| left(&after, r))).collect();
    for now in after.iter().filter(|p| p.rule.is_some_and(|r| left(&before, r))) {
        let was = gone.iter().position(|g| g.subject() == now.subject()).map(|i| gone.remove(i));
        let what = if was.is_some() { What::RuleChanged } else { What::RuleAdded };
        let breaks_forward = was.is_some_and(|was| !keep(&after, was));
        out.push(Change { breaks_forward, ..change(path, (was, Some(now)), what, !keep(&before, now)) });
    }
    for was in gone {
        let breaks_forward = !keep(&after, was);
        out.push(Change { breaks_forward, ..change(path, (Some(was), None), What::RuleRemoved, false) });
    }
}

type Sides<'a> = (Option<&'a Promise<'a>>, Option<&'a Promise<'a>>);

fn change(path: &Path, (old, new): Sides<'_>, what: What, breaks_backward: bool) -> Change {
    let rule = |p: Option<&Promise<'_>>| p.and_then(|p| p.rule).map(|r| r.label.clone());
    let path = match new.or(old).and_then(|p| p.rule).map(|r| r.columns.as_slice()) {
        Some([one]) => path.to(one),
        _ => path.clone(),
    };
    Change { path, what, before: rule(old), after: rule(new), breaks_backward, breaks_forward: false }
}

fn says(one: &TableRule, other: &TableRule) -> bool {
    one.text == other.text && one.threshold == other.threshold
}

/// How many rows, at most or at least, are which way.
struct Promise<'a> {
    /// `None`: what a column is limited to; no value lies outside.
    rule: Option<&'a TableRule>,
    /// Where the rows are those of some values of one column.
    values: Option<(&'a str, Side<'a>, bool)>,
    scale: Scale,
    allowed: Numbers,
}

/// Of the rules, and of the columns that a rule of either version is about.
fn promises<'a>(object: &'a ObjectShape, told: &BTreeSet<&str>) -> Vec<Promise<'a>> {
    let scalars = object.fields.iter().filter_map(|f| match &f.kind {
        Kind::Scalar(kind) if told.contains(f.name.as_str()) => Some((f, *kind)),
        _ => None,
    });
    let scalars: Vec<_> = scalars.collect();
    let kind = |name: &str| scalars.iter().find(|(f, _)| f.name == name).map(|(_, kind)| *kind);
    let limits = scalars.iter().map(|(f, kind)| Promise {
        rule: None,
        values: Some(values(&f.name, *kind, &f.limits)),
        scale: Scale::Count,
        allowed: Numbers::zero(Scale::Count),
    });
    let rules = object.rules.iter().enumerate();
    let rules = rules.map(|(i, r)| Promise::of(r, |name| kind(name).filter(|_| i < MOST_COMPARED)));
    limits.chain(rules).collect()
}

fn values<'a>(column: &'a str, kind: Scalar, limits: &'a Limits) -> (&'a str, Side<'a>, bool) {
    (column, Side::new(kind, limits), limits.required)
}

/// Whether the rule holds wherever all of these do.
fn keep(promises: &[Promise<'_>], rule: &Promise<'_>) -> bool {
    let known = promises.iter().filter_map(|p| p.implies(rule));
    known.fold(Numbers::all(rule.scale), |possible, numbers| possible.within(&numbers)).is_in(&rule.allowed)
}

impl<'a> Promise<'a> {
    fn of(rule: &'a TableRule, kind: impl Fn(&str) -> Option<Scalar>) -> Self {
        let scale = match (&rule.about, rule.threshold.map(|t| t.unit)) {
            (About::Number, _) => Scale::Measure,
            (About::Values(_) | About::Unique | About::Rows, Some(Unit::Percent)) => Scale::Percent,
            _ => Scale::Count,
        };
        let values = match (&rule.about, rule.columns.as_slice()) {
            (About::Values(limits), [column]) => kind(column).map(|kind| values(column, kind, limits)),
            _ => None,
        };
        let allowed = rule.threshold.map_or_else(|| Numbers::zero(scale), |t| Numbers::of(&t, scale));
        Self { rule: Some(rule), values, scale, allowed }
    }

    /// By which a rule is known that tells the same of other values or other numbers.
    fn subject(&self) -> Option<&str> {
        self.rule.map(|r| r.subject.as_str())
    }

    /// What it leaves of the numbers that the other one is about; `None`: it says nothing of them.
    fn implies(&self, other: &Promise<'_>) -> Option<Numbers> {
        let (fewer, more) = self.counts_beside(other);
        let own = match self.scale == other.scale {
            true => self.allowed.clone(),
            false if self.allowed == Numbers::zero(self.scale) => Numbers::zero(other.scale),
            false => return None,
        };
        match (fewer, more) {
            (true, true) => Some(own),
            (true, false) => Some(own.and_fewer(other.scale)),
            (false, true) => Some(own.and_more(other.scale)),
            (false, false) => None,
        }
    }

    /// Whether the other one is about no rows beside those of this one, and whether about all of them.
    fn counts_beside(&self, other: &Promise<'_>) -> (bool, bool) {
        if let (Some(a), Some(b)) = (self.rule, other.rule) {
            if a.text == b.text {
                return (true, true);
            }
            if (&a.about, &b.about) == (&About::Unique, &About::Unique) {
                // Rows that differ in some columns differ in more of them.
                let has = |all: &TableRule, some: &TableRule| some.columns.iter().all(|c| all.columns.contains(c));
                return (has(b, a), has(a, b));
            }
        }
        match (&self.values, &other.values) {
            (Some(a), Some(b)) if a.0 == b.0 => (includes(a, b), includes(b, a)),
            _ => (false, false),
        }
    }
}

/// Whether every value of one is a value of the other.
fn includes((_, one, required): &(&str, Side<'_>, bool), (_, other, also): &(&str, Side<'_>, bool)) -> bool {
    (*required || !also) && domain::broken(one, other).is_empty()
}
