//! Counts over the batches of a step: rows by where they went, violations by rule.

use std::collections::BTreeMap;

/// `received = valid + quarantined + dropped`. Additive: the tallies of several workers merge in any order to the same result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bronze rows given to `refine`.
    pub received: u64,
    pub valid: u64,
    pub quarantined: u64,
    /// Removed by a rule whose action is `drop`, or by the `WHERE` of an `sql` step.
    pub dropped: u64,
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
