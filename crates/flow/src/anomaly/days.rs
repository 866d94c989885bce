//! Series of days out of the hours of each dataset, and what is unusual in them.

use super::{
    Anomaly, Unusual, Watched,
    baseline::{self, Day, Scale},
    figures, silence,
};
use alluvium_model::{Balance, DatasetName};
use alluvium_store::{Hour, Past};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use std::collections::BTreeMap;

pub(super) const HOURS: i64 = 24;

/// So far back [`anomalies`] has to know: what is remembered of a day, of the days that it is compared with, and what they learned from.
pub const HISTORY_DAYS: i32 = (2 * baseline::MEMORY + baseline::LEARNING) as i32;

/// What was unusual on the days that are over, and feeds that are silent now; of each dataset and measure in order of time.
///
/// The past may come in any order. A dataset with less than four weeks of history has none yet, and one with less than
/// two weeks is not known to be silent.
pub fn anomalies(past: &Past, now: Timestamp) -> Vec<Anomaly> {
    let mut datasets: BTreeMap<&DatasetName, Vec<&Hour>> = BTreeMap::new();
    for hour in &past.hours {
        datasets.entry(&hour.dataset).or_default().push(hour);
    }
    let this_hour = now.as_second().div_euclid(3600);
    let arrived = datasets.into_iter().flat_map(|(dataset, hours)| of_dataset(dataset, &hours, this_hour));
    let mut found: Vec<_> = arrived.chain(figures::anomalies(&past.figures, this_hour.div_euclid(HOURS))).collect();
    found.sort_by(|a, b| a.dataset.cmp(&b.dataset));
    found
}

fn of_dataset(dataset: &DatasetName, hours: &[&Hour], this_hour: i64) -> Vec<Anomaly> {
    let mut days: BTreeMap<i64, Balance> = BTreeMap::new();
    for hour in hours {
        *days.entry(hour.hour.div_euclid(HOURS)).or_default() += hour.balance;
    }
    let today = this_hour.div_euclid(HOURS);
    let Some(first) = days.keys().next().copied().filter(|f| *f < today) else { return Vec::new() };
    let came_today = days.get(&today).is_some_and(|d| d.received > 0);
    let mut found = Vec::new();
    for measure in Watched::ARRIVING {
        let series: Vec<_> =
            (first..today).map(|d| arrived(&measure, &days.get(&d).copied().unwrap_or_default())).collect();
        let at = |place: usize| date(first + place as i64);
        let scale = if measure == Watched::Received { Scale::Count } else { Scale::Share };
        found.extend(baseline::findings(scale, &series).into_iter().map(|f| Anomaly {
            dataset: dataset.clone(),
            measure: measure.clone(),
            kind: f.kind,
            first: at(f.first),
            last: at(f.last),
            open: f.last + 1 == series.len() && (f.kind != Unusual::Silence || !came_today),
            seen: f.seen,
            expected: f.expected,
            between: f.between,
        }));
        if measure == Watched::Received {
            silence::add(dataset, hours, this_hour, &mut found);
        }
    }
    found
}

fn arrived(measure: &Watched, day: &Balance) -> Option<Day> {
    let received = day.received as f64;
    let share = |part: u64| (day.received > 0).then(|| Day { value: part as f64 / received, of: received });
    match measure {
        Watched::Received => Some(Day { value: received, of: received }),
        Watched::InvalidShare => share(day.quarantined + day.dropped),
        Watched::DuplicateShare => share(day.duplicates),
        Watched::LateShare => share(day.late),
        Watched::Rows | Watched::RowsPerWindow | Watched::Figure(_) => None,
    }
}

/// A day since 1970, in UTC.
pub(super) fn date(day: i64) -> Date {
    let noon = day.saturating_mul(HOURS * 3600).saturating_add(HOURS * 1800);
    Timestamp::from_second(noon).unwrap_or(Timestamp::MAX).to_zoned(TimeZone::UTC).date()
}
