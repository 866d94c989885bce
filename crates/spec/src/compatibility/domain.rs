//! Which of a reader's demands a writer's values can break, for one scalar field.
//!
//! Exact where values can be listed or compared. A pattern that differs, or a step of floating point, counts as broken
//! where it cannot be shown to hold.

use super::{
    change::What,
    scalar::{self, Family},
    shape::{Limits, Scalar, Sizes},
};
use crate::{contract::Bound, decimal};
use std::collections::BTreeSet;

/// A range of whole numbers up to this long is looked at one by one.
const MOST_LISTED: i64 = 1_000;

/// One side of a field: its type and its limits.
pub(super) struct Side<'a> {
    kind: Scalar,
    limits: &'a Limits,
    /// Those of the limits, each for the whole text. They were checked when the contract was read.
    patterns: Vec<regex::Regex>,
}

/// The reader's demands that some value of the writer breaks; null apart.
pub(super) fn broken(writer: &Side<'_>, reader: &Side<'_>) -> BTreeSet<What> {
    let listed = writer.listed();
    if scalar::family(writer.kind) != scalar::family(reader.kind) && listed.as_ref().is_none_or(|v| !v.is_empty()) {
        return BTreeSet::from([What::Type]);
    }
    match listed {
        Some(values) => values.iter().flat_map(|v| reader.refuses(v)).collect(),
        None => demands(writer, reader),
    }
}

impl<'a> Side<'a> {
    pub(super) fn new(kind: Scalar, limits: &'a Limits) -> Self {
        let compiled = |p: &String| regex::RegexBuilder::new(&format!("^(?:{p})$")).size_limit(1 << 20).build().ok();
        Self { kind, limits, patterns: limits.patterns.iter().filter_map(compiled).collect() }
    }

    /// All values there are, where they are few.
    fn listed(&self) -> Option<BTreeSet<String>> {
        let candidates: BTreeSet<String> = match &self.limits.values {
            Some(values) => values.clone(),
            None if matches!(self.kind, Scalar::Integer | Scalar::Int32) => {
                let end = |b: &Option<Bound>| b.as_ref().and_then(|b| b.value.trim().parse::<i64>().ok());
                let (low, high) = (end(&self.limits.low)?, end(&self.limits.high)?);
                if high.checked_sub(low)? > MOST_LISTED {
                    return None;
                }
                (low..=high).map(|n| n.to_string()).collect()
            }
            None => return None,
        };
        Some(candidates.into_iter().filter(|v| self.refuses(v).is_empty()).collect())
    }

    /// The demands that a value breaks.
    fn refuses(&self, value: &str) -> Vec<What> {
        let l = self.limits;
        let mut out = Vec::new();
        let mut say = |ok: bool, what| {
            if !ok {
                out.push(what);
            }
        };
        say(scalar::reads(self.kind, value), What::Type);
        say(scalar::inside(self.kind, value, l.low.as_ref(), None), What::Minimum);
        say(scalar::inside(self.kind, value, None, l.high.as_ref()), What::Maximum);
        let characters = value.chars().count() as u64;
        say(l.length.min.is_none_or(|min| characters >= min), What::MinLength);
        say(l.length.max.is_none_or(|max| characters <= max), What::MaxLength);
        say(self.patterns.iter().all(|p| p.is_match(value)), What::Pattern);
        say(l.steps.iter().all(|s| is_multiple(self.kind, value, s)), What::MultipleOf);
        say(l.values.as_ref().is_none_or(|v| v.contains(value)), What::Values);
        say(!l.missing.contains(value), What::MissingValues);
        out
    }

    fn lows(&self) -> impl Iterator<Item = Bound> {
        let implied = scalar::implied(self.kind).map(|(low, _)| Bound { value: low, inclusive: true });
        self.limits.low.clone().into_iter().chain(implied)
    }

    fn highs(&self) -> impl Iterator<Item = Bound> {
        let implied = scalar::implied(self.kind).map(|(_, high)| Bound { value: high, inclusive: true });
        self.limits.high.clone().into_iter().chain(implied)
    }

    fn keeps_low(&self, demanded: &Bound) -> bool {
        self.lows().any(|kept| scalar::keeps_low(self.kind, &kept, demanded))
    }

    fn keeps_high(&self, demanded: &Bound) -> bool {
        self.highs().any(|kept| scalar::keeps_high(self.kind, &kept, demanded))
    }
}

/// As [`broken`], for writers whose values cannot be listed.
fn demands(writer: &Side<'_>, reader: &Side<'_>) -> BTreeSet<What> {
    let (w, r) = (writer.limits, reader.limits);
    let mut out = BTreeSet::new();
    let mut say = |ok: bool, what| {
        if !ok {
            out.insert(what);
        }
    };
    say(fits(writer, reader.kind), What::Type);
    say(r.low.as_ref().is_none_or(|b| writer.keeps_low(b)), What::Minimum);
    say(r.high.as_ref().is_none_or(|b| writer.keeps_high(b)), What::Maximum);
    say(keeps_min(w.length, r.length), What::MinLength);
    say(keeps_max(w.length, r.length), What::MaxLength);
    say(r.patterns.is_subset(&w.patterns), What::Pattern);
    let own = scalar::scale(writer.kind).map(|s| format!("1e-{s}"));
    let steps: Vec<&String> = w.steps.iter().chain(&own).collect();
    say(r.steps.iter().all(|d| steps.iter().any(|s| decimal::is_multiple(s, d))), What::MultipleOf);
    say(r.values.is_none(), What::Values);
    say(r.missing.iter().all(|v| !writer.refuses(v).is_empty()), What::MissingValues);
    out
}

/// Every value of the writer is read by the type.
fn fits(writer: &Side<'_>, kind: Scalar) -> bool {
    match scalar::family(kind) {
        Family::Text | Family::Boolean | Family::Time => true,
        Family::Instant => writer.kind == Scalar::Date || kind == Scalar::Timestamp,
        Family::Number => {
            let Some((low, high)) = scalar::implied(kind) else { return true };
            let digits = scalar::scale(writer.kind).is_some_and(|s| Some(s) <= scalar::scale(kind));
            let within = |value: String| Bound { value, inclusive: true };
            digits && writer.keeps_low(&within(low)) && writer.keeps_high(&within(high))
        }
    }
}

pub(super) fn keeps_min(kept: Sizes, demanded: Sizes) -> bool {
    demanded.min.is_none_or(|min| min == 0 || kept.min.is_some_and(|k| k >= min))
}

pub(super) fn keeps_max(kept: Sizes, demanded: Sizes) -> bool {
    demanded.max.is_none_or(|max| kept.max.is_some_and(|k| k <= max))
}

/// As the engine checks it: exactly, and within a billionth of the quotient for floating point.
fn is_multiple(kind: Scalar, value: &str, step: &str) -> bool {
    if kind != Scalar::Number {
        return decimal::is_multiple(value, step);
    }
    let (Ok(value), Ok(step)) = (value.trim().parse::<f64>(), step.parse::<f64>()) else { return false };
    let times = value / step;
    (times - times.round()).abs() <= 1e-9 * times.abs().max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_are_as_exact_as_the_type() {
        let decimal = Scalar::Decimal { precision: 38, scale: 2 };
        for kind in [Scalar::Integer, decimal] {
            assert!(is_multiple(kind, "10000000000", "2") && !is_multiple(kind, "10000000001", "2"), "{kind:?}");
        }
        assert!(is_multiple(decimal, "0.30", "0.1"));
        assert!(is_multiple(Scalar::Number, "0.3", "0.1") && !is_multiple(Scalar::Number, "0.25", "0.1"));
    }
}
