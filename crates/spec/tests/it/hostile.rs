//! No bytes in any project file make it panic, hang or grow.

use crate::{fixture, flights, write};
use alluvium_spec::{Environment, FieldKind, load, read_contract};
use proptest::prelude::*;

const FILES: [&str; 6] = [
    "alluvium.yaml",
    "contracts/flights.odcs.yaml",
    "datasets/bronze/flights.yaml",
    "datasets/silver/flights.yaml",
    "datasets/gold/daily_delays.sql",
    "contracts/airports.odcs.yaml",
];

fn original(path: &str) -> Vec<u8> {
    std::fs::read(fixture("flights").join(path)).expect("a fixture")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(which in 0..FILES.len(), bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let dir = flights();
        write(dir.path(), FILES[which], &bytes);
        let _ = load(dir.path(), &Environment::default());
    }

    #[test]
    fn arbitrary_yaml_never_panics(which in 0..FILES.len(), text in "[a-z*&!|>'\"\\[\\]{}:,#% \n-]{0,300}") {
        let dir = flights();
        write(dir.path(), FILES[which], text.as_bytes());
        let _ = load(dir.path(), &Environment::default()).map_err(|d| d.to_string());
    }

    /// Damage to a right file reaches deeper than noise does.
    #[test]
    fn damaged_files_never_panic(
        which in 0..FILES.len(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, "[ -~\n]{0,8}"), 1..4),
    ) {
        let dir = flights();
        let mut bytes = original(FILES[which]);
        for (at, length, new) in cuts {
            let start = at.index(bytes.len().max(1)).min(bytes.len());
            let end = (start + length).min(bytes.len());
            bytes.splice(start..end, new.bytes());
        }
        write(dir.path(), FILES[which], &bytes);
        let _ = load(dir.path(), &Environment::default()).map_err(|d| d.to_string());
    }
}

#[test]
fn files_that_are_too_large_are_not_read() {
    let dir = flights();
    write(dir.path(), "datasets/silver/flights.yaml", &vec![b'#'; (4 << 20) + 1]);
    let said = load(dir.path(), &Environment::default()).expect_err("too large");
    assert_eq!(said.0.iter().filter(|d| d.code == "E0003").count(), 1);
}

#[test]
fn many_mistakes_are_cut_short() {
    let dir = flights();
    let keys: String = (0..50_000).map(|i| format!("k{i}: 1\n")).collect();
    write(dir.path(), "datasets/bronze/flights.yaml", keys.as_bytes());
    let said = load(dir.path(), &Environment::default()).expect_err("unknown keys");
    assert!(said.0.len() < 200);
}

#[cfg(unix)]
#[test]
fn links_out_of_the_project_are_not_followed() {
    let dir = flights();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("datasets/silver/secret.yaml")).expect("linked");
    std::os::unix::fs::symlink("/etc", dir.path().join("contracts/etc")).expect("linked");
    std::os::unix::fs::symlink("/etc", dir.path().join("landing")).expect("linked");
    let said = load(dir.path(), &Environment::default()).expect_err("links");
    assert!(!said.to_string().contains("root:"));
    assert_eq!(said.0.iter().filter(|d| d.code == "E0001").count(), 2, "{said}");
    assert!(said.0.iter().any(|d| d.code == "E0013"));
}

/// Nine lines of a contract that is as it should be.
const CONTRACT: &str = "apiVersion: v3.0.2
kind: DataContract
id: airports
version: 1.0.0
status: active
schema:
  - name: airports
    properties:
      - { name: faa, logicalType: string, primaryKey: true }
";

/// That it is refused in that line, under that code.
#[track_caller]
fn refused(what: &str, rest: &str, code: &str, within: std::ops::RangeInclusive<usize>) {
    let dir = flights();
    write(dir.path(), "contracts/airports.odcs.yaml", format!("{CONTRACT}{rest}").as_bytes());
    let said = load(dir.path(), &Environment::default()).expect_err(what);
    let told = |d: &&alluvium_spec::Diagnostic| d.file.ends_with("airports.odcs.yaml") && d.code == code;
    let places: Vec<_> = said.0.iter().filter(told).map(|d| (d.line, d.column)).collect();
    let is_right = matches!(places[..], [(line, 1..)] if within.contains(&line));
    assert!(is_right, "{what} is not refused with {code} in {within:?}:\n{said}");
}

#[test]
fn contracts_that_would_grow_are_refused_at_their_place() {
    let deep = format!("tags: {}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    refused("a deep list", &deep, "E0003", 10..=10);
    let blocks: String = (0..300).map(|i| format!("{}x:\n", " ".repeat(i))).collect();
    refused(
        "deep blocks",
        &format!("customProperties:\n  - property: a\n    value:\n{}", indented(&blocks, 6)),
        "E0003",
        13..=90,
    );
    let mut bomb = "tags: [ &a0 [x, x, x, x, x, x, x, x, x]".to_owned();
    for n in 1..12 {
        bomb.push_str(&format!(", &a{n} [{}]", vec![format!("*a{}", n - 1); 9].join(", ")));
    }
    refused("an alias bomb", &format!("{bomb} ]\n"), "E0003", 10..=10);
    let pattern =
        |p: &str| format!("      - {{ name: icao, logicalType: string, logicalTypeOptions: {{ pattern: '{p}' }} }}\n");
    refused("a pattern of a billion states", &pattern("((a{1000}){1000}){1000}"), "E0310", 10..=10);
    refused("deep groups", &pattern(&format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000))), "E0310", 10..=10);
    refused("a pattern that looks back", &pattern("(a+)+\\1"), "E0310", 10..=10);
    let sql = |q: &str| format!("    quality:\n      - {{ type: sql, mustBe: 0, query: '{q}' }}\n");
    let long = format!("SELECT {} FROM ${{object}}", vec!["1"; 9_000].join("+"));
    refused("a sum of thousands", &sql(&long), "E0206", 11..=11);
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|l| format!("{}{l}\n", " ".repeat(by))).collect()
}

#[test]
fn rules_that_read_files_write_or_call_out_are_refused_at_their_place() {
    for (query, code) in [
        ("SELECT count(*) FROM ''/etc/passwd''", "E0203"),
        ("SELECT count(*) FROM read_csv(''/etc/passwd'')", "E0203"),
        ("SELECT count(*) FROM \"http://169.254.169.254/latest/meta-data\"", "E0101"),
        ("SELECT count(*) FROM ${object} WHERE faa IN (SELECT a FROM ''s3://other/x.parquet'')", "E0203"),
        ("COPY silver.airports TO ''/tmp/out.csv''", "E0202"),
        ("INSERT INTO silver.airports VALUES (1)", "E0202"),
        ("DROP TABLE silver.airports", "E0202"),
        ("SELECT 1; DROP TABLE silver.airports", "E0202"),
        ("WITH x AS (DELETE FROM silver.airports) SELECT 1", "E0202"),
        ("SELECT count(*) FROM ${object} WHERE faa < CAST(now() AS VARCHAR)", "E0205"),
    ] {
        let rule = format!("    quality:\n      - type: sql\n        mustBe: 0\n        query: '{query}'\n");
        refused(query, &rule, code, 13..=13);
    }
    let row = |sql: &str| {
        format!("    quality:\n      - type: custom\n        engine: alluvium\n        implementation: '{sql}'\n")
    };
    refused("a query of another table", &row("faa IN (SELECT faa FROM silver.planes)"), "E0204", 13..=13);
}

/// The contract with more after it, which is read within moments however long it is.
fn field_of(rest: &str) -> alluvium_spec::Field {
    let dir = flights();
    write(dir.path(), "contracts/airports.odcs.yaml", format!("{CONTRACT}{rest}").as_bytes());
    let read = read_contract(&dir.path().join("contracts/airports.odcs.yaml")).unwrap_or_else(|e| panic!("{e}"));
    read.shape.objects[0].fields[1].clone()
}

#[test]
fn a_long_list_of_values_takes_no_time() {
    let values: String = (0..60_000).map(|i| format!("          - value: v{i}\n")).collect();
    let field = field_of(&format!("      - name: code\n        logicalType: string\n        enum:\n{values}"));
    assert_eq!(field.limits.values.map(|v| v.len()), Some(60_000));
}

#[test]
fn an_object_of_many_required_fields_takes_no_time() {
    let names: Vec<String> = (0..25_000).map(|i| format!("f{i}")).collect();
    let fields: String = names.iter().map(|n| format!("          - {{ name: {n}, logicalType: string }}\n")).collect();
    let field = field_of(&format!(
        "      - name: o\n        logicalType: object\n        logicalTypeOptions: {{ required: [{}] }}\n        properties:\n{fields}",
        names.join(", ")
    ));
    let FieldKind::Object(Some(fields)) = &field.kind else { panic!("{:?}", field.kind) };
    assert!(fields.len() == 25_000 && fields.iter().all(|f| f.limits.required));
}
