//! Contracts in the languages of others. That others read them is tested with the command line.

use crate::fixture;
use alluvium_spec::{Mode, Shape, Terms, export, read_contract, read_schema};
use serde_json::{Value, json};
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
    insta::assert_snapshot!("markdown", export::markdown(&shape, object, &Terms::default(), "dev"));
    let page = export::html(&shape, object, &Terms::default(), "dev");
    for text in [
        "<th scope=\"row\"><code>year</code></th><td>integer (int)</td><td>key</td>\
         <td><ul><li>minimum 2013</li><li>maximum 2013</li></ul></td>",
        "<code>origin</code></th><td>string</td><td>key</td><td></td><td> <span class=\"class\">public</span></td>",
        "<code>extra.note</code></th><td>string</td><td>yes</td>",
        "<code>legs[]</code></th><td>string</td>",
        "<li>reference carrier -&gt; airlines.carrier</li>",
        "version 2.3.0.",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
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
    let page = export::markdown(&shape, object, &Terms::default(), "dev");
    assert!(page.contains("\\<script\\>\\| '); DROP TABLE z |"), "{page}");
    let page = export::html(&shape, object, &Terms::default(), "dev");
    assert!(page.contains("&lt;script&gt;|\n&#39;); DROP TABLE z</td>"), "{page}");
    assert!(page.contains("<title>t&quot;x</title>") && !page.contains("<script"), "{page}");
    let avro: Value = serde_json::from_str(&export::avro(&shape, object)).expect("JSON");
    assert_eq!(avro["name"], "t_x");
    assert!(Path::new(&path).exists());
}

fn made(properties: &str) -> Shape {
    let head = "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\nschema:\n  - name: t\n    properties:\n";
    let (_dir, path) = written("t.odcs.yaml", &format!("{head}{properties}"));
    read_contract(&path).unwrap_or_else(|e| panic!("{e}")).shape
}

#[test]
fn what_a_language_does_not_check_is_told() {
    let mut shape = made(
        "      - { name: a, logicalType: number, logicalTypeOptions: { multipleOf: 0.5, minimum: 1 } }\n      \
         - { name: o, logicalType: object, logicalTypeOptions: { minProperties: 1, maxProperties: 3 }, properties: [{ name: x, logicalType: string }] }\n      \
         - { name: none, logicalType: string }\n",
    );
    shape.objects[0].fields[2].limits.values = Some(std::collections::BTreeSet::new());
    let object = shape.object("t").expect("an object");
    let sql = export::sql(&shape, object);
    for text in ["a multiple of 0.5", "at least 1 fields", "at most 3 fields", "no value at all"] {
        assert!(sql.contains(&format!("-- Not checked here: {text}.\n")), "{text}: {sql}");
        assert!(export::avro(&shape, object).contains(text), "{text}");
        assert!(export::markdown(&shape, object, &Terms::default(), "dev").contains(text), "{text}");
        assert!(export::html(&shape, object, &Terms::default(), "dev").contains(text), "{text}");
    }
    assert!(sql.contains("CHECK (\"a\" >= 1)") && !sql.contains("Not checked here: minimum"), "{sql}");
}

#[test]
fn what_has_no_type_is_any_json() {
    let shape = made(
        "      - name: o
        logicalType: object
        properties:
          - { name: a }
          - { name: b, required: true, logicalTypeOptions: { minLength: 2 } }
          - { name: c, enum: [{ value: 1 }, { value: x }] }
          - { name: d, logicalType: string }
",
    );
    let schema = export::json_schema(&shape, shape.object("t").expect("an object"));
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let of = |name: &str| schema["properties"]["o"]["properties"][name].clone();
    assert_eq!(of("a"), json!({}));
    assert_eq!(of("b"), json!({ "minLength": 2, "not": { "enum": [null] } }));
    assert_eq!(of("c"), json!({ "enum": ["1", "x", 1, null] }));
    assert_eq!(of("d"), json!({ "type": ["string", "null"] }));
}

#[test]
fn names_that_are_alike_in_avro_are_numbered() {
    let object =
        |name: &str, inner: &str| format!("      - {{ name: {name}, logicalType: object, properties: [{inner}] }}\n");
    let scalar = |name: &str| format!("{{ name: {name}, logicalType: string }}");
    let plain = |name: &str| format!("      - {}\n", scalar(name));
    let inner = format!("{{ name: b, logicalType: object, properties: [{}] }}", scalar("x"));
    let columns: String = ["c-d", "c_d", "größe", "grüße"].into_iter().map(plain).collect();
    let shape = made(&format!("{columns}{}{}", object("a", &inner), object("a_b", &scalar("y"))));
    let text = export::avro(&shape, shape.object("t").expect("an object"));
    let (_dir, path) = written("t.avsc", &text);
    read_schema(&path).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let value: Value = serde_json::from_str(&text).expect("JSON");
    let fields = value["fields"].as_array().expect("a list");
    let names: Vec<(&str, &str)> =
        fields.iter().map(|f| (f["name"].as_str().expect("a name"), f["column"].as_str().unwrap_or("-"))).collect();
    assert_eq!(
        names,
        [("c_d_2", "c-d"), ("c_d", "-"), ("gr__e", "größe"), ("gr__e_2", "grüße"), ("a", "-"), ("a_b", "-")]
    );
    assert!(text.contains("\"t_a_b\"") && text.contains("\"t_a_b_2\""), "{text}");
}

/// What a contract says to people is on both pages, escaped, with the servers of the environment that is asked for.
#[test]
fn pages_tell_who_answers_and_what_was_agreed() {
    let text = "apiVersion: v3.1.0
kind: DataContract
id: t
version: 1.0.0
status: active
description: { purpose: <b>Sales</b>, usage: reports, limitations: no refunds }
team: { name: shop, members: [{ username: ada, role: owner }, { username: left, dateOut: '2024-01-01' }] }
support: [{ channel: '#shop', tool: slack }]
roles: [{ role: reader, access: read }]
slaProperties: [{ property: frequency, value: 1, unit: d }]
servers:
  - { server: live, type: postgres, environment: prod, host: db.example.com, port: 5432 }
  - { server: try, type: local, environment: dev, path: ./x }
  - { server: all, type: s3, location: 's3://b/p' }
price: { priceAmount: 9.95, priceCurrency: USD, priceUnit: gigabyte }
tags: [finance, a|b]
authoritativeDefinitions: [{ type: businessDefinition, url: 'https://x.org/d' }]
schema: [{ name: t, properties: [{ name: a, logicalType: string }] }]
";
    let (_dir, path) = written("t.odcs.yaml", text);
    let read = read_contract(&path).expect("a contract");
    let object = read.shape.object("t").expect("an object");
    let page = export::markdown(&read.shape, object, &read.terms, "prod");
    let wanted = "version 1.0.0, active.

- purpose: \\<b\\>Sales\\</b\\>
- usage: reports
- limitations: no refunds
- owner: shop; ada (owner)
- support: \\#shop slack
- roles: reader read
- agreed: frequency 1 d
- servers: live (type postgres, host db.example.com, port 5432); all (type s3, location s3://b/p)
- price: 9.95 USD per gigabyte
- tags: finance; a\\|b
- links: businessDefinition https://x.org/d

| field";
    assert!(page.contains(wanted), "{page}");
    let page = export::html(&read.shape, object, &read.terms, "dev");
    for part in [
        "<dt>purpose</dt><dd>&lt;b&gt;Sales&lt;/b&gt;</dd>",
        "<dt>owner</dt><dd>shop</dd><dd>ada (owner)</dd>",
        "<dt>servers</dt><dd>try (type local, path ./x)</dd><dd>all (type s3, location s3://b/p)</dd>",
        "<dt>tags</dt><dd>finance</dd><dd>a|b</dd>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}
