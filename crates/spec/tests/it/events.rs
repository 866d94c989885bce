//! Schemas of events: the JSON Schema Test Suite, the relation between validity and compatibility, and what a dataset may say of them.

use super::{folder, write};
use alluvium_spec::{Diagnostics, Environment, Language, Mode, Project, SchemaFile, Validator, load, read_schema_text};
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path};

/// MIT licence; each file names its source.
const SUITES: [(&str, &str); 2] = [
    ("2020-12", include_str!("fixtures/json_schema_test_suite/draft2020-12.json")),
    ("7", include_str!("fixtures/json_schema_test_suite/draft7.json")),
];

/// Groups of the suites by file, of which some case is not decided as the suite has it, and why.
const OTHERWISE: [(&str, &str, &str); 2] = [
    // Keywords beside `$ref` count, as they do since 2019-09.
    ("7", "ref", "ref overrides any sibling keywords"),
    // `$vocabulary` of a metaschema elsewhere is not asked.
    ("2020-12", "vocabulary", "schema that uses custom metaschema with with no validation vocabulary"),
];

struct Group {
    file: String,
    name: String,
    schema: Value,
    cases: Vec<(Value, bool)>,
}

fn groups(suite: &str) -> Vec<Group> {
    let suite: Value = serde_json::from_str(suite).expect("a suite");
    let text = |v: &Value, key: &str| v[key].as_str().expect("a text").to_owned();
    let mut out = Vec::new();
    for (file, groups) in suite["files"].as_object().expect("files") {
        for group in groups.as_array().expect("groups") {
            let cases = group["tests"].as_array().expect("tests").iter();
            let cases = cases.map(|t| (t["data"].clone(), t["valid"] == true)).collect();
            out.push(Group {
                file: file.clone(),
                name: text(group, "description"),
                schema: group["schema"].clone(),
                cases,
            });
        }
    }
    out
}

fn read(schema: &Value) -> Option<SchemaFile> {
    read_schema_text(Language::JsonSchema, Path::new("schema.json"), &schema.to_string()).ok()
}

fn validator(schema: &Value) -> Option<Validator> {
    match read(schema)? {
        SchemaFile::JsonSchema(schema) => schema.validator().ok(),
        SchemaFile::Contract(_) | SchemaFile::Avro(_) => None,
    }
}

#[test]
fn the_json_schema_test_suite_agrees() {
    let (mut told, mut counts) = (BTreeSet::new(), Vec::new());
    for (draft, suite) in SUITES {
        let (mut cases, mut refused) = (0, 0);
        for group in groups(suite) {
            let Some(validator) = validator(&group.schema) else {
                // References to other files, by identifiers within a document, and `$dynamicRef`.
                refused += group.cases.len();
                continue;
            };
            for (value, valid) in &group.cases {
                cases += 1;
                if validator.breaches(value).is_empty() != *valid {
                    told.insert((draft, group.file.clone(), group.name.clone()));
                }
            }
        }
        counts.push((draft, cases, refused));
    }
    let known: BTreeSet<_> =
        OTHERWISE.iter().map(|(draft, file, name)| (*draft, (*file).to_owned(), (*name).to_owned())).collect();
    assert_eq!((told, counts), (known, vec![("2020-12", 1156, 101), ("7", 872, 41)]));
}

/// What is said to be compatible lets every value through that the other let through.
#[test]
fn compatible_schemas_accept_what_the_others_did() {
    let mut pairs = 0;
    for (_, suite) in SUITES {
        let all: Vec<_> = groups(suite)
            .into_iter()
            // As registries have it, a property with a default counts as present, and alternatives of `oneOf` as ones that exclude each other.
            .filter(|g| !["\"default\"", "\"oneOf\""].iter().any(|k| g.schema.to_string().contains(k)))
            .filter_map(|g| Some((read(&g.schema)?, validator(&g.schema)?, g)))
            .collect();
        for (old, accepts_old, a) in &all {
            for (new, accepts_new, b) in all.iter().filter(|(_, _, b)| b.file == a.file) {
                if !old.compare(new).expect("one language").is_compatible(Mode::Backward) {
                    continue;
                }
                pairs += 1;
                for (value, _) in a.cases.iter().chain(&b.cases) {
                    if accepts_old.breaches(value).is_empty() {
                        let breaches = accepts_new.breaches(value);
                        assert!(breaches.is_empty(), "{}\n{}\n{value}: {breaches:?}", a.schema, b.schema);
                    }
                }
            }
        }
    }
    assert!(pairs > 1_500, "{pairs}");
}

#[test]
fn breaches_say_where_and_what_and_show_no_values() {
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["id", "lines"],
        "properties": {
            "id": { "type": "string", "minLength": 3, "pattern": "^o-" },
            "amount": { "type": "number", "minimum": 0, "multipleOf": 0.01 },
            "lines": { "type": "array", "minItems": 1, "items": { "type": "object", "required": ["sku"] } },
        },
    });
    let validator = validator(&schema).expect("a validator");
    let said = |value: Value| validator.breaches(&value).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert!(said(json!({ "id": "o-1", "amount": 1.10, "lines": [{ "sku": 1 }] })).is_empty());
    assert_eq!(
        said(json!({ "id": "x", "amount": -0.005, "lines": [{}], "e\n/x": "secret" })),
        [
            "`/id` has not at least 3 characters (`minLength`)",
            "`/id` does not match `^o-` (`pattern`)",
            "`/amount` is not at least 0 (`minimum`)",
            "`/amount` is no multiple of 0.01 (`multipleOf`)",
            "`/lines/0` has no `sku` (`required`)",
        ],
        "the first five"
    );
    let unknown = json!({ "id": "o-1", "lines": [{ "sku": 1 }], "e\n/x": "secret" });
    assert_eq!(said(unknown), ["`/e\\n~1x` is not allowed (`false`)"]);
    assert_eq!(said(json!([])), ["is no object (`type`)"]);
    assert_eq!(said(json!({ "id": "o-1" })), ["has no `lines` (`required`)"]);
}

const BRONZE: &str = "datasets/bronze/orders.yaml";

fn project(bronze: &str, schema: &str) -> Result<Project, Diagnostics> {
    let files = [("alluvium.yaml", "name: shop\n"), (BRONZE, bronze), ("schemas/order.json", schema)];
    let dir = folder(&files);
    load(dir.path(), &Environment::default())
}

#[test]
fn a_dataset_names_the_schema_of_each_type() {
    let bronze = "source:\n  http:\n    types:\n      order.placed: schemas/order.json\n      order.paid: { schema: schemas/order.json, compatibility: full }\n";
    let project = project(bronze, "{\"type\": \"object\"}").expect("a project");
    let schemas = project.event_schemas();
    let said: Vec<_> = schemas.iter().map(|(name, s)| (*name, s.file.to_str(), s.mode)).collect();
    let file = Some("schemas/order.json");
    assert_eq!(said, [("order.paid", file, Mode::Full), ("order.placed", file, Mode::Backward)]);
    let push = project.datasets.values().find_map(|d| d.push()).expect("pushed");
    assert!(push.takes("order.paid") && !push.takes("order.gone"));
}

#[test]
fn a_webhook_names_types_and_schemas_as_pushed_events_do() {
    let hook = |types: &str| {
        format!(
            "source:\n  webhook: {{ path: /hooks/shop/orders, secret: {{ env: ALLUVIUM_HOOK }}, types: {types} }}\n"
        )
    };
    let with_schema = project(&hook("{ hooks.shop.orders: schemas/order.json }"), "true").expect("a project");
    let schemas: Vec<_> = with_schema.event_schemas().into_keys().collect();
    let source = with_schema.datasets.values().find_map(|d| d.webhook()).expect("a webhook");
    assert_eq!(schemas, [source.own_type()]);
    let without = project(&hook("[order.*]"), "true").expect("a project");
    let source = without.datasets.values().find_map(|d| d.webhook()).expect("a webhook");
    assert!(without.event_schemas().is_empty() && source.types.as_ref().is_some_and(|t| t.takes("order.paid")));
    let found = project(&hook("{ order.*: schemas/order.json }"), "true").expect_err("a schema is that of one type");
    assert!(found.0.iter().any(|d| d.code == "E0009"), "{found}");
}

#[test]
fn mistakes_in_schemas_are_told() {
    let types = |of: &str| format!("source: {{ http: {{ types: {of} }} }}\n");
    for (of, schema, code, part) in [
        ("{ order.*: schemas/order.json }", "true", "E0009", "a schema is that of one"),
        ("{ order.placed: schemas/order.yaml }", "true", "E0009", "ends with `.json`, or an Avro schema, `.avsc`"),
        ("{ order.placed: ../order.json }", "true", "E0013", "outside the project"),
        ("{ order.placed: schemas/none.json }", "true", "E0001", "cannot be read"),
        (
            "{ order.placed: { schema: schemas/order.json, compatibility: SOME } }",
            "true",
            "E0009",
            "no compatibility mode",
        ),
        ("{ order.placed: schemas/order.json }", "{", "E0312", "no JSON"),
        ("{ order.placed: schemas/order.json }", "{\"pattern\": \"(?=a)\"}", "E0312", "look-around"),
        ("{}", "true", "E0005", "list of types"),
    ] {
        let found = project(&types(of), schema).expect_err(of);
        let told = found.0.iter().any(|d| d.code == code && format!("{} {:?}", d.message, d.help).contains(part));
        assert!(told, "{of}: {found}");
    }
}

#[test]
fn a_type_has_one_schema() {
    let one = "source: { http: { types: { order.placed: schemas/order.json } } }\n";
    let other = "source: { http: { types: { order.placed: schemas/other.json } } }\n";
    let files = [
        ("alluvium.yaml", "name: shop\n"),
        ("datasets/bronze/a.yaml", one),
        ("datasets/bronze/b.yaml", other),
        ("schemas/order.json", "true"),
        ("schemas/other.json", "true"),
    ];
    let dir = folder(&files);
    let found = load(dir.path(), &Environment::default()).expect_err("two schemas");
    assert!(found.to_string().contains("bronze.a says that `order.placed` has another schema"), "{found}");
    let hook = "source: { webhook: { path: /hooks/b, secret: { env: ALLUVIUM_HOOK }, types: { order.placed: schemas/other.json } } }\n";
    write(dir.path(), "datasets/bronze/b.yaml", hook.as_bytes());
    let found = load(dir.path(), &Environment::default()).expect_err("two schemas");
    assert!(found.to_string().contains("bronze.a says that `order.placed` has another schema"), "{found}");
    write(dir.path(), "datasets/bronze/b.yaml", one.as_bytes());
    load(dir.path(), &Environment::default()).expect("one schema");
}

/// Events are made by strangers, and schemas by people who make mistakes: each ends soon, and says why.
#[test]
fn hostile_schemas_and_events_end() {
    let circle = validator(&json!({ "allOf": [{ "$ref": "#" }] })).expect("a validator");
    let found = circle.breaches(&json!(1));
    assert!(found[0].what.contains("too many steps"), "{found:?}");
    let mut alternatives = json!({ "type": "null" });
    for _ in 0..40 {
        alternatives = json!({ "anyOf": [alternatives, { "not": alternatives }] });
        if alternatives.to_string().len() > 100_000 {
            break;
        }
    }
    validator(&alternatives).expect("a validator").breaches(&json!(1));
    let unique = validator(&json!({ "uniqueItems": true })).expect("a validator");
    let many: Vec<Value> = (0..200_000).map(|i| json!([i])).collect();
    assert!(unique.breaches(&Value::from(many)).is_empty());
    let names: Vec<String> = (0..50_000).map(|i| format!("a{i:05}")).collect();
    let named = avro(&order(&json!([{ "name": "id", "aliases": names, "type": "long" }])));
    let named = named.validator().expect("of an Avro schema").expect("it can be decided");
    for (value, breaches) in [(json!({ "id": "x" }), 1), (json!({ "a00014": "x" }), 1), (json!({ "a49999": 1 }), 0)] {
        assert_eq!(named.breaches(&value).len(), breaches, "{value}");
    }
    for undecidable in [json!({ "pattern": "(?=a)" }), json!({ "$dynamicRef": "#a", "$dynamicAnchor": "a" })] {
        assert!(validator(&undecidable).is_none(), "{undecidable}");
    }
}

fn avro(schema: &Value) -> SchemaFile {
    read_schema_text(Language::Avro, Path::new("schema.avsc"), &schema.to_string()).unwrap_or_else(|d| panic!("{d}"))
}

/// What breaks an Avro schema, a value of plain JSON.
fn breaks(schema: &Value, value: &Value) -> Vec<String> {
    let validator = avro(schema).validator().expect("of an Avro schema").expect("it can be decided");
    validator.breaches(value).iter().map(ToString::to_string).collect()
}

fn order(fields: &Value) -> Value {
    json!({ "type": "record", "name": "Order", "namespace": "shop", "fields": fields })
}

#[test]
fn plain_json_is_held_to_an_avro_schema() {
    let schema = order(&json!([
        { "name": "id", "type": "long" },
        { "name": "n", "type": "int", "default": 0 },
        { "name": "amount", "type": ["null", "double"], "default": null },
        { "name": "state", "type": { "type": "enum", "name": "State", "symbols": ["NEW", "PAID"] }, "default": "NEW" },
        { "name": "either", "type": ["null", "string", "State", "boolean"], "default": null },
        { "name": "tags", "type": { "type": "map", "values": { "type": "array", "items": "string" } }, "default": {} },
        { "name": "hash", "type": ["null", { "type": "fixed", "name": "Hash", "size": 2 }], "default": null },
        { "name": "before", "type": ["null", "Order"], "default": null },
        { "name": "buyer", "aliases": ["customer"], "type": "bytes" },
        { "name": "day", "type": { "type": "int", "logicalType": "date" }, "default": 0 },
    ]));
    let with = |more: &Value| {
        let mut value = json!({ "id": 1, "buyer": "b" });
        value.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        breaks(&schema, &value)
    };
    for sound in [
        json!({}),
        json!({ "id": i64::MAX, "n": i32::MIN, "amount": 1.5, "state": "PAID", "either": true, "tags": { "a": ["b"] } }),
        json!({ "amount": 1, "hash": "\u{ff}\u{0}", "day": 20_000, "more": { "that": "went" } }),
        json!({ "before": { "id": 2, "customer": "c", "before": null } }),
    ] {
        assert_eq!(with(&sound), [""; 0], "{sound}");
    }
    for (broken, said) in [
        (json!({ "id": 9_223_372_036_854_775_808_u64 }), "`/id` is not below 9223372036854775808 (`exclusiveMaximum`)"),
        (json!({ "id": 1.5 }), "`/id` is no integer (`type`)"),
        (json!({ "id": "1" }), "`/id` is no integer (`type`)"),
        (json!({ "n": 2_147_483_648_u32 }), "`/n` is not at most 2147483647 (`maximum`)"),
        (json!({ "amount": { "double": 1.5 } }), "`/amount` is no number (`type`)"),
        (json!({ "state": "GONE" }), "`/state` is none of the values that are allowed (`enum`)"),
        (json!({ "either": 1 }), "`/either` fits none of the alternatives (`anyOf`)"),
        (json!({ "tags": { "a": [1] } }), "`/tags/a/0` is no string (`type`)"),
        (json!({ "hash": "abc" }), "`/hash` has not 2 to 2 characters (`maxLength`)"),
        (json!({ "hash": "a\u{100}" }), "`/hash` does not match `^[\\x00-\\xff]*$` (`pattern`)"),
        (json!({ "before": { "id": 2 } }), "`/before` has no `buyer` (`required`)"),
        (json!({ "buyer": 1 }), "`/buyer` is no string (`type`)"),
        (json!({ "day": "2026-11-27" }), "`/day` is no integer (`type`)"),
    ] {
        assert_eq!(with(&broken), [said], "{broken}");
    }
    assert_eq!(breaks(&schema, &json!({ "id": 1 })), ["has no `buyer` (`required`)"]);
    assert_eq!(breaks(&schema, &json!([])), ["is no object (`type`)"]);
    assert_eq!(breaks(&json!("string"), &json!("a")), [""; 0], "a schema need not be a record");
}

/// A schema without what it says of data that others wrote.
fn of_writer(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => {
            let own = map.iter().filter(|(key, _)| !["default", "aliases"].contains(&key.as_str()));
            own.map(|(key, v)| (key.clone(), of_writer(v))).collect()
        }
        Value::Array(all) => all.iter().map(of_writer).collect(),
        other => other.clone(),
    }
}

/// Whether a producer under this schema could send the value: every field of its record, and no other.
fn writes(schema: &Value, value: &Value) -> bool {
    let names: Vec<&Value> = schema["fields"].as_array().into_iter().flatten().map(|f| &f["name"]).collect();
    let has_more = value.as_object().is_some_and(|v| v.keys().any(|k| !names.contains(&&json!(k))));
    (names.is_empty() || !has_more) && breaks(&of_writer(schema), value).is_empty()
}

/// What resolution calls compatible lets through what was written under the other.
#[test]
fn compatible_avro_schemas_take_what_the_others_did() {
    let field = |name: &str, kind: Value| json!({ "name": name, "type": kind });
    let given = |name: &str, kind: Value, default: Value| json!({ "name": name, "type": kind, "default": default });
    let state = |name: &str, symbols: Value| json!({ "type": "enum", "name": name, "symbols": symbols });
    let kinds = [
        json!("int"),
        json!("long"),
        json!("double"),
        json!("string"),
        json!("bytes"),
        json!(["null", "int"]),
        json!(["int", "string"]),
        state("S", json!(["A", "B"])),
        state("S", json!(["A"])),
        json!({ "type": "enum", "name": "S", "symbols": ["A"], "default": "A" }),
        json!({ "type": "array", "items": "int" }),
        json!({ "type": "map", "values": "long" }),
        json!({ "type": "fixed", "name": "F", "size": 1 }),
        json!({ "type": "record", "name": "R", "fields": [field("x", json!("int"))] }),
        json!({ "type": "record", "name": "R", "fields": [given("y", json!("int"), json!(1)), field("x", json!("long"))] }),
        json!({ "type": "record", "name": "R", "fields": [{ "name": "z", "aliases": ["x"], "type": "long" }] }),
    ];
    let values = [
        json!(null),
        json!(1),
        json!(2_147_483_648_u32),
        json!(1.5),
        json!("A"),
        json!("B"),
        json!("\u{100}b"),
        json!([1]),
        json!(["a"]),
        json!({}),
        json!({ "x": 1 }),
        json!({ "x": 4_000_000_000_u32 }),
        json!({ "x": "a" }),
        json!({ "z": 1 }),
        json!({ "x": 1, "y": 2 }),
        json!({ "x": 1, "y": "a" }),
    ];
    let (mut pairs, mut written) = (0, 0);
    for old in &kinds {
        for new in &kinds {
            if !avro(old).compare(&avro(new)).expect("one language").is_compatible(Mode::Backward) {
                continue;
            }
            pairs += 1;
            for value in values.iter().filter(|v| writes(old, v)) {
                written += 1;
                assert_eq!(breaks(new, value), [""; 0], "{old}\n{new}\n{value}");
            }
        }
    }
    assert!(pairs > kinds.len() + 8 && written > 50, "{pairs} {written}");
}

#[test]
fn a_type_may_have_an_avro_schema() {
    let bronze = "source: { http: { types: { order.placed: schemas/order.avsc } } }\n";
    let load_with = |schema: &str| {
        let dir = folder(&[("alluvium.yaml", "name: shop\n"), (BRONZE, bronze), ("schemas/order.avsc", schema)]);
        load(dir.path(), &Environment::default())
    };
    let schema = order(&json!([{ "name": "id", "type": "long" }])).to_string();
    let project = load_with(&schema).expect("a project");
    let schemas = project.event_schemas();
    assert_eq!(schemas["order.placed"].language, Language::Avro);
    assert_eq!(schemas["order.placed"].validator.breaches(&json!({})).len(), 1);
    let found = load_with("{\"type\": \"lnog\"}").expect_err("no type");
    assert!(found.to_string().contains("E0312") && found.to_string().contains("did you mean `long`"), "{found}");
}
