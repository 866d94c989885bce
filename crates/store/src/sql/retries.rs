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

/// Counts one more, of a dataset that nobody else claims for meanwhile. Otherwise, with the count at its bound, tells when
/// the next day begins.
pub(super) async fn take(
    tx: &mut Session<'_>,
    dataset: &DatasetName,
    most: Option<u32>,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let day = micros(now).div_euclid(DAY_MICROS);
    let sql = "SELECT used FROM retries WHERE dataset = $1 AND day = $2";
    let row = tx.row(sql, &[dataset.to_string().into(), day.into()]).await?;
    let used = row.as_ref().map_or(Ok(0), |row| Cells(row).small("used"))?;
    if most.is_some_and(|most| used >= most) {
        let next = Timestamp::from_microsecond((day + 1) * DAY_MICROS).unwrap_or(Timestamp::MAX);
        return Ok(Some(next));
    }
    let sql = "INSERT INTO retries (dataset, day, used) VALUES ($1, $2, 1)
               ON CONFLICT (dataset, day) DO UPDATE SET used = retries.used + 1";
    tx.execute(sql, &[dataset.to_string().into(), day.into()]).await?;
    Ok(None)
}

pub(super) async fn on(tx: &mut Session<'_>, day: Timestamp) -> Result<BTreeMap<DatasetName, u32>, StoreError> {
    let sql = "SELECT dataset, used FROM retries WHERE day = $1";
    let rows = tx.rows(sql, &[micros(day).div_euclid(DAY_MICROS).into()]).await?;
    let entry = |row: &Row| Ok((Cells(row).dataset("dataset")?, Cells(row).small("used")?));
    rows.iter().map(entry).collect()
}
