//! `when`: a condition over what waits for a dataset, as a small tree that anybody can evaluate.
//!
//! Read by `sql/condition.rs`, asked by flow before it plans a step. It knows numbers and truth values, and nothing of SQL.

use alluvium_model::Balance;
use serde::Serialize;
use std::time::Duration;

/// Decides whether a dataset takes what waits for it. It decides no row: what is not taken now is taken later.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// As it is written.
    pub text: String,
    pub(crate) holds: Truth,
}

/// A number that is known of what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    Received,
    Loaded,
    Quarantined,
    Dropped,
    Dead,
    Duplicates,
    Late,
    /// Steps of the inputs, one for each commit that waits.
    Steps,
    /// Since the oldest of them ended.
    AgeSeconds,
}

impl Measure {
    /// With its word.
    pub const ALL: [(Self, &'static str); 9] = [
        (Self::Received, "received"),
        (Self::Loaded, "loaded"),
        (Self::Quarantined, "quarantined"),
        (Self::Dropped, "dropped"),
        (Self::Dead, "dead"),
        (Self::Duplicates, "duplicates"),
        (Self::Late, "late"),
        (Self::Steps, "steps"),
        (Self::AgeSeconds, "age_seconds"),
    ];

    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(m, _)| *m == self).expect("every measure has its word").1
    }
}

/// What waits, over all inputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    pub balance: Balance,
    pub steps: u64,
    pub age: Duration,
}

impl Measured {
    pub fn value(&self, measure: Measure) -> f64 {
        let Balance { received, loaded, quarantined, dropped, dead, duplicates, late } = self.balance;
        let count = match measure {
            Measure::Received => received,
            Measure::Loaded => loaded,
            Measure::Quarantined => quarantined,
            Measure::Dropped => dropped,
            Measure::Dead => dead,
            Measure::Duplicates => duplicates,
            Measure::Late => late,
            Measure::Steps => self.steps,
            Measure::AgeSeconds => return self.age_micros() as f64 / MICROS,
        };
        count as f64
    }

    fn age_micros(&self) -> u64 {
        u64::try_from(self.age.as_micros()).unwrap_or(u64::MAX)
    }
}

const MICROS: f64 = 1e6;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Truth {
    Compare(Term, Comparison, Term),
    And(Box<Truth>, Box<Truth>),
    Or(Box<Truth>, Box<Truth>),
    Not(Box<Truth>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    Number(f64),
    Measure(Measure),
    Negative(Box<Term>),
    Calculated(Box<Term>, Calculation, Box<Term>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calculation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Condition {
    /// `false` also where it is neither true nor false, as in SQL: a division by zero has no value, and a comparison with it
    /// is unknown.
    pub fn holds(&self, of: &Measured) -> bool {
        self.holds.value(of) == Some(true)
    }

    /// The measures that it names, with what they are now; each once, in the order of [`Measure::ALL`].
    pub fn values(&self, of: &Measured) -> Vec<(Measure, f64)> {
        let mut named = Vec::new();
        self.holds.measures(&mut named);
        named.sort();
        named.dedup();
        named.into_iter().map(|m| (m, of.value(m))).collect()
    }

    /// The age at which it may become another, if nothing but time passes. `None`: time alone changes nothing.
    pub fn turns_at(&self, of: &Measured) -> Option<Duration> {
        let mut bounds = Vec::new();
        self.holds.ages(of, &mut bounds);
        let now = of.age_micros();
        // On the bound, and just after it: which of them counts is in the comparison.
        let edges = bounds.into_iter().flat_map(|seconds| {
            let micros = (seconds * MICROS).ceil();
            // A float becomes the nearest whole number there is.
            [micros as u64, (micros as u64).saturating_add(1)]
        });
        edges.filter(|at| *at > now && *at < u64::MAX).min().map(Duration::from_micros)
    }
}

impl Truth {
    fn value(&self, of: &Measured) -> Option<bool> {
        match self {
            Self::Compare(left, how, right) => {
                let (left, right) = (left.value(of)?, right.value(of)?);
                Some(match how {
                    Comparison::Less => left < right,
                    Comparison::LessOrEqual => left <= right,
                    Comparison::Equal => left == right,
                    Comparison::NotEqual => left != right,
                    Comparison::GreaterOrEqual => left >= right,
                    Comparison::Greater => left > right,
                })
            }
            Self::And(left, right) => match (left.value(of), right.value(of)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                (None, _) | (_, None) => None,
            },
            Self::Or(left, right) => match (left.value(of), right.value(of)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                (None, _) | (_, None) => None,
            },
            Self::Not(inner) => inner.value(of).map(|truth| !truth),
        }
    }

    pub(crate) fn measures(&self, named: &mut Vec<Measure>) {
        match self {
            Self::Compare(left, _, right) => {
                left.measures(named);
                right.measures(named);
            }
            Self::And(left, right) | Self::Or(left, right) => {
                left.measures(named);
                right.measures(named);
            }
            Self::Not(inner) => inner.measures(named),
        }
    }

    /// What the age is compared with.
    fn ages(&self, of: &Measured, bounds: &mut Vec<f64>) {
        match self {
            Self::Compare(Term::Measure(Measure::AgeSeconds), _, bound)
            | Self::Compare(bound, _, Term::Measure(Measure::AgeSeconds)) => bounds.extend(bound.value(of)),
            Self::Compare(..) => {}
            Self::And(left, right) | Self::Or(left, right) => {
                left.ages(of, bounds);
                right.ages(of, bounds);
            }
            Self::Not(inner) => inner.ages(of, bounds),
        }
    }
}

impl Term {
    /// `None`: it has no value, or none that a number can hold.
    fn value(&self, of: &Measured) -> Option<f64> {
        let value = match self {
            Self::Number(number) => *number,
            Self::Measure(measure) => of.value(*measure),
            Self::Negative(inner) => -inner.value(of)?,
            Self::Calculated(left, how, right) => {
                let (left, right) = (left.value(of)?, right.value(of)?);
                match how {
                    Calculation::Add => left + right,
                    Calculation::Subtract => left - right,
                    Calculation::Multiply => left * right,
                    Calculation::Divide => left / right,
                }
            }
        };
        value.is_finite().then_some(value)
    }

    pub(crate) fn measures(&self, named: &mut Vec<Measure>) {
        match self {
            Self::Number(_) => {}
            Self::Measure(measure) => named.push(*measure),
            Self::Negative(inner) => inner.measures(named),
            Self::Calculated(left, _, right) => {
                left.measures(named);
                right.measures(named);
            }
        }
    }
}
