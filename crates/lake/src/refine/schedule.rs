//! Decides at which `validate` each rule is checked.
//!
//! A rule that removes rows is checked at the first `validate`, and again at a later one if a step between changed one
//! of its columns: what stays always holds. A rule that only counts is checked once, on the values that are written.
//! `unique` comes last, among the rows that everything else accepted.

use super::rules::{Rule, Test};
use std::collections::BTreeSet;

/// For each step, in order: `None` for a `validate`, else the columns that it changes.
pub(super) type Changes = Vec<Option<BTreeSet<String>>>;

/// The steps (indices of `validate`s, at least one) at which the rule is checked.
pub(super) fn schedule(rule: &Rule, changes: &Changes) -> Vec<usize> {
    let passes: Vec<usize> = (0..changes.len()).filter(|i| changes[*i].is_none()).collect();
    let changes_it = |step: usize| changes[step].as_ref().is_some_and(|c| rule.columns.iter().any(|n| c.contains(n)));
    match (&rule.test, rule.removes()) {
        (Test::Elsewhere, _) => Vec::new(),
        (Test::Unique(_), _) => passes.last().copied().into_iter().collect(),
        (_, true) => {
            let again = |pair: &[usize]| (pair[0]..pair[1]).any(changes_it).then_some(pair[1]);
            passes.first().copied().into_iter().chain(passes.windows(2).filter_map(again)).collect()
        }
        (_, false) => {
            let settled = |pass: &usize| !(*pass..changes.len()).any(changes_it);
            passes.into_iter().find(settled).into_iter().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_spec::Action;

    fn rule(action: Action) -> Rule {
        let mut rule = Rule::elsewhere("r".into(), Some("a"), action, String::new());
        rule.test = Test::Required;
        rule
    }

    fn changes(steps: &[&str]) -> Changes {
        steps.iter().map(|s| (*s != "validate").then(|| BTreeSet::from([(*s).to_owned()]))).collect()
    }

    #[test]
    fn checked_again_only_after_a_change() {
        let steps = changes(&["a", "validate", "b", "validate", "a", "validate"]);
        assert_eq!(schedule(&rule(Action::Quarantine), &steps), [1, 5]);
        assert_eq!(schedule(&rule(Action::Warn), &steps), [5]);
        let steps = changes(&["validate", "b", "validate"]);
        assert_eq!(schedule(&rule(Action::Drop), &steps), [0]);
        assert_eq!(schedule(&rule(Action::Warn), &steps), [0]);
    }
}
