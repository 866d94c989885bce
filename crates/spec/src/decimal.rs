//! Decimal numbers as they are written, exactly. Called where contracts and schemas are compared.

/// Numbers of more digits cannot be told apart here.
const MOST_DIGITS: usize = 1_000;

/// Whether `value` is a multiple of `step`, both plain or with an exponent. A step of more than 36 digits, or text that is no
/// number, is none.
pub(crate) fn is_multiple(value: &str, step: &str) -> bool {
    let (Some(mut value), Some(mut step)) = (Decimal::of(value), Decimal::of(step)) else { return false };
    let Some(()) = value.scale_to(step.scale).and_then(|()| step.scale_to(value.scale)) else { return false };
    let significant = step.digits.iter().skip_while(|d| **d == 0);
    if significant.clone().count() > 36 {
        return false;
    }
    let step = significant.fold(0_u128, |n, d| n * 10 + u128::from(*d));
    step > 0 && value.digits.iter().fold(0_u128, |rest, d| (rest * 10 + u128::from(*d)) % step) == 0
}

/// The same text for numbers that are equal; `None` as above.
pub(crate) fn plain(value: &str) -> Option<String> {
    let mut number = Decimal::of(value)?;
    while number.scale > 0 && number.digits.last() == Some(&0) {
        number.digits.pop();
        number.scale -= 1;
    }
    let significant: String = number.digits.iter().skip_while(|d| **d == 0).map(|d| char::from(b'0' + d)).collect();
    let sign = if value.trim().starts_with('-') && !significant.is_empty() { "-" } else { "" };
    Some(format!("{sign}{significant}e-{}", if significant.is_empty() { 0 } else { number.scale }))
}

/// Its digits, the last `scale` of them behind the point.
struct Decimal {
    digits: Vec<u8>,
    scale: usize,
}

impl Decimal {
    /// Without its sign.
    fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let all = whole.bytes().chain(fraction.bytes());
        let digits = all.map(|b| b.is_ascii_digit().then(|| b - b'0')).collect::<Option<Vec<u8>>>()?;
        let written = whole.len() + mantissa.split_once('.').map_or(0, |(_, f)| f.len());
        let mut out = Self { digits, scale: fraction.len() };
        if exponent < 0 {
            out.scale += usize::from(exponent.unsigned_abs());
        } else {
            let shift = usize::from(exponent.unsigned_abs());
            let moved = shift.min(out.scale);
            out.scale -= moved;
            out.pad(shift - moved)?;
        }
        (written > 0 && out.digits.len() <= MOST_DIGITS && out.scale <= MOST_DIGITS).then_some(out)
    }

    fn scale_to(&mut self, scale: usize) -> Option<()> {
        let more = scale.saturating_sub(self.scale);
        self.scale += more;
        self.pad(more)
    }

    fn pad(&mut self, zeros: usize) -> Option<()> {
        let length = self.digits.len() + zeros;
        (length <= 2 * MOST_DIGITS).then(|| self.digits.resize(length, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_numbers_have_one_text() {
        for (a, b) in [("1", "1.0"), ("-0", "0.00"), ("+1e2", "100"), ("0.50", "5e-1"), ("007", "7")] {
            assert_eq!(plain(a), plain(b), "{a} {b}");
        }
        for (a, b) in [("1", "-1"), ("10", "1"), ("0.1", "0.01"), ("100", "0.0100")] {
            assert_ne!(plain(a), plain(b), "{a} {b}");
        }
        assert_eq!(plain("x"), None);
    }

    #[test]
    fn multiples_are_exact() {
        for (value, step) in [
            ("0", "7"),
            ("-10", "5"),
            ("0.3", "0.1"),
            ("1e2", "50"),
            ("1e300", "10"),
            ("1.50", "5e-1"),
            ("5", "0.01"),
            ("10000000000", "2"),
            ("99999999999999999999999999999999999990", "10"),
            ("0.2", "2e-10"),
        ] {
            assert!(is_multiple(value, step), "{value} {step}");
        }
        for (value, step) in [
            ("10000000001", "2"),
            ("9007199254740993", "2"),
            ("99999999999999999999999999999999999999", "10"),
            ("0.25", "0.1"),
            ("5", "0"),
            ("x", "1"),
            ("", "1"),
            ("1", "."),
            ("1e9999", "1"),
            ("1", "1234567890123456789012345678901234567890"),
        ] {
            assert!(!is_multiple(value, step), "{value} {step}");
        }
    }
}
