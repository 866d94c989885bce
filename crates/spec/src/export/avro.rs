//! An Avro record of one row. Optional fields are unions with null and have null as default, so that they can be added.

use super::words::{rules, said};
use crate::compatibility::{Field, Kind, ObjectShape, Scalar, Shape};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The rows of `object`. Avro knows types only: every limit and rule is in `doc`.
pub fn avro(shape: &Shape, object: &ObjectShape) -> String {
    let mut doc: Vec<String> = object.description.iter().cloned().collect();
    doc.push(format!("Contract {} {}.", shape.id, shape.version));
    doc.extend(rules(object, |_| false).map(|r| format!("Not checked here: {r}.")));
    let mut types = BTreeSet::new();
    let mut record = record(unused(name(&object.name), &mut types), &object.fields, &mut types);
    record.insert("doc".to_owned(), json!(doc.join("\n")));
    let text = serde_json::to_string_pretty(&Value::Object(record)).expect("a value of JSON");
    text + "\n"
}

/// `types` are the names of types that are taken.
fn record(own: String, fields: &[Field], types: &mut BTreeSet<String>) -> Map<String, Value> {
    // A column whose name is one in Avro keeps it, whatever stands before it.
    let is_kept = |f: &Field| name(&f.name) == f.name;
    let mut names: BTreeSet<String> = fields.iter().filter(|f| is_kept(f)).map(|f| f.name.clone()).collect();
    let mut named = |f: &Field| if is_kept(f) { f.name.clone() } else { unused(name(&f.name), &mut names) };
    let fields: Vec<Value> = fields.iter().map(|f| field(&own, named(f), f, types)).collect();
    Map::from_iter([
        ("type".to_owned(), json!("record")),
        ("name".to_owned(), json!(own)),
        ("fields".to_owned(), Value::Array(fields)),
    ])
}

fn field(path: &str, own: String, f: &Field, types: &mut BTreeSet<String>) -> Value {
    let kind = optional(&format!("{path}_{own}"), f, types);
    let mut out = Map::from_iter([("name".to_owned(), json!(own)), ("type".to_owned(), kind)]);
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

fn optional(path: &str, f: &Field, types: &mut BTreeSet<String>) -> Value {
    let kind = kind(path, f, types);
    if f.limits.required { kind } else { json!(["null", kind]) }
}

/// Named types have one name each in the whole schema, so they are named by their path, with a number where that is taken.
fn kind(path: &str, f: &Field, types: &mut BTreeSet<String>) -> Value {
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
        Kind::Object(Some(fields)) => Value::Object(record(unused(path.to_owned(), types), fields, types)),
        // JSON text: nobody said what is in it.
        Kind::Object(None) | Kind::Array(None) | Kind::Any => json!("string"),
        Kind::Array(Some(item)) => {
            let path = format!("{path}_{}", name(&item.name));
            json!({ "type": "array", "items": optional(&path, item, types) })
        }
    }
}

/// The name, or with the first number that makes it one of its own.
fn unused(name: String, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..=taken.len() + 2).map(|n| format!("{name}_{n}"));
    let own = std::iter::once(name.clone()).chain(numbered).find(|n| !taken.contains(n));
    let own = own.expect("more names were tried than are taken");
    taken.insert(own.clone());
    own
}

/// Letters, digits and `_`, and no digit first.
fn name(text: &str) -> String {
    let mut out: String = text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}
