//! A schema within its document, and several of them that hold at once.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A document whose references all lead somewhere in it.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonSchema(pub(super) Value);

#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) document: &'a Value,
    pub(super) value: &'a Value,
}

/// Schemas that all hold: the parts of `allOf`, and what references lead to. None: any value.
#[derive(Debug, Clone, Default)]
pub(super) struct Both<'a>(pub(super) Vec<Node<'a>>);

/// A JSON type; `Integer` is part of `number`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Type {
    Null,
    Boolean,
    Object,
    Array,
    String,
    Integer,
    Fraction,
}

const TYPES: [Type; 7] =
    [Type::Null, Type::Boolean, Type::Object, Type::Array, Type::String, Type::Integer, Type::Fraction];

impl<'a> Node<'a> {
    pub(super) fn at(self, value: &'a Value) -> Self {
        Self { value, ..self }
    }

    pub(super) fn get(self, key: &str) -> Option<Self> {
        self.value.get(key).map(|value| self.at(value))
    }

    pub(super) fn map(self) -> Option<&'a Map<String, Value>> {
        self.value.as_object()
    }

    pub(super) fn list(self, key: &str) -> Vec<Self> {
        let all = self.value.get(key).and_then(Value::as_array);
        all.into_iter().flatten().map(|v| self.at(v)).collect()
    }

    pub(super) fn number(self, key: &str) -> Option<f64> {
        self.value.get(key)?.as_f64()
    }

    pub(super) fn names(self, key: &str) -> Vec<&'a str> {
        let all = self.value.get(key).and_then(Value::as_array);
        all.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The values of `enum` or `const`.
    pub(super) fn values(self) -> Option<Vec<&'a Value>> {
        match (self.value.get("enum"), self.value.get("const")) {
            (Some(Value::Array(all)), _) => Some(all.iter().collect()),
            (_, Some(one)) => Some(vec![one]),
            _ => None,
        }
    }

    /// The schema with all that it refers to and all parts of its `allOf`.
    pub(super) fn parts(self) -> Both<'a> {
        let (mut out, mut seen, mut next) = (Vec::new(), BTreeSet::new(), vec![self]);
        while let Some(node) = next.pop() {
            if !seen.insert(node.id()) {
                continue;
            }
            out.push(node);
            next.extend(node.list("allOf").into_iter().rev());
            let target = node.value.get("$ref").and_then(Value::as_str).and_then(|r| find(node.document, r));
            next.extend(target.map(|t| node.at(t)));
        }
        Both(out)
    }

    /// Written alike, and nothing in it depends on the document around.
    pub(super) fn is_same(self, other: Self) -> bool {
        self.id() == other.id() || (self.value == other.value && !has_reference(self.value))
    }

    /// The same for the same place of the same document.
    pub(super) fn id(self) -> usize {
        std::ptr::from_ref(self.value) as usize
    }
}

impl<'a> Both<'a> {
    pub(super) fn and(&self, other: Self) -> Self {
        let mut all = self.0.clone();
        all.extend(other.0.into_iter().filter(|n| !self.0.iter().any(|o| o.id() == n.id())));
        Self(all)
    }

    pub(super) fn any(&self, holds: impl FnMut(&Node<'a>) -> bool) -> bool {
        self.0.iter().any(holds)
    }

    /// The only values there can be, where they are listed.
    pub(super) fn values(&self) -> Option<Vec<&'a Value>> {
        let mut lists = self.0.iter().filter_map(|n| n.values());
        let first = lists.next()?;
        let types = self.types();
        let rest: Vec<Vec<&Value>> = lists.collect();
        let kept = |v: &&Value| rest.iter().all(|l| l.contains(v)) && types.contains(&type_of(v));
        Some(first.into_iter().filter(kept).collect())
    }

    pub(super) fn types(&self) -> BTreeSet<Type> {
        let mut all = BTreeSet::from(TYPES);
        for node in &self.0 {
            if let Some(types) = types_of(*node) {
                all.retain(|t| types.contains(t));
            }
        }
        all
    }

    /// No value is valid.
    pub(super) fn is_never(&self) -> bool {
        self.any(|n| *n.value == Value::Bool(false)) || self.types().is_empty()
    }
}

/// What `type` says, or the types of the listed values; `None`: any.
pub(super) fn types_of(node: Node<'_>) -> Option<BTreeSet<Type>> {
    let said = node.value.get("type").map(named_types);
    let listed = node.values().map(|all| all.into_iter().map(type_of).collect::<BTreeSet<Type>>());
    match (said, listed) {
        // The suites of registries list values beside a type that they are not of.
        (Some(said), Some(listed)) if said.is_disjoint(&listed) && !listed.is_empty() => Some(listed),
        (Some(said), Some(listed)) => Some(&said & &listed),
        (said, listed) => said.or(listed),
    }
}

pub(super) fn named_types(value: &Value) -> BTreeSet<Type> {
    let one = |name: &str| match name {
        "null" => vec![Type::Null],
        "boolean" => vec![Type::Boolean],
        "object" => vec![Type::Object],
        "array" => vec![Type::Array],
        "string" => vec![Type::String],
        "integer" => vec![Type::Integer],
        "number" => vec![Type::Integer, Type::Fraction],
        _ => TYPES.to_vec(),
    };
    match value {
        Value::String(name) => one(name).into_iter().collect(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).flat_map(one).collect(),
        _ => BTreeSet::from(TYPES),
    }
}

pub(super) fn type_of(value: &Value) -> Type {
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Boolean,
        Value::Object(_) => Type::Object,
        Value::Array(_) => Type::Array,
        Value::String(_) => Type::String,
        Value::Number(n) if n.as_f64().is_some_and(|f| f.fract() == 0.0) => Type::Integer,
        Value::Number(_) => Type::Fraction,
    }
}

fn has_reference(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(key, v)| key.starts_with('$') || has_reference(v)),
        Value::Array(all) => all.iter().any(has_reference),
        _ => false,
    }
}

/// What a reference leads to within its document: a pointer, or a schema's own name.
pub(super) fn find<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
    let own = document.get("$id").or(document.get("id")).and_then(Value::as_str).unwrap_or_default();
    let fragment = match reference.split_once('#') {
        Some((base, fragment)) if base.is_empty() || base == own.trim_end_matches('#') => fragment,
        _ => return by_id(document, reference),
    };
    let decoded = fragment.replace("%25", "%").replace("%22", "\"");
    if decoded.is_empty() || decoded.starts_with('/') {
        return document.pointer(&decoded);
    }
    by_id(document, &format!("#{decoded}"))
}

fn by_id<'a>(value: &'a Value, id: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => {
            let is = |key: &str| map.get(key).and_then(Value::as_str) == Some(id);
            let anchor = map.get("$anchor").and_then(Value::as_str);
            if is("$id") || is("id") || (anchor.is_some() && anchor == id.strip_prefix('#')) {
                return Some(value);
            }
            map.values().find_map(|v| by_id(v, id))
        }
        Value::Array(all) => all.iter().find_map(|v| by_id(v, id)),
        _ => None,
    }
}
