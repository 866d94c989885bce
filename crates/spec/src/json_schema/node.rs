//! A schema within its document, and several of them that hold at once.

use super::patterns::Patterns;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Parts that are looked at together; a schema of more counts as one that cannot be decided.
const MOST_PARTS: usize = 500;

/// A document whose references all lead somewhere in it.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonSchema(pub(super) Value);

impl JsonSchema {
    /// Of one that was made, and whose references all lead somewhere in it.
    pub(crate) const fn made(value: Value) -> Self {
        Self(value)
    }
}

/// A document with its schemas by their own names, and the patterns that were compiled.
pub(super) struct Document<'a> {
    pub(super) root: &'a Value,
    ids: BTreeMap<&'a str, &'a Value>,
    anchors: BTreeMap<&'a str, &'a Value>,
    pub(super) patterns: Patterns,
}

#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) document: &'a Document<'a>,
    pub(super) value: &'a Value,
}

/// Schemas that all hold: the parts of `allOf`, and what references lead to. None: any value.
#[derive(Clone, Default)]
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

    /// A number as it is written.
    pub(super) fn numeral(self, key: &str) -> Option<String> {
        let number = self.value.get(key)?;
        number.is_number().then(|| number.to_string())
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

    /// The schema with all that it refers to and all parts of its `allOf`; of very many the first. What a writer's values
    /// are is then said less exactly, and still right.
    pub(super) fn parts(self) -> Both<'a> {
        Both(self.collect().0)
    }

    /// As above; `None` if there are very many. A reader's demands all count.
    pub(super) fn demands(self) -> Option<Both<'a>> {
        let (parts, complete) = self.collect();
        complete.then_some(Both(parts))
    }

    fn collect(self) -> (Vec<Self>, bool) {
        let (mut out, mut seen, mut waiting) = (Vec::new(), BTreeSet::new(), vec![self]);
        while let Some(node) = waiting.pop() {
            if !seen.insert(node.id()) {
                continue;
            }
            if out.len() == MOST_PARTS {
                return (out, false);
            }
            out.push(node);
            waiting.extend(node.list("allOf").into_iter().rev());
            let reference = node.value.get("$ref").and_then(Value::as_str);
            waiting.extend(reference.and_then(|r| node.document.find(r)).map(|target| node.at(target)));
        }
        (out, true)
    }

    /// Written alike, and nothing in it depends on the document around.
    pub(super) fn is_same(self, other: Self) -> bool {
        self.id() == other.id() || (self.value == other.value && !has_reference(self.value))
    }

    /// Whether a pattern of this document matches; `None`: it cannot be compiled.
    pub(super) fn matches(self, pattern: &str, text: &str) -> Option<bool> {
        self.document.patterns.matches(pattern, text)
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

impl<'a> Document<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        let mut out = Self { root, ids: BTreeMap::new(), anchors: BTreeMap::new(), patterns: Patterns::default() };
        out.index(root);
        out
    }

    /// The first schema of a name has it. A document is at most 128 levels deep.
    fn index(&mut self, value: &'a Value) {
        match value {
            Value::Object(map) => {
                let text = |key: &str| map.get(key).and_then(Value::as_str);
                for id in [text("$id"), text("id")].into_iter().flatten() {
                    self.ids.entry(id).or_insert(value);
                }
                if let Some(anchor) = text("$anchor") {
                    self.anchors.entry(anchor).or_insert(value);
                }
                map.values().for_each(|v| self.index(v));
            }
            Value::Array(all) => all.iter().for_each(|v| self.index(v)),
            _ => {}
        }
    }

    /// What a reference leads to: a pointer, or a schema's own name.
    pub(super) fn find(&self, reference: &str) -> Option<&'a Value> {
        let own = self.root.get("$id").or(self.root.get("id")).and_then(Value::as_str).unwrap_or_default();
        let fragment = match reference.split_once('#') {
            Some((base, fragment)) if base.is_empty() || base == own.trim_end_matches('#') => fragment,
            _ => return self.by_id(reference),
        };
        let decoded = fragment.replace("%25", "%").replace("%22", "\"");
        if decoded.is_empty() || decoded.starts_with('/') {
            return self.root.pointer(&decoded);
        }
        self.by_id(&format!("#{decoded}"))
    }

    fn by_id(&self, id: &str) -> Option<&'a Value> {
        let anchor = || self.anchors.get(id.strip_prefix('#')?);
        self.ids.get(id).or_else(anchor).copied()
    }
}
