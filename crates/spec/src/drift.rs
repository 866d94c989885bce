//! Drift: how the fields of what arrives can differ from a dataset's columns, and what is done about it.
//!
//! Read from the dataset's file, and from its contracts for what is inside of columns; acted on by lake and flow.

use serde::Serialize;
use std::collections::BTreeMap;

/// The code of a step that waits until its dataset's definition changes.
pub const FROZEN: &str = "D0041";

/// How a field differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftKind {
    /// No column has its name.
    New,
    /// A column that the object lacks.
    Missing,
    /// Values of another type than the column's.
    Retyped,
    /// Columns in another order.
    Reordered,
    /// A column's name in other letters: `Amount` for `amount`.
    Recased,
}

/// What is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftPolicy {
    /// The table follows: a new field is a column from then on, a missing one is null, another order or other letters name
    /// the same columns.
    Evolve,
    /// What the columns cannot hold is kept in `_rescued`.
    Rescue,
    /// Rows that have it wait in the dataset's quarantine.
    Quarantine,
    /// The dataset takes in nothing new until its definition changes.
    Freeze,
    /// The object is a dead letter.
    Fail,
}

impl DriftKind {
    pub const ALL: [Self; 5] = [Self::New, Self::Missing, Self::Retyped, Self::Reordered, Self::Recased];

    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Missing => "missing",
            Self::Retyped => "retyped",
            Self::Reordered => "reordered",
            Self::Recased => "recased",
        }
    }

    /// What can be done with it, the default first.
    pub const fn policies(self) -> &'static [DriftPolicy] {
        use DriftPolicy::{Evolve, Fail, Freeze, Quarantine, Rescue};
        match self {
            Self::New | Self::Recased => &[Rescue, Evolve, Quarantine, Freeze, Fail],
            Self::Missing => &[Evolve, Quarantine, Freeze, Fail],
            Self::Retyped => &[Rescue, Quarantine, Freeze, Fail],
            Self::Reordered => &[Evolve, Freeze, Fail],
        }
    }
}

impl DriftPolicy {
    pub const ALL: [Self; 5] = [Self::Evolve, Self::Rescue, Self::Quarantine, Self::Freeze, Self::Fail];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Evolve => "evolve",
            Self::Rescue => "rescue",
            Self::Quarantine => "quarantine",
            Self::Freeze => "freeze",
            Self::Fail => "fail",
        }
    }

    /// Whether it stops the object before a row of it is loaded.
    pub const fn stops(self) -> bool {
        matches!(self, Self::Freeze | Self::Fail)
    }
}

/// The policy of a dataset for each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DriftPolicies {
    pub new: DriftPolicy,
    pub missing: DriftPolicy,
    pub retyped: DriftPolicy,
    pub reordered: DriftPolicy,
    pub recased: DriftPolicy,
}

impl Default for DriftPolicies {
    fn default() -> Self {
        Self {
            new: DriftPolicy::Rescue,
            missing: DriftPolicy::Evolve,
            retyped: DriftPolicy::Rescue,
            reordered: DriftPolicy::Evolve,
            recased: DriftPolicy::Rescue,
        }
    }
}

impl DriftPolicies {
    pub const fn of(&self, kind: DriftKind) -> DriftPolicy {
        match kind {
            DriftKind::New => self.new,
            DriftKind::Missing => self.missing,
            DriftKind::Retyped => self.retyped,
            DriftKind::Reordered => self.reordered,
            DriftKind::Recased => self.recased,
        }
    }

    pub(crate) const fn set(&mut self, kind: DriftKind, policy: DriftPolicy) {
        match kind {
            DriftKind::New => self.new = policy,
            DriftKind::Missing => self.missing = policy,
            DriftKind::Retyped => self.retyped = policy,
            DriftKind::Reordered => self.reordered = policy,
            DriftKind::Recased => self.recased = policy,
        }
    }

    /// Whether some kind has this policy.
    pub fn any(&self, policy: DriftPolicy) -> bool {
        DriftKind::ALL.iter().any(|k| self.of(*k) == policy)
    }
}

/// What a contract says of the values of a column, as far as JSON can differ from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Inside {
    /// Anything may stand there: a text, or nothing is said.
    Any,
    /// A number, a boolean, a date: no object and no array.
    Scalar,
    /// An object; with no fields named, any will do.
    Object(BTreeMap<String, Inside>),
    Array(Box<Inside>),
}
