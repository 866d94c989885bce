//! Texts of scalar values: how they compare, and whether a type reads them. The reference page of contracts has the forms.

use super::Scalar;
use crate::contract::Bound;
use jiff::{Timestamp, civil, tz::TimeZone};
use std::cmp::Ordering;

/// Values of one family are read by each other's types as far as their texts fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Text,
    Number,
    Boolean,
    /// Days and times of days, on one line.
    Instant,
    Time,
}

pub(super) fn family(kind: Scalar) -> Family {
    match kind {
        Scalar::String => Family::Text,
        Scalar::Integer | Scalar::Int32 | Scalar::Number | Scalar::Decimal { .. } => Family::Number,
        Scalar::Boolean => Family::Boolean,
        Scalar::Date | Scalar::Timestamp => Family::Instant,
        Scalar::Time => Family::Time,
    }
}

pub(super) fn compare(kind: Scalar, a: &str, b: &str) -> Option<Ordering> {
    match family(kind) {
        Family::Number => number(a, b),
        Family::Instant => Some(instant(a)?.cmp(&instant(b)?)),
        Family::Time => Some(a.parse::<civil::Time>().ok()?.cmp(&b.parse().ok()?)),
        Family::Text | Family::Boolean => Some(a.cmp(b)),
    }
}

/// Plain digits exactly, anything with an exponent as floating point.
fn number(a: &str, b: &str) -> Option<Ordering> {
    match (Digits::of(a), Digits::of(b)) {
        (Some(a), Some(b)) => Some(a.compare(&b)),
        _ => a.trim().parse::<f64>().ok()?.partial_cmp(&b.trim().parse().ok()?),
    }
}

pub(crate) fn instant(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse::<Timestamp>().ok().or_else(|| {
        let local = text.parse::<civil::DateTime>().ok()?;
        local.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp())
    })
}

/// A plain decimal number: no exponent.
struct Digits<'a> {
    negative: bool,
    /// Without leading zeros.
    whole: &'a str,
    /// Without trailing zeros.
    fraction: &'a str,
}

impl<'a> Digits<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
            return None;
        }
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let zero = whole.is_empty() && fraction.is_empty();
        Some(Self { negative: text.starts_with('-') && !zero, whole, fraction })
    }

    fn compare(&self, other: &Self) -> Ordering {
        let size = |a: &Self, b: &Self| {
            let whole = a.whole.len().cmp(&b.whole.len()).then_with(|| a.whole.cmp(b.whole));
            // A longer fraction with the same start is larger, which is also the order of the texts.
            whole.then_with(|| a.fraction.cmp(b.fraction))
        };
        match (self.negative, other.negative) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => size(self, other),
            (true, true) => size(other, self),
        }
    }
}

/// The limits that a type of numbers sets by itself.
pub(super) fn implied(kind: Scalar) -> Option<(String, String)> {
    match kind {
        Scalar::Int32 => Some((i32::MIN.to_string(), i32::MAX.to_string())),
        Scalar::Integer => Some((i64::MIN.to_string(), i64::MAX.to_string())),
        Scalar::Decimal { precision, scale } => {
            let (precision, scale) = (usize::from(precision), usize::from(scale));
            let nines = "9".repeat(precision - scale.min(precision));
            let most = if scale == 0 { nines } else { format!("{nines}.{}", "9".repeat(scale)) };
            Some((format!("-{most}"), most))
        }
        _ => None,
    }
}

/// Digits behind the point that values of this type can have; `None`: any number of them, or no number.
pub(super) fn scale(kind: Scalar) -> Option<u8> {
    match kind {
        Scalar::Int32 | Scalar::Integer => Some(0),
        Scalar::Decimal { scale, .. } => Some(scale),
        _ => None,
    }
}

/// Whether the type reads the text.
pub(super) fn reads(kind: Scalar, text: &str) -> bool {
    match kind {
        Scalar::String => true,
        Scalar::Boolean => ["true", "t", "1", "yes", "false", "f", "0", "no"].contains(&text.to_lowercase().as_str()),
        Scalar::Number => text.parse::<f64>().is_ok_and(f64::is_finite),
        Scalar::Integer | Scalar::Int32 | Scalar::Decimal { .. } => {
            if Digits::of(text).is_none() {
                return false;
            }
            // Written digits count: 1.230 does not fit two of them, and 1.0 is no integer.
            let written = text.split_once('.').map(|(_, f)| f.len());
            let fits = match (kind, written) {
                (_, None) => true,
                (Scalar::Decimal { scale, .. }, Some(n)) => n <= usize::from(scale),
                (_, Some(_)) => false,
            };
            fits && implied(kind).is_none_or(|(low, high)| {
                let at = |bound: &str| number(text, bound);
                at(&low) != Some(Ordering::Less) && at(&high) != Some(Ordering::Greater)
            })
        }
        Scalar::Date => text.len() == "2013-01-31".len() && text.parse::<civil::Date>().is_ok(),
        Scalar::Timestamp => instant(text).is_some(),
        Scalar::Time => text.parse::<civil::Time>().is_ok(),
    }
}

/// Whether everything above `demanded` includes what `kept` lets through. For integers `> 4` is `>= 5`.
pub(super) fn keeps_low(kind: Scalar, kept: &Bound, demanded: &Bound) -> bool {
    match compare(kind, &kept.value, &demanded.value) {
        Some(Ordering::Greater) => true,
        Some(Ordering::Equal) => demanded.inclusive || !kept.inclusive,
        Some(Ordering::Less) => !kept.inclusive && is_next(kind, &kept.value, &demanded.value) && demanded.inclusive,
        None => false,
    }
}

pub(super) fn keeps_high(kind: Scalar, kept: &Bound, demanded: &Bound) -> bool {
    match compare(kind, &kept.value, &demanded.value) {
        Some(Ordering::Less) => true,
        Some(Ordering::Equal) => demanded.inclusive || !kept.inclusive,
        Some(Ordering::Greater) => !kept.inclusive && is_next(kind, &demanded.value, &kept.value) && demanded.inclusive,
        None => false,
    }
}

/// Two whole numbers, or two days, with nothing between them.
fn is_next(kind: Scalar, low: &str, high: &str) -> bool {
    match kind {
        Scalar::Integer | Scalar::Int32 => {
            let parsed = low.trim().parse::<i64>().ok().zip(high.trim().parse::<i64>().ok());
            parsed.is_some_and(|(low, high)| low.checked_add(1) == Some(high))
        }
        Scalar::Date => {
            let parsed = low.parse::<civil::Date>().ok().zip(high.parse::<civil::Date>().ok());
            parsed.is_some_and(|(low, high)| low.tomorrow().is_ok_and(|d| d == high))
        }
        _ => false,
    }
}

pub(crate) fn is_weaker_low(kind: Scalar, own: &Bound, other: &Bound) -> bool {
    keeps_low(kind, other, own)
}

pub(crate) fn is_weaker_high(kind: Scalar, own: &Bound, other: &Bound) -> bool {
    keeps_high(kind, other, own)
}

pub(super) fn inside(kind: Scalar, text: &str, low: Option<&Bound>, high: Option<&Bound>) -> bool {
    let point = Bound { value: text.to_owned(), inclusive: true };
    low.is_none_or(|b| keeps_low(kind, &point, b)) && high.is_none_or(|b| keeps_high(kind, &point, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_exactly() {
        let order = |a, b| compare(Scalar::Number, a, b).expect("numbers");
        for (a, b) in [
            ("-2", "-1"),
            ("-1", "0"),
            ("9", "10"),
            ("0.1", "0.11"),
            ("9223372036854775806", "9223372036854775807"),
            ("-0.02", "-0.01"),
            ("99999999999999999999999999999999999999", "1e39"),
        ] {
            assert_eq!((order(a, b), order(b, a)), (Ordering::Less, Ordering::Greater), "{a} {b}");
        }
        for (a, b) in [("1.50", "1.5"), ("-0", "0"), ("007", "7"), ("1e2", "100")] {
            assert_eq!(order(a, b), Ordering::Equal, "{a} {b}");
        }
        assert_eq!(compare(Scalar::Number, "x", "1"), None);
    }

    #[test]
    fn times_compare_on_one_line() {
        let order = |a, b| compare(Scalar::Timestamp, a, b).expect("times");
        assert_eq!(order("2013-01-31", "2013-01-31T00:00:00Z"), Ordering::Equal);
        assert_eq!(order("2013-01-31T00:00:00Z", "2013-01-31T00:00:00.5Z"), Ordering::Less);
        assert_eq!(order("2013-01-31T02:00:00+02:00", "2013-01-31T01:00:00Z"), Ordering::Less);
    }

    #[test]
    fn a_type_reads_what_the_reference_says() {
        let decimal = Scalar::Decimal { precision: 4, scale: 2 };
        for (kind, good, bad) in [
            (Scalar::Integer, "+12", "1.0"),
            (Scalar::Int32, "2147483647", "2147483648"),
            (Scalar::Number, "-2e3", "inf"),
            (decimal, "12.34", "1.230"),
            (decimal, "99.99", "100"),
            (Scalar::Boolean, "Yes", "on"),
            (Scalar::Date, "2013-01-31", "2013-02-31"),
            (Scalar::Timestamp, "2013-01-31T05:00", "31.01.2013"),
            (Scalar::Time, "05:00:00", "25:00:00"),
        ] {
            assert!(reads(kind, good) && !reads(kind, bad), "{kind:?}");
        }
    }
}
