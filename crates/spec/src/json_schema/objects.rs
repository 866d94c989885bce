//! Keywords about the properties of objects.

use super::{
    inclusion::Inclusion,
    node::{Both, Node},
};
use serde_json::Value;
use std::collections::BTreeSet;

impl<'a> Inclusion<'a> {
    /// What a writer's objects have under a name, if they have it.
    pub(super) fn property(&self, writer: &Both<'a>, name: &str) -> Both<'a> {
        let of = |n: &Node<'a>| {
            let own = n.get("properties").and_then(|p| p.get(name));
            let by_pattern = patterns(*n).into_iter().filter(|(p, _)| matches(p, name)).map(|(_, s)| s);
            let found: Vec<Node<'a>> = own.into_iter().chain(by_pattern).collect();
            if found.is_empty() { n.get("additionalProperties").into_iter().collect() } else { found }
        };
        all(writer.0.iter().flat_map(of))
    }

    /// What they have under names that nobody wrote down.
    fn others(&self, writer: &Both<'a>) -> Both<'a> {
        all(writer.0.iter().filter_map(|n| n.get("additionalProperties")))
    }

    pub(super) fn properties(&mut self, writer: &Both<'a>, reader: Node<'a>) -> bool {
        let named = reader.get("properties").and_then(Node::map).into_iter().flatten();
        let named: Vec<(&String, Node<'a>)> = named.map(|(name, s)| (name, reader.at(s))).collect();
        named.into_iter().all(|(name, schema)| self.reads(&self.property(writer, name), schema))
    }

    /// Names that the reader does not have are what it lets through besides.
    pub(super) fn additional_properties(&mut self, writer: &Both<'a>, reader: Node<'a>) -> bool {
        let Some(others) = reader.get("additionalProperties") else { return true };
        if *others.value == Value::Bool(true) {
            return true;
        }
        let own = reader.get("properties").and_then(Node::map);
        let own_patterns = patterns(reader);
        let known = |name: &str| {
            own.is_some_and(|o| o.contains_key(name)) || own_patterns.iter().any(|(p, _)| matches(p, name))
        };
        let written: Vec<String> = names(writer).into_iter().filter(|n| !known(n)).collect();
        let by_pattern: Vec<Node<'a>> = writer
            .0
            .iter()
            .flat_map(|n| patterns(*n))
            .filter(|(p, _)| !own_patterns.iter().any(|(o, _)| o == p))
            .map(|(_, schema)| schema)
            .collect();
        written.iter().all(|name| self.reads(&self.property(writer, name), others))
            && by_pattern.into_iter().all(|schema| self.reads(&schema.parts(), others))
            && self.reads(&self.others(writer), others)
    }

    pub(super) fn pattern_properties(&mut self, writer: &Both<'a>, reader: Node<'a>) -> bool {
        patterns(reader).into_iter().all(|(pattern, schema)| {
            let named: Vec<String> = names(writer).into_iter().filter(|n| matches(pattern, n)).collect();
            let same = |n: &Node<'a>| patterns(*n).into_iter().find(|(p, _)| *p == pattern).map(|(_, s)| s);
            let kept: Vec<Node<'a>> = writer.0.iter().filter_map(same).collect();
            let rest = if kept.is_empty() { self.others(writer) } else { all(kept.into_iter()) };
            named.iter().all(|name| self.reads(&self.property(writer, name), schema)) && self.reads(&rest, schema)
        })
    }

    /// A property with a default counts as present, as registries have it.
    pub(super) fn required(&self, writer: &Both<'a>, reader: Node<'a>) -> bool {
        let has_default = |name: &str| {
            reader.get("properties").and_then(|p| p.get(name)).is_some_and(|p| p.value.get("default").is_some())
        };
        let kept = required(writer);
        reader.names("required").into_iter().all(|name| kept.contains(name) || has_default(name))
    }

    /// `dependencies`, `dependentRequired` and `dependentSchemas`.
    pub(super) fn dependencies(&mut self, writer: &Both<'a>, reader: Node<'a>, key: &str) -> bool {
        let own = reader.get(key).and_then(Node::map).into_iter().flatten();
        let own: Vec<(&String, &'a Value)> = own.collect();
        own.into_iter().all(|(name, demanded)| {
            let kept: Vec<Node<'a>> = writer.0.iter().filter_map(|n| n.get(key)?.get(name)).collect();
            match demanded {
                Value::Array(names) => {
                    let said = |n: &Value| kept.iter().any(|k| k.value.as_array().is_some_and(|k| k.contains(n)));
                    names.iter().all(|n| said(n) || n.as_str().is_some_and(|n| required(writer).contains(n)))
                }
                _ => kept.into_iter().any(|k| !k.value.is_array() && self.reads(&k.parts(), reader.at(demanded))),
            }
        })
    }

    pub(super) fn min_properties(&self, writer: &Both<'a>, min: f64) -> bool {
        writer.any(|n| n.number("minProperties").is_some_and(|n| n >= min)) || required(writer).len() as f64 >= min
    }

    pub(super) fn max_properties(&self, writer: &Both<'a>, max: f64) -> bool {
        let closed = |n: &Node<'_>| {
            let listed = n.get("properties").and_then(Node::map).map_or(0, serde_json::Map::len);
            n.value.get("additionalProperties") == Some(&false.into())
                && patterns(*n).is_empty()
                && listed as f64 <= max
        };
        writer.any(|n| n.number("maxProperties").is_some_and(|n| n <= max) || closed(n))
    }
}

fn all<'a>(nodes: impl Iterator<Item = Node<'a>>) -> Both<'a> {
    nodes.fold(Both::default(), |all, n| all.and(n.parts()))
}

fn required<'a>(writer: &Both<'a>) -> BTreeSet<&'a str> {
    writer.0.iter().flat_map(|n| n.names("required")).collect()
}

fn names(writer: &Both<'_>) -> BTreeSet<String> {
    writer.0.iter().filter_map(|n| n.get("properties")?.map()).flat_map(|m| m.keys().cloned()).collect()
}

fn patterns(node: Node<'_>) -> Vec<(&str, Node<'_>)> {
    let all = node.get("patternProperties").and_then(Node::map).into_iter().flatten();
    all.map(|(pattern, schema)| (pattern.as_str(), node.at(schema))).collect()
}

/// Patterns of JSON Schema match anywhere in a text. One that cannot be compiled matches everything, to be careful.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    regex::RegexBuilder::new(pattern).size_limit(1 << 20).build().is_ok_and(|r| r.is_match(text))
}
