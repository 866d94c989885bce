//! A feed that is silent for longer than it ever was, found before its day is over.

use super::{
    Anomaly, Unusual, Watched,
    days::{HOURS, date},
};
use alluvium_model::DatasetName;
use alluvium_store::Hour;

/// Arrivals and days from which a longest pause is known.
const ARRIVALS: usize = 20;
const KNOWN_DAYS: i64 = 14;

/// A pause is a silence when it is so much longer than the longest before it, and by an hour at least.
const LONGER: f64 = 1.5;

pub(super) fn add(dataset: &DatasetName, hours: &[&Hour], this_hour: i64, found: &mut Vec<Anomaly>) {
    let mut came: Vec<i64> = hours.iter().filter(|h| h.balance.received > 0).map(|h| h.hour).collect();
    came.sort_unstable();
    came.dedup();
    let (Some(first), Some(last)) = (came.first(), came.last().copied()) else { return };
    let longest = came.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0);
    let silent = this_hour - last;
    let known = came.len() >= ARRIVALS && last - first >= KNOWN_DAYS * HOURS;
    if !known || (silent as f64) <= longest as f64 * LONGER + 1.0 {
        return;
    }
    let today = date(this_hour.div_euclid(HOURS));
    match found.last_mut().filter(|f| f.kind == Unusual::Silence && f.open) {
        Some(silence) => silence.last = today,
        None => {
            // What such a time would have brought, by the hours before.
            let all: u64 = hours.iter().map(|h| h.balance.received).sum();
            let expected = all as f64 / (last - first) as f64 * silent as f64;
            found.push(Anomaly {
                dataset: dataset.clone(),
                measure: Watched::Received,
                kind: Unusual::Silence,
                first: date(last.div_euclid(HOURS)),
                last: today,
                open: true,
                seen: 0.0,
                expected,
                between: (1.0, f64::MAX),
            });
        }
    }
}
