//! How far the event time of each dataset has come.
//!
//! Called by `store.rs` and `finish.rs` of this folder, inside a transaction.

use super::{
    Arg, Row, Session,
    codec::{Cells, micros},
};
use crate::{StepDone, StoreError, WatermarkRecord};
use alluvium_model::StepKey;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Move<'a> {
    dataset: &'a str,
    event_time: &'a str,
    watermark: i64,
    moved_at: i64,
    step: &'a str,
}

/// Steps that are done now, each with its dataset. A watermark that lies further already stays.
pub(super) async fn advance(tx: &mut Session<'_>, done: &[(&StepDone, &str)]) -> Result<(), StoreError> {
    let mut furthest: BTreeMap<(&str, &str), Move<'_>> = BTreeMap::new();
    for (step, dataset) in done {
        let Some(reached) = &step.reached else { continue };
        let (dataset, event_time, watermark) = (*dataset, reached.event_time.as_str(), micros(reached.upto));
        if furthest.get(&(dataset, event_time)).is_none_or(|m| m.watermark < watermark) {
            let (moved_at, step) = (micros(step.finished_at), step.key.as_str());
            furthest.insert((dataset, event_time), Move { dataset, event_time, watermark, moved_at, step });
        }
    }
    if furthest.is_empty() {
        return Ok(());
    }
    let moves: Vec<Move<'_>> = furthest.into_values().collect();
    tx.execute(
        "INSERT INTO watermarks (dataset, event_time, watermark, moved_at, step)
         SELECT value ->> 'dataset', value ->> 'event_time', CAST(value ->> 'watermark' AS BIGINT),
                CAST(value ->> 'moved_at' AS BIGINT), value ->> 'step' FROM json_each($1) WHERE true
         ON CONFLICT (dataset, event_time) DO UPDATE
         SET watermark = excluded.watermark, moved_at = excluded.moved_at, step = excluded.step
         WHERE excluded.watermark > watermarks.watermark",
        &[Arg::list(&moves)],
    )
    .await?;
    Ok(())
}

/// By dataset, then by the column.
pub(super) async fn all(tx: &mut Session<'_>) -> Result<Vec<WatermarkRecord>, StoreError> {
    let sql = "SELECT dataset, event_time, watermark, moved_at, step FROM watermarks ORDER BY dataset, event_time";
    let rows = tx.rows(sql, &[]).await?;
    let record = |row: &Row| {
        let cells = Cells(row);
        Ok(WatermarkRecord {
            dataset: cells.dataset("dataset")?,
            event_time: cells.text("event_time")?,
            watermark: cells.time("watermark")?,
            moved_at: cells.time("moved_at")?,
            step: StepKey::from_stored(cells.text("step")?),
        })
    };
    rows.iter().map(record).collect()
}
