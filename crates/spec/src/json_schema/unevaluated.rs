//! `unevaluatedProperties` and `unevaluatedItems`: what no other keyword of a schema and of its parts has looked at.
//!
//! Alternatives and conditions look at properties for some values only. Where there are any, the keyword follows only
//! from the same one beside the same others.

use super::{
    inclusion::Inclusion,
    node::{Both, Node},
    objects::patterns,
};
use std::collections::BTreeSet;

const CONDITIONAL: [&str; 10] =
    ["anyOf", "oneOf", "not", "if", "then", "else", "dependencies", "dependentSchemas", "$dynamicRef", "$recursiveRef"];

/// What `unevaluatedProperties` says of a name, or of those that nobody wrote down; `None`: nothing that is sure.
pub(super) fn rest<'a>(node: Node<'a>, name: Option<&str>) -> Option<Node<'a>> {
    let said = node.get("unevaluatedProperties")?;
    let parts = node.demands()?.0;
    let has = |n: &Node<'_>, key: &str| n.value.get(key).is_some();
    let evaluates = |n: &Node<'a>| {
        let inner = n.id() != node.id() && has(n, "unevaluatedProperties");
        let own = name.is_some_and(|name| {
            n.get("properties").is_some_and(|p| p.get(name).is_some())
                || patterns(*n).into_iter().any(|(p, _)| n.matches(p, name) != Some(false))
        });
        inner || own || has(n, "additionalProperties") || CONDITIONAL.iter().any(|key| has(n, key))
    };
    (!parts.iter().any(evaluates)).then_some(said)
}

impl<'a> Inclusion<'a> {
    pub(super) fn unevaluated_properties(&mut self, writer: &Both<'a>, reader: Node<'a>) -> bool {
        let key = "unevaluatedProperties";
        let (Some(others), Some(parts)) = (reader.get(key), reader.demands()) else { return false };
        // It leaves nothing over.
        if parts.any(|n| n.value.get("additionalProperties").is_some()) {
            return true;
        }
        self.besides(writer, &parts.0, others)
            || self.beside_the_same(
                writer,
                reader,
                key,
                &["properties", "patternProperties"],
                &["additionalProperties"],
            )
    }

    pub(super) fn unevaluated_items(&mut self, writer: &Both<'a>, reader: Node<'a>) -> bool {
        let key = "unevaluatedItems";
        reader.value[key] == true
            || self.beside_the_same(writer, reader, key, &["prefixItems"], &["items", "additionalItems", "contains"])
    }

    /// A schema of the writer has the same keyword, and looks at the same properties or items: the names or places under
    /// `counted` are the same, whatever their schemas are, and the keywords under `whole` mean the same.
    fn beside_the_same(
        &mut self,
        writer: &Both<'a>,
        reader: Node<'a>,
        key: &str,
        counted: &[&str],
        whole: &[&str],
    ) -> bool {
        let Some(demanded) = reader.demands() else { return false };
        writer.0.iter().any(|w| {
            if w.get(key).is_none() || !self.alike(*w, reader, key) {
                return false;
            }
            let Some(kept) = w.demands() else { return false };
            kept.0.len() == demanded.0.len()
                && kept.0.iter().zip(&demanded.0).all(|(w, r)| {
                    counted.iter().all(|key| places(*w, key) == places(*r, key))
                        && whole.iter().chain(&CONDITIONAL).chain([&key]).all(|key| self.alike(*w, *r, key))
                })
        })
    }
}

/// Names of an object's members, or places of a list.
fn places(node: Node<'_>, key: &str) -> BTreeSet<String> {
    let Some(value) = node.value.get(key) else { return BTreeSet::new() };
    match value.as_array() {
        Some(all) => (0..all.len()).map(|i| i.to_string()).collect(),
        None => value.as_object().into_iter().flat_map(|m| m.keys().cloned()).collect(),
    }
}
