//! An Avro schema as the JSON Schema of plain JSON that it reads: fields by their names, a value of a union as it is.
//!
//! Called for events that arrive, and for defaults. What a producer under an earlier version wrote that the schema still reads is valid: it may lack what
//! has a default, name a field by an alias, and bring fields that went. A logical type is the type beneath it.

use super::schema::{Avro, Body, Field, Named, Primitive, Type};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Of a field, which are looked for. Each stands within the one before, and schemas within schemas are walked by recursion.
const MOST_NAMES: usize = 16;

impl Avro {
    /// JSON Schema of all values of this schema.
    pub(crate) fn plain(&self) -> Value {
        self.plain_of(std::iter::once(&self.root))
    }

    /// As [`Self::plain`], of a list of values, one of each type.
    pub(super) fn plain_list<'t>(&'t self, types: impl Iterator<Item = &'t Type>) -> Value {
        let mut schema = self.plain_of(types);
        let all = schema["allOf"].take();
        schema["allOf"] = json!([{ "prefixItems": all }]);
        schema
    }

    fn plain_of<'t>(&'t self, types: impl Iterator<Item = &'t Type>) -> Value {
        let places = Plain { places: self.named.keys().enumerate().map(|(i, name)| (name.as_str(), i)).collect() };
        let all: Vec<Value> = types.map(|t| places.of(t)).collect();
        let named = self.named.values().enumerate();
        let named: Map<String, Value> = named.map(|(i, n)| (i.to_string(), places.named(i, n))).collect();
        json!({ "allOf": all, "$defs": named })
    }
}

struct Plain<'a> {
    /// Of named types among the definitions: their own names can hold what a reference cannot.
    places: BTreeMap<&'a str, usize>,
}

impl Plain<'_> {
    fn of(&self, kind: &Type) -> Value {
        match kind {
            Type::Primitive(primitive, _) => primitive_of(*primitive),
            Type::Array(items) => json!({ "type": "array", "items": self.of(items) }),
            Type::Map(values) => json!({ "type": "object", "additionalProperties": self.of(values) }),
            Type::Named(name) => json!({ "$ref": format!("#/$defs/{}", self.places[name.as_str()]) }),
            Type::Union(all) => match all.as_slice() {
                // So that a breach is told of the value's own type.
                [null, other] | [other, null] if is_null(null) => {
                    json!({ "if": { "type": "null" }, "else": self.of(other) })
                }
                all => json!({ "anyOf": all.iter().map(|t| self.of(t)).collect::<Vec<_>>() }),
            },
        }
    }

    /// `at`: its place.
    fn named(&self, at: usize, named: &Named) -> Value {
        match &named.body {
            // An unknown symbol is read as the default.
            Body::Enum { has_default: true, .. } => json!({ "type": "string" }),
            Body::Enum { symbols, .. } => json!({ "enum": symbols }),
            // A byte is one of the first 256 characters, as Avro writes bytes in JSON.
            Body::Fixed(size, _) => {
                json!({ "type": "string", "minLength": size, "maxLength": size, "pattern": "^[\\x00-\\xff]*$" })
            }
            Body::Record(fields) => self.record(at, fields),
        }
    }

    fn record(&self, at: usize, fields: &[Field]) -> Value {
        let (aliased, simple): (Vec<&Field>, Vec<&Field>) = fields.iter().partition(|f| !f.aliases.is_empty());
        let properties: Map<String, Value> = simple.iter().map(|f| (f.name.clone(), self.of(&f.kind))).collect();
        let required: Vec<&str> = simple.iter().filter(|f| !f.has_default).map(|f| f.name.as_str()).collect();
        let mut schema = json!({ "type": "object", "properties": properties, "required": required });
        if !aliased.is_empty() {
            // Said once, however many names it has.
            let kinds = aliased.iter().enumerate().map(|(i, f)| (i.to_string(), self.of(&f.kind)));
            schema["$defs"] = Value::Object(kinds.collect());
            let all = aliased.iter().enumerate();
            schema["allOf"] = all.map(|(i, f)| by_any_name(f, &format!("#/$defs/{at}/$defs/{i}"))).collect();
        }
        schema
    }
}

/// The first of its names that is there is the field. One with more of them than are looked for may come under another.
fn by_any_name(field: &Field, kind: &str) -> Value {
    let names: Vec<&String> = std::iter::once(&field.name).chain(&field.aliases).take(MOST_NAMES).collect();
    let may_lack = field.has_default || field.aliases.len() >= MOST_NAMES;
    let last = if may_lack { json!(true) } else { json!({ "required": [field.name] }) };
    names.into_iter().rev().fold(last, |others, name| {
        json!({ "if": { "required": [name] }, "then": { "properties": { name: { "$ref": kind } } }, "else": others })
    })
}

fn is_null(kind: &Type) -> bool {
    matches!(kind, Type::Primitive(Primitive::Null, _))
}

fn primitive_of(primitive: Primitive) -> Value {
    match primitive {
        Primitive::Null => json!({ "type": "null" }),
        Primitive::Boolean => json!({ "type": "boolean" }),
        Primitive::Int => json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX }),
        // The first number above, which has a floating-point number of its own.
        Primitive::Long => {
            json!({ "type": "integer", "minimum": i64::MIN, "exclusiveMaximum": i64::MAX.unsigned_abs() + 1 })
        }
        Primitive::Float | Primitive::Double => json!({ "type": "number" }),
        // Either is read as the other.
        Primitive::Bytes | Primitive::String => json!({ "type": "string" }),
    }
}
