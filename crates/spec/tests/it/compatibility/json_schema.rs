//! JSON Schemas: the verdicts of a registry's suite, what Confluent documents, and how changes are told.

use super::{registry, shown};
use alluvium_spec::{Comparison, Mode, SchemaFile, read_schema};
use serde_json::{Value, json};

fn read(schema: &Value) -> SchemaFile {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("t.json");
    std::fs::write(&path, schema.to_string()).expect("a file");
    read_schema(&path).unwrap_or_else(|e| panic!("{schema}: {e}"))
}

fn compared(old: &Value, new: &Value) -> Comparison {
    read(old).compare(&read(new)).expect("one language")
}

/// Cases of Apicurio Registry (Apache-2.0), `schema-util/json/.../jsonschema/compatibility-test-data.json`.
#[test]
fn apicurio_agrees() {
    assert_eq!(registry(include_str!("../fixtures/compatibility/apicurio-json-schema.json"), compared), 133);
}

/// The table of open and closed content models in the documentation of Confluent's registry.
#[test]
fn content_models_are_as_confluent_documents_them() {
    let of = |properties: Value, additional: Value, required: Value| json!({ "type": "object", "properties": properties, "additionalProperties": additional, "required": required });
    let (one, two) =
        (json!({ "a": { "type": "string" } }), json!({ "a": { "type": "string" }, "b": { "type": "integer" } }));
    let with_default = json!({ "a": { "type": "string" }, "b": { "type": "integer", "default": 1 } });
    let (open, closed, typed) = (json!(true), json!(false), json!({ "type": "integer" }));
    let backward = |old: Value, new: Value| compared(&old, &new).is_compatible(Mode::Backward);
    // Added.
    assert!(!backward(of(one.clone(), open.clone(), json!([])), of(two.clone(), open.clone(), json!([]))));
    assert!(backward(
        of(one.clone(), open.clone(), json!([])),
        of(json!({ "a": { "type": "string" }, "b": true }), open.clone(), json!([]))
    ));
    assert!(backward(of(one.clone(), closed.clone(), json!([])), of(two.clone(), closed.clone(), json!([]))));
    assert!(!backward(of(one.clone(), closed.clone(), json!([])), of(two.clone(), closed.clone(), json!(["b"]))));
    assert!(backward(of(one.clone(), closed.clone(), json!([])), of(with_default, closed.clone(), json!(["b"]))));
    assert!(backward(of(one.clone(), typed.clone(), json!([])), of(two.clone(), typed.clone(), json!([]))));
    // Removed.
    assert!(backward(of(two.clone(), open.clone(), json!([])), of(one.clone(), open, json!([]))));
    assert!(!backward(of(two.clone(), closed.clone(), json!([])), of(one.clone(), closed, json!([]))));
    assert!(backward(of(two, typed.clone(), json!([])), of(one, typed, json!([]))));
}

#[test]
fn changes_are_named() {
    let old = json!({
        "type": "object", "additionalProperties": false, "required": ["id"],
        "properties": {
            "id": { "type": "integer", "minimum": 0 },
            "state": { "enum": ["NEW", "PAID"] },
            "lines": { "type": "array", "items": { "$ref": "#/$defs/line" } },
            "note": { "type": "string" },
        },
        "$defs": { "line": { "type": "object", "properties": { "sku": { "type": "string", "maxLength": 9 } } } },
    });
    let new = json!({
        "type": "object", "additionalProperties": false, "required": ["id", "state"],
        "properties": {
            "id": { "type": "number", "minimum": 5 },
            "state": { "enum": ["NEW", "PAID", "SENT"] },
            "lines": { "type": "array", "items": { "$ref": "#/$defs/line" } },
            "coupon": { "type": "string" },
        },
        "$defs": { "line": { "type": "object", "properties": { "sku": { "type": "string", "maxLength": 4 } } } },
    });
    let found = compared(&old, &new);
    assert_eq!(
        shown(&found),
        [
            "$.coupon field added: - -> string, breaks forward",
            "$.id type: integer -> number, breaks forward",
            "$.id minimum: 0 -> 5, breaks backward",
            "$.lines[].sku maxLength: 9 -> 4, breaks backward",
            "$.note field removed: string -> -, breaks backward",
            "$.state required: - -> true, breaks backward",
            "$.state validValues: [NEW, PAID] -> [NEW, PAID, SENT], breaks forward",
        ]
    );
    let fix = |i: usize, mode| found.fix(&found.changes[i], mode);
    assert_eq!(fix(2, Mode::Backward).as_deref(), Some("keep `minimum` 0"));
    assert_eq!(fix(2, Mode::Forward), None);
    assert_eq!(
        fix(0, Mode::Forward).as_deref(),
        Some("leave it out: readers have a closed schema (`additionalProperties`)")
    );
}

#[test]
fn listed_values_are_put_before_the_reader_one_by_one() {
    let reads = |old: Value, new: Value| compared(&old, &new).is_compatible(Mode::Backward);
    assert!(reads(json!({ "enum": ["ab", "cd"] }), json!({ "type": "string", "maxLength": 2, "pattern": "^[a-d]+$" })));
    assert!(!reads(json!({ "enum": ["ab", "cde"] }), json!({ "type": "string", "maxLength": 2 })));
    assert!(!reads(json!({ "enum": ["ab", 1] }), json!({ "type": "string" })));
    assert!(reads(json!({ "enum": [1, 2.0] }), json!({ "type": "integer", "exclusiveMaximum": 3 })));
}

#[test]
fn alternatives_that_multiply_end() {
    let many = |n: usize| {
        let one = |i: usize| json!({ "anyOf": (0..n).map(|j| json!({ "minimum": i * n + j })).collect::<Vec<_>>() });
        json!({ "allOf": (0..n).map(one).collect::<Vec<_>>(), "type": "number" })
    };
    // Not decided in time counts as broken, in both directions.
    let found = compared(&many(12), &many(13));
    assert!(!found.changes.is_empty());
    let itself = many(12);
    assert!(compared(&itself, &itself).is_compatible(Mode::Full));
}

#[test]
fn long_chains_of_references_end() {
    let chain = |n: usize, last: &str| {
        let mut all = serde_json::Map::new();
        for i in 0..n {
            all.insert(format!("d{i}"), json!({ "properties": { "a": { "$ref": format!("#/$defs/d{}", i + 1) } } }));
        }
        all.insert(format!("d{n}"), json!({ "type": last }));
        json!({ "$ref": "#/$defs/d0", "$defs": all })
    };
    assert!(compared(&chain(50, "integer"), &chain(50, "number")).is_compatible(Mode::Backward));
    assert!(!compared(&chain(5_000, "integer"), &chain(5_000, "number")).is_compatible(Mode::Backward));
}

#[test]
fn a_mistake_has_its_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("t.json");
    let mistake = |text: &str| {
        std::fs::write(&path, text).expect("a file");
        read_schema(&path).expect_err("a mistake").to_string()
    };
    let found = mistake("{\"type\": \"object\",\n \"properties\": {\"a\": {\"$ref\": \"#/$defs/b\"}}}");
    assert!(found.contains("E0312") && found.contains("t.json:2:31") && found.contains("leads nowhere"), "{found}");
    let found = mistake("{\"type\": \"object\",\n}");
    assert!(found.contains("t.json:2:1") && found.contains("this is no JSON"), "{found}");
    assert!(mistake("[]").contains("is an object, true or false"));
}

fn reads(old: Value, new: Value) -> bool {
    compared(&old, &new).is_compatible(Mode::Backward)
}

#[test]
fn a_value_is_of_one_alternative_alone() {
    let one_of = |all: Value| json!({ "oneOf": all });
    let (integer, number, text) =
        (json!({ "type": "integer" }), json!({ "type": "number" }), json!({ "type": "string" }));
    let kind =
        |word: &str| json!({ "type": "object", "properties": { "kind": { "const": word } }, "required": ["kind"] });
    // Types, or a value that tells them apart.
    assert!(reads(integer.clone(), one_of(json!([integer, text]))));
    assert!(reads(kind("a"), one_of(json!([kind("a"), kind("b")]))));
    assert!(reads(one_of(json!([kind("a"), kind("b")])), one_of(json!([kind("c"), kind("b"), kind("a")]))));
    // A whole number is of both, and so is what is listed twice.
    assert!(!reads(integer.clone(), one_of(json!([integer, number]))));
    assert!(!reads(number.clone(), one_of(json!([integer, number]))));
    assert!(!reads(one_of(json!([text, integer])), one_of(json!([text, integer, number]))));
    assert!(!reads(kind("a"), one_of(json!([kind("a"), kind("a")]))));
    assert!(!reads(json!({ "enum": ["x"] }), one_of(json!([text, { "maxLength": 5 }]))));
    assert!(!reads(text.clone(), one_of(json!([text, true]))));
    // Ranges are of both where they meet.
    let range = |low: i64, high: i64| json!({ "type": "integer", "minimum": low, "maximum": high });
    let above = |kind: &str, low: i64| json!({ "type": kind, "exclusiveMinimum": low });
    for (other, is_apart) in [(range(5, 20), false), (range(11, 20), true), (above("number", 9), false)] {
        assert_eq!(reads(range(0, 10), one_of(json!([above("integer", -1), other]))), is_apart, "{other}");
    }
    assert!(reads(range(0, 10), one_of(json!([above("integer", -1), above("number", 10)]))));
    let fractions = json!({ "type": "number", "minimum": 0, "maximum": 9.5 });
    assert!(!reads(fractions.clone(), one_of(json!([above("number", -1), above("number", 9)]))));
    assert!(reads(fractions, one_of(json!([above("number", -1), above("integer", 9)]))));
    // What nothing is of takes nothing away.
    assert!(reads(text.clone(), one_of(json!([text, false]))));
}

#[test]
fn documents_of_any_form_end() {
    // Each reference leads to the next one, and each schema has a name of its own.
    let chain = |n: usize, last: &str| {
        let mut all = serde_json::Map::from_iter([("$ref".to_owned(), json!("#/1"))]);
        for i in 1..n {
            all.insert(i.to_string(), json!({ "$ref": format!("#/{}", i + 1) }));
        }
        all.insert(n.to_string(), json!({ "type": last }));
        Value::Object(all)
    };
    assert!(reads(chain(50, "integer"), chain(50, "number")));
    assert!(!reads(chain(100_000, "integer"), chain(100_000, "number")));
    let named = |n: usize, last: &str| {
        let one = |i: usize| (format!("p{i}"), json!({ "$ref": format!("urn:s{i}") }));
        let of = |i: usize| (format!("d{i}"), json!({ "$id": format!("urn:s{i}"), "type": last }));
        json!({
            "properties": (0..n).map(one).collect::<serde_json::Map<_, _>>(),
            "$defs": (0..n).map(of).collect::<serde_json::Map<_, _>>(),
        })
    };
    assert!(reads(named(10_000, "integer"), named(10_000, "integer")));
}

#[test]
fn shared_definitions_are_looked_at_once() {
    let of = |last: &str| {
        let level = |next: &str| {
            let uses = (0..16).map(|i| (format!("p{i}"), json!({ "$ref": next })));
            json!({ "properties": uses.collect::<serde_json::Map<_, _>>() })
        };
        let defs =
            json!({ "a": level("#/$defs/b"), "b": level("#/$defs/c"), "c": level("#/$defs/d"), "d": { "type": last } });
        json!({ "$ref": "#/$defs/a", "$defs": defs })
    };
    assert!(compared(&of("integer"), &of("integer")).changes.is_empty());
    assert!(reads(of("integer"), of("number")) && !reads(of("number"), of("integer")));
}

#[test]
fn patterns_that_overlap_hold_together() {
    let old = json!({ "patternProperties": { "^a": { "type": "string" } }, "additionalProperties": false });
    let new = |kind: &str| json!({ "patternProperties": { "^ab": { "type": kind } } });
    assert!(!reads(old.clone(), new("integer")), "{{\"abc\": \"x\"}} is refused");
    assert!(reads(old.clone(), new("string")));
    // What falls under no pattern of the writer counts, too.
    let open = json!({ "patternProperties": { "^a": { "type": "string" } } });
    assert!(!reads(open.clone(), json!({ "patternProperties": { "b": { "type": "string" } } })));
    assert!(reads(
        open.clone(),
        json!({ "title": "t", "patternProperties": { "^a": { "type": ["string", "null"] } } })
    ));
}

#[test]
fn a_pattern_that_cannot_be_compiled_counts_as_broken() {
    let text = |pattern: &str| json!({ "enum": ["a"], "pattern": pattern });
    assert!(reads(json!({ "enum": ["a"] }), text("^a$")) && !reads(json!({ "enum": ["a"] }), text("(?!b)")));
    let names = |kind: &str| json!({ "patternProperties": { "^(?!b)": { "type": kind } }, "properties": { "c": {} } });
    let closed = json!({ "properties": { "a": { "type": "string" } }, "additionalProperties": false });
    assert!(!reads(closed, names("integer")));
    // The same one on both sides says the same.
    assert!(reads(names("integer"), names("number")) && !reads(names("number"), names("integer")));
}

#[test]
fn what_is_not_evaluated_is_closed_as_well() {
    let of = |names: &[&str], more: Value| {
        let all = names.iter().map(|n| ((*n).to_owned(), json!({ "type": "string" })));
        let mut out = json!({ "properties": all.collect::<serde_json::Map<_, _>>(), "unevaluatedProperties": false });
        out.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        out
    };
    let none = || json!({});
    let found = compared(&of(&["a", "b"], none()), &of(&["a"], none()));
    assert_eq!(shown(&found), ["$.b field removed: string -> -, breaks backward"]);
    assert!(reads(of(&["a"], none()), of(&["a", "b"], none())));
    // Parts of `allOf` evaluate, too.
    let part = || json!({ "allOf": [{ "properties": { "b": { "type": "string" } } }] });
    assert!(reads(of(&["a", "b"], none()), of(&["a"], part())) && reads(of(&["a"], part()), of(&["a", "b"], none())));
    assert!(!reads(of(&["a"], part()), of(&["a"], none())));
    // Of alternatives nobody knows.
    let any =
        |name: &str| json!({ "anyOf": [{ "properties": { name: { "type": "string" } } }, { "maxProperties": 3 }] });
    assert!(!reads(of(&["a"], any("b")), of(&["a"], none())));
    assert!(!reads(of(&["a"], any("b")), of(&["a"], any("c"))));
    let titled = |title: &str| json!({ "title": title, "anyOf": any("b")["anyOf"], "required": [title] });
    assert!(reads(of(&["a"], titled("a")), of(&["a"], any("b"))));
    let items = |n: usize| json!({ "title": n.to_string(), "prefixItems": vec![json!({ "type": "string" }); n], "unevaluatedItems": false });
    assert!(!reads(items(2), items(1)));
    let limited = |most: usize| json!({ "prefixItems": [true, true], "maxItems": most, "unevaluatedItems": false });
    assert!(reads(limited(1), limited(2)));
}

#[test]
fn a_condition_is_what_its_references_say() {
    let of = |kind: &str, then: u64| {
        json!({
            "if": { "$ref": "#/$defs/c" }, "then": { "maxProperties": then },
            "$defs": { "c": { "properties": { "a": { "type": kind } } } },
        })
    };
    assert!(!reads(of("integer", 2), of("string", 2)));
    assert!(reads(of("integer", 2), of("integer", 3)) && !reads(of("integer", 3), of("integer", 2)));
}

#[test]
fn large_multiples_are_exact() {
    let listed = |n: u64| json!({ "enum": [n] });
    let even = json!({ "multipleOf": 2 });
    assert!(reads(listed(10_000_000_000), even.clone()) && !reads(listed(10_000_000_001), even));
    let step = |n: Value| json!({ "type": "number", "multipleOf": n });
    assert!(reads(step(json!(0.3)), step(json!(0.1))) && !reads(step(json!(10_000_000_001_u64)), step(json!(2))));
}

#[test]
fn counted_items_are_those_of_one_schema() {
    let of = |kind: &str| json!({ "type": "array", "contains": { "type": kind }, "maxContains": 1 });
    assert!(!reads(of("integer"), of("number")));
}
