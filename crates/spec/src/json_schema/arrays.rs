//! Keywords about the items of arrays.

use super::{
    inclusion::Inclusion,
    node::{Both, Node},
};
use serde_json::Value;

impl<'a> Inclusion<'a> {
    /// Place by place, then the rest.
    pub(super) fn items(&mut self, writer: &Both<'a>, reader: Node<'a>) -> bool {
        let (places, rest) = layout(reader);
        let written = writer.0.iter().map(|n| layout(*n).0.len()).max().unwrap_or(0);
        let most = writer.0.iter().filter_map(|n| n.number("maxItems")).fold(f64::INFINITY, f64::min);
        let demand = |i: usize| places.get(i).copied().or(rest);
        (0..written.max(places.len())).take_while(|i| (*i as f64) < most).all(|i| match demand(i) {
            Some(schema) => self.reads(&item(writer, i), schema),
            None => true,
        }) && rest.is_none_or(|schema| self.reads(&item(writer, usize::MAX), schema))
    }

    pub(super) fn max_items(&self, writer: &Both<'a>, max: f64) -> bool {
        let closed = |n: &Node<'a>| {
            let (places, rest) = layout(*n);
            rest.is_some_and(|r| *r.value == Value::Bool(false)) && places.len() as f64 <= max
        };
        writer.any(|n| n.number("maxItems").is_some_and(|n| n <= max) || closed(n))
    }
}

/// Schemas of the first items, and of those after them. Drafts write this in two ways.
fn layout(node: Node<'_>) -> (Vec<Node<'_>>, Option<Node<'_>>) {
    if node.value.get("prefixItems").is_some() {
        return (node.list("prefixItems"), node.get("items"));
    }
    match node.get("items") {
        Some(items) if items.value.is_array() => (node.list("items"), node.get("additionalItems")),
        items => (Vec::new(), items),
    }
}

fn item<'a>(writer: &Both<'a>, i: usize) -> Both<'a> {
    writer.0.iter().fold(Both::default(), |all, n| {
        let (places, rest) = layout(*n);
        places.get(i).copied().or(rest).map_or(all.clone(), |s| all.and(s.parts()))
    })
}
