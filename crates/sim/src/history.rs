//! What the state would know of a dataset from the weeks before the simulation begins: a feed that came each hour, and then was
//! silent for longer than ever.

use crate::executor::START;
use alluvium_model::{Balance, DatasetName, Layer};
use alluvium_store::{Hour, Past};

const HOUR: i64 = 3_600_000_000;
const HOURS: i64 = 15 * 24;
/// Since the last arrival, when the simulation begins.
const SILENT_HOURS: i64 = 5;
/// A silence that is longer than this one by so much that it is one again.
pub(crate) const LONG: i64 = 12 * HOUR;

fn dataset() -> DatasetName {
    DatasetName::new(Layer::Bronze, "a").expect("a name")
}

/// What steps took by the state, and what was before.
pub(crate) fn with(mut own: Past) -> Past {
    let last = START / HOUR - SILENT_HOURS;
    let balance = Balance { received: 10, loaded: 10, ..Balance::default() };
    own.hours.extend((last - HOURS..=last).map(|hour| Hour { dataset: dataset(), hour, balance }));
    own
}
