//! Numbers and booleans from text.

/// `[+-]digits`, within 64 bits.
pub(crate) fn parse_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() {
        return None;
    }
    if digits.len() > 18 {
        return parse_long_integer(negative, digits);
    }
    let mut value = 0_i64;
    for &b in digits {
        value = value * 10 + i64::from(digit(b)?);
    }
    Some(if negative { -value } else { value })
}

fn parse_long_integer(negative: bool, digits: &[u8]) -> Option<i64> {
    let mut value = 0_i64;
    for &b in digits {
        let d = i64::from(digit(b)?);
        value = value.checked_mul(10)?;
        value = if negative { value.checked_sub(d)? } else { value.checked_add(d)? };
    }
    Some(value)
}

/// A finite number in decimal or exponent notation.
pub(crate) fn parse_number(text: &[u8]) -> Option<f64> {
    let plain = |b: &u8| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E');
    if !text.iter().all(plain) {
        return None;
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// `[+-]digits[.digits]` with at most `scale` fraction digits, as a count of units of the last place.
pub(crate) fn parse_decimal(text: &[u8], precision: u8, scale: u8) -> Option<i128> {
    let (mantissa, fraction_digits) = parse_decimal_parts(text)?;
    let missing = u32::from(scale).checked_sub(fraction_digits)?;
    let value = mantissa.checked_mul(10_i128.checked_pow(missing)?)?;
    let limit = 10_i128.checked_pow(u32::from(precision))?;
    (value > -limit && value < limit).then_some(value)
}

/// The digits without the point, and how many of them stand behind it.
pub(crate) fn parse_decimal_parts(text: &[u8]) -> Option<(i128, u32)> {
    let (negative, rest) = sign(text);
    let (mut small, mut digits, mut point) = (0_u64, 0_u32, None);
    let mut large = 0_i128;
    for &b in rest {
        if b == b'.' && point.is_none() {
            point = Some(digits);
            continue;
        }
        let d = digit(b)?;
        digits += 1;
        // 64-bit arithmetic for as long as it is enough.
        match digits {
            ..=18 => small = small * 10 + u64::from(d),
            19 => large = i128::from(small) * 10 + i128::from(d),
            _ => large = large.checked_mul(10)?.checked_add(i128::from(d))?,
        }
    }
    let fraction = digits - point.unwrap_or(digits);
    if digits == 0 || rest.ends_with(b".") || rest.starts_with(b".") {
        return None;
    }
    let value = if digits > 18 { large } else { i128::from(small) };
    Some((if negative { -value } else { value }, fraction))
}

pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    let is = |words: [&str; 4]| words.iter().any(|w| text.eq_ignore_ascii_case(w));
    if is(["true", "t", "1", "yes"]) {
        Some(true)
    } else if is(["false", "f", "0", "no"]) {
        Some(false)
    } else {
        None
    }
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    }
}

fn digit(b: u8) -> Option<u8> {
    let d = b.wrapping_sub(b'0');
    (d < 10).then_some(d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_no_fraction_and_fit() {
        for (text, want) in [
            ("0", Some(0)),
            ("-17", Some(-17)),
            ("+5", Some(5)),
            ("007", Some(7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1.0", None),
            ("1e3", None),
            (" 1", None),
            ("", None),
            ("-", None),
            ("--1", None),
            ("１", None),
        ] {
            assert_eq!(parse_integer(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn decimals_are_never_rounded() {
        for (text, want) in [
            ("12.34", Some(1234)),
            ("-0.5", Some(-50)),
            ("7", Some(700)),
            ("9999999999.99", Some(999_999_999_999)),
            ("10000000000.00", None),
            ("1.234", None),
            ("1.230", None),
            ("1,23", None),
            ("1.", None),
            (".5", None),
            ("1.2.3", None),
            ("1e2", None),
            ("", None),
            ("NaN", None),
        ] {
            assert_eq!(parse_decimal(text.as_bytes(), 12, 2), want, "{text}");
        }
        let widest = "9".repeat(38);
        assert_eq!(parse_decimal(widest.as_bytes(), 38, 0), Some(10_i128.pow(38) - 1));
        assert_eq!(parse_decimal("9".repeat(39).as_bytes(), 38, 0), None);
        assert_eq!(parse_decimal("9".repeat(400).as_bytes(), 38, 0), None);
    }

    #[test]
    fn numbers_are_finite() {
        for (text, want) in [("1.5", Some(1.5)), ("-2e3", Some(-2000.0)), ("1e999", None), ("inf", None), ("NaN", None)]
        {
            assert_eq!(parse_number(text.as_bytes()), want, "{text}");
        }
        for bad in ["", "1,5", "0x10", "1 ", "e", "."] {
            assert_eq!(parse_number(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn booleans_in_the_words_people_use() {
        for yes in ["true", "TRUE", "t", "1", "Yes"] {
            assert_eq!(parse_boolean(yes), Some(true));
        }
        for no in ["false", "F", "0", "no"] {
            assert_eq!(parse_boolean(no), Some(false));
        }
        for bad in ["", "y", "2", "wahr", "tru"] {
            assert_eq!(parse_boolean(bad), None);
        }
    }
}
