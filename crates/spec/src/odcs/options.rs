//! `logicalTypeOptions:` bounds, lengths, patterns and formats of one property.

use super::types::Logical;
use crate::{
    codes,
    compatibility::{Scalar, scalar},
    contract::{Bound, Check, ColumnType},
    diagnostic::quoted,
    source_file::{Place, Spanned},
    yaml::{Fields, Node, Reader},
};
use jiff::{Timestamp, civil};

/// Kind for the rule's id, check, place.
type Found = (&'static str, Check, Place);

const LENGTHS: [&str; 2] = ["minLength", "maxLength"];
/// Each with whether it is a value itself.
const BOUNDS: [(&str, bool); 4] =
    [("minimum", true), ("exclusiveMinimum", false), ("maximum", true), ("exclusiveMaximum", false)];

pub(super) fn read(node: &Node, logical: Logical, kind: ColumnType, r: &mut Reader<'_>) -> Vec<Found> {
    let Some(mut f) = r.fields(node, "a mapping of options") else { return Vec::new() };
    let mut out = Vec::new();
    match logical {
        Logical::String => {
            out.extend(length(&mut f, r));
            out.extend(pattern_option(&mut f, r));
            out.extend(f.take("format").and_then(|n| text_format(n, r)));
        }
        Logical::Integer | Logical::Number => {
            out.extend(range(&mut f, kind, r));
            out.extend(multiple(&mut f, r));
            out.extend(f.take("format").and_then(|n| number_format(n, logical, r)));
        }
        Logical::Date | Logical::Timestamp | Logical::Time => {
            out.extend(range(&mut f, kind, r));
            if let Some(n) = f.take("format") {
                time_format(n, r);
            }
            if logical != Logical::Date {
                super::common::booleans(&mut f, &["timezone"], r);
                if let Some(n) = f.take("defaultTimezone") {
                    time_zone(n, r);
                }
            }
        }
        Logical::Object => {
            // Rules of the fields that it names.
            f.take("required");
            let made = |(min, max, at)| ("properties", Check::Properties { min, max }, at);
            out.extend(sizes(&mut f, ["minProperties", "maxProperties"], r).map(made));
        }
        Logical::Array => {
            let made = |(min, max, at)| ("items", Check::Items { min, max }, at);
            out.extend(sizes(&mut f, ["minItems", "maxItems"], r).map(made));
            let unique = f.take("uniqueItems").filter(|n| r.boolean(n) == Some(true));
            out.extend(unique.map(|n| ("unique_items", Check::UniqueItems, n.place)));
        }
        Logical::Vector => {
            let dimensions = f.require("dimensions", r).and_then(|n| r.whole::<u64>(n));
            let given = dimensions.is_some_and(|n| n > 0);
            if !given {
                r.error(codes::TYPE_OPTION, node.place, "a vector has `dimensions`, a whole number above 0", None);
            }
            super::common::texts(&mut f, &["elementType", "distanceMetric", "embeddingModel"], r);
            super::common::booleans(&mut f, &["normalized"], r);
        }
        Logical::Boolean | Logical::Map => {}
    }
    other_types(&mut f, logical, r);
    f.finish(r);
    out
}

/// An option that exists and belongs to another type is told apart from a misspelt one.
fn other_types(f: &mut Fields<'_>, logical: Logical, r: &mut Reader<'_>) {
    let textual = logical == Logical::String;
    let ordered =
        matches!(logical, Logical::Integer | Logical::Number | Logical::Date | Logical::Timestamp | Logical::Time);
    let mut wrong: Vec<&'static str> = Vec::new();
    if !textual {
        wrong.extend(LENGTHS);
        wrong.push("pattern");
    }
    if !ordered {
        wrong.extend(BOUNDS.map(|(key, _)| key));
    }
    if !matches!(logical, Logical::Integer | Logical::Number) {
        wrong.push("multipleOf");
    }
    for key in wrong {
        if let Some(e) = f.take_entry(key) {
            r.error(codes::TYPE_OPTION, e.key.place, format!("`{key}` does not fit this logicalType"), None);
        }
    }
}

fn length(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Option<Found> {
    sizes(f, LENGTHS, r).map(|(min, max, place)| ("length", Check::Length { min, max }, place))
}

/// The least and the most of something that is counted.
fn sizes(f: &mut Fields<'_>, keys: [&'static str; 2], r: &mut Reader<'_>) -> Option<(Option<u64>, Option<u64>, Place)> {
    let [min, max] = keys.map(|k| f.take(k).and_then(|n| Some((r.whole::<u64>(n)?, n.place))));
    let place = min.or(max)?.1;
    let (min, max) = (min.map(|m| m.0), max.map(|m| m.0));
    if let (Some(least), Some(most)) = (min, max)
        && least > most
    {
        r.error(codes::CONTRADICTION, place, format!("`{}` {least} is above `{}` {most}", keys[0], keys[1]), None);
    }
    Some((min, max, place))
}

fn pattern_option(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Option<Found> {
    let text = f.take("pattern").and_then(|n| r.text(n))?;
    let regex = pattern(&text, r)?;
    Some(("pattern", Check::Pattern { regex }, text.place))
}

/// Checks that the engine can run it, anchored at both ends.
pub(super) fn pattern(text: &Spanned<String>, r: &mut Reader<'_>) -> Option<String> {
    let anchored = format!("^(?:{})$", text.value);
    match regex::RegexBuilder::new(&anchored).size_limit(1 << 20).build() {
        Ok(_) => Some(text.value.clone()),
        Err(e) => {
            let shown = e.to_string();
            let why = shown.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let help = Some(
                "look-around and back references are not available; a custom rule with SQL can say more".to_owned(),
            );
            r.error(codes::PATTERN, text.place, format!("the pattern cannot be used: {why}"), help);
            None
        }
    }
}

fn multiple(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Option<Found> {
    let node = f.take("multipleOf")?;
    let divisor = r.number(node)?;
    if divisor <= 0.0 {
        r.error(codes::INVALID_VALUE, node.place, "`multipleOf` has to be above 0", None);
        return None;
    }
    Some(("multiple_of", Check::MultipleOf { divisor }, node.place))
}

fn range(f: &mut Fields<'_>, kind: ColumnType, r: &mut Reader<'_>) -> Option<Found> {
    let mut found = BOUNDS.map(|(key, inclusive)| {
        let bound = f.take(key).and_then(|n| bound(n, kind, r))?;
        Some(Spanned::new(Bound { value: bound.value, inclusive }, bound.place))
    });
    let scalar = Scalar::of(kind)?;
    let [low, high] = [(0, scalar::is_weaker_low as Weaker), (2, scalar::is_weaker_high)].map(|(at, weaker)| {
        // Both hold, as in JSON Schema; one of them leaves less.
        match (found[at].take(), found[at + 1].take()) {
            (Some(one), Some(other)) => Some(if weaker(scalar, &one.value, &other.value) { other } else { one }),
            (one, other) => one.or(other),
        }
    });
    let place = low.as_ref().or(high.as_ref())?.place;
    if let (Some(low), Some(high)) = (&low, &high)
        && is_above(&low.value.value, &high.value.value, kind)
    {
        let message = format!("no value is from {} to {}", quoted(&low.value.value), quoted(&high.value.value));
        r.error(codes::CONTRADICTION, high.place, message, None);
    }
    Some(("range", Check::Range { min: low.map(|b| b.value), max: high.map(|b| b.value) }, place))
}

/// What v3.0 wrote as the rule `between`: both ends are included.
pub(super) fn between(min: Option<&Node>, max: Option<&Node>, kind: ColumnType, r: &mut Reader<'_>) -> Option<Check> {
    let [min, max] = [min, max].map(|n| match n {
        Some(n) => Some(Some(Bound { value: bound(n, kind, r)?.value, inclusive: true })),
        None => Some(None),
    });
    Some(Check::Range { min: min?, max: max? })
}

/// Whether the first of two bounds leaves more than the second.
type Weaker = fn(Scalar, &Bound, &Bound) -> bool;

fn is_above(low: &str, high: &str, kind: ColumnType) -> bool {
    match kind {
        ColumnType::Integer | ColumnType::Int32 | ColumnType::Number | ColumnType::Decimal { .. } => {
            low.parse::<f64>().ok() > high.parse::<f64>().ok()
        }
        // Normalized, so that the order of the texts is that of the values.
        _ => low > high,
    }
}

/// The bound in the form in which the column's values are written.
fn bound(node: &Node, kind: ColumnType, r: &mut Reader<'_>) -> Option<Spanned<String>> {
    let text = r.text(node)?;
    let t = text.value.trim();
    let (normal, wanted) = match kind {
        ColumnType::Integer | ColumnType::Int32 => (integer(t), "a whole number"),
        ColumnType::Number => (t.parse::<f64>().ok().filter(|n| n.is_finite()).map(|_| t.to_owned()), "a number"),
        ColumnType::Decimal { .. } => (is_plain_decimal(t).then(|| t.to_owned()), "a decimal number"),
        ColumnType::Date => (t.parse::<civil::Date>().ok().map(|d| d.to_string()), "a date such as `2013-01-31`"),
        ColumnType::Timestamp => (timestamp(t), "a timestamp such as `2013-01-31T05:00:00Z`"),
        ColumnType::Time => (t.parse::<civil::Time>().ok().map(|d| d.to_string()), "a time such as `05:00:00`"),
        ColumnType::String | ColumnType::Boolean | ColumnType::Json => (None, "no bound"),
    };
    if normal.is_none() {
        r.error(codes::INVALID_VALUE, text.place, format!("{} is not {wanted}", quoted(&text.value)), None);
    }
    Some(Spanned::new(normal?, text.place))
}

fn integer(text: &str) -> Option<String> {
    let whole = text.split_once('.').map_or(text, |(w, f)| if f.bytes().all(|b| b == b'0') { w } else { text });
    whole.parse::<i64>().ok().map(|i| i.to_string())
}

fn is_plain_decimal(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let signs = digits.bytes().filter(|b| *b == b'.').count();
    digits.bytes().any(|b| b.is_ascii_digit()) && signs <= 1 && digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// Without an offset it is UTC.
fn timestamp(text: &str) -> Option<String> {
    if let Ok(t) = text.parse::<Timestamp>() {
        return Some(t.to_string());
    }
    let local = text.parse::<civil::DateTime>().ok()?;
    local.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp().to_string())
}

/// Formats of texts that a pattern can check.
fn text_format(node: &Node, r: &mut Reader<'_>) -> Option<Found> {
    let text = r.text(node)?;
    let regex = match text.value.as_str() {
        "email" => r"[^@\s]+@[^@\s]+\.[^@\s.]+",
        "uuid" => "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
        "ipv4" => r"((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])",
        "uri" | "url" => r"[A-Za-z][A-Za-z0-9+.-]*:\S+",
        "hostname" => r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*",
        "byte" => "[A-Za-z0-9+/]*={0,2}",
        _ => {
            let help = Some("use `pattern` to check it".to_owned());
            r.error(
                codes::OPTION_NOT_USED,
                text.place,
                format!("the format {} is not checked", quoted(&text.value)),
                help,
            );
            return None;
        }
    };
    Some(("format", Check::Pattern { regex: regex.to_owned() }, text.place))
}

fn number_format(node: &Node, logical: Logical, r: &mut Reader<'_>) -> Option<Found> {
    type Limits = (Option<i64>, Option<i64>);
    const WHOLE: [(&str, Limits); 10] = [
        ("i8", (Some(i8::MIN as i64), Some(i8::MAX as i64))),
        ("i16", (Some(i16::MIN as i64), Some(i16::MAX as i64))),
        ("i32", (Some(i32::MIN as i64), Some(i32::MAX as i64))),
        ("i64", (None, None)),
        ("i128", (None, None)),
        ("u8", (Some(0), Some(u8::MAX as i64))),
        ("u16", (Some(0), Some(u16::MAX as i64))),
        ("u32", (Some(0), Some(u32::MAX as i64))),
        ("u64", (Some(0), None)),
        ("u128", (Some(0), None)),
    ];
    if logical == Logical::Number {
        r.choice(node, &[("f32", ()), ("f64", ())]);
        return None;
    }
    let limits = r.choice(node, &WHOLE)?;
    let bound = |n: Option<i64>| n.map(|n| Bound { value: n.to_string(), inclusive: true });
    let (min, max) = limits.value;
    (min.is_some() || max.is_some())
        .then(|| ("format", Check::Range { min: bound(min), max: bound(max) }, limits.place))
}

/// ISO 8601 is what is read anyway; another format has to be read by a step.
fn time_format(node: &Node, r: &mut Reader<'_>) {
    let Some(text) = r.text(node) else { return };
    let iso = [
        "yyyy-MM-dd",
        "HH:mm:ss",
        "yyyy-MM-dd HH:mm:ss",
        "yyyy-MM-dd'T'HH:mm:ss",
        "yyyy-MM-dd'T'HH:mm:ssXXX",
        "yyyy-MM-dd'T'HH:mm:ss'Z'",
    ];
    if !iso.contains(&text.value.as_str()) {
        let help = Some("read such texts with `normalize: { parse: { column: \"%d.%m.%Y\" } }`".to_owned());
        let message = format!("the format {} documents the source; values are read as ISO 8601", quoted(&text.value));
        r.error(codes::OPTION_NOT_USED, text.place, message, help);
    }
}

fn time_zone(node: &Node, r: &mut Reader<'_>) {
    let Some(text) = r.text(node) else { return };
    let utc = ["UTC", "Etc/UTC", "Etc/GMT", "GMT", "Zulu", "Z", "+00:00"];
    if !utc.contains(&text.value.as_str()) {
        let help = Some("a `sql` step before `validate` gives them their offset, with `AT TIME ZONE`".to_owned());
        let message = format!("times without an offset are read as UTC, and not as {}", quoted(&text.value));
        r.error(codes::OPTION_NOT_USED, text.place, message, help);
    }
}
