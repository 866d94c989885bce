//! Keywords about the properties of objects.

use super::{
    inclusion::Inclusion,
    node::{Both, Node},
    unevaluated::rest,
};
use serde_json::Value;
use std::collections::BTreeSet;

impl<'a> Inclusion<'a> {
    /// What a writer's objects have under a name, if they have it.
    pub(super) fn property(&self, writer: &Both<'a>, name: &str) -> Both<'a> {
        let of = |n: &Node<'a>| {
            let own = n.get("properties").and_then(|p| p.get(name));
            let matching = patterns(*n).into_iter().map(|(p, schema)| (n.matches(p, name), schema));
            let (known, unknown): (Vec<_>, Vec<_>) = matching.partition(|(m, _)| m.is_some());
            let by_pattern = known.into_iter().filter(|(m, _)| *m == Some(true)).map(|(_, schema)| schema);
            let found: Vec<Node<'a>> = own.into_iter().chain(by_pattern).collect();
            match (found.is_empty(), unknown.is_empty()) {
                (true, true) => n.get("additionalProperties").or_else(|| rest(*n, Some(name))).into_iter().collect(),
                // It may be one of a pattern or one besides.
                (true, false) => Vec::new(),
                (false, _) => found,
            }
        };
        all(writer.0.iter().flat_map(of))
    }

    /// What they have under names that nobody wrote down.
    fn others(&self, writer: &Both<'a>) -> Both<'a> {
        all(writer.0.iter().filter_map(|n| n.get("additionalProperties").or_else(|| rest(*n, None))))
    }

    pub(super) fn properties(&mut self, writer: &Both<'a>, reader: Node<'a>) -> bool {
        let named = reader.get("properties").and_then(Node::map).into_iter().flatten();
        let named: Vec<(&String, Node<'a>)> = named.map(|(name, s)| (name, reader.at(s))).collect();
        named.into_iter().all(|(name, schema)| self.reads(&self.property(writer, name), schema))
    }

    /// Names that the reader does not have are what it lets through besides.
    pub(super) fn additional_properties(&mut self, writer: &Both<'a>, reader: Node<'a>) -> bool {
        reader.get("additionalProperties").is_none_or(|others| self.besides(writer, &[reader], others))
    }

    /// The same, where several parts of the reader say which names it has.
    pub(super) fn besides(&mut self, writer: &Both<'a>, parts: &[Node<'a>], others: Node<'a>) -> bool {
        if *others.value == Value::Bool(true) {
            return true;
        }
        let is_known = |part: &Node<'a>, name: &str| {
            part.get("properties").is_some_and(|p| p.get(name).is_some())
                || patterns(*part).into_iter().any(|(p, _)| part.matches(p, name) == Some(true))
        };
        let has_pattern = |pattern: &str| parts.iter().any(|n| patterns(*n).into_iter().any(|(p, _)| p == pattern));
        let written = names(writer).into_iter().filter(|name| !parts.iter().any(|p| is_known(p, name)));
        let written: Vec<String> = written.collect();
        let by_pattern = writer.0.iter().flat_map(|n| patterns(*n)).filter(|(p, _)| !has_pattern(p));
        let by_pattern: Vec<Node<'a>> = by_pattern.map(|(_, schema)| schema).collect();
        written.iter().all(|name| self.reads(&self.property(writer, name), others))
            && by_pattern.into_iter().all(|schema| self.reads(&schema.parts(), others))
            && self.reads(&self.others(writer), others)
    }

    pub(super) fn pattern_properties(&mut self, writer: &Both<'a>, reader: Node<'a>) -> bool {
        patterns(reader).into_iter().all(|(pattern, schema)| self.pattern(writer, reader, pattern, schema))
    }

    /// Names under a pattern of the reader are the writer's own, or fall under a pattern of it, or under none.
    fn pattern(&mut self, writer: &Both<'a>, reader: Node<'a>, pattern: &str, schema: Node<'a>) -> bool {
        let same = |n: &Node<'a>| patterns(*n).into_iter().find(|(p, _)| *p == pattern).map(|(_, s)| s);
        let (with_same, without): (Vec<Node<'a>>, Vec<Node<'a>>) =
            writer.0.iter().copied().partition(|n| same(n).is_some());
        let kept = all(with_same.iter().filter_map(same));
        if !with_same.is_empty() && self.reads(&kept, schema) {
            return true;
        }
        // Which names it is about nobody knows of a pattern that cannot be compiled.
        let Some(named) = names(writer)
            .into_iter()
            .map(|name| reader.matches(pattern, &name).map(|m| (m, name)))
            .collect::<Option<Vec<_>>>()
        else {
            return false;
        };
        if reader.matches(pattern, "").is_none()
            || !named.iter().filter(|(m, _)| *m).all(|(_, name)| self.reads(&self.property(writer, name), schema))
        {
            return false;
        }
        let (by_pattern, plain): (Vec<Node<'a>>, Vec<Node<'a>>) =
            without.into_iter().partition(|n| !patterns(*n).is_empty());
        let sure = kept.and(self.others(&Both(plain)));
        if by_pattern.is_empty() {
            return self.reads(&sure, schema);
        }
        by_pattern.into_iter().any(|n| {
            let besides = sure.and(self.others(&Both(vec![n])));
            let mut each = patterns(n).into_iter().map(|(_, s)| sure.and(s.parts()));
            self.reads(&besides, schema) && each.all(|held| self.reads(&held, schema))
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

pub(super) fn patterns(node: Node<'_>) -> Vec<(&str, Node<'_>)> {
    let all = node.get("patternProperties").and_then(Node::map).into_iter().flatten();
    all.map(|(pattern, schema)| (pattern.as_str(), node.at(schema))).collect()
}
