//! The simulated table with windows: how many records of a silver table lie in each day, which its number decides.

use alluvium_model::{DatasetName, DefinitionVersion, Layer, Window};
use std::collections::BTreeMap;

pub(crate) const DAY: i64 = 86_400_000_000;
/// Records lie in so many days.
pub(crate) const DAYS: i64 = 5;

pub(crate) fn dataset() -> DatasetName {
    DatasetName::new(Layer::Gold, "days").expect("a name")
}

pub(crate) fn day(nth: i64) -> Window {
    Window { from: nth * DAY, to: (nth + 1) * DAY }
}

/// The window that a record of silver lies in.
pub(crate) fn of_record(record: &str) -> Window {
    let number = record.rsplit('#').next().and_then(|n| n.parse::<i64>().ok());
    day(number.expect("a record ends with its number") % DAYS)
}

/// One row a day that has records. The definition shows in it, as it would in what a changed query gives.
pub(crate) fn rows(records: &[String], version: &DefinitionVersion) -> Vec<String> {
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for record in records {
        *counts.entry(of_record(record).from).or_default() += 1;
    }
    counts.into_iter().map(|(from, n)| format!("{from}|{n}|{}", &version.as_str()[..8])).collect()
}

pub(crate) fn is_within(row: &str, windows: &[Window]) -> bool {
    let from = row.split('|').next().and_then(|n| n.parse::<i64>().ok()).expect("a row begins with its day");
    windows.iter().any(|w| w.from <= from && from < w.to)
}
