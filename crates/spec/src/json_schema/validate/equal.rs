//! Equality of JSON values, where 1 and 1.0 are one number.

use serde_json::Value;
use std::{borrow::Cow, collections::BTreeSet};

pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(x), Value::Number(y)) => x == y || (x.is_f64() != y.is_f64() && x.as_f64() == y.as_f64()),
        (Value::Array(x), Value::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (Value::Object(x), Value::Object(y)) => {
            x.len() == y.len() && x.iter().all(|(key, x)| y.get(key).is_some_and(|y| same(x, y)))
        }
        _ => a == b,
    }
}

/// Whether no two of them are the same; one pass, because an event may bring very many.
pub(super) fn all_differ(all: &[Value]) -> bool {
    let mut seen = BTreeSet::new();
    all.iter().all(|value| seen.insert(text(value)))
}

/// The same text for the same values of JSON; `None` if it is no JSON, or too deep to compare.
pub fn same_value_text(raw: &str) -> Option<Cow<'_, str>> {
    let plain = match raw.as_bytes() {
        [b'"', inner @ .., b'"'] => !inner.contains(&b'\\'),
        digits => digits != b"-0" && digits.iter().all(|b| b.is_ascii_digit() || *b == b'-'),
    };
    if plain {
        return Some(Cow::Borrowed(raw));
    }
    serde_json::from_str::<Value>(raw).ok().map(|value| Cow::Owned(text(&value)))
}

/// The same text for the same values.
fn text(value: &Value) -> String {
    match value {
        Value::Number(n) => match n.as_f64().filter(|f| n.is_f64() && f.fract() == 0.0 && f.abs() < 9e15) {
            // Without the sign of a zero.
            Some(whole) => format!("{:.0}", whole + 0.0),
            None => n.to_string(),
        },
        Value::Array(all) => format!("[{}]", all.iter().map(text).collect::<Vec<_>>().join(",")),
        Value::Object(map) => {
            let mut fields: Vec<String> =
                map.iter().map(|(key, v)| format!("{}:{}", Value::from(key.as_str()), text(v))).collect();
            fields.sort();
            format!("{{{}}}", fields.join(","))
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.to_string(),
    }
}
