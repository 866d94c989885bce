//! The numbers that thresholds let through, as ranges, so that one set of them can be held against another exactly.

use crate::contract::{Operator, Threshold, Unit};
use std::cmp::Ordering;

/// Whole numbers above this are not told from their neighbours.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What a threshold is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Rows: whole, and none below zero.
    Count,
    Percent,
    /// Whatever a query answers.
    Measure,
}

/// A place between numbers: before one, or behind it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cut {
    at: f64,
    behind: bool,
}

/// Ranges in their order, none of which touches the next.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Numbers(Vec<(Cut, Cut)>);

impl Cut {
    const START: Self = before(f64::NEG_INFINITY);
    const END: Self = behind(f64::INFINITY);

    /// Between whole numbers every place is the one before the next of them.
    fn whole(self) -> Self {
        if self.at.abs() >= EXACT {
            return self;
        }
        before(if self.behind { self.at.floor() + 1.0 } else { self.at.ceil() })
    }

    fn order(&self, other: &Self) -> Ordering {
        self.at.total_cmp(&other.at).then(self.behind.cmp(&other.behind))
    }

    fn min(self, other: Self) -> Self {
        if self.order(&other).is_lt() { self } else { other }
    }

    fn max(self, other: Self) -> Self {
        if self.order(&other).is_lt() { other } else { self }
    }
}

// Adding zero makes 0.0 of -0.0, which are one number.
const fn before(at: f64) -> Cut {
    Cut { at: at + 0.0, behind: false }
}

const fn behind(at: f64) -> Cut {
    Cut { at: at + 0.0, behind: true }
}

impl Numbers {
    pub(super) fn all(scale: Scale) -> Self {
        match scale {
            Scale::Count => Self(vec![(before(0.0), Cut::END)]),
            Scale::Percent => Self(vec![(before(0.0), behind(100.0))]),
            Scale::Measure => Self(vec![(Cut::START, Cut::END)]),
        }
    }

    pub(super) fn zero(scale: Scale) -> Self {
        Self::of(&Threshold { operator: Operator::MustBe, value: 0.0, upper: None, unit: Unit::Rows }, scale)
    }

    pub(super) fn of(threshold: &Threshold, scale: Scale) -> Self {
        let (low, high) = (threshold.value, threshold.upper.unwrap_or(threshold.value));
        let inside = (before(low), behind(high));
        let outside = [(Cut::START, before(low)), (behind(high), Cut::END)];
        let ranges = match threshold.operator {
            Operator::MustBe | Operator::MustBeBetween => vec![inside],
            Operator::MustNotBe | Operator::MustNotBeBetween => outside.to_vec(),
            Operator::MustBeGreaterThan => vec![(behind(low), Cut::END)],
            Operator::MustBeGreaterOrEqualTo => vec![(before(low), Cut::END)],
            Operator::MustBeLessThan => vec![(Cut::START, before(low))],
            Operator::MustBeLessOrEqualTo => vec![(Cut::START, behind(low))],
        };
        let whole = |cut: Cut| if scale == Scale::Count { cut.whole() } else { cut };
        let ranges = ranges.into_iter().map(|(from, to)| (whole(from), whole(to)));
        Self::joined(ranges.filter(|(from, to)| from.order(to).is_lt())).within(&Self::all(scale))
    }

    /// Of ranges in their order, those that touch as one.
    fn joined(ranges: impl Iterator<Item = (Cut, Cut)>) -> Self {
        let mut out: Vec<(Cut, Cut)> = Vec::new();
        for (from, to) in ranges {
            match out.last_mut() {
                Some(last) if from.order(&last.1).is_le() => last.1 = last.1.max(to),
                _ => out.push((from, to)),
            }
        }
        Self(out)
    }

    /// What both have.
    pub(super) fn within(&self, other: &Self) -> Self {
        let both = |a: &(Cut, Cut), b: &(Cut, Cut)| (a.0.max(b.0), a.1.min(b.1));
        let ranges = self.0.iter().flat_map(|a| other.0.iter().map(move |b| both(a, b)));
        Self(ranges.filter(|(from, to)| from.order(to).is_lt()).collect())
    }

    pub(super) fn is_in(&self, other: &Self) -> bool {
        self.within(other) == *self
    }

    /// With everything below.
    pub(super) fn and_fewer(&self, scale: Scale) -> Self {
        let most = self.0.last().map(|(_, to)| (Cut::START, *to));
        Self(most.into_iter().collect()).within(&Self::all(scale))
    }

    /// With everything above.
    pub(super) fn and_more(&self, scale: Scale) -> Self {
        let least = self.0.first().map(|(from, _)| (*from, Cut::END));
        Self(least.into_iter().collect()).within(&Self::all(scale))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thresholds() -> Vec<Threshold> {
        let mut out = Vec::new();
        for operator in Operator::ALL {
            let between = matches!(operator, Operator::MustBeBetween | Operator::MustNotBeBetween);
            for value in [-1.0, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0, 100.0] {
                let uppers = if between { vec![Some(value), Some(value + 1.0), Some(value + 2.5)] } else { vec![None] };
                out.extend(uppers.into_iter().map(|upper| Threshold { operator, value, upper, unit: Unit::Rows }));
            }
        }
        out
    }

    /// Against the thresholds themselves, over numbers on each side of every bound.
    #[test]
    fn one_set_is_in_another_where_each_of_its_numbers_is() {
        let whole: Vec<f64> = (0..=104).map(f64::from).collect();
        let halves: Vec<f64> = (-8..=420).map(|n| f64::from(n) / 4.0).collect();
        let shares: Vec<f64> = halves.iter().copied().filter(|n| (0.0..=100.0).contains(n)).collect();
        for (scale, numbers) in [(Scale::Count, whole), (Scale::Measure, halves), (Scale::Percent, shares)] {
            for a in thresholds() {
                for b in thresholds() {
                    let said = Numbers::of(&a, scale).is_in(&Numbers::of(&b, scale));
                    let so = numbers.iter().all(|n| !a.holds(*n, 1.0) || b.holds(*n, 1.0));
                    assert_eq!(said, so, "{scale:?} {a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_too_large_to_count_are_kept() {
        let large = |operator| Threshold { operator, value: 1e300, upper: None, unit: Unit::Rows };
        let at = Numbers::of(&large(Operator::MustBe), Scale::Count);
        assert!(
            !at.is_in(&Numbers::zero(Scale::Count))
                && at.is_in(&Numbers::of(&large(Operator::MustBeLessOrEqualTo), Scale::Count))
        );
    }
}
