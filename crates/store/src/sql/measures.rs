//! Counts over the state's tables.
//!
//! Called by `store.rs` of this folder, inside a transaction that reads. It reads every step once; what nobody holds any more
//! is counted as it is read elsewhere.

use super::{
    Arg, Row, Session,
    codec::{Cells, micros},
    leases, runs,
};
use crate::{DatasetMeasures, DayFigure, Hour, Measures, Past, RunState, StepState, StoreError, Watch};
use alluvium_model::{Balance, DatasetName};
use jiff::Timestamp;
use std::collections::BTreeMap;

pub(super) async fn all(tx: &mut Session<'_>, watch: &Watch<'_>) -> Result<Measures, StoreError> {
    let mut measures = Measures::default();
    for row in tx.rows("SELECT state, count(*) AS number FROM runs GROUP BY state", &[]).await? {
        measures.runs.insert(Cells(&row).word("state")?, Cells(&row).count("number")?);
    }
    let lost = runs::lost(tx, watch).await?.len() as u64;
    moved(&mut measures.runs, RunState::Running, RunState::Running.without_lease(), lost);
    steps(tx, watch, &mut measures.datasets).await?;
    let sql = "SELECT dataset, state, count(*) AS number FROM events GROUP BY dataset, state";
    for row in tx.rows(sql, &[]).await? {
        let cells = Cells(&row);
        of(&mut measures.datasets, &cells)?.objects.insert(cells.word("state")?, cells.count("number")?);
    }
    for row in tx.rows("SELECT dataset, events, bytes FROM backlog", &[]).await? {
        let cells = Cells(&row);
        let measures = of(&mut measures.datasets, &cells)?;
        (measures.inbox_events, measures.inbox_bytes) = (cells.count("events")?, cells.count("bytes")?);
    }
    for row in tx.rows("SELECT kind, CAST(sum(times) AS BIGINT) AS number FROM audit GROUP BY kind", &[]).await? {
        measures.refused.insert(Cells(&row).word("kind")?, Cells(&row).count("number")?);
    }
    Ok(measures)
}

async fn steps(
    tx: &mut Session<'_>,
    watch: &Watch<'_>,
    datasets: &mut BTreeMap<DatasetName, DatasetMeasures>,
) -> Result<(), StoreError> {
    let sql = "SELECT dataset, state, count(*) AS number,
                      max(CASE WHEN committed IS NOT NULL AND kind <> 'discard' THEN finished_at END) AS last,
                      CAST(sum(CASE WHEN attempts > 1 THEN attempts - 1 ELSE 0 END) AS BIGINT) AS retries,
                      CAST(sum(received) AS BIGINT) AS received, CAST(sum(loaded) AS BIGINT) AS loaded,
                      CAST(sum(quarantined) AS BIGINT) AS quarantined, CAST(sum(dropped) AS BIGINT) AS dropped,
                      CAST(sum(dead) AS BIGINT) AS dead, CAST(sum(duplicates) AS BIGINT) AS duplicates,
                      CAST(sum(late) AS BIGINT) AS late
               FROM steps GROUP BY dataset, state";
    for row in tx.rows(sql, &[]).await? {
        let cells = Cells(&row);
        let measures = of(datasets, &cells)?;
        measures.steps.insert(cells.word("state")?, cells.count("number")?);
        measures.retries += cells.count("retries")?;
        measures.last_commit = measures.last_commit.max(cells.optional_time("last")?);
        let mut balance: Balance = measures.balance;
        balance += cells.balance()?;
        measures.balance = balance;
    }
    let lost = leases::lost(tx, watch).await?;
    let sql = "SELECT dataset, count(*) AS number FROM steps
               WHERE state = 'running' AND key IN (SELECT value ->> 0 FROM json_each($1)) GROUP BY dataset";
    for row in tx.rows(sql, &[Arg::column(lost)]).await? {
        let cells = Cells(&row);
        let number = cells.count("number")?;
        moved(&mut of(datasets, &cells)?.steps, StepState::Running, StepState::Running.without_lease(), number);
    }
    Ok(())
}

/// Of steps that took new input and ended at that time or later: a replay or a rebuild says nothing about what arrives.
pub(super) async fn past(tx: &mut Session<'_>, since: Timestamp) -> Result<Past, StoreError> {
    Ok(Past { hours: hours(tx, since).await?, figures: figures(tx, since).await? })
}

/// A figure whose sums could be no number is left out.
async fn figures(tx: &mut Session<'_>, since: Timestamp) -> Result<Vec<DayFigure>, StoreError> {
    let sql = "SELECT s.dataset, q.rule, s.finished_at / 86400000000 AS day, sum(q.figure) AS total,
                      sum(q.figure * CAST(q.checked AS DOUBLE PRECISION)) AS weighed,
                      CAST(sum(q.checked) AS BIGINT) AS checked
               FROM quality AS q JOIN steps AS s ON s.key = q.step
               WHERE q.figure IS NOT NULL AND abs(q.figure) < 1e200 AND q.checked > 0
                 AND s.state = 'done' AND s.kind IN ('ingest', 'refine', 'curate') AND s.finished_at >= $1
               GROUP BY s.dataset, q.rule, s.finished_at / 86400000000 ORDER BY s.dataset, q.rule, day";
    let figure = |row: &Row| {
        let cells = Cells(row);
        let checked = cells.count("checked")?;
        Ok(DayFigure {
            dataset: cells.dataset("dataset")?,
            rule: cells.text("rule")?,
            day: cells.integer("day")?,
            // PostgreSQL takes a quotient that is too small to be told from zero for an error.
            mean: cells.real("weighed")? / checked as f64,
            sum: cells.real("total")?,
            checked,
        })
    };
    tx.rows(sql, &[micros(since).into()]).await?.iter().map(figure).collect()
}

async fn hours(tx: &mut Session<'_>, since: Timestamp) -> Result<Vec<Hour>, StoreError> {
    let sql = "SELECT dataset, finished_at / 3600000000 AS hour,
                      CAST(sum(received) AS BIGINT) AS received, CAST(sum(loaded) AS BIGINT) AS loaded,
                      CAST(sum(quarantined) AS BIGINT) AS quarantined, CAST(sum(dropped) AS BIGINT) AS dropped,
                      CAST(sum(dead) AS BIGINT) AS dead, CAST(sum(duplicates) AS BIGINT) AS duplicates,
                      CAST(sum(late) AS BIGINT) AS late
               FROM steps WHERE state = 'done' AND kind IN ('ingest', 'refine') AND finished_at >= $1
               GROUP BY dataset, finished_at / 3600000000 ORDER BY dataset, hour";
    let hour = |row: &Row| {
        let cells = Cells(row);
        Ok(Hour { dataset: cells.dataset("dataset")?, hour: cells.integer("hour")?, balance: cells.balance()? })
    };
    tx.rows(sql, &[micros(since).into()]).await?.iter().map(hour).collect()
}

fn of<'m>(
    datasets: &'m mut BTreeMap<DatasetName, DatasetMeasures>,
    cells: &Cells<'_>,
) -> Result<&'m mut DatasetMeasures, StoreError> {
    Ok(datasets.entry(cells.dataset("dataset")?).or_default())
}

fn moved<T: Ord>(counts: &mut BTreeMap<T, u64>, from: T, to: T, number: u64) {
    if number > 0 {
        let left = counts.get(&from).copied().unwrap_or(0).saturating_sub(number);
        counts.insert(from, left);
        *counts.entry(to).or_default() += number;
    }
}
