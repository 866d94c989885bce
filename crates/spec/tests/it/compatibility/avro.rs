//! Avro schemas: the verdicts of suites that others wrote, and how changes are told.

use super::{registry, shown};
use alluvium_spec::{Comparison, Mode, SchemaFile, read_schema};
use serde_json::Value;

fn read(schema: &str) -> SchemaFile {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("t.avsc");
    std::fs::write(&path, schema).expect("a file");
    read_schema(&path).unwrap_or_else(|e| panic!("{schema}: {e}"))
}

fn compared(old: &Value, new: &Value) -> Comparison {
    read(&old.to_string()).compare(&read(&new.to_string())).expect("one language")
}

/// Pairs of the compatibility tests of Apache Avro 1.12.0 (Apache-2.0), `avro/test/test_compatibility.py`.
#[test]
fn apache_avro_agrees() {
    let cases: Value =
        serde_json::from_str(include_str!("../fixtures/compatibility/apache-avro-1.12.0.json")).expect("JSON");
    let cases = cases.as_array().expect("a list");
    assert_eq!(cases.len(), 131);
    for case in cases {
        let found = compared(&case["writer"], &case["reader"]);
        assert_eq!(Value::from(found.is_compatible(Mode::Backward)), case["compatible"], "{case} {found:?}");
        let found = compared(&case["reader"], &case["writer"]);
        assert_eq!(Value::from(found.is_compatible(Mode::Forward)), case["compatible"], "{case} {found:?}");
    }
}

#[test]
fn apicurio_agrees() {
    let text = include_str!("../fixtures/compatibility/apicurio-avro.json");
    assert_eq!(registry(text, compared), 4);
}

#[test]
fn changes_are_named() {
    let old = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
        {"name":"id","type":"int"},
        {"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","PAID"]}},
        {"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[{"name":"sku","type":"string"}]}}},
        {"name":"note","type":["null","string"],"default":null},
        {"name":"hash","type":{"type":"fixed","name":"Hash","size":16}}]}"#;
    let new = r#"{"type":"record","name":"Order","namespace":"shop","fields":[
        {"name":"id","type":"long"},
        {"name":"state","type":{"type":"enum","name":"State","symbols":["NEW","SENT"]}},
        {"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[{"name":"article","type":"string","aliases":["sku"]},{"name":"n","type":"int"}]}}},
        {"name":"hash","type":{"type":"fixed","name":"Hash","size":20}},
        {"name":"tags","type":{"type":"map","values":"string"},"default":{}}]}"#;
    let found = read(old).compare(&read(new)).expect("one language");
    assert_eq!(
        shown(&found),
        [
            "Order.hash size: 16 -> 20, breaks both",
            "Order.id type: int -> long, breaks forward",
            "Order.lines[].article field renamed: sku -> article, breaks forward",
            "Order.lines[].n field added: - -> int, breaks backward",
            "Order.note field removed: [null, string] -> -, breaks nothing",
            "Order.state validValues: [NEW, PAID] -> [NEW, SENT], breaks both",
            "Order.tags field added: - -> map<string>, breaks nothing",
        ]
    );
    let fix = |i: usize| found.fix(&found.changes[i], Mode::Backward).expect("a way out");
    assert_eq!(fix(3), "give it a default");
    assert_eq!(fix(5), "keep the values of before: [NEW, PAID], or give the enum a default");
}

#[test]
fn a_type_that_holds_itself_ends() {
    let list = |value: &str| {
        format!(
            r#"{{"type":"record","name":"List","fields":[{{"name":"value","type":"{value}"}},{{"name":"next","type":["null","List"],"default":null}}]}}"#
        )
    };
    let found = read(&list("int")).compare(&read(&list("string"))).expect("one language");
    assert_eq!(shown(&found), ["List.value type: int -> string, breaks both"]);
    assert!(read(&list("int")).compare(&read(&list("int"))).expect("one language").changes.is_empty());
}

#[test]
fn a_mistake_has_its_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("t.avsc");
    std::fs::write(
        &path,
        "{\"type\": \"record\", \"name\": \"A\",\n \"fields\": [{\"name\": \"a\", \"type\": \"strng\"}]}",
    )
    .expect("a file");
    let found = read_schema(&path).expect_err("a mistake").to_string();
    assert!(found.contains("`strng` is no type") && found.contains("t.avsc:2:35"), "{found}");
    assert!(found.contains("did you mean `string`?"), "{found}");
    std::fs::write(&path, "{\"type\": ").expect("a file");
    assert!(read_schema(&path).is_err());
}

#[test]
fn shared_and_deep_types_end() {
    // Each record holds the one before twice, so that ways to the first one multiply.
    let of = |n: usize, first: &str| {
        let mut all = vec![format!(r#"{{"type":"record","name":"R0","fields":[{{"name":"a","type":"{first}"}}]}}"#)];
        all.extend((1..n).map(|i| {
            let field = |name| format!(r#"{{"name":"{name}","type":"R{}"}}"#, i - 1);
            format!(r#"{{"type":"record","name":"R{i}","fields":[{},{}]}}"#, field("a"), field("b"))
        }));
        format!("[{}]", all.join(","))
    };
    let compared = |n, first| read(&of(n, "int")).compare(&read(&of(n, first))).expect("one language");
    assert!(compared(60, "int").changes.is_empty());
    assert!(compared(60, "long").is_compatible(Mode::Backward));
    assert!(!compared(60, "string").is_compatible(Mode::Backward));
    assert!(compared(400, "long").is_compatible(Mode::Backward));
}

/// Each record has ten fields of the next, whose type is defined where it is first used.
#[test]
fn nested_records_are_looked_at_once() {
    fn record(i: usize, last: &str) -> String {
        let first = if i == 20 { format!("\"{last}\"") } else { record(i + 1, last) };
        let more = if i == 20 { format!("\"{last}\"") } else { format!("\"r{}\"", i + 1) };
        let fields: Vec<String> =
            (0..10).map(|f| format!(r#"{{"name":"f{f}","type":{}}}"#, if f == 0 { &first } else { &more })).collect();
        format!(r#"{{"type":"record","name":"r{i}","fields":[{}]}}"#, fields.join(","))
    }
    let compared = |old, new| read(&record(0, old)).compare(&read(&record(0, new))).expect("one language");
    assert!(compared("int", "int").changes.is_empty());
    assert!(compared("int", "long").is_compatible(Mode::Backward));
    assert!(!compared("int", "string").is_compatible(Mode::Backward));
}

#[test]
fn decimals_match_by_precision_and_scale() {
    let of = |kind: &str| format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":{kind}}}]}}"#);
    let diff = |old: &str, new: &str| shown(&read(&of(old)).compare(&read(&of(new))).expect("one language"));
    let bytes = |p: u8, s: &str| format!(r#"{{"type":"bytes","logicalType":"decimal","precision":{p}{s}}}"#);
    let fixed =
        |p: u8| format!(r#"{{"type":"fixed","name":"F","size":8,"logicalType":"decimal","precision":{p},"scale":2}}"#);
    let two = bytes(10, r#","scale":2"#);
    assert_eq!(
        diff(&two, &bytes(10, r#","scale":4"#)),
        ["R.a type: bytes (decimal(10, 2)) -> bytes (decimal(10, 4)), breaks both"]
    );
    assert_eq!(
        diff(&fixed(10), &fixed(12)),
        ["R.a type: fixed F (decimal(10, 2)) -> fixed F (decimal(12, 2)), breaks both"]
    );
    assert_eq!(diff(&bytes(10, ""), &bytes(10, r#","scale":0"#)), Vec::<String>::new());
    // The bytes beneath, and a decimal that is none.
    assert_eq!(diff(&two, "\"bytes\""), ["R.a type: bytes (decimal(10, 2)) -> bytes, breaks nothing"]);
    assert_eq!(diff(&bytes(2, r#","scale":4"#), "\"bytes\""), Vec::<String>::new());
    let time = |unit: &str| format!(r#"{{"type":"long","logicalType":"timestamp-{unit}"}}"#);
    assert_eq!(
        diff(&time("millis"), &time("micros")),
        ["R.a type: long (timestamp-millis) -> long (timestamp-micros), breaks nothing"]
    );
    assert_eq!(diff(&time("picos"), "\"long\""), Vec::<String>::new());
}

/// The default of an enum stands for symbols that the reader does not know, and for no field that was not written.
#[test]
fn the_default_of_an_enum_is_none_of_the_field() {
    let field = r#"{"name":"e","type":{"type":"enum","name":"E","symbols":["A"],"default":"A"}}"#;
    let of = |fields: &str| read(&format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#));
    let found = of("").compare(&of(field)).expect("one language");
    assert_eq!(shown(&found), ["R.e field added: - -> enum E, breaks backward"]);
    let with_default = field.replace(r#""default":"A"}}"#, r#""default":"A"},"default":"A"}"#);
    assert!(of("").compare(&of(&with_default)).expect("one language").is_compatible(Mode::Backward));
}
