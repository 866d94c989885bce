//! Properties inside of objects and arrays: the rules that they make, and what of them stays documentation.

use crate::folder;
use alluvium_spec::{
    Action, Check, ColumnType, ContractFile, Environment, Holds, Language, SchemaFile, load, read_schema_text,
};
use std::path::Path;

const HEAD: &str = "apiVersion: v3.2.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\nschema:\n  - name: t\n    properties:\n";

fn read(properties: &str) -> ContractFile {
    match read_schema_text(Language::Odcs, Path::new("t.odcs.yaml"), &format!("{HEAD}{properties}")) {
        Ok(SchemaFile::Contract(file)) => file,
        Ok(_) => unreachable!("a contract was asked for"),
        Err(mistakes) => panic!("{mistakes}"),
    }
}

/// Ids and actions, in the order of the file.
fn rules(file: &ContractFile) -> Vec<String> {
    let contract = file.contract.as_ref().expect("its object is named like the file");
    contract.rules.iter().map(|r| format!("{} {}", r.id, r.action.word())).collect()
}

#[test]
fn rules_inside_name_their_path() {
    let file = read(
        "      - name: o
        logicalType: object
        logicalTypeOptions: { minProperties: 1, required: [a, z] }
        properties:
          - { name: a, logicalType: integer, required: true, logicalTypeOptions: { format: u8 } }
          - { name: b, logicalType: string, customProperties: [{ property: action, value: drop }],
              logicalTypeOptions: { format: uuid, maxLength: 40 } }
          - { name: free, enum: [{ value: x }] }
          - name: list
            logicalType: array
            logicalTypeOptions: { uniqueItems: true, maxItems: 9 }
            customProperties: [{ property: action, value: warn }]
            items:
              logicalType: array
              items: { logicalType: date, quality: [{ id: set, metric: nullValues, mustBe: 0 }] }
",
    );
    assert!(file.notes.0.is_empty(), "{}", file.notes);
    let quarantined = |ids: &[&str]| ids.iter().map(|i| format!("{i} quarantine")).collect::<Vec<_>>();
    let mut told = rules(&file);
    told.sort();
    let mut wanted = quarantined(&[
        "type:o",
        "properties:o",
        "type:o.a",
        "required:o.a",
        "format:o.a",
        "enum:o.free",
        "required:o.z",
    ]);
    wanted.extend(["type:o.b drop", "format:o.b drop", "length:o.b drop"].map(str::to_owned));
    wanted.extend(
        ["type:o.list warn", "unique_items:o.list warn", "items:o.list warn", "type:o.list[] warn"].map(str::to_owned),
    );
    wanted.extend(["type:o.list[][] warn", "set warn"].map(str::to_owned));
    wanted.sort();
    assert_eq!(told, wanted);
    let contract = file.contract.expect("read above");
    assert!(contract.rules.iter().all(|r| r.columns == ["o"]));
    let of = |id: &str| &contract.rules.iter().find(|r| r.id == id).expect("a rule").check;
    let Check::Inside { at, check } = of("unique_items:o.list") else { panic!("{:?}", of("unique_items:o.list")) };
    assert!(matches!((at.holds, &**check), (Holds::Array, Check::UniqueItems)), "{at:?} {check:?}");
    assert_eq!(contract.rules.iter().filter(|r| r.action == Action::Warn).count(), 6);
}

/// A type is asked for where the contract says one.
#[test]
fn what_has_no_type_takes_any_value() {
    let file = read(
        "      - name: o
        logicalType: object
        properties: [{ name: a }, { name: b, physicalType: geography }, { name: c, physicalType: jsonb }, { name: d, physicalType: bigint }]
",
    );
    assert_eq!(rules(&file), ["type:o quarantine", "type:o.d quarantine"]);
}

#[test]
fn what_cannot_be_run_inside_is_told() {
    let warned = |property: &str| {
        let file = read(&format!("      - {property}\n"));
        file.notes.0.iter().map(|d| (d.code.to_owned(), d.line)).collect::<Vec<_>>()
    };
    for property in [
        "{ name: o, logicalType: object, properties: [{ name: a, logicalType: string, unique: true }] }",
        "{ name: o, logicalType: array, items: { logicalType: string, quality: [{ metric: duplicateValues, mustBe: 0 }] } }",
        "{ name: o, logicalType: array, items: { logicalType: string, quality: [{ type: sql, query: SELECT 1, mustBe: 1 }] } }",
        "{ name: o, logicalType: array, items: { logicalType: object, enum: [{ value: x }] } }",
        "{ name: o, logicalType: map, map: { key: { logicalType: string }, value: { logicalType: string, enum: [{ value: x }] } } }",
    ] {
        let told = warned(property);
        assert_eq!(told.iter().map(|(code, _)| code.as_str()).collect::<Vec<_>>(), ["W0001"], "{property}");
    }
    let plain = "{ name: o, logicalType: map, map: { key: { logicalType: string }, value: { logicalType: string } } }";
    assert!(warned(plain).is_empty());
}

/// Row by row it would look at the table as it was before.
#[test]
fn a_reference_to_its_own_dataset_is_told_inside() {
    let contract = |to: &str| {
        format!(
            "{HEAD}      - {{ name: id, logicalType: string }}\n      \
             - {{ name: o, logicalType: object, properties: [{{ name: p, logicalType: string, relationships: [{{ to: {to} }}] }}] }}\n"
        )
    };
    let told = |to: &str| {
        let dir = folder(&[
            ("alluvium.yaml", "name: t\n"),
            ("datasets/bronze/t.yaml", "source: { files: landing/ }\n"),
            ("datasets/silver/t.yaml", "from: bronze.t\ncontract: t\n"),
            ("datasets/silver/u.yaml", "from: bronze.t\ncontract: u\n"),
            ("contracts/t.odcs.yaml", &contract(to)),
            ("contracts/u.odcs.yaml", &format!("{HEAD}      - {{ name: id, logicalType: string }}\n")),
        ]);
        let reading = alluvium_spec::read(dir.path(), &Environment::default());
        let found = reading.found.0.iter().map(|d| (d.code, d.line, d.help.clone())).collect::<Vec<_>>();
        let rules = reading.project.contracts["t"].rules.iter().map(|r| r.id.clone()).collect::<Vec<_>>();
        (found, rules.join(" "))
    };
    let help = Some("it needs a column of its own".to_owned());
    assert_eq!(told("silver.t.id"), (vec![("W0001", 10, help)], "type:id type:o type:o.p".to_owned()));
    assert_eq!(told("silver.u.id"), (Vec::new(), "type:id type:o type:o.p reference:o.p".to_owned()));
}

#[test]
fn a_mistake_inside_is_one() {
    for (options, part) in [
        ("logicalType: array, logicalTypeOptions: { minItems: 3, maxItems: 2 }", "`minItems` 3 is above `maxItems` 2"),
        ("logicalType: string, logicalTypeOptions: { minimum: 2 }", "does not fit"),
        ("logicalType: string, logicalTypeOptions: { pattern: '(' }", "cannot be used"),
        ("logicalType: integer, logicalTypeOptions: { minimum: soon }", "is not a whole number"),
    ] {
        let contract =
            format!("{HEAD}      - {{ name: o, logicalType: object, properties: [{{ name: a, {options} }}] }}\n");
        let dir = folder(&[
            ("alluvium.yaml", "name: t\n"),
            ("datasets/bronze/t.yaml", "source: { files: landing/ }\n"),
            ("datasets/silver/t.yaml", "from: bronze.t\ncontract: t\n"),
            ("contracts/t.odcs.yaml", &contract),
        ]);
        let told = load(dir.path(), &Environment::default()).expect_err(options).to_string();
        assert!(told.contains(part), "{options}\n{told}");
    }
}

#[test]
fn what_has_properties_or_items_is_an_object_or_an_array() {
    let file = read(
        "      - name: o
        logicalType: object
        properties:
          - { name: address, properties: [{ name: zip, logicalType: string }] }
          - { name: tags, items: { logicalType: string } }
      - { name: labels, physicalType: text, items: { logicalType: string } }
",
    );
    let contract = file.contract.expect("its object is named like the file");
    let held = |id: &str| {
        let rule = contract.rules.iter().find(|r| r.id == id).expect("a rule of the type");
        let Check::Inside { at, .. } = &rule.check else { panic!("{:?}", rule.check) };
        at.holds
    };
    assert_eq!(held("type:o.address"), Holds::Object);
    assert_eq!(held("type:o.tags"), Holds::Array);
    assert_eq!(held("type:labels[]"), Holds::Scalar(ColumnType::String));
}
