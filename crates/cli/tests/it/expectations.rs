//! Cases of Great Expectations, each as the contract or the acceptance that a user would write for it, all in one project and by one run.

mod cases;
mod written;

use crate::harness::Project;
use alluvium_spec::{Environment, load};
use cases::{A_CONDITION, AN_ERROR, Case, OTHER_ENGINES, PYTHON, Reason, SEVERAL_TYPES, cases, list, text};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};
use written::{NOTHING, Written};

const SUITE: &str = include_str!("../fixtures/great-expectations-0.18.22.json");

const UPSIDE_DOWN: Reason = "the contract is refused: its bounds exclude each other";
const A_SPACE: Reason = "the contract is refused: a column's name holds a space";

const NO_NUMBER: Reason = "what is accepted is refused: true and false are no numbers";

const CASES: usize = 364;
const NOT_TRIED: [(Reason, usize); 9] = [
    (AN_ERROR, 32),
    (OTHER_ENGINES, 45),
    (A_CONDITION, 10),
    (PYTHON, 2),
    (SEVERAL_TYPES, 3),
    (NOTHING, 7),
    (UPSIDE_DOWN, 1),
    (A_SPACE, 4),
    (NO_NUMBER, 2),
];

/// Cases that are decided otherwise here, and why.
const OTHERWISE: [(&str, &[&str]); 4] = [
    (
        "`mostly` is a share of the values that are there, `accept: { invalid }` one of all rows",
        &[
            "column_values_to_be_between: negative_test_to_verify_that_the_denominator_for_mostly_works_with_missing_values",
            "column_values_to_match_like_pattern: negative_test_one_missing_value_and_insufficent_mostly",
            "column_values_to_match_regex: negative_test_one_missing_value_and_insufficent_mostly",
        ],
    ),
    (
        "of rows that share a value all count for `mostly`, and here all but the first",
        &["column_values_to_be_unique: negative_case_using_mostly"],
    ),
    (
        "a figure of no values lies in no range, and here is not judged",
        &[
            "column_max_to_be_between: test_empty_column_should_be_false_no_observed_value_with_which_to_compare",
            "column_mean_to_be_between: test_empty_column_should_be_false_no_observed_value_with_which_to_compare",
            "column_median_to_be_between: test_empty_column_should_be_false_no_observed_value_with_which_to_compare",
        ],
    ),
    (
        "a median may lie between two values, and here is one of them",
        &["column_median_to_be_between: positive_test_min_equal_max"],
    ),
];

#[test]
fn great_expectations_agrees() {
    let suite: Value = serde_json::from_str(SUITE).expect("a suite");
    let cases = cases(&suite);
    let p = Project::new(&[("alluvium.yaml", "name: expectations\n")]);
    let (mut tried, mut not_tried) = (Vec::new(), BTreeMap::<Reason, usize>::new());
    for case in &cases {
        let written = case.refused().map_or_else(|| Written::of(case), Err);
        match written.and_then(|w| refusal(case, &w).map_or(Ok(w), Err)) {
            Ok(w) => {
                put(&p, case, &w);
                tried.push((case, w.accept.is_some()));
            }
            Err(reason) => *not_tried.entry(reason).or_default() += 1,
        }
    }
    assert_eq!((cases.len(), not_tried), (CASES, NOT_TRIED.into_iter().collect()));

    let ran = p.alluvium(&["run"]);
    assert_eq!(ran.code, Some(1), "some are held: {ran}");
    let held = p.json(&["show", "held"]);
    let held: BTreeSet<&str> = list(&held).iter().map(|h| text(&h["dataset"])).collect();
    let quarantined = quarantined(&p);
    let shown = p.json(&["show", "datasets"]);
    let count = |d: &Value, of: &str| d[of].as_u64().unwrap_or(0) as usize;
    let of = |d: &Value| (text(&d["dataset"]).to_owned(), count(d, "rows") + count(d, "quarantined"));
    let judged_rows: BTreeMap<String, usize> = list(&shown).iter().map(of).collect();
    let mut otherwise = BTreeMap::new();
    for (case, judged) in tried {
        let rows = quarantined.get(&case.number).into_iter().flatten();
        let mut broken: Vec<_> = rows.map(|row| case.values(*row)).collect();
        broken.sort();
        let dataset = format!("silver.{}{}", if judged { "v" } else { "c" }, case.number);
        let is_held = judged && held.contains(&*dataset);
        // Nothing agrees that was not judged.
        assert!(is_held || judged_rows[&dataset] == case.rows(), "{dataset} of {}: {shown}", case.name());
        let passes = if judged { !is_held } else { broken.is_empty() };
        if passes != case.passes() || case.broken().is_some_and(|expected| expected != broken) {
            otherwise.insert(case.name(), format!("passes: {passes}, broken: {broken:?}, {}", case.whole));
        }
    }
    let known: BTreeSet<&str> = OTHERWISE.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    assert_eq!(otherwise.keys().map(String::as_str).collect::<BTreeSet<_>>(), known, "{otherwise:#?}");
}

/// Why the contract is not taken.
fn refusal(case: &Case<'_>, w: &Written) -> Option<Reason> {
    let (set, number) = (case.set, case.number);
    let p = Project::new(&[
        ("alluvium.yaml", "name: one\n"),
        (&format!("datasets/bronze/d{set}.yaml"), "source: { files: landing/ }\n"),
        (&format!("datasets/silver/c{number}.yaml"), &w.judged().to_string()),
        (&format!("contracts/c{number}.odcs.yaml"), &w.contract.to_string()),
    ]);
    match load(p.root(), &Environment::default()).err()?.to_string() {
        m if m.contains("`minLength` 1 is above `maxLength` 0") => Some(UPSIDE_DOWN),
        m if m.contains("cannot name a column of a table") => Some(A_SPACE),
        m if m.contains("is not a number") => Some(NO_NUMBER),
        m => panic!("{}: {m}", case.name()),
    }
}

/// What is held has no rows in quarantine yet: rows are told of one dataset, and the verdict of another beside it.
fn put(p: &Project, case: &Case<'_>, w: &Written) {
    let (set, number) = (case.set, case.number);
    p.put(&format!("contracts/c{number}.odcs.yaml"), w.contract.to_string().as_bytes());
    if w.accept.is_none() || case.broken().is_some() {
        p.put(&format!("datasets/silver/c{number}.yaml"), w.silver.to_string().as_bytes());
    }
    if w.accept.is_some() {
        p.put(&format!("datasets/silver/v{number}.yaml"), w.judged().to_string().as_bytes());
    }
    let bronze = format!("source: {{ files: landing/d{set}/, glob: \"*.ndjson\", settle: 0s }}\n");
    p.put(&format!("datasets/bronze/d{set}.yaml"), bronze.as_bytes());
    let mut rows = String::new();
    for row in 0..case.rows() {
        let mut record = json!({ "pk_index": row });
        for (column, values) in case.data {
            record[column] = values[row].clone();
        }
        writeln!(rows, "{record}").expect("a text");
    }
    p.put(&format!("landing/d{set}/1.ndjson"), rows.as_bytes());
}

/// By case, the rows in its quarantine.
fn quarantined(p: &Project) -> BTreeMap<usize, Vec<usize>> {
    let shown = p.json(&["show", "datasets"]);
    let some = list(&shown).iter().filter(|d| d["quarantined"].as_u64() > Some(0));
    let numbers = some.filter_map(|d| text(&d["dataset"]).strip_prefix("silver.c")?.parse::<usize>().ok());
    let each = numbers.map(|n| format!("SELECT {n} AS number, record FROM quarantine.silver_c{n}"));
    let mut found = BTreeMap::<usize, Vec<usize>>::new();
    for row in p.rows(&each.collect::<Vec<_>>().join(" UNION ALL ")) {
        let record: Value = serde_json::from_str(text(&row["record"])).expect("a record");
        let index = text(&record["pk_index"]).parse().expect("a row");
        found.entry(row["number"].as_u64().expect("a number") as usize).or_default().push(index);
    }
    found
}
