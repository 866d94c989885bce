//! How a long range of time is cut into windows: by a span, or by the calendar, in UTC.

use crate::{InvalidSpan, Span, Window};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The length of one window: `1d`, `6h`, or of the calendar `1mo`, `1y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stride {
    Span(Span),
    /// At least one.
    Months(u32),
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no length of a window; write a number and a unit, as in `1d`, `6h`, `1mo` or `1y`")]
pub struct InvalidStride(pub String);

const MONTHS: [(&[&str], u32); 2] = [(&["mo", "month", "months"], 1), (&["y", "year", "years"], 12)];

impl Stride {
    /// Cuts the range from its beginning on; the last window ends with the range. At most `most` of them: with more the answer
    /// is `None`.
    pub fn split(self, range: Window, most: usize) -> Option<Vec<Window>> {
        let mut windows = Vec::new();
        let mut from = range.from;
        while from < range.to {
            if windows.len() == most {
                return None;
            }
            // Counted from the beginning, so that a window that begins on a 31st does not move the next ones.
            let to = self.after(range.from, windows.len() as u64 + 1).map_or(range.to, |to| to.min(range.to));
            windows.push(Window { from, to });
            from = to;
        }
        Some(windows)
    }

    /// `None`: beyond the calendar.
    fn after(self, start: i64, times: u64) -> Option<i64> {
        match self {
            Self::Span(span) => span.micros().checked_mul(i64::try_from(times).ok()?)?.checked_add(start),
            Self::Months(months) => {
                let months = i64::from(months).checked_mul(i64::try_from(times).ok()?)?;
                let start = Timestamp::from_microsecond(start).ok()?.to_zoned(TimeZone::UTC);
                let months = jiff::Span::new().try_months(months).ok()?;
                Some(start.checked_add(months).ok()?.timestamp().as_microsecond())
            }
        }
    }
}

impl FromStr for Stride {
    type Err = InvalidStride;

    fn from_str(text: &str) -> Result<Self, InvalidStride> {
        let invalid = || InvalidStride(text.to_owned());
        let t = text.trim();
        let split = t.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(invalid)?;
        let stride = match MONTHS.iter().find(|(names, _)| names.contains(&&t[split..])) {
            Some((_, factor)) => {
                let number: u32 = t[..split].trim().parse().map_err(|_| invalid())?;
                Self::Months(number.checked_mul(*factor).ok_or_else(invalid)?)
            }
            None => Self::Span(t.parse().map_err(|_: InvalidSpan| invalid())?),
        };
        if matches!(stride, Self::Months(0) | Self::Span(Span::ZERO)) {
            return Err(invalid());
        }
        Ok(stride)
    }
}

impl fmt::Display for Stride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Span(span) => span.fmt(f),
            Self::Months(months) if months % 12 == 0 => write!(f, "{}y", months / 12),
            Self::Months(months) => write!(f, "{months}mo"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().expect("an instant").as_microsecond()
    }

    fn starts(stride: &str, from: &str, to: &str) -> Vec<String> {
        let stride: Stride = stride.parse().expect("a stride");
        let range = Window { from: at(from), to: at(to) };
        let windows = stride.split(range, 100).expect("few windows");
        assert_eq!(windows.last().map(|w| w.to), Some(range.to));
        assert!(windows.windows(2).all(|w| w[0].to == w[1].from), "without gaps: {windows:?}");
        windows.iter().map(|w| Timestamp::from_microsecond(w.from).expect("an instant").to_string()).collect()
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let found = starts("1mo", "2024-01-31T00:00:00Z", "2024-04-15T00:00:00Z");
        assert_eq!(found, ["2024-01-31T00:00:00Z", "2024-02-29T00:00:00Z", "2024-03-31T00:00:00Z"]);
        assert_eq!(starts("1y", "2023-01-01T00:00:00Z", "2025-01-01T00:00:00Z").len(), 2);
    }

    #[test]
    fn days_are_counted_from_the_beginning_and_the_last_one_is_cut() {
        let found = starts("2d", "2024-02-28T00:00:00Z", "2024-03-02T12:00:00Z");
        assert_eq!(found, ["2024-02-28T00:00:00Z", "2024-03-01T00:00:00Z"]);
    }

    #[test]
    fn too_many_windows_are_told() {
        let stride: Stride = "1d".parse().expect("a stride");
        let range = Window { from: 0, to: 3 * 86_400_000_000 };
        assert_eq!(stride.split(range, 2), None);
        assert_eq!(stride.split(range, 3).map(|w| w.len()), Some(3));
        assert_eq!(stride.split(Window { from: 5, to: 5 }, 3), Some(Vec::new()));
    }

    #[test]
    fn reads_what_people_write() {
        for (text, shown) in [("1mo", "1mo"), ("12 months", "1y"), ("1y", "1y"), ("1 day", "1d"), ("90m", "90m")] {
            assert_eq!(text.parse::<Stride>().map(|s| s.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for bad in ["", "mo", "0d", "0mo", "-1d", "soon", "1 fortnight"] {
            assert_eq!(bad.parse::<Stride>(), Err(InvalidStride(bad.to_owned())));
        }
    }
}
