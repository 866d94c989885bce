//! Dates and times written in a strftime format, for `parse`.

use alluvium_spec::ColumnType;
use chrono::{
    DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc,
    format::{Item, Parsed, StrftimeItems, parse},
};

/// A format that can be read back: checked when it is made.
#[derive(Debug, Clone)]
pub(crate) struct Format(Vec<Item<'static>>);

impl Format {
    /// `None` if the format does not name every part that a value of `kind` has.
    pub fn new(format: &str, kind: ColumnType) -> Option<Self> {
        let this = Self(StrftimeItems::new(format).parse_to_owned().ok()?);
        // A value of which no part stands for another: what was written has to be read back.
        let date = NaiveDate::from_ymd_opt(2001, 12, 23)?;
        let written = this.write(date.and_hms_opt(17, 48, 0)?);
        let text = written.as_bytes();
        let reads_back = match kind {
            ColumnType::Date => this.date(text) == Some(days(date)?),
            ColumnType::Timestamp => this.timestamp(text).is_some(),
            ColumnType::Time => this.time(text).is_some(),
            _ => false,
        };
        reads_back.then_some(this)
    }

    pub fn date(&self, text: &[u8]) -> Option<i32> {
        days(self.parsed(text)?.to_naive_date().ok()?)
    }

    /// UTC unless the format has an offset; midnight if it has no time.
    pub fn timestamp(&self, text: &[u8]) -> Option<i64> {
        let parsed = self.parsed(text)?;
        let dated = parsed.hour_div_12().is_none() && parsed.hour_mod_12().is_none() && parsed.timestamp().is_none();
        let at = if parsed.offset().is_some() && !dated {
            parsed.to_datetime().ok()?.naive_utc()
        } else if dated {
            parsed.to_naive_date().ok()?.and_time(NaiveTime::MIN)
        } else {
            parsed.to_naive_datetime_with_offset(0).ok()?
        };
        whole_micros(at.nanosecond())?;
        Some(at.and_utc().timestamp_micros()).filter(|at| super::time::MICROS.contains(at))
    }

    /// As `HH:MM:SS[.ffffff]`.
    pub fn time(&self, text: &[u8]) -> Option<String> {
        let time = self.parsed(text)?.to_naive_time().ok()?;
        let micros = whole_micros(time.nanosecond())?;
        let seconds = time.format("%H:%M:%S");
        Some(if micros == 0 { seconds.to_string() } else { format!("{seconds}.{micros:06}") })
    }

    pub fn reads(&self, text: &[u8], kind: ColumnType) -> bool {
        match kind {
            ColumnType::Date => self.date(text).is_some(),
            ColumnType::Timestamp => self.timestamp(text).is_some(),
            ColumnType::Time => self.time(text).is_some(),
            _ => false,
        }
    }

    /// An ISO text in this format: for the default of a column that is parsed. `None` if it is no such text.
    pub fn in_this_format(&self, iso: &str, kind: ColumnType) -> Option<String> {
        let iso = iso.as_bytes();
        let at = match kind {
            ColumnType::Date => NaiveDate::from_epoch_days(super::time::parse_date(iso)?)?.and_time(NaiveTime::MIN),
            ColumnType::Timestamp => DateTime::from_timestamp_micros(super::time::parse_timestamp(iso)?)?.naive_utc(),
            _ => return None,
        };
        Some(self.write(at))
    }

    fn parsed(&self, text: &[u8]) -> Option<Parsed> {
        let mut parsed = Parsed::new();
        parse(&mut parsed, std::str::from_utf8(text).ok()?, self.0.iter()).ok()?;
        Some(parsed)
    }

    fn write(&self, at: NaiveDateTime) -> String {
        DateTime::<Utc>::from_naive_utc_and_offset(at, Utc).format_with_items(self.0.iter()).to_string()
    }
}

fn days(date: NaiveDate) -> Option<i32> {
    // Years of more than four digits would not fit the text forms of the lake.
    (1..=9999).contains(&chrono::Datelike::year(&date)).then(|| date.to_epoch_days())
}

/// Chrono writes a leap second as more than a second of nanoseconds.
fn whole_micros(nanos: u32) -> Option<u32> {
    (nanos < 1_000_000_000 && nanos.is_multiple_of(1000)).then_some(nanos / 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_dates_and_times() {
        let date = Format::new("%d/%m/%Y", ColumnType::Date).unwrap();
        assert_eq!(date.date(b"29/02/2000"), Some(11_016));
        assert_eq!(date.date(b"30/02/2000"), None);
        assert_eq!(date.date(b"29/02/2000 "), None);
        assert_eq!(date.in_this_format("2000-02-29", ColumnType::Date).as_deref(), Some("29/02/2000"));
        let at = Format::new("%d.%m.%Y %H:%M", ColumnType::Timestamp).unwrap();
        assert_eq!(at.timestamp(b"01.07.2025 12:00"), Some(1_751_371_200_000_000));
        let zoned = Format::new("%Y%m%dT%H%M%S%z", ColumnType::Timestamp).unwrap();
        assert_eq!(zoned.timestamp(b"20250701T140000+0200"), Some(1_751_371_200_000_000));
        let epoch = Format::new("%s", ColumnType::Timestamp).unwrap();
        assert_eq!(epoch.timestamp(b"1751371200"), Some(1_751_371_200_000_000));
        assert_eq!(epoch.timestamp(b"253402300800"), None, "the year 10000");
        let day = Format::new("%d/%m/%Y", ColumnType::Timestamp).unwrap();
        assert_eq!(day.timestamp(b"01/07/2025"), Some(1_751_328_000_000_000));
        let time = Format::new("%I:%M %p", ColumnType::Time).unwrap();
        assert_eq!(time.time(b"05:30 PM").as_deref(), Some("17:30:00"));
    }

    #[test]
    fn a_format_that_leaves_parts_out_is_refused() {
        assert!(Format::new("%d/%m", ColumnType::Date).is_none());
        assert!(Format::new("%H:%M", ColumnType::Date).is_none());
        assert!(Format::new("%Q", ColumnType::Date).is_none());
        assert!(Format::new("%d/%m/%Y %H", ColumnType::Timestamp).is_none());
        assert!(Format::new("%d/%m/%Y", ColumnType::Time).is_none());
        assert!(Format::new("%d/%m/%Y", ColumnType::Integer).is_none());
    }
}
