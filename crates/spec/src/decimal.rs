//! Decimal numbers as they are written, exactly. Called where contracts and schemas are compared, and where
//! values of JSON are.

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

/// A number without loss and without zeros on either side: `digits` times ten to the `power`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exact {
    pub negative: bool,
    /// None for zero.
    pub digits: String,
    pub power: i64,
}

impl Exact {
    /// A number as JSON writes it, of any length. `None` for other text, and for an exponent that 32 bits do not count.
    pub fn of(number: &str) -> Option<Self> {
        let (negative, unsigned) = number.strip_prefix('-').map_or((false, number), |unsigned| (true, unsigned));
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        if all.is_empty() || !all.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let digits = all.trim_end_matches('0');
        if digits.is_empty() {
            return Some(Self { negative: false, digits: String::new(), power: 0 });
        }
        let behind = i64::try_from(fraction.len()).ok()? - i64::try_from(all.len() - digits.len()).ok()?;
        let power = i64::from(exponent.parse::<i32>().ok()?) - behind;
        Some(Self { negative, digits: digits.trim_start_matches('0').to_owned(), power })
    }

    /// Without an exponent; `None` if that takes more than `most` digits on either side of the point.
    pub fn plain(&self, most: u32) -> Option<String> {
        if self.digits.is_empty() {
            return Some("0".to_owned());
        }
        let (digits, sign) = (self.digits.as_str(), if self.negative { "-" } else { "" });
        let most = i64::from(most);
        let before = i64::try_from(digits.len()).ok()? + self.power;
        if before > most || self.power < -most {
            return None;
        }
        let text = match usize::try_from(before) {
            Ok(before) if before >= digits.len() => format!("{digits:0<before$}"),
            Ok(0) | Err(_) => format!("0.{}{digits}", "0".repeat(usize::try_from(-before).ok()?)),
            Ok(before) => format!("{}.{}", &digits[..before], &digits[before..]),
        };
        Some(format!("{sign}{text}"))
    }
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
    fn numbers_are_written_out_as_far_as_they_are_short() {
        for (number, text) in [
            ("0", "0"),
            ("-0.0e99999999999", "0"),
            ("1.50", "1.5"),
            ("-125e-2", "-1.25"),
            ("125e-5", "0.00125"),
            ("0.5e-2", "0.005"),
            ("1.5E+1", "15"),
            ("9007199254740993e0", "9007199254740993"),
            ("1e39", "1000000000000000000000000000000000000000"),
            ("1e-40", "0.0000000000000000000000000000000000000001"),
        ] {
            assert_eq!(Exact::of(number).and_then(|n| n.plain(40)).as_deref(), Some(text), "{number}");
        }
        for number in ["1e40", "1e-41", "1e308", "1e-2147483648", "1e2147483647"] {
            assert_eq!(Exact::of(number).map(|n| n.plain(40)), Some(None), "{number}");
        }
        for text in ["", "-", "x", "1e", "1e2147483648", "+1", "1 "] {
            assert_eq!(Exact::of(text), None, "{text}");
        }
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
