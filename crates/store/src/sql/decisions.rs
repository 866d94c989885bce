//! What waits for a dataset, and what runs decided over it.
//!
//! Called by `store.rs` of this folder, inside a transaction.

use super::{
    Row, Session,
    codec::{Cells, json, micros},
    runs,
    sets::over,
};
use crate::{Claimed, Commits, Decision, StoreError};
use alluvium_model::{DatasetName, RunId};

/// What steps made of data: a discard adds none. One step of a dataset runs at a time. So a step that committed is counted, or it
/// is the one that is at work, and what was committed before it is known.
pub(super) async fn commits(
    tx: &mut Session<'_>,
    dataset: &DatasetName,
    range: Claimed,
) -> Result<Commits, StoreError> {
    let sql = concat!(
        "SELECT count(*) AS steps, min(finished_at) AS oldest, max(committed) AS newest,
                      CAST(coalesce(sum(received), 0) AS BIGINT) AS received,
                      CAST(coalesce(sum(loaded), 0) AS BIGINT) AS loaded,
                      CAST(coalesce(sum(quarantined), 0) AS BIGINT) AS quarantined,
                      CAST(coalesce(sum(dropped), 0) AS BIGINT) AS dropped,
                      CAST(coalesce(sum(dead), 0) AS BIGINT) AS dead,
                      CAST(coalesce(sum(duplicates), 0) AS BIGINT) AS duplicates,
                      CAST(coalesce(sum(late), 0) AS BIGINT) AS late,
                      (SELECT count(*) FROM steps AS o
                       WHERE o.state NOT IN ",
        over!(),
        " AND o.state <> 'dead' AND o.attempts > 0
                           AND o.dataset = $1 AND o.kind <> 'backfill') AS at_work
               FROM steps
               WHERE dataset = $1 AND committed > $2 AND committed <= $3 AND state = 'done' AND kind <> 'backfill'
                   AND kind <> 'discard'"
    );
    let args = [dataset.to_string().into(), range.after.into(), range.upto.into()];
    let row = tx.row(sql, &args).await?.ok_or_else(|| StoreError::unknown("dataset", dataset))?;
    let cells = Cells(&row);
    let known = cells.optional_integer("newest")?.unwrap_or(range.after);
    Ok(Commits {
        upto: if cells.count("at_work")? > 0 { known } else { range.upto },
        steps: cells.count("steps")?,
        balance: cells.balance()?,
        oldest: cells.optional_time("oldest")?,
    })
}

pub(super) async fn decide(tx: &mut Session<'_>, decision: &Decision) -> Result<(), StoreError> {
    let Decision { run, dataset, decided_at, condition, measures, taken } = decision;
    runs::require(tx, [run.as_str()]).await?;
    let sql = "INSERT INTO decisions (run, dataset, decided_at, condition, measures, taken)
               VALUES ($1, $2, $3, $4, $5, $6)
               ON CONFLICT (run, dataset) DO UPDATE SET decided_at = excluded.decided_at,
                   condition = excluded.condition, measures = excluded.measures, taken = excluded.taken";
    let args = [
        run.as_str().into(),
        dataset.to_string().into(),
        micros(*decided_at).into(),
        condition.as_str().into(),
        json(measures).into(),
        i64::from(*taken).into(),
    ];
    tx.execute(sql, &args).await?;
    Ok(())
}

pub(super) async fn of_run(tx: &mut Session<'_>, run: &RunId) -> Result<Vec<Decision>, StoreError> {
    let sql = "SELECT run, dataset, decided_at, condition, measures, taken FROM decisions
               WHERE run = $1 ORDER BY decided_at, dataset";
    tx.rows(sql, &[run.as_str().into()]).await?.iter().map(record_of).collect()
}

fn record_of(row: &Row) -> Result<Decision, StoreError> {
    let cells = Cells(row);
    Ok(Decision {
        run: RunId::from_stored(cells.text("run")?),
        dataset: cells.dataset("dataset")?,
        decided_at: cells.time("decided_at")?,
        condition: cells.text("condition")?,
        measures: cells.json("measures")?,
        taken: cells.integer("taken")? != 0,
    })
}
