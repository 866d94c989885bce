//! Rules over several rows or columns: those that only one version has.

use super::{
    change::{Change, Path, What},
    shape::{ObjectShape, TableRule},
};
use std::collections::BTreeSet;

pub(super) fn compare(path: &Path, old: &ObjectShape, new: &ObjectShape, out: &mut Vec<Change>) {
    for rule in new.rules.iter().filter(|r| !said(&old.rules, r)) {
        let follows = follows(&old.rules, rule);
        out.push(change(path, rule, What::RuleAdded, !follows));
    }
    for rule in old.rules.iter().filter(|r| !said(&new.rules, r)) {
        let follows = follows(&new.rules, rule);
        out.push(change(path, rule, What::RuleRemoved, !follows));
    }
}

fn change(path: &Path, rule: &TableRule, what: What, breaks: bool) -> Change {
    let added = what == What::RuleAdded;
    let text = Some(rule.label.clone());
    let (before, after) = if added { (None, text) } else { (text, None) };
    let path = match rule.columns.as_slice() {
        [one] => path.to(one),
        _ => path.clone(),
    };
    Change { path, what, before, after, breaks_backward: added && breaks, breaks_forward: !added && breaks }
}

fn said(rules: &[TableRule], rule: &TableRule) -> bool {
    rules.iter().any(|r| r.text == rule.text)
}

/// Whether it holds wherever `rules` hold: rows that differ in some columns differ in more of them.
fn follows(rules: &[TableRule], rule: &TableRule) -> bool {
    let columns: BTreeSet<&String> = rule.columns.iter().collect();
    let fewer = |r: &TableRule| r.unique && rule.unique && r.columns.iter().all(|c| columns.contains(c));
    said(rules, rule) || rules.iter().any(fewer)
}
