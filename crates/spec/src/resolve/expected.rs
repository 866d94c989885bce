//! Which source columns the silver datasets of a bronze one need, found by walking their steps backwards.

use crate::{
    contract::{Action, Check},
    dataset::{NormalizeDraft, SilverDraft, StepDraft},
    drift::Inside,
    odcs::{CheckDraft, ObjectDraft, RESERVED, RuleDraft},
};
use std::collections::{BTreeMap, BTreeSet};

/// Source names in the order of the contract, then those that only steps use.
pub(super) fn of_silver(silver: &SilverDraft, object: &ObjectDraft) -> Vec<String> {
    let mut needed: Vec<String> = object.column_names().map(str::to_owned).collect();
    needed.extend(silver.write.conditions().flat_map(|e| &e.uses).map(|u| u.value.clone()));
    for step in silver.steps.iter().rev() {
        match step {
            StepDraft::Validate => {}
            StepDraft::Enrich(e) => {
                needed.retain(|c| !e.take.iter().any(|(new, _)| new.value == *c));
                needed.extend(e.on.iter().map(|(here, _)| here.value.clone()));
            }
            StepDraft::Sql { query, .. } => {
                if query.passes_all {
                    needed.retain(|c| !query.makes.contains(c));
                } else {
                    needed.clear();
                }
                needed.extend(query.uses.iter().map(|u| u.value.clone()));
            }
            StepDraft::Normalize(n) => {
                for c in &mut needed {
                    if let Some((old, _)) = n.renames.iter().find(|(_, new)| new.value == *c) {
                        c.clone_from(&old.value);
                    }
                }
            }
        }
    }
    let mut seen = BTreeSet::new();
    // Bronze adds the reserved ones itself.
    needed.retain(|c| !RESERVED.contains(&c.to_lowercase().as_str()) && seen.insert(c.clone()));
    needed
}

/// What the contract says of source columns that reach it with the values that they have.
pub(super) fn inside_of(silver: &SilverDraft, object: &ObjectDraft) -> BTreeMap<String, Inside> {
    let columns = object.columns.iter().map(|c| (c.column.name.clone(), c.inside.clone()));
    let mut known: BTreeMap<String, Inside> = columns.collect();
    for step in silver.steps.iter().rev() {
        match step {
            StepDraft::Validate => {}
            StepDraft::Enrich(e) => known.retain(|c, _| !e.take.iter().any(|(new, _)| new.value == *c)),
            StepDraft::Sql { query, .. } if query.passes_all => known.retain(|c, _| !query.makes.contains(c)),
            StepDraft::Sql { .. } => known.clear(),
            StepDraft::Normalize(n) => {
                for (old, new) in &n.renames {
                    if let Some(inside) = known.remove(&new.value) {
                        known.insert(old.value.clone(), inside);
                    }
                }
            }
        }
    }
    known
}

/// Source columns without which no row can be one of the contract: what it requires, as far as it comes straight from the source.
pub(super) fn required_of(silver: &SilverDraft, object: &ObjectDraft) -> BTreeSet<String> {
    let mut required: BTreeSet<String> =
        object.rules.iter().filter(|r| refuses_null(r)).flat_map(|r| r.columns.iter().cloned()).collect();
    for step in silver.steps.iter().rev() {
        match step {
            StepDraft::Validate => {}
            StepDraft::Enrich(e) => required.retain(|c| !e.take.iter().any(|(new, _)| new.value == *c)),
            // What is filtered may leave no row that lacks the column.
            StepDraft::Sql { query, .. } if query.passes_as_is => {
                required.retain(|c| !query.makes.contains(c));
            }
            StepDraft::Sql { .. } => required.clear(),
            StepDraft::Normalize(n) => required = before(n, required),
        }
    }
    required.retain(|c| !RESERVED.contains(&c.to_lowercase().as_str()));
    required
}

fn refuses_null(rule: &RuleDraft) -> bool {
    matches!(rule.check, CheckDraft::Ready(Check::Required))
        && rule.inside.is_none()
        && rule.threshold.is_none()
        && matches!(rule.action, Action::Quarantine | Action::Fail)
}

fn before(n: &NormalizeDraft, required: BTreeSet<String>) -> BTreeSet<String> {
    let given = required.into_iter().filter(|c| !n.step.default.contains_key(c));
    given.map(|c| n.renames.iter().find(|(_, new)| new.value == c).map_or(c, |(old, _)| old.value.clone())).collect()
}
