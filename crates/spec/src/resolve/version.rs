//! The definition version: a hash of everything that decides a dataset's rows, and of nothing else.
//!
//! Comments, layout, descriptions, line numbers, places on the disk, and acceptance criteria leave it as it is.

use crate::{
    contract::{Check, Contract},
    dataset::{BronzeDraft, GoldDraft, SilverDraft, StepDraft, TrackedDraft, WriteDraft},
    definition::Late,
    drift::{DriftPolicies, Inside},
    sql,
};
use alluvium_model::{DatasetName, DefinitionVersion};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Raised when a release computes other rows from the same definition.
const ENGINE_RULES_VERSION: u32 = 1;

pub(super) fn bronze(
    b: &BronzeDraft,
    expected: &[String],
    inside: &BTreeMap<String, Inside>,
    required: &BTreeMap<DatasetName, BTreeSet<String>>,
) -> DefinitionVersion {
    let mut all = json!({ "layer": "bronze", "format": b.source.format, "csv": b.source.csv, "expected": expected });
    // As it has always been, drift decides no row beyond what the columns do.
    if b.drift != DriftPolicies::default() {
        all["drift"] = json!(b.drift);
        all["inside"] = json!(inside);
    }
    if !required.is_empty() {
        all["required"] = json!(required.values().collect::<BTreeSet<_>>());
    }
    hash(&all)
}

pub(super) fn silver(s: &SilverDraft, contract: Option<&Contract>) -> DefinitionVersion {
    let steps: Vec<Value> = s.steps.iter().map(step).collect();
    let mut write = match &s.write {
        WriteDraft::Append => json!("append"),
        WriteDraft::Upsert { keys, sequence_by, delete_when, .. } => json!({
            "keys": keys.iter().map(|k| &k.value).collect::<Vec<_>>(),
            "sequence_by": sequence_by.iter().map(|k| &k.value).collect::<Vec<_>>(),
            "delete_when": delete_when.as_ref().map(|e| &e.canonical),
        }),
    };
    // Definitions without one keep the version that they have.
    if let WriteDraft::Upsert { truncate_when: Some(e), .. } = &s.write {
        write["truncate_when"] = json!(e.canonical);
    }
    if let WriteDraft::Upsert { snapshots: true, .. } = &s.write {
        write["snapshots"] = json!(true);
    }
    if let WriteDraft::Upsert { history: Some(tracked), .. } = &s.write {
        let mut names: Vec<&str> = tracked.names().iter().map(|n| n.value.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        write["history"] = match tracked {
            TrackedDraft::Only(_) => json!({ "only": names }),
            TrackedDraft::Except(_) => json!({ "except": names }),
        };
    }
    let from = &s.from.value;
    let mut all =
        json!({ "layer": "silver", "from": from, "steps": steps, "write": write, "contract": contract.map(terms) });
    // While late rows are loaded as all others, the watermark decides no row.
    if let Some(w) = s.watermark.as_ref().map(|w| &w.spec).filter(|w| w.late != Late::Recompute) {
        all["watermark"] = json!(w);
    }
    hash(&all)
}

pub(super) fn gold(g: &GoldDraft, contract: Option<&Contract>) -> DefinitionVersion {
    let window = g.window.as_ref().map(|w| &w.spec);
    hash(&json!({ "layer": "gold", "sql": g.canonical, "window": window, "contract": contract.map(terms) }))
}

fn step(s: &StepDraft) -> Value {
    match s {
        StepDraft::Normalize(n) => json!({ "normalize": n.step }),
        StepDraft::Validate => json!("validate"),
        StepDraft::Enrich(e) => {
            let pairs = |p: &[(crate::source_file::Spanned<String>, crate::source_file::Spanned<String>)]| {
                p.iter().map(|(a, b)| json!([a.value, b.value])).collect::<Vec<_>>()
            };
            json!({ "lookup": e.lookup.value, "on": pairs(&e.on), "take": pairs(&e.take) })
        }
        StepDraft::Sql { query, .. } => json!({ "sql": query.canonical }),
    }
}

fn terms(c: &Contract) -> Value {
    let columns: Vec<Value> = c.columns.iter().map(|c| json!([c.name, c.kind, c.required])).collect();
    let mut rules: Vec<Value> =
        c.rules.iter().map(|r| json!([r.id, r.columns, canonical(&r.check), r.action, r.threshold])).collect();
    // The order of rules in the file decides nothing.
    rules.sort_by_cached_key(ToString::to_string);
    json!({ "columns": columns, "key": c.primary_key, "rules": rules })
}

fn canonical(check: &Check) -> Value {
    match check {
        Check::Expression { sql } => {
            json!({ "expression": sql::row_expression(sql, None).map_or_else(|_| sql.clone(), |e| e.canonical) })
        }
        Check::Query { sql, inputs } => {
            let parsed = sql::query(&sql.replace("${object}", "_object__"), None);
            json!({ "query": parsed.map_or_else(|_| sql.clone(), |q| q.canonical), "inputs": inputs })
        }
        other => json!(other),
    }
}

fn hash(value: &Value) -> DefinitionVersion {
    let text = value.to_string();
    DefinitionVersion::of([&ENGINE_RULES_VERSION.to_be_bytes()[..], text.as_bytes()])
}
