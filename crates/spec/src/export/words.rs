//! What a contract says of a field or a table, in words that all languages use.

use crate::compatibility::{Field, Kind, Limits, ObjectShape, Scalar};

/// What is said of a field beside its type and `required`, one sentence each, as a contract names it.
pub(super) fn said(field: &Field) -> Vec<String> {
    let l: &Limits = &field.limits;
    let mut out = Vec::new();
    let mut say = |text: Option<String>| out.extend(text);
    let edge = |word: &str, exclusive: &str, b: &crate::contract::Bound| {
        format!("{} {}", if b.inclusive { word } else { exclusive }, b.value)
    };
    say(l.low.as_ref().map(|b| edge("minimum", "above", b)));
    say(l.high.as_ref().map(|b| edge("maximum", "below", b)));
    say(l.length.min.map(|n| format!("at least {n} characters")));
    say(l.length.max.map(|n| format!("at most {n} characters")));
    out.extend(l.patterns.iter().map(|p| format!("pattern {p}")));
    out.extend(l.steps.iter().map(|s| format!("a multiple of {s}")));
    let list = |set: &std::collections::BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(", ");
    out.extend(l.values.as_ref().map(|v| format!("one of {}", list(v))));
    if !l.missing.is_empty() {
        out.push(format!("none of {}", l.missing.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ")));
    }
    out.extend(l.items.min.map(|n| format!("at least {n} items")));
    out.extend(l.items.max.map(|n| format!("at most {n} items")));
    out.extend(l.unique_items.then(|| "no item twice".to_owned()));
    out
}

/// Rules over the table that are no key, as their labels.
pub(super) fn rules<'a>(
    object: &'a ObjectShape,
    apart: impl Fn(&[String]) -> bool + 'a,
) -> impl Iterator<Item = &'a str> + 'a {
    object.rules.iter().filter(move |r| !(r.unique && apart(&r.columns))).map(|r| r.label.as_str())
}

pub(super) fn is_number(kind: Scalar) -> bool {
    matches!(kind, Scalar::Integer | Scalar::Int32 | Scalar::Number | Scalar::Decimal { .. })
}

pub(super) fn scalar(field: &Field) -> Option<Scalar> {
    match field.kind {
        Kind::Scalar(s) => Some(s),
        Kind::Object(_) | Kind::Array(_) => None,
    }
}
