//! Backfills and how far they have come.
//!
//! Called by `store.rs` of this folder, inside a transaction. Their windows are steps as any others.

use super::{
    Arg, Row, Session,
    codec::{Cells, Word, json, micros},
    lanes, runs,
};
use crate::{BackfillRecord, BackfillState, Ending, Forgotten, StoreError, Topic};
use alluvium_model::{DefinitionVersion, RunId, Window};
use std::collections::HashSet;

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
            new.stride.to_string().into(),
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
        stride: cells.parsed("stride")?,
        inputs: cells.json("inputs")?,
        max_active: cells.small("max_active")?,
        tolerated: cells.small("tolerated")?,
        state: cells.word("state")?,
        summary: Some(cells.text("summary")?).filter(|s| !s.is_empty()),
        started_at: cells.time("started_at")?,
        changed_at: cells.time("changed_at")?,
    })
}

/// All of the record but what it was begun with. One that is swapped has come to its end.
pub(super) async fn change(tx: &mut Session<'_>, now: &BackfillRecord) -> Result<bool, StoreError> {
    let sql =
        "UPDATE backfills SET state = $1, summary = $2, inputs = $3, max_active = $4, tolerated = $5, changed_at = $6
               WHERE id = $7 AND state <> $8";
    let args = [
        now.state.word().into(),
        now.summary.clone().unwrap_or_default().into(),
        json(&now.inputs).into(),
        i64::from(now.max_active).into(),
        i64::from(now.tolerated).into(),
        micros(now.changed_at).into(),
        now.id.as_str().into(),
        BackfillState::Swapped.word().into(),
    ];
    if tx.execute(sql, &args).await? == 1 {
        return Ok(true);
    }
    match tx.row("SELECT id FROM backfills WHERE id = $1", &[now.id.as_str().into()]).await? {
        Some(_) => Ok(false),
        None => Err(StoreError::unknown("backfill", &now.id)),
    }
}

pub(super) async fn end(tx: &mut Session<'_>, now: &BackfillRecord, ending: &Ending) -> Result<bool, StoreError> {
    // Before what else is told of the dataset later, and after what was.
    tx.take_datasets([now.dataset.to_string()]).await?;
    let ended = change(tx, &BackfillRecord { state: BackfillState::Swapped, ..now.clone() }).await?;
    if ended {
        // One that failed for good says why.
        for give_up in [
            "DELETE FROM leases WHERE step IN
                 (SELECT key FROM steps WHERE run = $1 AND kind = 'backfill' AND state IN ('planned', 'running'))",
            "UPDATE steps SET state = 'superseded' WHERE run = $1 AND kind = 'backfill' AND state IN ('planned', 'running')",
        ] {
            tx.execute(give_up, &[now.id.as_str().into()]).await?;
        }
        lanes::tell(tx, &Topic::Dataset(now.dataset.clone()), ending, now.changed_at).await?;
    }
    Ok(ended)
}

/// Its open windows never run. Those that are done stay, with what they used.
pub(super) async fn forget(tx: &mut Session<'_>, id: &RunId) -> Result<Forgotten, StoreError> {
    let row = tx.row("SELECT dataset FROM backfills WHERE id = $1", &[id.as_str().into()]).await?;
    let Some(row) = row else { return Ok(Forgotten::NotThere) };
    tx.take_datasets([Cells(&row).text("dataset")?]).await?;
    let swap = "SELECT key FROM steps WHERE run = $1 AND kind = 'swap' AND state <> 'superseded' LIMIT 1";
    if tx.row(swap, &[id.as_str().into()]).await?.is_some() {
        return Ok(Forgotten::Swapping);
    }
    for forget in [
        "DELETE FROM leases WHERE step IN (SELECT key FROM steps WHERE run = $1 AND kind = 'backfill')",
        "UPDATE steps SET state = 'superseded' WHERE run = $1 AND kind = 'backfill' AND state <> 'done'",
    ] {
        tx.execute(forget, &[id.as_str().into()]).await?;
    }
    let forgotten = tx.execute("DELETE FROM backfills WHERE id = $1", &[id.as_str().into()]).await?;
    Ok(if forgotten == 1 { Forgotten::Now } else { Forgotten::NotThere })
}

/// Of those runs that are named, backfills that are under way.
pub(super) async fn under_way<'a>(
    tx: &mut Session<'_>,
    ids: impl IntoIterator<Item = &'a str>,
) -> Result<HashSet<String>, StoreError> {
    let ids: HashSet<&str> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let sql = "SELECT id FROM backfills WHERE id IN (SELECT value ->> 0 FROM json_each($1)) AND state <> $2";
    let rows = tx.rows(sql, &[Arg::column(ids), BackfillState::Swapped.word().into()]).await?;
    rows.iter().map(|row| Cells(row).text("id")).collect()
}
