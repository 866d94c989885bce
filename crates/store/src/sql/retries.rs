//! How many retries of a dataset began on each day.
//!
//! Called by `leases.rs` and `store.rs` of this folder, inside a transaction. The count of a day never goes down.

use super::{
    Row, Session,
    codec::{Cells, micros},
};
use crate::StoreError;
use alluvium_model::DatasetName;
use jiff::Timestamp;
use std::collections::BTreeMap;

const DAY_MICROS: i64 = 86_400_000_000;

/// With the count of this day at its bound: when the next day begins.
pub(super) async fn used_up(
    tx: &mut Session<'_>,
    dataset: &DatasetName,
    most: u32,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let day = day_of(now);
    let sql = "SELECT used FROM retries WHERE dataset = $1 AND day = $2";
    let row = tx.row(sql, &[dataset.to_string().into(), day.into()]).await?;
    let used = row.as_ref().map_or(Ok(0), |row| Cells(row).small("used"))?;
    let next = || Timestamp::from_microsecond((day + 1) * DAY_MICROS).unwrap_or(Timestamp::MAX);
    Ok((used >= most).then(next))
}

/// One more, of a dataset that nobody else claims for meanwhile.
pub(super) async fn count(tx: &mut Session<'_>, dataset: &DatasetName, now: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO retries (dataset, day, used) VALUES ($1, $2, 1)
               ON CONFLICT (dataset, day) DO UPDATE SET used = retries.used + 1";
    tx.execute(sql, &[dataset.to_string().into(), day_of(now).into()]).await?;
    Ok(())
}

pub(super) async fn on(tx: &mut Session<'_>, day: Timestamp) -> Result<BTreeMap<DatasetName, u32>, StoreError> {
    let sql = "SELECT dataset, used FROM retries WHERE day = $1";
    let rows = tx.rows(sql, &[day_of(day).into()]).await?;
    let entry = |row: &Row| Ok((Cells(row).dataset("dataset")?, Cells(row).small("used")?));
    rows.iter().map(entry).collect()
}

fn day_of(time: Timestamp) -> i64 {
    micros(time).div_euclid(DAY_MICROS)
}
