//! `show anomalies`: days on which a dataset took other records than its own history lets expect.

use super::listing::{Column, list};
use crate::{args::Global, error::CliError, render::Align, wire::Wired};
use alluvium_flow::{Anomaly, HISTORY_DAYS, Watched, anomalies};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

const DAY: SignedDuration = SignedDuration::from_hours(24);

const COLUMNS: &[Column<Anomaly>] = &[
    ("dataset", Align::Left, |a| a.dataset.to_string()),
    ("measure", Align::Left, |a| a.measure.word().into()),
    ("kind", Align::Left, |a| a.kind.word().into()),
    ("days (UTC)", Align::Left, |a| {
        if a.first == a.last { a.first.to_string() } else { format!("{} to {}", a.first, a.last) }
    }),
    ("now", Align::Left, |a| if a.open { "open" } else { "over" }.into()),
    ("seen", Align::Right, |a| a.measure.shown(a.seen)),
    ("expected", Align::Right, |a| a.measure.shown(a.expected)),
    ("usual", Align::Left, |a| usual(a)),
];

pub async fn show(global: &Global, wired: &Wired, days: u32) -> Result<(), CliError> {
    let now = wired.clock.now();
    let found = recent(wired, now, days).await?;
    list(global, COLUMNS, &found, "nothing is unusual against the history of each dataset")
}

/// Those that lasted into the last `days`, open ones first.
pub async fn recent(wired: &Wired, now: Timestamp, days: u32) -> Result<Vec<Anomaly>, CliError> {
    let before = |days: i32| now.saturating_sub(DAY * days).unwrap_or(Timestamp::MIN);
    // As far back whatever is shown, so that a day is judged alike each time.
    let days = i32::try_from(days).unwrap_or(HISTORY_DAYS).min(HISTORY_DAYS);
    let mut found = anomalies(&wired.store.past(before(HISTORY_DAYS)).await?, now);
    let since = before(days).to_zoned(TimeZone::UTC).date();
    found.retain(|a| a.last >= since);
    found.sort_by_key(|a| !a.open);
    Ok(found)
}

fn usual(a: &Anomaly) -> String {
    let (low, high) = a.between;
    match a.measure {
        Watched::Received if high >= u64::MAX as f64 => "any".into(),
        _ if a.measure.is_share() => format!("up to {}", a.measure.shown(high)),
        _ => format!("{} to {}", a.measure.shown(low), a.measure.shown(high)),
    }
}
