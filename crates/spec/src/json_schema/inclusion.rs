//! Whether every value that is valid under a writer's schema is valid under a reader's.
//!
//! The reader's keywords are demands; each has to follow from the parts of the writer's schema that hold at once.

use super::{
    node::{Both, Node, Type, named_types, type_of},
    numbers::{high, keeps_high, keeps_low, low, meet},
};
use crate::{
    compatibility::{Look, Pairs},
    decimal::is_multiple,
};
use serde_json::Value;

/// What is not decided by then counts as broken.
const MOST_STEPS: usize = 200_000;
/// Alternatives of alternatives multiply.
const MOST_CHOICES: usize = 1_000;
/// Alternatives within alternatives; what is deeper counts as broken.
const MOST_NESTED: usize = 100;

#[derive(Default)]
pub(super) struct Inclusion<'a> {
    /// A writer's parts and a reader's, by their places.
    pairs: Pairs<(Vec<usize>, usize)>,
    steps: usize,
    choices: usize,
    nested: usize,
    of: std::marker::PhantomData<&'a Value>,
}

impl<'a> Inclusion<'a> {
    pub(super) fn reads(&mut self, writer: &Both<'a>, reader: Node<'a>) -> bool {
        reader.demands().is_some_and(|demands| demands.0.iter().all(|r| self.part(writer, *r)))
    }

    fn part(&mut self, writer: &Both<'a>, reader: Node<'a>) -> bool {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return false;
        }
        if writer.is_never() || writer.any(|w| w.is_same(reader)) {
            return true;
        }
        let Some(keywords) = reader.map() else { return *reader.value == Value::Bool(true) };
        let pair = (writer.0.iter().map(|n| n.id()).collect(), reader.id());
        let mark = match self.pairs.open(&pair) {
            Look::Known(holds) => return holds,
            Look::Open(mark) => mark,
        };
        let holds = keywords.keys().all(|key| self.follows(writer, reader, key));
        self.pairs.close(mark, holds)
    }

    /// The keyword's demand follows from the writer, or from each of its alternatives.
    pub(super) fn follows(&mut self, writer: &Both<'a>, reader: Node<'a>, key: &str) -> bool {
        let same = |n: &Node<'_>| n.value.get(key) == reader.value.get(key);
        if matches!(key, "type" | "enum" | "const") && writer.any(same) {
            return true;
        }
        // Of `anyOf` several may match; registries tell this by the keyword.
        let has = |key: &str| writer.any(|n| n.value.get(key).is_some());
        if key == "oneOf" && has("anyOf") && !has("oneOf") {
            return false;
        }
        if let Some(values) = writer.values()
            && let Some(all) = values.into_iter().map(|v| accepts(reader, key, v)).collect::<Option<Vec<bool>>>()
        {
            return all.into_iter().all(|ok| ok);
        }
        if self.keyword(writer, reader, key) {
            return true;
        }
        let choice = writer.0.iter().enumerate().find_map(|(i, n)| {
            let branches = ["anyOf", "oneOf"].into_iter().find(|k| n.value.get(*k).is_some())?;
            Some((i, n.list(branches)))
        });
        let Some((i, branches)) = choice else { return false };
        self.choices += 1;
        if self.choices > MOST_CHOICES || self.nested == MOST_NESTED {
            return false;
        }
        self.nested += 1;
        // The part stays without its alternatives: each of them is looked at beside the others.
        let mut rest = writer.clone();
        let part = rest.0.remove(i);
        let all = branches.into_iter().all(|branch| {
            let with = rest.and(branch.parts());
            self.follows(&with, reader, key) || self.follows_part(&part, &with, reader, key)
        });
        self.nested -= 1;
        all
    }

    /// As above, from what a part says beside its alternatives.
    fn follows_part(&mut self, part: &Node<'a>, with: &Both<'a>, reader: Node<'a>, key: &str) -> bool {
        let both = with.and(Both(vec![*part]));
        self.keyword(&both, reader, key)
    }

    fn keyword(&mut self, writer: &Both<'a>, reader: Node<'a>, key: &str) -> bool {
        let types = writer.types();
        let has = |kinds: &[Type]| kinds.iter().any(|k| types.contains(k));
        let numbers = has(&[Type::Integer, Type::Fraction]);
        let (texts, objects, arrays) = (has(&[Type::String]), has(&[Type::Object]), has(&[Type::Array]));
        let same = |key: &str| writer.any(|n| n.value.get(key) == reader.value.get(key));
        let at_least = |key: &str| {
            let demanded = reader.number(key).unwrap_or(0.0);
            demanded <= 0.0 || writer.any(|n| n.number(key).is_some_and(|n| n >= demanded))
        };
        let at_most = |key: &str| {
            let demanded = reader.number(key).unwrap_or(f64::INFINITY);
            writer.any(|n| n.number(key).is_some_and(|n| n <= demanded))
        };
        match key {
            "type" => types.is_subset(&named_types(&reader.value["type"])),
            "enum" | "const" => {
                let (own, listed) = (reader.values().unwrap_or_default(), writer.values());
                listed.is_some_and(|listed| listed.iter().all(|v| own.contains(v)))
            }
            "minimum" | "exclusiveMinimum" => {
                !numbers || low(reader).is_none_or(|d| writer.any(|n| low(*n).is_some_and(|k| keeps_low(k, d))))
            }
            "maximum" | "exclusiveMaximum" => {
                !numbers || high(reader).is_none_or(|d| writer.any(|n| high(*n).is_some_and(|k| keeps_high(k, d))))
            }
            "multipleOf" => {
                let step = reader.numeral(key).unwrap_or_else(|| "1".to_owned());
                let whole = !types.contains(&Type::Fraction) && is_multiple("1", &step);
                !numbers || whole || writer.any(|n| n.numeral(key).is_some_and(|n| is_multiple(&n, &step)))
            }
            "minLength" => !texts || at_least(key),
            "maxLength" => !texts || at_most(key),
            "pattern" | "format" | "contentEncoding" | "contentMediaType" => !texts || same(key),
            "required" => !objects || self.required(writer, reader),
            "properties" => !objects || self.properties(writer, reader),
            "additionalProperties" => !objects || self.additional_properties(writer, reader),
            "patternProperties" => !objects || self.pattern_properties(writer, reader),
            "propertyNames" => !objects || self.nested(writer, reader, key),
            "minProperties" => !objects || self.min_properties(writer, reader.number(key).unwrap_or(0.0)),
            "maxProperties" => !objects || self.max_properties(writer, reader.number(key).unwrap_or(f64::INFINITY)),
            "dependencies" | "dependentRequired" | "dependentSchemas" => {
                !objects || self.dependencies(writer, reader, key)
            }
            "items" | "prefixItems" | "additionalItems" => !arrays || self.items(writer, reader),
            "contains" => !arrays || self.nested(writer, reader, key),
            "minItems" => !arrays || at_least(key),
            "maxItems" => !arrays || self.max_items(writer, reader.number(key).unwrap_or(f64::INFINITY)),
            "uniqueItems" => !arrays || reader.value[key] != true || same(key),
            "minContains" | "maxContains" => {
                let of =
                    |n: &Node<'a>| n.get("contains").zip(reader.get("contains")).is_some_and(|(n, r)| n.is_same(r));
                !arrays || writer.any(|n| n.value.get(key) == reader.value.get(key) && of(n))
            }
            "unevaluatedProperties" => !objects || self.unevaluated_properties(writer, reader),
            "unevaluatedItems" => !arrays || self.unevaluated_items(writer, reader),
            "anyOf" => reader.list(key).into_iter().any(|branch| self.reads(writer, branch)),
            "oneOf" => self.one_of(writer, reader),
            "not" => self.not(writer, reader),
            "if" => self.conditional(writer, reader),
            // `then` and `else` belong to `if`, `allOf` and `$ref` are parts by themselves; the rest decides nothing.
            _ => true,
        }
    }

    fn nested(&mut self, writer: &Both<'a>, reader: Node<'a>, key: &str) -> bool {
        let Some(demanded) = reader.get(key) else { return true };
        let kept: Vec<Node<'a>> = writer.0.iter().filter_map(|n| n.get(key)).collect();
        kept.into_iter().any(|k| self.reads(&k.parts(), demanded))
    }

    /// One alternative takes all that the writer has, and no other one takes any of it as far as that can be told: not where it takes
    /// all of that, too, or only what the writer has, nor where both are ranges of numbers that meet. Of others that overlap in part
    /// registries suppose that they exclude each other.
    fn one_of(&mut self, writer: &Both<'a>, reader: Node<'a>) -> bool {
        let branches = reader.list("oneOf");
        let Some(own) = branches.iter().position(|b| self.reads(writer, *b)) else { return false };
        let mut others = branches.into_iter().enumerate().filter(|(i, _)| *i != own);
        others.all(|(_, other)| !self.overlaps(writer, other))
    }

    fn overlaps(&mut self, writer: &Both<'a>, other: Node<'a>) -> bool {
        let parts = other.parts();
        let meets = || meet(writer, &parts);
        !parts.is_never() && (self.reads(writer, other) || writer.0.iter().all(|w| self.part(&parts, *w)) || meets())
    }

    /// What the reader refuses the writer refuses as well.
    fn not(&mut self, writer: &Both<'a>, reader: Node<'a>) -> bool {
        let Some(refused) = reader.get("not") else { return true };
        let disjoint = refused.parts().types().is_disjoint(&writer.types());
        let kept: Vec<Node<'a>> = writer.0.iter().filter_map(|n| n.get("not")).collect();
        disjoint || kept.into_iter().any(|k| self.reads(&refused.parts(), k))
    }

    /// Both lack the keyword, or have it written alike, and what that refers to means the same on both sides.
    pub(super) fn alike(&mut self, writer: Node<'a>, reader: Node<'a>, key: &str) -> bool {
        match (writer.get(key), reader.get(key)) {
            (None, None) => true,
            (Some(w), Some(r)) => {
                w.is_same(r) || (w.value == r.value && self.reads(&w.parts(), r) && self.reads(&r.parts(), w))
            }
            _ => false,
        }
    }

    fn conditional(&mut self, writer: &Both<'a>, reader: Node<'a>) -> bool {
        let same: Vec<Node<'a>> = writer.0.iter().copied().filter(|n| self.alike(*n, reader, "if")).collect();
        let mut branch = |key: &str| match reader.get(key) {
            None => true,
            Some(demanded) => {
                let kept = same.iter().filter_map(|n| n.get(key)).fold(writer.clone(), |all, n| all.and(n.parts()));
                self.reads(&kept, demanded)
            }
        };
        branch("then") && branch("else")
    }
}

/// Whether the keyword lets one value through; `None`: it is not looked at value by value.
fn accepts(reader: Node<'_>, key: &str, value: &Value) -> Option<bool> {
    let number = value.as_f64();
    let text = value.as_str();
    let length = || text.map(|t| t.chars().count() as f64);
    Some(match key {
        "type" => named_types(&reader.value["type"]).contains(&type_of(value)),
        "enum" | "const" => reader.values()?.contains(&value),
        "minimum" | "exclusiveMinimum" => number.is_none_or(|n| low(reader).is_none_or(|d| keeps_low((n, false), d))),
        "maximum" | "exclusiveMaximum" => number.is_none_or(|n| high(reader).is_none_or(|d| keeps_high((n, false), d))),
        "multipleOf" => number.is_none() || reader.numeral(key).is_none_or(|s| is_multiple(&value.to_string(), &s)),
        "minLength" => length().is_none_or(|n| reader.number(key).is_none_or(|min| n >= min)),
        "maxLength" => length().is_none_or(|n| reader.number(key).is_none_or(|max| n <= max)),
        "pattern" => text.is_none_or(|t| reader.value[key].as_str().is_none_or(|p| reader.matches(p, t) == Some(true))),
        _ => return None,
    })
}
