//! Spans of time as people write them: `2s`, `5m`, `1 day`.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// A non-negative length of time, microsecond precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span(i64);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no span of time; write a number and a unit, as in `2s`, `5m`, `1 hour` or `1 day`")]
pub struct InvalidSpan(pub String);

const UNITS: [(&[&str], i64); 6] = [
    (&["w", "week", "weeks"], 604_800_000_000),
    (&["d", "day", "days"], 86_400_000_000),
    (&["h", "hour", "hours"], 3_600_000_000),
    (&["m", "min", "minute", "minutes"], 60_000_000),
    (&["s", "sec", "second", "seconds"], 1_000_000),
    (&["ms"], 1_000),
];

impl Span {
    pub const ZERO: Self = Self(0);

    pub const fn from_secs(s: i64) -> Self {
        Self(s * 1_000_000)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }
}

/// Ends at the longest span.
impl std::ops::Add for Span {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }
}

impl From<Span> for Duration {
    fn from(s: Span) -> Self {
        Duration::from_micros(s.0.unsigned_abs())
    }
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let invalid = || InvalidSpan(text.to_owned());
        let t = text.trim();
        let split = t.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(invalid)?;
        let number: u32 = t[..split].trim().parse().map_err(|_| invalid())?;
        let unit = t[split..].trim();
        let (_, factor) = UNITS.iter().find(|(names, _)| names.contains(&unit)).ok_or_else(invalid)?;
        i64::from(number).checked_mul(*factor).map(Self).ok_or_else(invalid)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        for (names, factor) in UNITS {
            if self.0 % factor == 0 {
                return write!(f, "{}{}", self.0 / factor, names[0]);
            }
        }
        write!(f, "{}us", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        assert_eq!("2s".parse(), Ok(Span::from_secs(2)));
        assert_eq!("1 day".parse(), Ok(Span::from_secs(86_400)));
        assert_eq!("250ms".parse(), Ok(Span(250_000)));
        assert!("soon".parse::<Span>().is_err());
        assert!("-2s".parse::<Span>().is_err());
        assert_eq!(Span::from_secs(7_200).to_string(), "2h");
    }
}
