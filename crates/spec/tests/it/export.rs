//! Contracts in the languages of others. That others read them is tested with the command line.

use crate::fixture;
use alluvium_spec::{Mode, Shape, export, read_contract, read_schema};
use serde_json::Value;
use std::path::Path;

fn flights() -> Shape {
    read_contract(&fixture("flights/contracts/flights.odcs.yaml")).expect("a contract").shape
}

fn written(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join(name);
    std::fs::write(&path, text).expect("a file");
    (dir, path)
}

#[test]
fn every_language_has_the_whole_contract() {
    let shape = flights();
    let object = shape.object("flights").expect("an object");
    insta::assert_snapshot!("json_schema", export::json_schema(&shape, object));
    insta::assert_snapshot!("avro", export::avro(&shape, object));
    insta::assert_snapshot!("sql", export::sql(&shape, object));
    insta::assert_snapshot!("markdown", export::markdown(&shape, object));
}

#[test]
fn what_is_exported_can_be_read_and_compared() {
    let shape = flights();
    let object = shape.object("flights").expect("an object");
    let mut more = object.clone();
    more.fields.push(alluvium_spec::Field::new("added", alluvium_spec::FieldKind::Object(None)));
    for (name, write) in [("a.json", export::json_schema as fn(&Shape, _) -> String), ("a.avsc", export::avro)] {
        let (_dir, path) = written(name, &write(&shape, object));
        let old = read_schema(&path).expect("a schema");
        let (_dir, path) = written(name, &write(&shape, &more));
        let new = read_schema(&path).expect("a schema");
        assert!(old.compare(&old).expect("one language").changes.is_empty());
        // An optional field can be added in every language.
        assert!(old.compare(&new).expect("one language").is_compatible(Mode::Backward), "{name}");
    }
}

#[test]
fn no_text_of_a_contract_becomes_sql_or_markup() {
    let text = "apiVersion: v3.1.0\nkind: DataContract\nid: \"a`b\"\nversion: 1.0.0\nstatus: active\nschema:\n  - name: 't\"x'\n    description: \"one\\n); DROP TABLE y; --\"\n    properties:\n      - name: a\n        logicalType: string\n        description: \"<script>|\\n'); DROP TABLE z\"\n        quality: [{ metric: invalidValues, arguments: { validValues: [\"it's\"] }, mustBe: 0 }]\n";
    let (_dir, path) = written("t.odcs.yaml", text);
    let shape = read_contract(&path).expect("a contract").shape;
    let object = shape.object("t").expect("an object");
    let sql = export::sql(&shape, object);
    let statements: Vec<&str> = sql.lines().filter(|l| !l.trim_start().starts_with("--")).collect();
    assert_eq!(statements, ["CREATE TABLE \"t\"\"x\" (", "  \"a\" TEXT CHECK (\"a\" IN ('it''s'))", ");"], "{sql}");
    let page = export::markdown(&shape, object);
    assert!(page.contains("\\<script\\>\\| '); DROP TABLE z |"), "{page}");
    let avro: Value = serde_json::from_str(&export::avro(&shape, object)).expect("JSON");
    assert_eq!(avro["name"], "t_x");
    assert!(Path::new(&path).exists());
}
