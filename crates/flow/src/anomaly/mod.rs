//! What is unusual against a dataset's own history, without configuration.
//!
//! Called by cli. Pure: made of the hours that the state tells, and the time.

mod baseline;
mod days;
mod silence;
#[cfg(test)]
mod tests;

pub use days::{HISTORY_DAYS, anomalies};

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
    /// Of the last of the days: records a day, or a share from 0 to 1.
    pub seen: f64,
    pub expected: f64,
    /// Outside of these a day is unusual.
    pub between: (f64, f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Watched {
    /// Records received a day.
    Received,
    /// Quarantined and dropped among those received.
    InvalidShare,
    DuplicateShare,
    LateShare,
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
    pub const ALL: [Self; 4] = [Self::Received, Self::InvalidShare, Self::DuplicateShare, Self::LateShare];

    pub fn word(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::InvalidShare => "invalid share",
            Self::DuplicateShare => "duplicate share",
            Self::LateShare => "late share",
        }
    }

    /// A value of it, for people.
    pub fn shown(self, value: f64) -> String {
        match self {
            Self::Received => format!("{value:.0}"),
            Self::InvalidShare | Self::DuplicateShare | Self::LateShare => format!("{:.1} %", value * 100.0),
        }
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
