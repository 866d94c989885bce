//! Keywords about numbers, lengths and counts.

use super::node::{Both, Node, Type};

/// All that a schema says whose values are a range.
const OF_RANGES: [&str; 14] = [
    "type",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "allOf",
    "$ref",
    "$id",
    "$schema",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
];

/// A bound, and whether it itself is left out. Draft 4 says the latter with a boolean beside `minimum`.
pub(super) fn low(node: Node<'_>) -> Option<(f64, bool)> {
    bound(node, "minimum", "exclusiveMinimum", |a, b| a > b)
}

pub(super) fn high(node: Node<'_>) -> Option<(f64, bool)> {
    bound(node, "maximum", "exclusiveMaximum", |a, b| a < b)
}

fn bound(node: Node<'_>, key: &str, exclusive: &str, tighter: fn(f64, f64) -> bool) -> Option<(f64, bool)> {
    let inclusive = node.number(key).map(|n| (n, node.value.get(exclusive) == Some(&true.into())));
    let exclusive = node.number(exclusive).map(|n| (n, true));
    match (inclusive, exclusive) {
        (Some(a), Some(b)) => Some(if tighter(a.0, b.0) { a } else { b }),
        (a, b) => a.or(b),
    }
}

/// Everything from `kept` on lies within `demanded`.
pub(super) fn keeps_low(kept: (f64, bool), demanded: (f64, bool)) -> bool {
    kept.0 > demanded.0 || (kept.0 == demanded.0 && (kept.1 || !demanded.1))
}

pub(super) fn keeps_high(kept: (f64, bool), demanded: (f64, bool)) -> bool {
    kept.0 < demanded.0 || (kept.0 == demanded.0 && (kept.1 || !demanded.1))
}

/// Both are ranges of numbers and nothing else, and some number is in both.
pub(super) fn meet<'a>(one: &Both<'a>, other: &Both<'a>) -> bool {
    let plain = |n: &Node<'_>| n.map().is_some_and(|m| m.keys().all(|k| OF_RANGES.contains(&k.as_str())));
    let is_range = |of: &Both<'_>| of.0.iter().all(plain) && of.any(|n| low(*n).or(high(*n)).is_some());
    let both = one.and(other.clone());
    let types = both.types();
    let numbers = !types.is_empty() && types.iter().all(|t| matches!(t, Type::Integer | Type::Fraction));
    if !numbers || !is_range(one) || !is_range(other) {
        return false;
    }
    let lowest = both.0.iter().filter_map(|n| low(*n)).reduce(|a, b| if keeps_low(a, b) { a } else { b });
    let highest = both.0.iter().filter_map(|n| high(*n)).reduce(|a, b| if keeps_high(a, b) { a } else { b });
    let (Some((low, above)), Some((high, below))) = (lowest, highest) else { return true };
    if types.contains(&Type::Fraction) {
        return if above || below { low < high } else { low <= high };
    }
    let first = if above { low.floor() + 1.0 } else { low.ceil() };
    let last = if below { high.ceil() - 1.0 } else { high.floor() };
    first <= last
}
