//! The standard's own documents and those of other tools, and what v3.2 of it says about values.

use crate::fixture;
use alluvium_spec::{Bound, Check, ColumnType, Environment, load, read_contract};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Of the package open-data-contract-standard 3.2.0 (MIT).
#[test]
fn the_documents_of_the_standard_load() {
    for file in ["full-example-v3.2.0.odcs.yaml", "all-new-fields-v3.2.0.odcs.yaml"] {
        let read = read_contract(&fixture("odcs").join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(!read.shape.objects.is_empty(), "{file}");
    }
}

/// Documents in the tests of the datacontract CLI 1.2.8 (MIT), and the verdicts of its own `lint`.
const DATACONTRACT_CLI: &str = include_str!("fixtures/odcs/datacontract-cli-1.2.8.json");

/// Of its documents, those that are refused here, by the reason.
const REFUSED: [(&str, &[&str]); 6] = [
    (
        "`id`, `version` or `status` is missing, which the standard requires",
        &[
            "test_export_avro_idl.py:108",
            "test_export_avro_idl.py:73",
            "test_export_great_expectations.py:1270",
            "test_export_great_expectations.py:1435",
            "test_export_great_expectations.py:1466",
            "test_export_great_expectations.py:1486",
            "test_export_great_expectations.py:1517",
            "test_export_great_expectations.py:1591",
            "test_export_protobuf.py:153",
            "test_export_protobuf.py:174",
            "test_export_protobuf.py:196",
            "test_export_protobuf.py:20",
        ],
    ),
    (
        "the name of a column holds a space",
        &[
            "test_duckdb_json.py:152",
            "test_export_html.py:46",
            "test_export_xsd.py:242",
            "test_resolve_local_definitions.py:387",
            "test_resolve_local_definitions.py:418",
            "test_resolve_local_definitions.py:54",
        ],
    ),
    ("its own `lint` refuses it, too: an unknown key", &["test_lint.py:140"]),
    ("its own `lint` refuses it, too: two operators", &["test_lint.py:156"]),
    ("a bound is infinite", &["test_export_jsonschema.py:208"]),
    ("variables in SQL, without a default", &["test_test_dry_run.py:182", "test_test_variables.py:10"]),
];

/// Of its verdicts, those that are others here, by the reason.
const OTHERWISE: [(&str, &[&str]); 2] = [
    ("a vector inside of another type is not looked at", &["array-of-vectors", "map-of-vectors"]),
    ("a key without a value counts as not written", &["description-null"]),
];

/// `None`: the document is taken.
fn refusal(document: &str) -> Option<String> {
    let dir = crate::folder(&[("test.odcs.yaml", document)]);
    read_contract(&dir.path().join("test.odcs.yaml")).err().map(|e| e.to_string())
}

/// Examples of the standard (Apache-2.0), in the version that each had when it was looked at.
const EXAMPLES: &str = include_str!("fixtures/odcs/bitol-examples.json");

/// Of these, what is refused, with a part of the reason.
const REFUSED_EXAMPLES: [(&str, &[&str]); 2] = [
    // Made to be refused: keys that no version has, at every place.
    (
        "fundamentals/strict-schema-test-invalid",
        &[
            "`undefinedServerProperty`",
            "`undefinedSchemaProperty`",
            "`undefinedPropertyField`",
            "`undefinedQualityProp`",
        ],
    ),
    // Variables that have neither a default nor, here, a value.
    ("fundamentals/variables", &["`TARGET_TABLE` has no value", "`CUTOFF_DATE` has no value"]),
];

#[test]
fn the_examples_of_the_standard_load() {
    let suite: Value = serde_json::from_str(EXAMPLES).expect("a suite");
    let documents = suite["documents"].as_array().expect("documents");
    let text = |of: &'static str, d: &Value| d[of].as_str().expect("a text").to_owned();
    let refused: BTreeMap<String, String> =
        documents.iter().filter_map(|d| Some((text("at", d), refusal(&text("text", d))?))).collect();
    let expected: BTreeSet<&str> = REFUSED_EXAMPLES.iter().map(|(at, _)| *at).collect();
    assert_eq!(refused.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected, "{refused:#?}");
    for (at, parts) in REFUSED_EXAMPLES {
        assert!(parts.iter().all(|p| refused[at].contains(p)), "{at}: {}", refused[at]);
    }
    assert_eq!(documents.len(), 29);
}

fn named<'a>(by_reason: &[(&str, &'a [&'a str])]) -> BTreeSet<&'a str> {
    by_reason.iter().flat_map(|(_, names)| names.iter().copied()).collect()
}

#[test]
fn documents_of_the_datacontract_cli_load() {
    let suite: Value = serde_json::from_str(DATACONTRACT_CLI).expect("a suite");
    let documents = suite["documents"].as_array().expect("documents");
    let text = |of: &'static str, d: &Value| d[of].as_str().expect("a text").to_owned();
    let refused = documents.iter().filter_map(|d| Some((text("at", d), refusal(&text("text", d))?)));
    let refused: BTreeMap<String, String> = refused.collect();
    assert_eq!(refused.keys().map(String::as_str).collect::<BTreeSet<_>>(), named(&REFUSED), "{refused:#?}");
    assert_eq!(documents.len(), 99);
}

#[test]
fn what_the_datacontract_cli_refuses_is_refused() {
    let suite: Value = serde_json::from_str(DATACONTRACT_CLI).expect("a suite");
    let cases = suite["lint"].as_array().expect("cases");
    let mut otherwise = BTreeMap::new();
    for case in cases {
        let refusal = refusal(&case["document"].to_string());
        if case["valid"] != refusal.is_none() {
            otherwise.insert(case["id"].as_str().expect("an id"), refusal);
        }
    }
    assert_eq!(otherwise.keys().copied().collect::<BTreeSet<_>>(), named(&OTHERWISE), "{otherwise:#?}");
    assert_eq!(cases.len(), 41);
}

const HEAD: &str = "apiVersion: v3.2.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\nschema:\n  - name: t\n    properties:\n";

fn project(property: &str) -> tempfile::TempDir {
    crate::folder(&[
        ("alluvium.yaml", "name: t\n"),
        ("datasets/bronze/t.yaml", "source: { files: landing/ }\n"),
        ("datasets/silver/t.yaml", "from: bronze.t\ncontract: t\n"),
        ("contracts/t.odcs.yaml", &format!("{HEAD}      - {property}\n")),
    ])
}

/// What leads out of the project is documentation, and the rest of the contract counts.
#[test]
fn a_reference_out_of_the_project_is_told_and_not_checked() {
    let property = "{ name: a, logicalType: string, required: true, relationships: [{ to: 'https://x.org/c.odcs.yaml#t.a' }, { to: other.odcs.yaml#t.a }] }";
    let reading = alluvium_spec::read(project(property).path(), &Environment::default());
    let told: Vec<(&str, &str)> = reading.found.0.iter().map(|d| (d.code, d.message.as_str())).collect();
    let wanted = [
        ("W0001", "the reference to `https://x.org/c.odcs.yaml#t.a` is not checked: it is outside of the project"),
        ("W0001", "the reference is not checked: the project has no contract `other`"),
    ];
    assert_eq!(told, wanted);
    let rules: Vec<&str> = reading.project.contracts["t"].rules.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(rules, ["type:a", "required:a"]);
}

/// v3.0 allows keys of one's own inside of a document. What looks like a misspelt one is a mistake all the same.
#[test]
fn own_keys_inside_of_v3_0_are_told() {
    let told = |version: &str, key: &str| {
        let head = HEAD.replace("v3.2.0", version);
        let dir =
            crate::folder(&[("t.odcs.yaml", &format!("{head}      - {{ name: a, logicalType: string, {key}: x }}\n"))]);
        read_contract(&dir.path().join("t.odcs.yaml")).map(drop).map_err(|e| e.to_string())
    };
    told("v3.0.2", "stewardNote").expect("it is the writer's own");
    for (version, key) in [("v3.1.0", "stewardNote"), ("v3.0.2", "requird")] {
        assert!(told(version, key).expect_err(key).contains("E0007"), "{version} {key}");
    }
    let dir = crate::folder(&[(
        "t.odcs.yaml",
        &format!("stewardNote: x\n{}      - {{ name: a }}\n", HEAD.replace("v3.2.0", "v3.0.2")),
    )]);
    assert!(read_contract(&dir.path().join("t.odcs.yaml")).is_err(), "the document itself is closed");
}

/// v3.0 had one logical type for both, and documents of every version are written so.
#[test]
fn a_date_whose_physical_type_has_a_time_has_one() {
    for version in ["v3.0.0", "v3.0.2", "v3.1.0", "v3.2.0"] {
        let head = HEAD.replace("v3.2.0", version);
        let document = format!("{head}      - {{ name: a, logicalType: date, physicalType: TIMESTAMP }}\n");
        let dir = crate::folder(&[("t.odcs.yaml", &document)]);
        let file = read_contract(&dir.path().join("t.odcs.yaml")).unwrap_or_else(|e| panic!("{version}: {e}"));
        let contract = file.contract.expect("its object is named like the file");
        assert_eq!(contract.columns[0].kind, ColumnType::Timestamp, "{version}");
    }
}

/// v3.0 had one logical type for dates and times, and left the names of rules open.
#[test]
fn v3_0_writes_times_and_ranges_in_its_own_way() {
    let between =
        "quality: [{ rule: between, customProperties: [{ property: min, value: 0 }, { property: max, value: 500 }] }]";
    let dir = project(&format!(
        "{{ name: a, logicalType: date, physicalType: TIMESTAMP_NTZ(6) }}\n      - {{ name: b, logicalType: integer, {between} }}"
    ));
    let loaded = load(dir.path(), &Environment::default()).expect("a project");
    let contract = &loaded.contracts["t"];
    assert_eq!(contract.columns[0].kind, ColumnType::Timestamp);
    let rule = contract.rules.iter().find(|r| r.id == "range:b").expect("a rule");
    let bounds = |b: &Option<Bound>| b.as_ref().map(|b| (b.value.clone(), b.inclusive));
    let Check::Range { min, max } = &rule.check else { panic!("{:?}", rule.check) };
    assert_eq!((bounds(min), bounds(max)), (Some(("0".to_owned(), true)), Some(("500".to_owned(), true))));
    for (from, to, part) in
        [("value: 0", "value: low", "is not a whole number"), ("value: 500", "value: high", "is not a whole number")]
    {
        let dir = project(&format!("{{ name: b, logicalType: integer, {} }}", between.replace(from, to)));
        let found = load(dir.path(), &Environment::default()).expect_err(to).to_string();
        assert!(found.contains(part), "{found}");
    }
}

/// What is valid has been said where the values are listed.
#[test]
fn invalid_values_are_those_outside_of_the_enum() {
    let quality = "quality: [{ id: few, metric: invalidValues, mustBeLessThan: 1, unit: percent }]";
    let dir =
        project(&format!("{{ name: a, logicalType: string, enum: [{{ value: x }}, {{ value: y }}], {quality} }}"));
    let project = load(dir.path(), &Environment::default()).expect("a project");
    let rule = project.contracts["t"].rules.iter().find(|r| r.id == "few").expect("a rule");
    assert!(matches!(&rule.check, Check::OneOf { values } if *values == ["x", "y"]), "{:?}", rule.check);
}

#[test]
fn an_enum_is_a_rule() {
    let dir = project("{ name: a, logicalType: string, enum: [{ value: FR, label: France }, { value: DE }] }");
    let project = load(dir.path(), &Environment::default()).expect("a project");
    let rule = project.contracts["t"].rules.iter().find(|r| r.id == "enum:a").expect("a rule");
    assert!(matches!(&rule.check, Check::OneOf { values } if *values == ["FR", "DE"]), "{:?}", rule.check);
}

#[test]
fn an_enum_takes_null_and_values_of_several_types() {
    let dir = project(
        "{ name: a, logicalType: string, enum: [{ value: 1 }, { value: '1' }, { value: null }, { value: true }] }",
    );
    let project = load(dir.path(), &Environment::default()).expect("a project");
    let rule = project.contracts["t"].rules.iter().find(|r| r.id == "enum:a").expect("a rule");
    assert!(matches!(&rule.check, Check::OneOf { values } if *values == ["1", "true"]), "{:?}", rule.check);
}

#[test]
fn of_two_bounds_on_one_side_both_hold() {
    let bound = |value: &str, inclusive| Some(Bound { value: value.to_owned(), inclusive });
    for (kind, options, low, high) in [
        ("integer", "minimum: 1, exclusiveMinimum: 5", bound("5", false), None),
        ("integer", "minimum: 7, exclusiveMinimum: 5", bound("7", true), None),
        ("number", "minimum: 5, exclusiveMinimum: 5.0", bound("5.0", false), None),
        ("number", "maximum: 10, exclusiveMaximum: 9", None, bound("9", false)),
        ("number", "maximum: 9, exclusiveMaximum: 10, minimum: -1", bound("-1", true), bound("9", true)),
        (
            "integer",
            "maximum: 9007199254740993, exclusiveMaximum: 9007199254740993",
            None,
            bound("9007199254740993", false),
        ),
        ("date", "minimum: 2020-01-03, exclusiveMinimum: 2020-01-01", bound("2020-01-03", true), None),
    ] {
        let dir = project(&format!("{{ name: a, logicalType: {kind}, logicalTypeOptions: {{ {options} }} }}"));
        let project = load(dir.path(), &Environment::default()).expect(options);
        let rule = project.contracts["t"].rules.iter().find(|r| r.id == "range:a").expect("a rule");
        let wanted = Check::Range { min: low, max: high };
        assert_eq!(format!("{:?}", rule.check), format!("{wanted:?}"), "{options}");
    }
    let dir = project(
        "{ name: a, logicalType: integer, logicalTypeOptions: { minimum: 1, exclusiveMinimum: 7, maximum: 6 } }",
    );
    let found = load(dir.path(), &Environment::default()).expect_err("no value").to_string();
    assert!(found.contains("no value is from `7` to `6`"), "{found}");
}

#[test]
fn what_v3_2_refuses_is_refused() {
    for (property, part) in [
        ("{ name: a, logicalType: string, enum: [] }", "at least one value"),
        ("{ name: a, logicalType: string, enum: [{ label: x }] }", "`value`"),
        ("{ name: a, logicalType: string, enum: [{ value: x }, { value: x }] }", "listed twice"),
        ("{ name: a, logicalType: integer, enum: [{ value: 1 }, { value: 1.0 }] }", "listed twice"),
        ("{ name: a, logicalType: string, enum: [{ value: null }, { value: null }, { value: a }] }", "listed twice"),
        ("{ name: a, logicalType: string, enum: [{ value: null }] }", "at least one value"),
        ("{ name: a, logicalType: string, required: true, enum: [{ value: null }, { value: a }] }", "is required"),
        ("{ name: a, logicalType: map }", "a map has no `map`"),
        ("{ name: a, logicalType: map, map: { key: { logicalType: string } } }", "`value`"),
        ("{ name: a, logicalType: string, map: { key: {}, value: {} } }", "belongs to `logicalType: map`"),
        ("{ name: a, logicalType: vector }", "dimensions"),
        ("{ name: a, logicalType: vector, logicalTypeOptions: { dimensions: 0 } }", "dimensions"),
        ("{ name: a, logicalType: string, deprecated: soon }", "true or false"),
        ("{ name: a, logicalType: string, synonyms: [{ locale: fr }] }", "`synonym`"),
        ("{ name: a, logicalType: string, semanticType: fact }", "`fact`"),
    ] {
        let dir = project(property);
        let found = load(dir.path(), &Environment::default()).expect_err(property).to_string();
        assert!(found.contains(part), "{property}: {found}");
    }
}
