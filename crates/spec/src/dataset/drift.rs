//! `drift:` what a bronze dataset does with fields that are new, missing, or not as they were.

use crate::{
    codes,
    definition::Format,
    diagnostic::quoted,
    drift::{DriftKind, DriftPolicies, DriftPolicy},
    source_file::Spanned,
    yaml::{Fields, Node, Reader, Value},
};

const KEYS: [&str; 5] = ["new", "missing", "retyped", "reordered", "recased"];

/// `format`: as the source declares it. With it, whether the file says what becomes of missing columns.
pub(super) fn read(f: &mut Fields<'_>, format: Option<Format>, r: &mut Reader<'_>) -> (DriftPolicies, bool) {
    let mut policies = DriftPolicies::default();
    let mut said_missing = false;
    let Some(node) = f.take("drift") else { return (policies, said_missing) };
    if let Value::Scalar(_) = &node.value {
        if let Some(policy) = word(node, r) {
            // One word for all that take it; the others stay as they are.
            let takes = |k: &&DriftKind| k.policies().contains(&policy.value);
            DriftKind::ALL.iter().filter(takes).for_each(|k| policies.set(*k, policy.value));
            said_missing = takes(&&DriftKind::Missing);
        }
        return (policies, said_missing);
    }
    let wanted = "a policy such as `rescue`, or a mapping such as `{ new: evolve, retyped: quarantine }`";
    let Some(mut fields) = r.fields(node, wanted) else { return (policies, said_missing) };
    for (key, kind) in KEYS.into_iter().zip(DriftKind::ALL) {
        let Some(entry) = fields.take_entry(key).filter(|e| !e.value.is_null()) else { continue };
        if let Some(reason) = never(kind, format) {
            let message = format!("`{key}` says nothing here: {reason}");
            r.error(codes::CONTRADICTION, entry.key.place, message, Some("remove it".to_owned()));
            continue;
        }
        let Some(policy) = word(&entry.value, r) else { continue };
        if kind.policies().contains(&policy.value) {
            policies.set(kind, policy.value);
            said_missing |= kind == DriftKind::Missing;
        } else {
            let message =
                format!("{} makes no sense for `{key}`: {}", quoted(policy.value.word()), why(kind, policy.value));
            let words: Vec<&str> = kind.policies().iter().map(|p| p.word()).collect();
            let help = Some(format!("known here: {}", words.join(", ")));
            r.error(codes::DRIFT_POLICY, policy.place, message, help);
        }
    }
    fields.finish(r);
    (policies, said_missing)
}

fn word(node: &Node, r: &mut Reader<'_>) -> Option<Spanned<DriftPolicy>> {
    r.choice(node, &DriftPolicy::ALL.map(|p| (p.word(), p)))
}

/// Why files of that format never differ in this way.
fn never(kind: DriftKind, format: Option<Format>) -> Option<&'static str> {
    match (kind, format?) {
        (DriftKind::Retyped, Format::Csv | Format::Tsv) => Some("the fields of csv and tsv have no types"),
        (DriftKind::Reordered, Format::Ndjson) => Some("the fields of ndjson have no order"),
        _ => None,
    }
}

fn why(kind: DriftKind, policy: DriftPolicy) -> &'static str {
    match (kind, policy) {
        (DriftKind::Missing, DriftPolicy::Rescue) => "there is no value that could be kept",
        (DriftKind::Retyped, DriftPolicy::Evolve) => "a column of a table keeps its type",
        (DriftKind::Reordered, DriftPolicy::Rescue | DriftPolicy::Quarantine) => {
            "columns are found by their names, and each value has its place"
        }
        _ => "it is another kind of drift",
    }
}
