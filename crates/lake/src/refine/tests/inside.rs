//! Rules of what is inside of JSON, and that a JSON Schema of the same contract gives the same verdict.

use super::*;
use alluvium_model::Entropy;
use alluvium_spec::{Language, SchemaFile, Validator, export, read_schema_text};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;

fn file(properties: &Value) -> alluvium_spec::ContractFile {
    let document = json!({
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "t", "version": "1.0.0", "status": "active",
        "schema": [{ "name": "t", "properties": properties }],
    });
    match read_schema_text(Language::Odcs, Path::new("t.odcs.yaml"), &document.to_string()) {
        Ok(SchemaFile::Contract(file)) => file,
        Ok(_) => unreachable!("a contract was asked for"),
        Err(mistakes) => panic!("{mistakes}"),
    }
}

fn contract_of(properties: &Value) -> Contract {
    *file(properties).contract.expect("its object is named like the file")
}

fn docs(values: &[&str]) -> RecordBatch {
    bronze(&[("doc", values.iter().map(|v| Some(*v)).collect())])
}

/// `position: rule value message` of each reason.
fn told(refined: &Refined) -> Vec<String> {
    let Some(q) = &refined.quarantined else { return Vec::new() };
    let positions = q["_position"].as_primitive::<Int64Type>();
    let mut out = Vec::new();
    for row in 0..q.num_rows() {
        let list = q["reasons"].as_list::<i32>().value(row);
        let list = list.as_struct();
        let text = |c: &str, i: usize| {
            let c = list.column_by_name(c).unwrap().as_string::<i32>().clone();
            if c.is_null(i) { "∅".to_owned() } else { c.value(i).to_owned() }
        };
        for i in 0..list.len() {
            assert_eq!(text("column", i), "doc");
            out.push(format!(
                "{}: {} {} | {}",
                positions.value(row),
                text("rule", i),
                text("value", i),
                text("message", i)
            ));
        }
    }
    out
}

fn judged(properties: &Value, values: &[&str]) -> (Vec<String>, Tally) {
    let (refined, tally) = refine(&refinery(&silver(vec![]), &contract_of(properties)), &docs(values));
    (told(&refined), tally)
}

fn order() -> Value {
    json!([{ "name": "doc", "logicalType": "object", "properties": [
        { "name": "address", "logicalType": "object", "required": true,
          "logicalTypeOptions": { "required": ["city"], "maxProperties": 3 },
          "properties": [
            { "name": "zip", "logicalType": "string", "required": true, "logicalTypeOptions": { "pattern": "[0-9]{5}" } },
            { "name": "city", "logicalType": "string", "logicalTypeOptions": { "minLength": 2 } },
          ] },
        { "name": "lines", "logicalType": "array", "logicalTypeOptions": { "minItems": 1, "maxItems": 3 },
          "items": { "logicalType": "object", "required": true, "properties": [
            { "name": "quantity", "logicalType": "integer", "logicalTypeOptions": { "minimum": 1, "multipleOf": 2 } },
            { "name": "price", "logicalType": "number", "physicalType": "decimal(8,2)" },
            { "name": "on", "logicalType": "date" },
          ] } },
        { "name": "tags", "logicalType": "array", "logicalTypeOptions": { "uniqueItems": true },
          "items": { "logicalType": "string", "enum": [{ "value": "a" }, { "value": "b" }] } },
        { "name": "anything", "quality": [
            { "metric": "invalidValues", "arguments": { "validValues": ["1", "x"] }, "mustBe": 0, "id": "known" } ] },
    ] }])
}

#[test]
fn each_rule_names_its_place_and_the_value() {
    let good = r#"{"address":{"zip":"01234","city":"Bonn"},"lines":[{"quantity":2.0,"price":1.500,"on":"2025-07-01"}],"tags":["a","b"],"anything":1,"more":[]}"#;
    let at = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replacen(from, to, 1)
    };
    let bad = [
        at(r#""zip":"01234""#, r#""zip":null"#),
        at(r#""01234","city":"Bonn""#, r#""1234""#),
        at("Bonn", "B"),
        at(r#"{"zip":"01234","city":"Bonn"}"#, "[1]"),
        at(r#""city":"Bonn""#, r#""city":"Bonn","x":1,"y":2"#),
        at(r#"[{"quantity":2.0,"price":1.500,"on":"2025-07-01"}]"#, "[]"),
        at(r#"[{"quantity":2.0,"#, r#"[{"quantity":4},{"quantity":"2"},{"quantity":-3},{"quantity":0,"#),
        at("1.500", "1.505"),
        at("2025-07-01", "2025-02-30"),
        at(r#"[{"quantity":2.0"#, r#"[null,{"quantity":2.0"#),
        at(r#"["a","b"]"#, r#"["a","c","c"]"#),
        at(r#""anything":1"#, r#""anything":{"x":1}"#),
        at(r#""anything":1"#, r#""anything":"y""#),
        at(r#""address":{"zip":"01234","city":"Bonn"},"#, ""),
    ];
    let mut all = vec![good];
    all.extend(bad.iter().map(String::as_str));
    let (mut told, tally) = judged(&order(), &all);
    told.sort_by_key(|t| t.split(' ').take(2).map(str::to_owned).collect::<Vec<_>>());
    let mut wanted = [
        "1: required:doc.address.zip ∅ | is missing or null: doc.address.zip",
        "2: required:doc.address.city ∅ | is missing or null: doc.address.city",
        "2: pattern:doc.address.zip 1234 | does not match [0-9]{5}: doc.address.zip",
        "3: length:doc.address.city B | has fewer than 2 characters: doc.address.city",
        "4: type:doc.address an array | is no object: doc.address",
        "5: properties:doc.address ∅ | has more than 3 fields: doc.address",
        "6: items:doc.lines ∅ | does not have 1 to 3 items: doc.lines",
        "7: type:doc.lines[].quantity \"2\" | cannot be read as an integer: doc.lines[1].quantity",
        "7: range:doc.lines[].quantity -3 | is not at least 1: doc.lines[2].quantity and 1 more",
        "7: multiple_of:doc.lines[].quantity -3 | is not a multiple of 2: doc.lines[2].quantity",
        "7: items:doc.lines ∅ | does not have 1 to 3 items: doc.lines",
        "8: type:doc.lines[].price 1.505 | cannot be read as a decimal(8, 2): doc.lines[0].price",
        "9: type:doc.lines[].on 2025-02-30 | cannot be read as a date: doc.lines[0].on",
        "10: required:doc.lines[] ∅ | is missing or null: doc.lines[0]",
        "11: enum:doc.tags[] c | is not one of a, b: doc.tags[1] and 1 more",
        "11: unique_items:doc.tags ∅ | has the same item twice: doc.tags",
        "13: known y | is not one of 1, x: doc.anything",
        "14: required:doc.address ∅ | is missing or null: doc.address",
    ];
    wanted.sort_by_key(|t| t.split(' ').take(2).map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(told, wanted);
    assert_eq!((tally.valid, tally.quarantined), (2, 13));
    assert_eq!(tally.rules["range:doc.lines[].quantity"], RuleCount { checked: 15, violations: 1 });
}

#[test]
fn an_action_reaches_what_is_inside() {
    let of = |action: &str| {
        json!([{ "name": "doc", "logicalType": "array", "customProperties": [{ "property": "action", "value": action }],
                 "logicalTypeOptions": { "maxItems": 2 },
                 "items": { "logicalType": "integer", "logicalTypeOptions": { "maximum": 9 } } }])
    };
    let values = ["[1,2]", "[10]", "[1,2,3]", "{\"a\":1}", "[[]]"];
    let (told, tally) = judged(&of("warn"), &values);
    assert!(told.is_empty(), "{told:?}");
    assert_eq!((tally.valid, tally.rules["range:doc[]"].violations, tally.rules["items:doc"].violations), (5, 1, 1));
    assert_eq!((tally.rules["type:doc[]"].violations, tally.rules["type:doc"].violations), (1, 1));
    let (told, tally) = judged(&of("drop"), &values);
    assert!(told.is_empty(), "{told:?}");
    assert_eq!((tally.valid, tally.dropped), (1, 4));
}

#[test]
fn a_column_that_is_no_json_is_told_once() {
    let (told, _) = judged(&order(), &["{\"address\":", "[]", "null"]);
    assert_eq!(
        told,
        [
            "0: type:doc {\"address\": | cannot be read as a JSON array or object",
            "1: type:doc an array | cannot be read as a JSON array or object: doc",
            "2: type:doc null | cannot be read as a JSON array or object",
        ]
    );
}

#[test]
fn a_reference_inside_finds_its_rows() {
    let check = Check::Inside {
        at: alluvium_spec::Inner {
            path: vec![alluvium_spec::Segment::Field("codes".into()), alluvium_spec::Segment::Items],
            holds: alluvium_spec::Holds::Scalar(ColumnType::Integer),
        },
        check: Box::new(Check::Reference { dataset: "silver.codes".parse().unwrap(), to: vec!["code".into()] }),
    };
    let c = contract(&[("doc", ColumnType::Json)], vec![rule("known", &["doc"], check, Action::Quarantine)]);
    let codes = RecordBatch::try_from_iter([("code", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    let refinery = refinery_with(&silver(vec![]), &c, &[("silver.codes", codes)]);
    let (refined, _) = refine(&refinery, &docs(&["{\"codes\":[1,2]}", "{\"codes\":[2,7,null]}"]));
    assert_eq!(told(&refined), ["1: known 7 | is not in silver.codes (code): doc.codes[1]"]);
}

/// Deeper than any reader's stack, longer than most, and what only looks like JSON to some.
#[test]
fn hostile_values_are_judged_or_refused() {
    let deep = 200_000;
    let nest = |at: &str| format!("{{{at}:{}{}}}", "[".repeat(deep), "]".repeat(deep));
    let (in_unknown, in_known) = (nest("\"z\""), nest("\"tags\""));
    let objects = format!("{{\"lines\":{}1{}}}", "{\"quantity\":".repeat(deep), "}".repeat(deep));
    let many = format!("{{\"lines\":[{}null]}}", "{\"quantity\":0},".repeat(300_000));
    let twice = format!("{{\"tags\":[{}\"a\"]}}", "\"\\u0061\",".repeat(100_000));
    let values = [
        in_unknown.as_str(),
        &in_known,
        &objects,
        &many,
        &twice,
        r#"{"\ud800":1}"#,
        r#"{"tags":["\ud800"]}"#,
        r#"{"address":1e999}"#,
        r#"{"lines":[{"quantity":1e999}]}"#,
        r#"{"lines":[{"quantity":123456789012345678901234567890}]}"#,
        r#"{"lines":[{"quantity":2,"quantity":0}]}"#,
        r#"{"address":{"zip":"01234","zip":null,"city":"Bonn"}}"#,
    ];
    let mut properties = order();
    let fields = properties[0]["properties"].as_array_mut().unwrap();
    fields[0]["required"] = json!(false);
    let (told, tally) = judged(&properties, &values);
    let of = |row: usize| told.iter().filter(|t| t.starts_with(&format!("{row}: "))).count();
    assert_eq!(of(0), 0, "what no rule looks at is passed over");
    for row in 1..values.len() {
        assert!(of(row) > 0, "row {row}: {told:#?}");
    }
    assert!(told.iter().any(|t| t.contains("doc.lines[0].quantity and 299999 more")), "{told:#?}");
    assert_eq!((tally.received, tally.valid), (12, 1));
}

#[test]
fn numbers_far_out_and_with_many_digits_are_what_they_are() {
    let refused = |item: &Value, values: &[&str]| -> Vec<String> {
        let (told, _) = judged(&json!([{ "name": "doc", "logicalType": "array", "items": item }]), values);
        told.iter().map(|t| t.split(' ').nth(2).expect("a value").to_owned()).collect()
    };
    let integers = ["[1e308]", "[1e-400]", "[1e19]", "[1.5e1,0e999999999999,9e18]", "[9223372036854775808e0]"];
    assert_eq!(
        refused(&json!({ "logicalType": "integer" }), &integers),
        ["1e308", "1e-400", "10000000000000000000", "9223372036854775808"]
    );
    let decimals = ["[1e308]", "[1e-400]", "[1.5e2,125e-2,12345600e-2]", "[12345.6789012345678901e1]"];
    assert_eq!(
        refused(&json!({ "logicalType": "number", "physicalType": "decimal(38,2)" }), &decimals),
        ["1e308", "1e-400", "123456.789012345678901"]
    );
    let floats = ["[1e308]", "[1e-400]", "[1e309]"];
    assert_eq!(refused(&json!({ "logicalType": "number" }), &floats), ["1e309"]);
}

#[test]
fn items_are_the_same_only_in_all_their_digits() {
    let unique = |items: &Value| {
        let options = json!({ "uniqueItems": true });
        json!([{ "name": "doc", "logicalType": "array", "items": items, "logicalTypeOptions": options }])
    };
    let objects = [
        r#"[{"id":36893488147419103233},{"id":36893488147419103234}]"#,
        r#"[{"id":36893488147419103233},{"id":3.6893488147419103233e19}]"#,
        r#"[{"id":1e400}]"#,
        r#"[{"\ud800":1}]"#,
    ];
    let (found, _) = judged(&unique(&json!({ "logicalType": "object" })), &objects);
    assert_eq!(found.iter().filter(|t| t.contains("unique_items")).count(), 1, "{found:?}");
    assert_eq!(found[0], "1: unique_items:doc ∅ | has the same item twice: doc");
    let numbers = ["[0.12345678901234567891,0.12345678901234567892]", "[0.1,1e-1]"];
    let (found, _) = judged(&unique(&json!({ "logicalType": "number" })), &numbers);
    assert_eq!(found, ["1: unique_items:doc ∅ | has the same item twice: doc"]);
}

#[test]
fn quarantined_rows_come_back_as_they_were() {
    let refinery = refinery(&silver(vec![]), &contract_of(&order()));
    let batch = docs(&[r#"{"address":{"zip":"1","city":"Bonn"}}"#, r#"{"tags":["a","a"]}"#]);
    let (refined, _) = refine(&refinery, &batch);
    let again = unquarantine(&refined.quarantined.clone().unwrap(), &batch.schema()).unwrap();
    assert_eq!(again["doc"].as_string::<i32>(), batch["doc"].as_string::<i32>());
    assert_eq!(told(&refine(&refinery, &again).0), told(&refined));
}

/// Makes up contracts and values.
struct Maker(SeededEntropy);

impl Maker {
    fn below(&self, n: u64) -> u64 {
        self.0.next_u64() % n
    }

    fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn property(&self, depth: u64) -> Value {
        let kinds = ["string", "integer", "number", "boolean", "date", "object", "array"];
        let kind = kinds[self.below(if depth == 0 { 5 } else { 7 }) as usize];
        let mut out = json!({ "logicalType": kind, "required": self.one_in(3) });
        let mut options = json!({});
        match kind {
            "string" if self.one_in(2) => {
                options = json!({ "minLength": self.below(3), "maxLength": 2 + self.below(3) })
            }
            "string" if self.one_in(2) => options["pattern"] = json!("[a-z]+"),
            "string" => out["enum"] = json!([{ "value": "a" }, { "value": "éé" }]),
            "integer" | "number" if self.one_in(2) => options["minimum"] = json!(self.below(3)),
            "integer" => options["multipleOf"] = json!(2),
            "number" => options["exclusiveMaximum"] = json!(2.5),
            "object" => {
                let fields = (0..=self.below(3)).map(|i| {
                    let mut field = self.property(depth - 1);
                    field["name"] = json!(["a", "b", "c", "d"][i as usize]);
                    field
                });
                out["properties"] = fields.collect();
                if self.one_in(3) {
                    options["required"] = json!(["a"]);
                }
                if self.one_in(3) {
                    options["minProperties"] = json!(self.below(3));
                }
            }
            "array" => {
                out["items"] = self.property(depth - 1);
                options = json!({ "minItems": self.below(2), "maxItems": 1 + self.below(3) });
                options["uniqueItems"] = json!(self.one_in(2));
            }
            _ => {}
        }
        if options != json!({}) {
            out["logicalTypeOptions"] = options;
        }
        out
    }

    /// Mostly of the property's type.
    fn value(&self, of: &Value) -> Value {
        let kind = if self.one_in(12) { "other" } else { of["logicalType"].as_str().unwrap_or("other") };
        let pick = |all: &[Value]| all[self.below(all.len() as u64) as usize].clone();
        match kind {
            "string" => pick(&[json!("a"), json!("ab"), json!("abcde"), json!("éé"), json!(""), json!("a\n\"")]),
            "integer" => pick(&[json!(0), json!(2), json!(-4), json!(3), json!(2.0), json!(u64::MAX), json!(1.5)]),
            "number" => pick(&[json!(0), json!(1.5), json!(2.5), json!(-1e9), json!(2.0)]),
            "boolean" => json!(self.one_in(2)),
            "date" => pick(&[json!("2025-07-01"), json!("soon"), json!("2025-7-1"), json!("1999-12-31")]),
            "object" => {
                let fields = of["properties"].as_array().cloned().unwrap_or_default();
                let kept = fields.iter().filter(|_| !self.one_in(6));
                let mut map: serde_json::Map<String, Value> =
                    kept.map(|f| (f["name"].as_str().unwrap().to_owned(), self.value(f))).collect();
                if self.one_in(4) {
                    map.insert("other".to_owned(), json!([{ "a": 1 }]));
                }
                Value::Object(map)
            }
            "array" => (0..self.below(4)).map(|_| self.value(&of["items"])).collect(),
            _ => pick(&[
                Value::Null,
                json!("a"),
                json!(1),
                json!(true),
                json!([]),
                json!({}),
                json!([null]),
                json!({"a":null}),
            ]),
        }
    }
}

/// The exported schema of a row, without the promise that there are no other fields.
fn validator(file: &alluvium_spec::ContractFile) -> Validator {
    fn open(schema: &mut Value) {
        match schema {
            Value::Object(map) => {
                map.remove("additionalProperties");
                map.values_mut().for_each(open);
            }
            Value::Array(all) => all.iter_mut().for_each(open),
            _ => {}
        }
    }
    let text = export::json_schema(&file.shape, &file.shape.objects[0]);
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    open(&mut schema);
    match read_schema_text(Language::JsonSchema, Path::new("t.json"), &schema.to_string()) {
        Ok(SchemaFile::JsonSchema(schema)) => schema.validator().unwrap(),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_verdict_is_that_of_a_json_schema(seed in any::<u64>()) {
        let maker = Maker(SeededEntropy::new(seed));
        let mut property = maker.property(3);
        while !["object", "array"].contains(&property["logicalType"].as_str().unwrap()) {
            property = maker.property(3);
        }
        property["name"] = json!("doc");
        let file = file(&json!([property]));
        let validator = validator(&file);
        let values: Vec<Value> = (0..40).map(|_| maker.value(&property)).collect();
        let texts: Vec<Option<String>> = values.iter().map(|v| (!v.is_null()).then(|| v.to_string())).collect();
        let batch = bronze(&[("doc", texts.iter().map(Option::as_deref).collect())]);
        let (refined, _) = refine(&refinery(&silver(vec![]), file.contract.as_ref().unwrap()), &batch);
        let kept = refined.valid["_position"].as_primitive::<Int64Type>().values().to_vec();
        for (row, value) in values.iter().enumerate() {
            let breaches = validator.breaches(&json!({ "doc": value }));
            prop_assert_eq!(
                kept.contains(&(row as i64)), breaches.is_empty(),
                "{} under {}: {:?}, {:?}", value, property, breaches, told(&refined)
            );
        }
    }
}
