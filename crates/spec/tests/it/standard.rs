//! The standard's own documents, and what v3.2 of it says about values.

use crate::fixture;
use alluvium_spec::{Check, Environment, load, read_contract};

/// Of the package open-data-contract-standard 3.2.0 (MIT).
#[test]
fn the_documents_of_the_standard_load() {
    for file in ["full-example-v3.2.0.odcs.yaml", "all-new-fields-v3.2.0.odcs.yaml"] {
        let read = read_contract(&fixture("odcs").join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert!(!read.shape.objects.is_empty(), "{file}");
    }
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

#[test]
fn an_enum_is_a_rule() {
    let dir = project("{ name: a, logicalType: string, enum: [{ value: FR, label: France }, { value: DE }] }");
    let project = load(dir.path(), &Environment::default()).expect("a project");
    let rule = project.contracts["t"].rules.iter().find(|r| r.id == "enum:a").expect("a rule");
    assert!(matches!(&rule.check, Check::OneOf { values } if *values == ["FR", "DE"]), "{:?}", rule.check);
}

#[test]
fn what_v3_2_refuses_is_refused() {
    for (property, part) in [
        ("{ name: a, logicalType: string, enum: [] }", "at least one value"),
        ("{ name: a, logicalType: string, enum: [{ label: x }] }", "`value`"),
        ("{ name: a, logicalType: string, enum: [{ value: x }, { value: x }] }", "listed twice"),
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
