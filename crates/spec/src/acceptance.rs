//! What a dataset's `accept` asks for, in one grammar: a measure, and the levels that it must not pass.
//!
//! Read by `dataset::accept`, judged by lake's gate over what is staged. It decides whether rows are published, and nothing about them.

use alluvium_model::Span;
use serde::Serialize;

/// An object's totals stand beside it, in a file with its name and this.
pub const CONTROL_FILE: &str = ".ctl";

/// How a person is named: by a token, or as a user of a machine.
pub fn is_person(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    (1..=64).contains(&name.len()) && name.chars().all(fits)
}

/// Acceptance criteria over one step's staged rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Accept {
    /// Share of quarantined and dropped rows among the rows checked, 0 to 1.
    pub invalid: Levels,
    /// Rows that the table would have after the commit.
    pub rows: Levels,
    pub volume: Option<Volume>,
    /// Of the rows that the step adds.
    pub columns: Vec<ColumnMeasure>,
    /// Of each part of the rows that the step adds.
    pub by: Vec<Parts>,
    pub distribution: Vec<Distribution>,
    pub freshness: Option<Freshness>,
    /// How far a landing object's totals may lie from those that its control file tells, as a share of these.
    pub totals: Option<Levels>,
    /// Who may release or drop what is held; empty: anybody.
    pub decided_by: Vec<String>,
}

impl Accept {
    /// Whether that person may release or drop what is held.
    pub fn may_decide(&self, who: &str) -> bool {
        self.decided_by.is_empty() || self.decided_by.iter().any(|name| name == who)
    }
}

/// A value beyond a level is told (`warn`) or held back (`error`); a level that is `None` is never passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Levels {
    pub warn_below: Option<f64>,
    pub error_below: Option<f64>,
    pub warn_above: Option<f64>,
    pub error_above: Option<f64>,
}

/// The gravest level that a value passed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beyond {
    pub is_error: bool,
    pub is_above: bool,
    pub limit: f64,
}

impl Beyond {
    /// On which side of its limit the value lies.
    pub const fn side(self) -> &'static str {
        if self.is_above { "above" } else { "below" }
    }
}

impl Levels {
    /// No level is set.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// What is no number is beyond every level.
    pub fn beyond(&self, value: f64) -> Option<Beyond> {
        let below = |limit: &f64| value.is_nan() || value < *limit;
        let above = |limit: &f64| value.is_nan() || value > *limit;
        let is = |is_error, is_above| move |limit| Beyond { is_error, is_above, limit };
        let error = self.error_below.filter(below).map(is(true, false));
        let error = error.or(self.error_above.filter(above).map(is(true, true)));
        let warning = self.warn_below.filter(below).map(is(false, false));
        error.or(warning).or(self.warn_above.filter(above).map(is(false, true)))
    }
}

/// Rows that a step adds, as a share of the median over the last commits of its table; 1 is as many.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Volume {
    /// So many commits that added rows.
    pub of_last: u64,
    pub levels: Levels,
}

/// One figure of one column, or of several together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnMeasure {
    pub column: String,
    /// Different values are counted of these together with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub and: Vec<String>,
    pub kind: MeasureKind,
    /// The levels are shares of the median that so many of the last commits measured; `None`: they are the figure's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of_last: Option<u64>,
    pub levels: Levels,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasureKind {
    /// Share of the rows without a value, 0 to 1.
    Nulls,
    /// Different values.
    Distinct,
    Min,
    Max,
    /// The least and the greatest time, in microseconds since 1970.
    First,
    Last,
    Sum,
    Mean,
    /// The value that this share of the values, in percent, does not lie above: above 0, below 100.
    Percentile(f64),
}

impl MeasureKind {
    /// Whether its figure is a moment.
    pub const fn is_time(self) -> bool {
        matches!(self, Self::First | Self::Last)
    }

    pub fn word(self) -> String {
        match self {
            Self::Nulls => "nulls".to_owned(),
            Self::Distinct => "distinct".to_owned(),
            Self::Min | Self::First => "min".to_owned(),
            Self::Max | Self::Last => "max".to_owned(),
            Self::Sum => "sum".to_owned(),
            Self::Mean => "mean".to_owned(),
            Self::Percentile(p) => format!("p{p}"),
        }
    }
}

/// Measures for each value of a column, or for each span of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Parts {
    pub column: String,
    /// The column is a date or timestamp, and a part is so long; parts start at multiples of it from 1970-01-01 UTC.
    pub size: Option<Span>,
    /// Rows of the part that the step adds.
    pub rows: Levels,
    /// As [`ColumnMeasure::of_last`], of the commits that had this part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_of_last: Option<u64>,
    pub columns: Vec<ColumnMeasure>,
}

/// How far a column's values lie from those that the table has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Distribution {
    pub column: String,
    /// Population stability index over ten parts of the reference.
    pub psi: Levels,
    /// Largest distance of the two shares of values up to any value (Kolmogorov and Smirnov), 0 to 1.
    pub ks: Levels,
    /// Which rows of the table are the reference; `None`: all of them.
    pub reference: Option<TimeWindow>,
    /// Values that the step and the reference have at least, or nothing is judged.
    pub min_rows: u64,
}

/// The newest rows by a column: those less than `size` before the newest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimeWindow {
    pub column: String,
    pub size: Span,
}

/// How old the newest event time of the table may be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Freshness {
    pub column: String,
    pub warn_after: Option<Span>,
    pub error_after: Option<Span>,
}

impl Freshness {
    /// The gravest age that is passed, and whether it is an error.
    pub fn beyond(&self, age_micros: i64) -> Option<(Span, bool)> {
        let passed = |after: Option<Span>| after.filter(|a| age_micros > a.micros());
        passed(self.error_after).map(|a| (a, true)).or(passed(self.warn_after).map(|a| (a, false)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gravest_level_counts() {
        let levels =
            Levels { warn_below: Some(5.0), error_below: Some(1.0), warn_above: Some(8.0), error_above: Some(9.0) };
        let told = |value: f64| levels.beyond(value).map(|b| (b.is_error, b.side(), b.limit));
        assert_eq!([told(5.0), told(8.0), told(6.5)], [None; 3]);
        assert_eq!([told(4.9), told(8.1)], [Some((false, "below", 5.0)), Some((false, "above", 8.0))]);
        assert_eq!([told(0.9), told(9.1)], [Some((true, "below", 1.0)), Some((true, "above", 9.0))]);
    }

    #[test]
    fn what_is_no_number_passes_no_level() {
        let warned = Levels { warn_above: Some(1.0), ..Levels::default() };
        assert_eq!(warned.beyond(f64::NAN).map(|b| b.is_error), Some(false));
        let failed = Levels { error_above: Some(1.0), ..warned };
        assert_eq!(failed.beyond(f64::NAN).map(|b| b.is_error), Some(true));
        assert_eq!(Levels::default().beyond(f64::NAN), None);
    }
}
