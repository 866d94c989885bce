//! What a contract says of a field or a table, in words that all languages use.

use crate::compatibility::{Field, Kind, Limits, ObjectShape, Scalar};
use std::collections::BTreeSet;

/// Kinds of limits, as far as languages differ in whether they check them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Low,
    High,
    MinLength,
    MaxLength,
    Pattern,
    Step,
    Values,
    Missing,
    Size,
}

/// What is said of a field beside its type and `required`, one sentence each, as a contract names it.
pub(super) fn said(field: &Field) -> Vec<String> {
    limits(field).into_iter().map(|(_, text)| text).collect()
}

pub(super) fn limits(field: &Field) -> Vec<(Limit, String)> {
    let l: &Limits = &field.limits;
    let mut out = Vec::new();
    let mut say = |kind: Limit, text: Option<String>| out.extend(text.map(|t| (kind, t)));
    let edge = |word: &str, exclusive: &str, b: &crate::contract::Bound| {
        format!("{} {}", if b.inclusive { word } else { exclusive }, b.value)
    };
    say(Limit::Low, l.low.as_ref().map(|b| edge("minimum", "above", b)));
    say(Limit::High, l.high.as_ref().map(|b| edge("maximum", "below", b)));
    say(Limit::MinLength, l.length.min.map(|n| format!("at least {n} characters")));
    say(Limit::MaxLength, l.length.max.map(|n| format!("at most {n} characters")));
    l.patterns.iter().for_each(|p| say(Limit::Pattern, Some(format!("pattern {p}"))));
    l.steps.iter().for_each(|s| say(Limit::Step, Some(format!("a multiple of {s}"))));
    say(Limit::Values, l.values.as_ref().map(one_of));
    let quoted = || l.missing.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ");
    say(Limit::Missing, (!l.missing.is_empty()).then(|| format!("none of {}", quoted())));
    say(Limit::Size, l.items.min.map(|n| format!("at least {n} items")));
    say(Limit::Size, l.items.max.map(|n| format!("at most {n} items")));
    say(Limit::Size, l.unique_items.then(|| "no item twice".to_owned()));
    say(Limit::Size, l.properties.min.map(|n| format!("at least {n} fields")));
    say(Limit::Size, l.properties.max.map(|n| format!("at most {n} fields")));
    out
}

fn one_of(values: &BTreeSet<String>) -> String {
    match values.is_empty() {
        true => "no value at all".to_owned(),
        false => format!("one of {}", values.iter().cloned().collect::<Vec<_>>().join(", ")),
    }
}

/// Rules over the table that are no key, as their labels.
pub(super) fn rules<'a>(
    object: &'a ObjectShape,
    apart: impl Fn(&[String]) -> bool + 'a,
) -> impl Iterator<Item = &'a str> + 'a {
    object.rules.iter().filter(move |r| !(r.is_key() && apart(&r.columns))).map(|r| r.label.as_str())
}

pub(super) fn is_number(kind: Scalar) -> bool {
    matches!(kind, Scalar::Integer | Scalar::Int32 | Scalar::Number | Scalar::Decimal { .. })
}

pub(super) fn scalar(field: &Field) -> Option<Scalar> {
    match field.kind {
        Kind::Scalar(s) => Some(s),
        Kind::Object(_) | Kind::Array(_) | Kind::Any => None,
    }
}
