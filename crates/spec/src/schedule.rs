//! When a landing folder is looked at, for those that are not looked at whenever something arrives.
//!
//! Read by `dataset/bronze.rs`, asked by flow. Pure: it is told the time.

use croner::{
    Cron,
    errors::CronError,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, tz::TimeZone};

/// A cron expression in a time zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Large beside all else that a dataset is.
    cron: Box<Cron>,
    zone: TimeZone,
    pub catch_up: CatchUp,
}

/// What a service does at its start about times that passed while none ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CatchUp {
    /// It looks once, for all of them.
    Latest,
    /// It waits for the next one.
    None,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidSchedule {
    #[error("this is no cron expression: {0}")]
    Cron(#[from] CronError),
    #[error("there is no time zone of this name")]
    Zone(#[from] jiff::Error),
    #[error("this time never comes")]
    Never,
}

impl Schedule {
    pub(crate) fn new(cron: &str, zone: &str, catch_up: CatchUp) -> Result<Self, InvalidSchedule> {
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let schedule = Self { cron: Box::new(parser.parse(cron)?), zone: TimeZone::get(zone)?, catch_up };
        schedule.next(Timestamp::UNIX_EPOCH).map(|_| schedule.clone()).ok_or(InvalidSchedule::Never)
    }

    /// The first time after this one. A time of day that a change of the clocks leaves out comes right after the gap; one
    /// that comes twice counts once.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.to_zoned(self.zone.clone());
        Some(self.cron.find_next_occurrence(&after, false).ok()?.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(cron: &str, zone: &str, from: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::new(cron, zone, CatchUp::Latest).expect("a schedule");
        let mut at: Timestamp = from.parse().expect("a time");
        let mut all = Vec::new();
        for _ in 0..count {
            at = schedule.next(at).expect("it comes again");
            all.push(at.to_string());
        }
        all
    }

    #[test]
    fn the_time_of_day_is_that_of_the_zone() {
        let found = times("0 6 * * *", "Europe/Berlin", "2024-01-01T00:00:00Z", 1);
        assert_eq!(found, ["2024-01-01T05:00:00Z"]);
        let found = times("0 6 * * *", "Europe/Berlin", "2024-07-01T00:00:00Z", 1);
        assert_eq!(found, ["2024-07-01T04:00:00Z"]);
        assert_eq!(times("*/20 * * * * *", "UTC", "2024-01-01T00:00:01Z", 1), ["2024-01-01T00:00:20Z"]);
    }

    #[test]
    fn a_day_has_one_time_also_when_the_clocks_change() {
        let spring = times("30 2 * * *", "Europe/Berlin", "2024-03-30T12:00:00Z", 2);
        assert!(spring[0].starts_with("2024-03-31T01:"), "{spring:?}");
        assert_eq!(spring[1], "2024-04-01T00:30:00Z");
        let autumn = times("30 2 * * *", "Europe/Berlin", "2024-10-26T12:00:00Z", 2);
        assert!(autumn[0].starts_with("2024-10-27T0"), "{autumn:?}");
        assert_eq!(autumn[1], "2024-10-28T01:30:00Z");
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        let new = |cron: &str, zone: &str| Schedule::new(cron, zone, CatchUp::None);
        assert!(matches!(new("every day", "UTC"), Err(InvalidSchedule::Cron(_))));
        assert!(matches!(new("", "UTC"), Err(InvalidSchedule::Cron(_))));
        assert!(matches!(new("0 6 * * *", "Europe/Berlni"), Err(InvalidSchedule::Zone(_))));
        assert!(new("0 0 30 2 *", "UTC").is_err(), "there is no 30 February");
    }
}
