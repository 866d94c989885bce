//! JSON Schema 2020-12 of one row, in JSON's own types.

use super::words::{is_number, rules};
use crate::{
    compatibility::{Field, Kind, Limits, ObjectShape, Scalar, Shape},
    contract::Bound,
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The rows of `object`. A row that breaks a type, `required`, a list of values, a bound of numbers, a length or a
/// pattern is invalid; bounds of dates and rules over several rows are comments.
pub fn json_schema(shape: &Shape, object: &ObjectShape) -> String {
    let mut schema = Map::new();
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!(object.name));
    if let Some(description) = &object.description {
        schema.insert("description".to_owned(), json!(description));
    }
    let mut comment = vec![format!("contract {} {}", shape.id, shape.version)];
    comment.extend(rules(object, |_| false).map(|r| format!("not checked here: {r}")));
    schema.insert("$comment".to_owned(), json!(comment.join("\n")));
    schema.extend(properties(&object.fields));
    let text = serde_json::to_string_pretty(&Value::Object(schema)).expect("a value of JSON");
    text + "\n"
}

fn properties(fields: &[Field]) -> Map<String, Value> {
    let all: Map<String, Value> = fields.iter().map(|f| (f.name.clone(), field(f))).collect();
    let required: Vec<&str> = fields.iter().filter(|f| f.limits.required).map(|f| f.name.as_str()).collect();
    let mut out = Map::new();
    out.insert("type".to_owned(), json!("object"));
    out.insert("properties".to_owned(), Value::Object(all));
    out.insert("required".to_owned(), json!(required));
    out.insert("additionalProperties".to_owned(), json!(false));
    out
}

fn field(f: &Field) -> Value {
    let mut out = match &f.kind {
        Kind::Scalar(kind) => scalar(*kind, &f.limits),
        Kind::Object(Some(fields)) => properties(fields),
        Kind::Object(None) => Map::from_iter([("type".to_owned(), json!("object"))]),
        Kind::Array(item) => {
            let mut out = Map::from_iter([("type".to_owned(), json!("array"))]);
            out.extend(item.as_ref().map(|i| ("items".to_owned(), field(i))));
            out
        }
        Kind::Any => any(&f.limits),
    };
    let l = &f.limits;
    let sizes = [
        ("minItems", l.items.min),
        ("maxItems", l.items.max),
        ("minProperties", l.properties.min),
        ("maxProperties", l.properties.max),
    ];
    out.extend(sizes.into_iter().filter_map(|(key, n)| Some((key.to_owned(), json!(n?)))));
    if l.unique_items {
        out.insert("uniqueItems".to_owned(), json!(true));
    }
    if let Some(description) = &f.description {
        out.insert("description".to_owned(), json!(description));
    }
    if !l.required {
        // Null is there or not; a type alone takes it as well.
        if let Some(Value::String(kind)) = out.get("type").cloned() {
            out.insert("type".to_owned(), json!([kind, "null"]));
        }
        if let Some(Value::Array(values)) = out.get_mut("enum") {
            values.push(Value::Null);
        }
    }
    Value::Object(out)
}

fn scalar(kind: Scalar, l: &Limits) -> Map<String, Value> {
    let mut out = Map::new();
    let name = match kind {
        Scalar::Integer | Scalar::Int32 => "integer",
        Scalar::Number | Scalar::Decimal { .. } => "number",
        Scalar::Boolean => "boolean",
        Scalar::String | Scalar::Date | Scalar::Timestamp | Scalar::Time => "string",
    };
    out.insert("type".to_owned(), json!(name));
    let mut patterns: Vec<String> = l.patterns.iter().map(|p| format!("^(?:{p})$")).collect();
    match kind {
        Scalar::Date => {
            out.insert("format".to_owned(), json!("date"));
            patterns.push("^[0-9]{4}-[0-9]{2}-[0-9]{2}$".to_owned());
        }
        // `date-time` would ask for an offset.
        Scalar::Timestamp => patterns.push(
            "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?$"
                .to_owned(),
        ),
        Scalar::Time => patterns.push("^[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?$".to_owned()),
        Scalar::Int32 => {
            out.insert("minimum".to_owned(), json!(i32::MIN));
            out.insert("maximum".to_owned(), json!(i32::MAX));
        }
        Scalar::Integer => {
            out.insert("minimum".to_owned(), json!(i64::MIN));
            out.insert("maximum".to_owned(), json!(i64::MAX));
        }
        Scalar::Decimal { precision, scale } => {
            let end = 10_f64.powi(i32::from(precision) - i32::from(scale));
            out.insert("exclusiveMinimum".to_owned(), json!(-end));
            out.insert("exclusiveMaximum".to_owned(), json!(end));
        }
        Scalar::String | Scalar::Number | Scalar::Boolean => {}
    }
    if is_number(kind) {
        bound(l.low.as_ref(), ["minimum", "exclusiveMinimum"], &mut out);
        bound(l.high.as_ref(), ["maximum", "exclusiveMaximum"], &mut out);
    } else if let Some(text) = ordered(l) {
        out.insert("$comment".to_owned(), json!(text));
    }
    out.extend(l.length.min.map(|n| ("minLength".to_owned(), json!(n))));
    out.extend(l.length.max.map(|n| ("maxLength".to_owned(), json!(n))));
    // One step has a keyword; of several all hold.
    let mut all: Vec<Value> = l.steps.iter().map(|s| json!({ "multipleOf": number(s) })).collect();
    all.extend(patterns.iter().map(|p| json!({ "pattern": p })));
    match all.as_slice() {
        [] => {}
        [Value::Object(one)] => out.extend(one.clone()),
        _ => {
            out.insert("allOf".to_owned(), Value::Array(all));
        }
    }
    let typed = |v: &String| match kind {
        _ if is_number(kind) => number(v),
        Scalar::Boolean => json!(["true", "t", "1", "yes"].contains(&v.to_lowercase().as_str())),
        _ => json!(v),
    };
    if let Some(values) = &l.values {
        out.insert("enum".to_owned(), values.iter().map(typed).collect());
    }
    if !l.missing.is_empty() {
        out.insert("not".to_owned(), json!({ "enum": l.missing.iter().map(typed).collect::<Vec<_>>() }));
    }
    out
}

/// A value of any type. Limits that are kept as text hold for texts, and a list has its numbers and booleans both ways.
fn any(l: &Limits) -> Map<String, Value> {
    let mut out = scalar(Scalar::String, l);
    out.remove("type");
    let both = |all: &BTreeSet<String>| -> Vec<Value> {
        let plain = all.iter().filter_map(|v| serde_json::from_str::<Value>(v).ok());
        let plain = plain.filter(|v| v.is_number() || v.is_boolean());
        all.iter().map(|v| json!(v)).chain(plain).collect()
    };
    if let Some(values) = &l.values {
        out.insert("enum".to_owned(), Value::Array(both(values)));
    }
    let mut refused = both(&l.missing);
    // Without a type null would be taken.
    refused.extend(l.required.then_some(Value::Null));
    if !refused.is_empty() {
        out.insert("not".to_owned(), json!({ "enum": refused }));
    }
    out
}

fn bound(bound: Option<&Bound>, [inclusive, exclusive]: [&str; 2], out: &mut Map<String, Value>) {
    let Some(b) = bound else { return };
    out.remove(inclusive);
    out.insert(if b.inclusive { inclusive } else { exclusive }.to_owned(), number(&b.value));
}

/// Bounds of dates and times, for which JSON Schema has no keyword.
fn ordered(l: &Limits) -> Option<String> {
    let text = |word: &str, b: &Bound| format!("{word} {}{}", b.value, if b.inclusive { "" } else { ", exclusive" });
    let both = [l.low.as_ref().map(|b| text("from", b)), l.high.as_ref().map(|b| text("to", b))];
    let said: Vec<String> = both.into_iter().flatten().collect();
    (!said.is_empty()).then(|| format!("not checked here: {}", said.join(" ")))
}

fn number(text: &str) -> Value {
    let whole = text.trim().parse::<i64>().map(|n| json!(n));
    whole.unwrap_or_else(|_| text.trim().parse::<f64>().map_or(json!(text), |n| json!(n)))
}
