//! Keywords about numbers, lengths and counts.

use super::node::Node;

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
