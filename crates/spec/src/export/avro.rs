//! An Avro record of one row. Optional fields are unions with null and have null as default, so that they can be added.

use super::words::{rules, said};
use crate::compatibility::{Field, Kind, ObjectShape, Scalar, Shape};
use serde_json::{Map, Value, json};

/// The rows of `object`. Avro knows types only: every limit and rule is in `doc`.
pub fn avro(shape: &Shape, object: &ObjectShape) -> String {
    let mut doc: Vec<String> = object.description.iter().cloned().collect();
    doc.push(format!("Contract {} {}.", shape.id, shape.version));
    doc.extend(rules(object, |_| false).map(|r| format!("Not checked here: {r}.")));
    let name = name(&object.name);
    let mut record = record(&name, &object.fields);
    record.insert("doc".to_owned(), json!(doc.join("\n")));
    let text = serde_json::to_string_pretty(&Value::Object(record)).expect("a value of JSON");
    text + "\n"
}

fn record(path: &str, fields: &[Field]) -> Map<String, Value> {
    let fields: Vec<Value> = fields.iter().map(|f| field(path, f)).collect();
    Map::from_iter([
        ("type".to_owned(), json!("record")),
        ("name".to_owned(), json!(path)),
        ("fields".to_owned(), Value::Array(fields)),
    ])
}

fn field(path: &str, f: &Field) -> Value {
    let own = name(&f.name);
    let mut out = Map::from_iter([("name".to_owned(), json!(own)), ("type".to_owned(), optional(path, f))]);
    if own != f.name {
        out.insert("column".to_owned(), json!(f.name));
    }
    let mut doc: Vec<String> = f.description.iter().cloned().collect();
    doc.extend(said(f).into_iter().map(|s| format!("Not checked here: {s}.")));
    if !doc.is_empty() {
        out.insert("doc".to_owned(), json!(doc.join("\n")));
    }
    if !f.limits.required {
        out.insert("default".to_owned(), Value::Null);
    }
    Value::Object(out)
}

fn optional(path: &str, f: &Field) -> Value {
    let kind = kind(&format!("{path}_{}", name(&f.name)), f);
    if f.limits.required { kind } else { json!(["null", kind]) }
}

/// Named types have one name each in the whole schema, so they are named by their path.
fn kind(path: &str, f: &Field) -> Value {
    match &f.kind {
        Kind::Scalar(scalar) => match scalar {
            Scalar::String | Scalar::Time => json!("string"),
            Scalar::Integer => json!("long"),
            Scalar::Int32 => json!("int"),
            Scalar::Number => json!("double"),
            Scalar::Decimal { precision, scale } => {
                json!({ "type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale })
            }
            Scalar::Boolean => json!("boolean"),
            Scalar::Date => json!({ "type": "int", "logicalType": "date" }),
            Scalar::Timestamp => json!({ "type": "long", "logicalType": "timestamp-micros" }),
        },
        Kind::Object(Some(fields)) => Value::Object(record(path, fields)),
        // JSON text: nobody said what is in it.
        Kind::Object(None) | Kind::Array(None) => json!("string"),
        Kind::Array(Some(item)) => json!({ "type": "array", "items": optional(path, item) }),
    }
}

/// Letters, digits and `_`, and no digit first.
fn name(text: &str) -> String {
    let mut out: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}
