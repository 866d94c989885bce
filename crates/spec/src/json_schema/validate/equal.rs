//! Equality of JSON values, where 1 and 1.0 are one number.

use crate::decimal::Exact;
use serde_json::{Value, value::RawValue};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// As deep as `serde_json` goes.
const MOST_LEVELS: u32 = 127;
/// Whole numbers of no more digits are compared as they are written.
const MOST_DIGITS: u8 = 19;

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

/// The same text for the same values, of valid JSON without space around it; its numbers are compared in all their digits. What
/// no reader takes, such as half of a surrogate pair, is the same as itself. `None`: it is too deep to compare.
pub fn same_value_text(raw: &str) -> Option<Cow<'_, str>> {
    exact_text(raw, MOST_LEVELS)
}

fn exact_text(raw: &str, levels: u32) -> Option<Cow<'_, str>> {
    let (first, as_it_is) = (raw.as_bytes().first(), Some(Cow::Borrowed(raw)));
    let text = match first {
        Some(b'[') => {
            let levels = levels.checked_sub(1)?;
            let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(raw) else { return as_it_is };
            let items = items.into_iter().map(|item| exact_text(item.get(), levels));
            format!("[{}]", items.collect::<Option<Vec<_>>>()?.join(","))
        }
        Some(b'{') => {
            let levels = levels.checked_sub(1)?;
            let Ok(fields) = serde_json::from_str::<BTreeMap<String, &RawValue>>(raw) else { return as_it_is };
            let fields = fields.into_iter().map(|(key, value)| {
                let value = exact_text(value.get(), levels)?;
                Some(format!("{}:{value}", Value::from(key)))
            });
            format!("{{{}}}", fields.collect::<Option<Vec<_>>>()?.join(","))
        }
        Some(b'"') if raw.contains('\\') => {
            let Ok(text) = serde_json::from_str::<String>(raw) else { return as_it_is };
            Value::from(text).to_string()
        }
        Some(b'-' | b'0'..=b'9') => return Some(number_text(raw)),
        _ => return as_it_is,
    };
    Some(Cow::Owned(text))
}

/// No longer than it is written, and a little more.
fn number_text(raw: &str) -> Cow<'_, str> {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    if digits.len() <= usize::from(MOST_DIGITS) && digits != "0" && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Cow::Borrowed(raw);
    }
    let Some(number) = Exact::of(raw) else { return Cow::Borrowed(raw) };
    let short = if number.power < 0 { None } else { number.plain(MOST_DIGITS.into()) };
    let sign = if number.negative { "-" } else { "" };
    Cow::Owned(short.unwrap_or_else(|| format!("{sign}{}e{}", number.digits, number.power)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_values_have_one_text() {
        for (a, b) in [
            ("1", "1.0"),
            ("-0", "0e99"),
            ("100", "1e2"),
            ("9223372036854775808", "9223372036854775808.0"),
            ("36893488147419103232", "3.6893488147419103232e19"),
            ("1e400", "10E399"),
            ("-0.5", "-5e-1"),
            (r#""a/""#, r#""\u0061\/""#),
            (r#"{"a":[1,null],"b":true}"#, r#"{ "\u0062" : true, "a" : [1.0, null] }"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#""\ud800""#, r#""\ud800""#),
            (r#"{"\ud800":1}"#, r#"{"\ud800":1}"#),
        ] {
            assert_eq!(same_value_text(a), same_value_text(b), "{a} {b}");
            assert!(same_value_text(a).is_some(), "{a}");
        }
    }

    #[test]
    fn other_values_have_another() {
        for (a, b) in [
            ("1", "-1"),
            ("1", "\"1\""),
            ("36893488147419103233", "36893488147419103234"),
            ("0.12345678901234567891", "0.12345678901234567892"),
            ("1e400", "1e401"),
            ("1e99999999999", "1e99999999998"),
            (r#"{"id":36893488147419103233}"#, r#"{"id":36893488147419103234}"#),
            (r#"["a","b"]"#, r#"["a,b"]"#),
            (r#"["a","b"]"#, r#"["b","a"]"#),
            (r#"{"a":{}}"#, r#"{"a":[]}"#),
            (r#""\ud800""#, r#""\ud801""#),
        ] {
            assert_ne!(same_value_text(a), same_value_text(b), "{a} {b}");
        }
    }

    #[test]
    fn as_deep_as_is_read() {
        let nest = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(same_value_text(&nest(127)).is_some());
        assert_eq!(same_value_text(&nest(128)), None);
        assert_eq!(same_value_text(&nest(200_000)), None);
    }

    #[test]
    fn few_bytes_stay_few() {
        assert_eq!(same_value_text("1e999999999").as_deref(), Some("1e999999999"));
    }
}
