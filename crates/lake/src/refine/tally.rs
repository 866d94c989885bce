//! Counts over the batches of a step: rows by where they went, violations by rule.

use std::collections::BTreeMap;

/// `received = valid + quarantined + dropped + late`. Additive: the tallies of several workers merge in any order to the same result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bronze rows given to `refine`.
    pub received: u64,
    pub valid: u64,
    pub quarantined: u64,
    /// Removed by a rule whose action is `drop`, or by the `WHERE` of an `sql` step.
    pub dropped: u64,
    /// Left out because they came late.
    pub late: u64,
    /// Of the quarantined ones, those that only came late.
    pub late_aside: u64,
    /// The greatest event time of a valid row, microseconds since 1970; without those that lie after their arrival.
    pub reached: Option<i64>,
    /// Valid rows whose event time lies after their arrival.
    pub ahead: u64,
    /// By rule id; casts count under `type:<column>`.
    pub rules: BTreeMap<String, RuleCount>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RuleCount {
    /// Rows on which the rule was evaluated.
    pub checked: u64,
    pub violations: u64,
}

/// A `fail` rule that forbids the step to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    pub rule: String,
    pub count: RuleCount,
}

impl Tally {
    pub fn merge(&mut self, other: &Self) {
        self.received += other.received;
        self.valid += other.valid;
        self.quarantined += other.quarantined;
        self.dropped += other.dropped;
        self.late += other.late;
        self.late_aside += other.late_aside;
        self.reached = self.reached.max(other.reached);
        self.ahead += other.ahead;
        for (id, count) in &other.rules {
            self.count(id, count.checked, count.violations);
        }
    }

    pub(super) fn count(&mut self, rule: &str, checked: u64, violations: u64) {
        match self.rules.get_mut(rule) {
            Some(c) => {
                c.checked += checked;
                c.violations += violations;
            }
            None => {
                self.rules.insert(rule.to_owned(), RuleCount { checked, violations });
            }
        }
    }
}
