//! A [`JsonSchema`] to a [`Validator`]: references become places, patterns are compiled.

use super::{
    super::{
        JsonSchema,
        node::{Document, Node, named_types},
        numbers::{high, low},
        objects::patterns,
    },
    keyword::{At, Count, Keyword, Validator},
};
use regex::{Regex, RegexBuilder};
use serde_json::Value;
use std::collections::{BTreeMap, btree_map::Entry};

const MOST_BYTES: usize = 1 << 20;
/// Schemas of a document; no sensible one has more.
const MOST_SCHEMAS: usize = 20_000;

/// What cannot be decided value by value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecidable {
    #[error("the pattern `{0}` cannot be used: look-around and back-references are not available, and it has a size")]
    Pattern(String),
    #[error("`{0}` is not available here")]
    Keyword(&'static str),
    #[error("it has more than {MOST_SCHEMAS} schemas")]
    TooMany,
}

impl JsonSchema {
    /// # Errors
    /// With the first pattern or keyword that cannot be decided.
    pub fn validator(&self) -> Result<Validator, Undecidable> {
        let document = Document::new(&self.0);
        let mut work = Compile { known: BTreeMap::new(), waiting: Vec::new() };
        let mut schemas = Vec::new();
        work.place(Node { document: &document, value: document.root });
        while let Some(node) = work.waiting.get(schemas.len()).copied() {
            if schemas.len() == MOST_SCHEMAS {
                return Err(Undecidable::TooMany);
            }
            schemas.push(work.schema(node)?);
        }
        let asks = |k: &Keyword| matches!(k, Keyword::UnevaluatedProperties(_) | Keyword::UnevaluatedItems(_));
        let tracks = schemas.iter().flatten().any(asks);
        Ok(Validator { schemas, tracks })
    }
}

struct Compile<'a> {
    known: BTreeMap<usize, At>,
    /// By their places.
    waiting: Vec<Node<'a>>,
}

impl<'a> Compile<'a> {
    fn place(&mut self, node: Node<'a>) -> At {
        match self.known.entry(node.id()) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => {
                self.waiting.push(node);
                *new.insert(self.waiting.len() - 1)
            }
        }
    }

    fn places(&mut self, nodes: Vec<Node<'a>>) -> Vec<At> {
        nodes.into_iter().map(|n| self.place(n)).collect()
    }

    fn of(&mut self, node: Node<'a>, key: &str) -> Option<At> {
        node.get(key).map(|n| self.place(n))
    }

    fn schema(&mut self, node: Node<'a>) -> Result<Vec<Keyword>, Undecidable> {
        let Some(map) = node.map() else {
            return Ok(if *node.value == Value::Bool(false) { vec![Keyword::Never] } else { Vec::new() });
        };
        for key in ["$dynamicRef", "$recursiveRef"] {
            if map.contains_key(key) {
                return Err(Undecidable::Keyword(key));
            }
        }
        let mut out = Vec::new();
        if let Some(types) = map.get("type") {
            out.push(Keyword::Type(named_types(types)));
        }
        if let Some(Value::Array(all)) = map.get("enum") {
            out.push(Keyword::Values(all.clone()));
        }
        if let Some(one) = map.get("const") {
            out.push(Keyword::Values(vec![one.clone()]));
        }
        out.extend(low(node).map(|(bound, open)| Keyword::Low(bound, open)));
        out.extend(high(node).map(|(bound, open)| Keyword::High(bound, open)));
        out.extend(node.numeral("multipleOf").map(Keyword::MultipleOf));
        out.extend(count(node, "minLength", "maxLength").map(Keyword::Length));
        if let Some(pattern) = map.get("pattern").and_then(Value::as_str) {
            out.push(Keyword::Pattern(regex(pattern)?));
        }
        self.objects(node, &mut out)?;
        self.arrays(node, &mut out);
        self.applied(node, &mut out);
        out.extend(self.of(node, "unevaluatedProperties").map(Keyword::UnevaluatedProperties));
        out.extend(self.of(node, "unevaluatedItems").map(Keyword::UnevaluatedItems));
        Ok(out)
    }

    fn objects(&mut self, node: Node<'a>, out: &mut Vec<Keyword>) -> Result<(), Undecidable> {
        let members = |key: &str| node.get(key).and_then(Node::map).into_iter().flatten();
        let named: BTreeMap<String, At> =
            members("properties").map(|(name, v)| (name.clone(), self.place(node.at(v)))).collect();
        let mut matching = Vec::new();
        for (pattern, schema) in patterns(node) {
            matching.push((regex(pattern)?, self.place(schema)));
        }
        let others = self.of(node, "additionalProperties");
        if !named.is_empty() || !matching.is_empty() || others.is_some() {
            out.push(Keyword::Properties { named, patterns: matching, others });
        }
        let texts = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let required = texts(node.names("required"));
        if !required.is_empty() {
            out.push(Keyword::Required(required));
        }
        out.extend(self.of(node, "propertyNames").map(Keyword::PropertyNames));
        out.extend(count(node, "minProperties", "maxProperties").map(Keyword::PropertyCount));
        for key in ["dependentRequired", "dependentSchemas", "dependencies"] {
            for (name, demanded) in members(key) {
                out.push(match demanded.as_array() {
                    Some(all) => {
                        Keyword::Dependent(name.clone(), texts(all.iter().filter_map(Value::as_str).collect()))
                    }
                    None => Keyword::DependentSchema(name.clone(), self.place(node.at(demanded))),
                });
            }
        }
        Ok(())
    }

    fn arrays(&mut self, node: Node<'a>, out: &mut Vec<Keyword>) {
        let older = node.value.get("items").is_some_and(Value::is_array);
        let (places, rest) = match older {
            true => (node.list("items"), node.get("additionalItems")),
            false => (node.list("prefixItems"), node.get("items")),
        };
        let (places, rest) = (self.places(places), rest.map(|n| self.place(n)));
        if !places.is_empty() || rest.is_some() {
            out.push(Keyword::Items { places, rest });
        }
        if let Some(wanted) = self.of(node, "contains") {
            let least = node.number("minContains").unwrap_or(1.0);
            let most = node.number("maxContains").unwrap_or(f64::INFINITY);
            out.push(Keyword::Contains(wanted, Count { least, most }));
        }
        out.extend(count(node, "minItems", "maxItems").map(Keyword::ItemCount));
        if node.value.get("uniqueItems") == Some(&Value::Bool(true)) {
            out.push(Keyword::Unique);
        }
    }

    /// Schemas that are applied to the same value.
    fn applied(&mut self, node: Node<'a>, out: &mut Vec<Keyword>) {
        let reference = node.value.get("$ref").and_then(Value::as_str);
        let mut all = node.list("allOf");
        all.extend(reference.and_then(|r| node.document.find(r)).map(|target| node.at(target)));
        for (nodes, keyword) in [
            (all, Keyword::All as fn(Vec<At>) -> Keyword),
            (node.list("anyOf"), Keyword::Any),
            (node.list("oneOf"), Keyword::One),
        ] {
            if !nodes.is_empty() {
                out.push(keyword(self.places(nodes)));
            }
        }
        out.extend(self.of(node, "not").map(Keyword::Not));
        if let Some(condition) = self.of(node, "if") {
            out.push(Keyword::If { condition, then: self.of(node, "then"), or_else: self.of(node, "else") });
        }
    }
}

fn count(node: Node<'_>, least: &str, most: &str) -> Option<Count> {
    let (least, most) = (node.number(least), node.number(most));
    let said = least.is_some() || most.is_some();
    said.then(|| Count { least: least.unwrap_or(0.0), most: most.unwrap_or(f64::INFINITY) })
}

fn regex(pattern: &str) -> Result<Regex, Undecidable> {
    let short = || pattern.chars().take(80).collect();
    RegexBuilder::new(pattern).size_limit(MOST_BYTES).build().map_err(|_| Undecidable::Pattern(short()))
}
