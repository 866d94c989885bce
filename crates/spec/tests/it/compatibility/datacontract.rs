//! Pairs of contracts of the datacontract CLI 1.2.8 (MIT), with the direction that each change breaks.

use super::shown;
use alluvium_spec::{Mode, Shape, compare, read_contract};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Pairs that are decided otherwise here, by the reason.
const OTHERWISE: [(&str, &[&str]); 6] = [
    (
        "an optional field comes and goes, and breaks nothing",
        &[
            "added-properties",
            "nested-property-added",
            "nested-property-removed",
            "property-added",
            "property-removed",
            "warning-only",
        ],
    ),
    (
        "physical names, service levels and rules of v3.0 beside `metric` of the same meaning are no change of what a value is",
        &[
            "freshness-added",
            "freshness-element-resolved",
            "freshness-longer",
            "freshness-other-column",
            "freshness-shorter",
            "rename-column",
            "rename-dotted-table",
            "rule-alias-replaced-by-metric",
        ],
    ),
    (
        "the inside of a map and of a vector is not compared",
        &[
            "enum-1-nested",
            "enum-2-nested",
            "enum-3-nested",
            "enum-4-nested",
            "enum-5-nested",
            "vector-1",
            "vector-3",
            "vector-4",
        ],
    ),
    (
        "a text is no value of a column of integers, listed or not",
        &[
            "missing-value-marker-added",
            "null-values-to-missing-values",
            "valid-value-added",
            "valid-value-added-to-exact-count",
            "valid-value-added-to-percent-limit",
            "valid-value-removed",
        ],
    ),
    ("a number of rows is not below zero", &["threshold-replaced-by-overlapping"]),
    ("a column without a type is one of text", &["type-added", "type-removed"]),
];

/// Pairs of which one version is refused, by the reason.
const REFUSED: [(&str, &[&str]); 4] = [
    ("a rule over columns that the object lacks", &["duplicate-key-widened"]),
    ("`metric` belongs to no SQL rule", &["query-changed"]),
    ("`rowCount` is a rule of the object", &["unrunnable-rule"]),
    ("the value is none of its kind", &["minimum-not-a-date-2024-01-01", "required-updated-true-maybe"]),
];

fn read(document: &Value) -> Result<Shape, String> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("orders.odcs.yaml");
    std::fs::write(&path, document.to_string()).expect("a file");
    read_contract(&path).map(|c| c.shape).map_err(|e| e.to_string())
}

/// The directions, as the suite names them; what it leaves open agrees with anything that is no promise.
fn agrees(expected: &BTreeSet<&str>, found: &BTreeSet<&str>) -> bool {
    if expected.contains("unknown") { !found.is_empty() } else { expected == found }
}

fn known<'a>(of: &[(&str, &'a [&'a str])]) -> BTreeSet<&'a str> {
    of.iter().flat_map(|(_, ids)| ids.iter().copied()).collect()
}

#[test]
fn the_datacontract_cli_agrees() {
    let text = include_str!("../fixtures/compatibility/datacontract-cli-1.2.8.json");
    let suite: Value = serde_json::from_str(text).expect("a suite");
    let cases = suite["cases"].as_array().expect("cases");
    let (mut otherwise, mut refused) = (BTreeMap::new(), BTreeMap::new());
    for case in cases {
        let id = case["id"].as_str().expect("an id");
        let expected = case["breaks"].as_array().expect("directions").iter().map(|d| d.as_str().expect("a word"));
        let expected: BTreeSet<&str> = expected.collect();
        let (old, new) = match (read(&case["old"]), read(&case["new"])) {
            (Ok(old), Ok(new)) => (old, new),
            (Err(e), _) | (_, Err(e)) => {
                refused.insert(id, e);
                continue;
            }
        };
        let found = compare(&old, &new);
        let modes = [("backward", Mode::Backward), ("forward", Mode::Forward)];
        let broken: BTreeSet<&str> = modes.iter().filter(|(_, m)| !found.is_compatible(*m)).map(|(w, _)| *w).collect();
        if !agrees(&expected, &broken) {
            otherwise.insert(id, format!("expected {expected:?}: {:?}", shown(&found)));
        }
    }
    assert_eq!(otherwise.keys().copied().collect::<BTreeSet<_>>(), known(&OTHERWISE), "{otherwise:#?}");
    assert_eq!(refused.keys().copied().collect::<BTreeSet<_>>(), known(&REFUSED), "{refused:#?}");
    assert_eq!(cases.len(), 109);
}
