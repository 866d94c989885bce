//! Dates, timestamps and times of day from ISO 8601 text.

use std::ops::RangeInclusive;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// The years 1 to 9999, by days and microseconds since 1970.
pub(in crate::refine) const DAYS: RangeInclusive<i32> = -719_162..=2_932_896;
pub(in crate::refine) const MICROS: RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// `YYYY-MM-DD`, as days since 1970-01-01.
pub(crate) fn parse_date(text: &[u8]) -> Option<i32> {
    (text.len() == 10).then(|| date_prefix(text)).flatten()
}

/// `YYYY-MM-DD`, then nothing or `T` (or a space) and `HH:MM[:SS[.fraction]]`, then nothing (UTC), `Z`, `±HH`, `±HHMM`
/// or `±HH:MM`; as microseconds since 1970-01-01 UTC. A fraction finer than a microsecond does not fit.
pub(crate) fn parse_timestamp(text: &[u8]) -> Option<i64> {
    at_day(date_prefix(text)?, text)
}

/// [`parse_timestamp`] that remembers the last day: neighbours often share it.
pub(crate) fn timestamp_parser() -> impl FnMut(&[u8]) -> Option<i64> {
    let (mut last, mut day) = ([0; 10], None);
    move |text| {
        let date = text.first_chunk::<10>()?;
        if *date != last || day.is_none() {
            (last, day) = (*date, date_prefix(text));
        }
        at_day(day?, text)
    }
}

/// The time of the day that follows the date.
fn at_day(days: i32, text: &[u8]) -> Option<i64> {
    let days = i64::from(days);
    let rest = &text[10..];
    let Some((separator, rest)) = rest.split_first() else {
        return Some(days * SECONDS_PER_DAY * MICROS_PER_SECOND);
    };
    if !matches!(separator, b'T' | b't' | b' ') || rest.len() < 5 || rest[2] != b':' {
        return None;
    }
    let (hour, minute) = (two(&rest[..2])?, two(&rest[3..5])?);
    let (second, micros, zone) = match rest[5..].split_first() {
        Some((b':', tail)) if tail.len() >= 2 => {
            let (micros, zone) = fraction(&tail[2..])?;
            (two(&tail[..2])?, micros, zone)
        }
        _ => (0, 0, &rest[5..]),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let local = days * SECONDS_PER_DAY + i64::from(hour * 3600 + minute * 60 + second);
    Some((local - offset_seconds(zone)?) * MICROS_PER_SECOND + micros).filter(|at| MICROS.contains(at))
}

/// `HH:MM:SS[.ffffff]`.
pub(crate) fn is_time(text: &[u8]) -> bool {
    let parts = || {
        if text.len() < 8 || text[2] != b':' || text[5] != b':' {
            return None;
        }
        let (_, rest) = fraction(&text[8..])?;
        let fits = two(&text[..2])? < 24 && two(&text[3..5])? < 60 && two(&text[6..8])? < 60;
        Some(fits && rest.is_empty() && text.len() <= 15)
    };
    parts() == Some(true)
}

fn date_prefix(text: &[u8]) -> Option<i32> {
    if text.len() < 10 || text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let year = two(&text[..2])? * 100 + two(&text[2..4])?;
    days_from_civil(year, two(&text[5..7])?, two(&text[8..10])?)
}

/// Counts from 1970-01-01 in the Gregorian calendar; years 1 to 9999.
fn days_from_civil(year: i32, month: i32, day: i32) -> Option<i32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if year == 0 || day == 0 || day > last {
        return None;
    }
    // Years that start in March put the leap day last; an era is 400 years.
    let y = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (y.div_euclid(400), y.rem_euclid(400));
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// An optional `.` with digits: microseconds, and what follows.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', digits)) = text.split_first() else {
        return Some((0, text));
    };
    // Milliseconds, as most write them.
    if let [a, b, c, rest @ ..] = digits
        && c.is_ascii_digit()
        && !rest.first().is_some_and(u8::is_ascii_digit)
    {
        let (tens, last) = (two(&[*a, *b])?, two(&[b'0', *c])?);
        return Some((i64::from(tens * 10 + last) * 1000, rest));
    }
    let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at(count);
    if count == 0 || digits.iter().skip(6).any(|&b| b != b'0') {
        return None;
    }
    let mut micros = 0;
    for i in 0..6 {
        micros = micros * 10 + digits.get(i).map_or(0, |b| i64::from(b - b'0'));
    }
    Some((micros, rest))
}

fn offset_seconds(zone: &[u8]) -> Option<i64> {
    let (sign, rest) = match zone.split_first() {
        None | Some((b'Z' | b'z', [])) => return Some(0),
        Some((b'+', rest)) => (1, rest),
        Some((b'-', rest)) => (-1, rest),
        Some(_) => return None,
    };
    let (hours, minutes) = match rest.len() {
        2 => (two(rest)?, 0),
        4 => (two(&rest[..2])?, two(&rest[2..])?),
        5 if rest[2] == b':' => (two(&rest[..2])?, two(&rest[3..])?),
        _ => return None,
    };
    (hours <= 18 && minutes < 60).then(|| sign * i64::from(hours * 3600 + minutes * 60))
}

fn two(text: &[u8]) -> Option<i32> {
    let (a, b) = (text[0].wrapping_sub(b'0'), text[1].wrapping_sub(b'0'));
    (a < 10 && b < 10).then(|| i32::from(a * 10 + b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::temporal_conversions::date32_to_datetime;

    #[test]
    fn every_day_of_the_calendar_agrees_with_arrow() {
        let first = days_from_civil(1, 1, 1).unwrap();
        for days in first..first + 3_652_059 {
            let text = date32_to_datetime(days).unwrap().format("%Y-%m-%d").to_string();
            assert_eq!(parse_date(text.as_bytes()), Some(days), "{text}");
        }
        assert_eq!(DAYS, first..=first + 3_652_058);
        let ends = ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"].map(|t| parse_timestamp(t.as_bytes()));
        assert_eq!(ends, [Some(*MICROS.start()), Some(*MICROS.end())]);
    }

    #[test]
    fn dates_that_are_none() {
        for bad in ["2025-02-30", "2025-13-01", "2025-00-10", "2025-01-00", "1900-02-29", "0000-01-01", "25-01-01"] {
            assert_eq!(parse_date(bad.as_bytes()), None, "{bad}");
        }
        for bad in ["2025-1-1", "2025/01/01", "20250101", "2025-01-01 ", "2025-01-01T00:00:00", "", "not-a-date"] {
            assert_eq!(parse_date(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse_date(b"2000-02-29"), Some(11_016));
    }

    #[test]
    fn timestamps_with_and_without_offset() {
        let noon = 1_751_371_200_000_000;
        for (text, want) in [
            ("2025-07-01T12:00:00Z", noon),
            ("2025-07-01T12:00:00.000Z", noon),
            ("2025-07-01 12:00:00", noon),
            ("2025-07-01 12:00", noon),
            ("2025-07-01T14:00:00+02:00", noon),
            ("2025-07-01T14:00:00+0200", noon),
            ("2025-07-01T07:30:00-04:30", noon),
            ("2025-07-01T12:00:00.000001", noon + 1),
            ("2025-07-01T12:00:00.000001000Z", noon + 1),
            ("2025-07-01", noon - 43_200_000_000),
            ("1969-12-31T23:59:59.5Z", -500_000),
            ("2025-07-01T12:00:00.12Z", noon + 120_000),
            ("2025-07-01T14:00:00.5+02:00", noon + 500_000),
            ("2025-07-01T14:00:00.12+02", noon + 120_000),
            ("2025-07-01T14:00:00.123+02", noon + 123_000),
        ] {
            assert_eq!(parse_timestamp(text.as_bytes()), Some(want), "{text}");
        }
    }

    #[test]
    fn timestamps_that_are_none() {
        for bad in [
            "2025-02-30T10:00:00.000Z",
            "2025-13-01T00:00:00.000Z",
            "31/12/2025 10:00",
            "not-a-date",
            "2025-07-01T24:00:00Z",
            "2025-07-01T12:60:00Z",
            "2025-07-01T12:00:60Z",
            "2025-07-01T12",
            "2025-07-01T12:00:0",
            "2025-07-01T12:00:00.",
            "2025-07-01T12:00:00.0000001Z",
            "2025-07-01T12:00:00 Z",
            "2025-07-01T12:00:00+2",
            "2025-07-01T12:00:00ZZ",
            "2025-07-01X12:00:00",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59.999999-00:01",
            "1751371200",
            "",
        ] {
            assert_eq!(parse_timestamp(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn times_of_day() {
        for good in ["00:00:00", "23:59:59", "12:30:15.5", "12:30:15.123456"] {
            assert!(is_time(good.as_bytes()), "{good}");
        }
        for bad in ["24:00:00", "12:30", "1:02:03", "12:30:15.", "12:30:15.1234567", "12:30:15Z", ""] {
            assert!(!is_time(bad.as_bytes()), "{bad}");
        }
    }
}
