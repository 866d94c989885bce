//! What is found, as values and as words.

use alluvium_model::DatasetName;
use jiff::civil::Date;
use serde::{Serialize, Serializer};
use std::fmt;

/// Consecutive days of one dataset that its history does not let expect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Anomaly {
    pub dataset: DatasetName,
    pub measure: Watched,
    pub kind: Unusual,
    /// Days in UTC, by when the steps ended.
    #[serde(serialize_with = "day")]
    pub first: Date,
    #[serde(serialize_with = "day")]
    pub last: Date,
    /// Whether it holds on the newest day that can be judged.
    pub open: bool,
    /// Of the last of the days: records a day, a share from 0 to 1, or what the measure is.
    pub seen: f64,
    pub expected: f64,
    /// Outside of these a day is unusual.
    pub between: (f64, f64),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Watched {
    /// Records received a day.
    Received,
    /// Quarantined and dropped among those received.
    InvalidShare,
    DuplicateShare,
    LateShare,
    /// Of a gold table without a window: its rows as a share of those of the day before.
    Rows,
    /// Of one with a window: rows that were made for each.
    RowsPerWindow,
    /// What `accept` measures of a column, as `mean(amount)`.
    Figure(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unusual {
    Drop,
    Spike,
    /// Less or more for several days: what is expected follows from then on.
    Shift,
    /// Nothing came when something was expected.
    Silence,
}

/// As a note of the dataset.
impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [seen, expected] = [self.seen, self.expected].map(|v| self.measure.shown(v));
        let (kind, measure, day) = (self.kind.word(), self.measure.word(), self.last);
        write!(f, "unusual: {kind} of {measure} on {day}: {seen} where {expected} was expected")
    }
}

fn day<S: Serializer>(date: &Date, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(date)
}

impl Watched {
    /// What steps take of new input.
    pub(super) const ARRIVING: [Self; 4] = [Self::Received, Self::InvalidShare, Self::DuplicateShare, Self::LateShare];

    pub fn word(&self) -> &str {
        match self {
            Self::Received => "received",
            Self::InvalidShare => "invalid share",
            Self::DuplicateShare => "duplicate share",
            Self::LateShare => "late share",
            Self::Rows => "rows against the day before",
            Self::RowsPerWindow => "rows per window",
            Self::Figure(name) => name,
        }
    }

    /// Whether it is a share of which only more is unusual.
    pub fn is_share(&self) -> bool {
        match self {
            Self::InvalidShare | Self::DuplicateShare | Self::LateShare => true,
            Self::Figure(name) => name.starts_with(NULLS),
            Self::Received | Self::Rows | Self::RowsPerWindow => false,
        }
    }

    /// A value of it, for people.
    pub fn shown(&self, value: f64) -> String {
        match self {
            Self::Received => format!("{value:.0}"),
            Self::Rows => format!("{:.0} %", value * 100.0),
            _ if self.is_share() => format!("{:.1} %", value * 100.0),
            _ => number(value),
        }
    }
}

/// By which the name of a share of nulls begins.
const NULLS: &str = "nulls(";

/// Four digits, or all of a whole number.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e12).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = if size < 1.0 { 0 } else { size.log10().floor() as i32 + 1 };
    let places = usize::try_from(4 - digits).unwrap_or(0);
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

impl Serialize for Watched {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(match self {
            Self::Received => "received",
            Self::InvalidShare => "invalid_share",
            Self::DuplicateShare => "duplicate_share",
            Self::LateShare => "late_share",
            Self::Rows => "rows",
            Self::RowsPerWindow => "rows_per_window",
            Self::Figure(name) => name,
        })
    }
}

impl Unusual {
    pub fn word(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Spike => "spike",
            Self::Shift => "shift",
            Self::Silence => "silence",
        }
    }
}
