//! The drift of a step, counted: for the run's summary, and for the state, which keeps it by step.

use super::difference::{self, Difference};
use crate::decode::{self, Drift};
use alluvium_spec::{DriftKind, DriftPolicies, DriftPolicy, Severity};
use alluvium_store::QualityResult;
use arrow::datatypes::Schema;
use std::collections::{BTreeMap, BTreeSet};

/// More differences of one step are counted together.
const MOST: usize = 1_000;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    by: BTreeMap<(DriftKind, String), One>,
    /// Differences beyond those.
    more: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct One {
    records: u64,
    detail: String,
    /// It is inside of a column, which holds it.
    inside: bool,
    /// It is a column from now on.
    grown: bool,
}

/// A difference of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) what: Difference,
    pub(crate) records: u64,
    pub(crate) inside: bool,
}

/// What the decoder and the watch found in an object of so many rows. `typed`: how its types differ inside of columns.
pub(crate) fn differences_of(drift: &Drift, columns: &Schema, rows: u64, typed: &[Difference]) -> Vec<Found> {
    let names = || columns.fields().iter().map(|f| f.name().as_str());
    let missing: BTreeSet<&str> = drift.missing.iter().map(String::as_str).collect();
    let mut other_letters: BTreeSet<&str> = BTreeSet::new();
    let mut all = Vec::new();
    let mut add = |what: Difference, records: u64, inside: bool| all.push(Found { what, records, inside });
    for (name, records) in &drift.new_fields {
        match decode::in_other_letters(name, names()) {
            Some(column) => {
                other_letters.insert(column);
                add(difference::recased(name, column), *records, false);
            }
            None => add(difference::new(name, missing.iter().copied()), *records, false),
        }
    }
    for (name, (column, records)) in &drift.recased {
        add(difference::recased(name, column), *records, false);
    }
    for name in missing.iter().filter(|n| !other_letters.contains(*n)) {
        add(difference::missing_among(name, drift.new_fields.keys().map(String::as_str)), rows, false);
    }
    if let Some((earlier, later)) = &drift.reordered {
        add(difference::reordered(earlier, later), rows, false);
    }
    for (name, rescues) in drift.rescued.iter().filter(|(_, r)| r.retyped > 0) {
        let within = |d: &&Difference| d.field == *name || d.field.starts_with(&format!("{name}."));
        let deep: Vec<&Difference> =
            typed.iter().filter(|d| within(d) || d.field.starts_with(&format!("{name}[]"))).collect();
        for d in &deep {
            add((*d).clone(), rescues.retyped, d.field != *name);
        }
        if deep.is_empty() {
            let detail = "values of it are none of the column's type".to_owned();
            add(Difference { kind: DriftKind::Retyped, field: name.clone(), detail }, rescues.retyped, false);
        }
    }
    for (kind, (path, records)) in drift.inside.iter().flat_map(|(k, paths)| paths.iter().map(move |p| (k, p))) {
        let detail = "the contract has it otherwise".to_owned();
        let inside = path.contains(['.', '[']);
        add(Difference { kind: *kind, field: path.clone(), detail }, *records, inside);
    }
    for path in drift.inside_known.iter().filter(|(_, there)| !**there).map(|(path, _)| path) {
        let detail = "the contract names it, and no record has it".to_owned();
        add(Difference { kind: DriftKind::Missing, field: path.clone(), detail }, rows, true);
    }
    all
}

impl Seen {
    pub(crate) fn add(&mut self, found: Found) {
        let Found { what: Difference { kind, field, detail }, records, inside } = found;
        self.count(kind, field, One { records, detail, inside, grown: false });
    }

    /// Records that have a field which is a column from now on.
    pub(crate) fn grew(&mut self, name: &str, records: u64) {
        let detail = "it is a column from now on".to_owned();
        self.count(DriftKind::New, name.to_owned(), One { records, detail, inside: false, grown: true });
    }

    fn count(&mut self, kind: DriftKind, field: String, one: One) {
        if self.by.len() >= MOST && !self.by.contains_key(&(kind, field.clone())) {
            self.more += 1;
            return;
        }
        let records = one.records;
        self.by.entry((kind, field)).and_modify(|o| o.records += records).or_insert(one);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for ((kind, field), one) in other.by {
            self.count(kind, field, one);
        }
        self.more += other.more;
    }

    /// New fields that are no columns, and could be.
    pub(crate) fn new_columns(&self) -> impl Iterator<Item = &str> {
        let new = self.by.iter().filter(|((kind, _), one)| *kind == DriftKind::New && !one.inside && !one.grown);
        new.map(|((_, field), _)| field.as_str()).filter(|n| decode::holdable(n))
    }

    /// What a person should hear of.
    pub(crate) fn notes(&self, policies: DriftPolicies) -> Vec<String> {
        let told = self.by.iter().filter_map(|((kind, field), one)| note(*kind, field, one, policies.of(*kind)));
        let more = (self.more > 0).then(|| format!("{} more fields differ", self.more));
        told.chain(more).collect()
    }

    /// As the state keeps it. What the policy lets pass has passed.
    pub(crate) fn quality(&self, policies: DriftPolicies, checked: u64) -> Vec<QualityResult> {
        let result = |((kind, field), one): (&(DriftKind, String), &One)| {
            let policy = policies.of(*kind);
            QualityResult {
                rule: difference::rule(*kind, field),
                action: policy.word().into(),
                severity: Severity::Warning.word().into(),
                dimension: Some("conformity".into()),
                checked: checked.max(one.records),
                violations: one.records,
                passed: matches!(policy, DriftPolicy::Evolve | DriftPolicy::Rescue),
                note: Some(one.detail.clone()),
                figure: None,
            }
        };
        self.by.iter().map(result).collect()
    }
}

fn note(kind: DriftKind, field: &str, one: &One, policy: DriftPolicy) -> Option<String> {
    // Those are among the broken rules.
    if policy == DriftPolicy::Quarantine && one.records > 0 {
        return None;
    }
    let text = match (kind, one.inside) {
        (DriftKind::New, false) if one.grown => format!("new field `{field}` is a column from now on"),
        (DriftKind::New, false) => format!("new field `{field}`, kept in _rescued"),
        (DriftKind::Missing, false) => return Some(format!("expected field `{field}` is missing")),
        (DriftKind::Retyped, false) if one.detail.contains("contract") => {
            format!("field `{field}` changed its type: {}", one.detail)
        }
        (DriftKind::Retyped, false) => format!("field `{field}` changed its type, kept in _rescued"),
        (DriftKind::Recased, false) if policy == DriftPolicy::Evolve => {
            format!("field `{field}` is in other letters: {}", one.detail)
        }
        (DriftKind::Recased, false) => format!("field `{field}` is in other letters, kept in _rescued: {}", one.detail),
        (DriftKind::Reordered, _) => return Some(format!("fields come in another order: `{field}`: {}", one.detail)),
        (_, true) => format!("field `{field}` is {}: {}", kind.word(), one.detail),
    };
    Some(if one.records == 0 { text } else { format!("{text} ({} records)", one.records) })
}
