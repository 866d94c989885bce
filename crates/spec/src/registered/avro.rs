//! Parsing Canonical Form of an Avro schema, as its specification transforms it: what decides how bytes are read, and nothing else.
//! Defaults, aliases, documentation and logical types are not part of it. Called by `document.rs` for schemas that were read without a mistake.

use super::canonical::quoted;
use serde_json::Value;

const PRIMITIVES: [&str; 8] = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"];

pub(super) fn canonical(schema: &Value) -> String {
    of(schema, "")
}

fn of(schema: &Value, namespace: &str) -> String {
    match schema {
        Value::String(name) => quoted(&reference(name, namespace)),
        Value::Array(union) => list(union, |t| of(t, namespace)),
        Value::Object(fields) => {
            let text = |key: &str| fields.get(key).and_then(Value::as_str);
            let Some(Value::String(kind)) = fields.get("type") else {
                // `{"type": {…}}` is the type within.
                return fields.get("type").map(|inner| of(inner, namespace)).unwrap_or_default();
            };
            match kind.as_str() {
                "array" | "map" => {
                    let key = if kind == "array" { "items" } else { "values" };
                    let inner = fields.get(key).map(|t| of(t, namespace)).unwrap_or_default();
                    format!("{{\"type\":\"{kind}\",\"{key}\":{inner}}}")
                }
                "record" | "error" | "enum" | "fixed" => {
                    let name = text("name").unwrap_or_default();
                    let (full, space) = match name.rsplit_once('.') {
                        Some((space, _)) => (name.to_owned(), space.to_owned()),
                        None => {
                            let space = text("namespace").unwrap_or(namespace);
                            (reference(name, space), space.to_owned())
                        }
                    };
                    let rest = match kind.as_str() {
                        "enum" => {
                            let symbols = fields.get("symbols").and_then(Value::as_array);
                            let symbols = symbols.map_or_else(String::new, |s| list(s, Value::to_string));
                            format!("\"symbols\":{symbols}")
                        }
                        "fixed" => format!("\"size\":{}", fields.get("size").map(size).unwrap_or_default()),
                        _ => {
                            let members = fields.get("fields").and_then(Value::as_array);
                            let members = members.map_or_else(String::new, |f| list(f, |m| field(m, &space)));
                            format!("\"fields\":{members}")
                        }
                    };
                    format!("{{\"name\":{},\"type\":\"{kind}\",{rest}}}", quoted(&full))
                }
                name => quoted(&reference(name, namespace)),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => schema.to_string(),
    }
}

fn field(field: &Value, namespace: &str) -> String {
    let name = field.get("name").and_then(Value::as_str).unwrap_or_default();
    let kind = field.get("type").map(|t| of(t, namespace)).unwrap_or_default();
    format!("{{\"name\":{},\"type\":{kind}}}", quoted(name))
}

fn list(all: &[Value], one: impl Fn(&Value) -> String) -> String {
    format!("[{}]", all.iter().map(one).collect::<Vec<_>>().join(","))
}

/// Sizes may be quoted.
fn size(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A full name.
fn reference(name: &str, namespace: &str) -> String {
    match name.contains('.') || namespace.is_empty() || PRIMITIVES.contains(&name) {
        true => name.to_owned(),
        false => format!("{namespace}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_that_of_the_specification() {
        let schema = r#"{ "type": "record", "name": "Order", "namespace": "shop", "doc": "x", "aliases": ["O"], "fields": [
            { "name": "id", "type": { "type": "long" }, "doc": "y", "default": 0 },
            { "name": "state", "type": { "type": "enum", "symbols": ["A", "B"], "name": "State", "default": "A" } },
            { "name": "before", "type": ["null", "State"], "default": null },
            { "name": "day", "type": { "type": "int", "logicalType": "date" } },
            { "name": "hash", "type": { "type": "fixed", "size": 16, "name": "other.Hash" } },
            { "name": "lines", "type": { "type": "array", "items": { "type": "map", "values": "Order" } } } ] }"#;
        let canonical = canonical(&serde_json::from_str(schema).expect("JSON"));
        // As fastavro 1.13 writes it.
        let expected = r#"{"name":"shop.Order","type":"record","fields":[{"name":"id","type":"long"},{"name":"state","type":{"name":"shop.State","type":"enum","symbols":["A","B"]}},{"name":"before","type":["null","shop.State"]},{"name":"day","type":"int"},{"name":"hash","type":{"name":"other.Hash","type":"fixed","size":16}},{"name":"lines","type":{"type":"array","items":{"type":"map","values":"shop.Order"}}}]}"#;
        assert_eq!(canonical, expected);
    }
}
