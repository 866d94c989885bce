//! Backfills and how far they have come.
//!
//! Called by `store.rs` of this folder, inside a transaction. Their windows are steps as any others.

use super::{
    Row, Session,
    codec::{Cells, Word, json, micros},
    runs,
};
use crate::{BackfillRecord, BackfillState, StoreError};
use alluvium_model::{DefinitionVersion, RunId, Window};

pub(super) async fn start(tx: &mut Session<'_>, new: &BackfillRecord) -> Result<Option<RunId>, StoreError> {
    runs::require(tx, [new.id.as_str()]).await?;
    // Whoever else begins one of the dataset waits.
    tx.take_datasets([new.dataset.to_string()]).await?;
    let sql = "SELECT id FROM backfills WHERE dataset = $1 AND state <> $2 AND id <> $3";
    let args = [new.dataset.to_string().into(), BackfillState::Swapped.word().into(), new.id.as_str().into()];
    if let Some(row) = tx.row(sql, &args).await? {
        return Ok(Some(RunId::from_stored(Cells(&row).text("id")?)));
    }
    let sql =
        "INSERT INTO backfills (id, dataset, version, from_micros, to_micros, stride, inputs, max_active, tolerated,
                                      state, summary, started_at, changed_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (id) DO NOTHING";
    tx.execute(
        sql,
        &[
            new.id.as_str().into(),
            new.dataset.to_string().into(),
            new.version.as_str().into(),
            new.range.from.into(),
            new.range.to.into(),
            new.stride.as_str().into(),
            json(&new.inputs).into(),
            i64::from(new.max_active).into(),
            i64::from(new.tolerated).into(),
            new.state.word().into(),
            new.summary.clone().unwrap_or_default().into(),
            micros(new.started_at).into(),
            micros(new.changed_at).into(),
        ],
    )
    .await?;
    Ok(None)
}

pub(super) async fn all(tx: &mut Session<'_>) -> Result<Vec<BackfillRecord>, StoreError> {
    let sql =
        "SELECT id, dataset, version, from_micros, to_micros, stride, inputs, max_active, tolerated, state, summary,
                      started_at, changed_at
               FROM backfills ORDER BY started_at, id";
    tx.rows(sql, &[]).await?.iter().map(record_of).collect()
}

fn record_of(row: &Row) -> Result<BackfillRecord, StoreError> {
    let cells = Cells(row);
    Ok(BackfillRecord {
        id: RunId::from_stored(cells.text("id")?),
        dataset: cells.dataset("dataset")?,
        version: DefinitionVersion::from_stored(cells.text("version")?),
        range: Window { from: cells.integer("from_micros")?, to: cells.integer("to_micros")? },
        stride: cells.text("stride")?,
        inputs: cells.json("inputs")?,
        max_active: cells.small("max_active")?,
        tolerated: cells.small("tolerated")?,
        state: cells.word("state")?,
        summary: Some(cells.text("summary")?).filter(|s| !s.is_empty()),
        started_at: cells.time("started_at")?,
        changed_at: cells.time("changed_at")?,
    })
}

/// All of the record but what it was begun with.
pub(super) async fn change(tx: &mut Session<'_>, now: &BackfillRecord) -> Result<(), StoreError> {
    let sql =
        "UPDATE backfills SET state = $1, summary = $2, inputs = $3, max_active = $4, tolerated = $5, changed_at = $6
               WHERE id = $7";
    let args = [
        now.state.word().into(),
        now.summary.clone().unwrap_or_default().into(),
        json(&now.inputs).into(),
        i64::from(now.max_active).into(),
        i64::from(now.tolerated).into(),
        micros(now.changed_at).into(),
        now.id.as_str().into(),
    ];
    match tx.execute(sql, &args).await? {
        0 => Err(StoreError::unknown("backfill", &now.id)),
        _ => Ok(()),
    }
}

/// Its open windows never run. Those that are done stay, with what they used.
pub(super) async fn forget(tx: &mut Session<'_>, id: &RunId) -> Result<bool, StoreError> {
    let row = tx.row("SELECT dataset FROM backfills WHERE id = $1", &[id.as_str().into()]).await?;
    let Some(row) = row else { return Ok(false) };
    tx.take_datasets([Cells(&row).text("dataset")?]).await?;
    for forget in [
        "DELETE FROM leases WHERE step IN (SELECT key FROM steps WHERE run = $1 AND kind = 'backfill')",
        "UPDATE steps SET state = 'superseded' WHERE run = $1 AND kind = 'backfill' AND state <> 'done'",
    ] {
        tx.execute(forget, &[id.as_str().into()]).await?;
    }
    Ok(tx.execute("DELETE FROM backfills WHERE id = $1", &[id.as_str().into()]).await? == 1)
}
