//! Leases: which process works on which step, and until when.
//!
//! Called by `store.rs` of this folder, inside a transaction that writes, so that the lease and the state of the step
//! that holds it change together.

use super::{
    Row, Session,
    codec::{Cells, micros, micros_after},
    retries, steps,
};
use crate::{Claim, NotYet, Owner, StepKind, StepState, StoreError, Watch};
use alluvium_model::{RunId, Span, StepKey};
use jiff::Timestamp;
use std::collections::HashSet;

struct Lease {
    step: String,
    by: Owner,
    until: Timestamp,
}

/// What the step's lease is of: of its dataset, or of the step alone, if it stands beside the live work.
fn lane(head: &steps::Head, key: &StepKey) -> String {
    match head.kind {
        StepKind::Backfill => key.to_string(),
        StepKind::Ingest
        | StepKind::Refine
        | StepKind::Curate
        | StepKind::ReplayQuarantine
        | StepKind::Rebuild
        | StepKind::Swap => head.dataset.to_string(),
    }
}

/// Whoever renews it meanwhile waits.
async fn lease_of(tx: &mut Session<'_>, lane: &str) -> Result<Option<Lease>, StoreError> {
    let sql = "SELECT step, host, process, started_ticks, until FROM leases WHERE dataset = $1 FOR UPDATE";
    let row = tx.row(sql, &[lane.into()]).await?;
    row.as_ref().map(record_of).transpose()
}

fn record_of(row: &Row) -> Result<Lease, StoreError> {
    let cells = Cells(row);
    Ok(Lease { step: cells.text("step")?, by: cells.owner()?, until: cells.time("until")? })
}

/// Who took the step last, and did not end it.
pub(super) async fn holder(tx: &mut Session<'_>, key: &StepKey) -> Result<Option<Owner>, StoreError> {
    let sql = "SELECT host, process, started_ticks FROM leases WHERE step = $1 FOR UPDATE";
    let row = tx.row(sql, &[key.as_str().into()]).await?;
    row.map(|row| Cells(&row).owner()).transpose()
}

/// Steps whose lease nobody holds any more and nobody has taken.
pub(super) async fn lost(tx: &mut Session<'_>, watch: &Watch<'_>) -> Result<HashSet<String>, StoreError> {
    let rows = tx.rows("SELECT step, host, process, started_ticks, until FROM leases", &[]).await?;
    let leases: Vec<Lease> = rows.iter().map(record_of).collect::<Result<_, _>>()?;
    Ok(leases.into_iter().filter(|l| !watch.holds(&l.by, l.until)).map(|l| l.step).collect())
}

/// Whether somebody executes a live step, and lives.
pub(super) async fn is_busy(tx: &mut Session<'_>, watch: &Watch<'_>) -> Result<bool, StoreError> {
    let sql = "SELECT l.step, l.host, l.process, l.started_ticks, l.until FROM leases AS l
               JOIN steps AS s ON s.key = l.step WHERE s.kind <> 'backfill'";
    let leases: Vec<Lease> = tx.rows(sql, &[]).await?.iter().map(record_of).collect::<Result<_, _>>()?;
    Ok(leases.iter().any(|l| watch.holds(&l.by, l.until)))
}

/// A process that holds the dataset already is held off as any other: two of its tasks may ask at once.
pub(super) async fn claim(
    tx: &mut Session<'_>,
    key: &StepKey,
    run: &RunId,
    owner: &Owner,
    ttl: Span,
    retries_per_day: Option<u32>,
    watch: &Watch<'_>,
) -> Result<Claim, StoreError> {
    let mut head = steps::head(tx, key).await?;
    match head.state {
        StepState::Done | StepState::Superseded | StepState::Dead => return Ok(Claim::Closed),
        StepState::Planned | StepState::Running | StepState::Failed => {}
    }
    let lane = lane(&head, key);
    if let Some(lease) = lease_of(tx, &lane).await? {
        if watch.holds(&lease.by, lease.until) {
            return Ok(Claim::Held { by: lease.by, until: lease.until });
        }
        // Nobody ended that attempt. What it did to its process, it may do to the next one.
        let sql = "UPDATE steps SET state = 'planned', failures = failures + 1 WHERE key = $1 AND state = 'running'";
        tx.execute(sql, &[lease.step.into()]).await?;
        head = steps::head(tx, key).await?;
    }
    if let Some(until) = head.retry_at.filter(|at| watch.now < *at) {
        return Ok(Claim::NotYet { until, why: NotYet::Delay });
    }
    if head.failures > 0
        && let Some(until) = retries::take(tx, &head.dataset, retries_per_day, watch.now).await?
    {
        let retries_per_day = retries_per_day.unwrap_or(u32::MAX);
        return Ok(Claim::NotYet { until, why: NotYet::Budget { retries_per_day } });
    }
    let sql = "UPDATE steps SET state = 'running', attempts = attempts + 1 WHERE seq = $1";
    tx.execute(sql, &[head.seq.into()]).await?;
    let sql = "INSERT INTO attempts (step, attempt, run, started_at)
               SELECT key, attempts, $2, $3 FROM steps WHERE seq = $1";
    tx.execute(sql, &[head.seq.into(), run.as_str().into(), micros(watch.now).into()]).await?;
    tx.execute(
        "INSERT INTO leases (dataset, step, host, process, started_ticks, until) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (dataset) DO UPDATE SET step = excluded.step, host = excluded.host, process = excluded.process,
             started_ticks = excluded.started_ticks, until = excluded.until",
        &[
            lane.into(),
            key.as_str().into(),
            owner.host.as_str().into(),
            i64::from(owner.process).into(),
            owner.started_ticks.cast_signed().into(),
            micros_after(watch.now, ttl).into(),
        ],
    )
    .await?;
    Ok(Claim::Taken)
}

/// A lease past its end that nobody took is still the holder's.
pub(super) async fn renew(
    tx: &mut Session<'_>,
    key: &StepKey,
    owner: &Owner,
    now: Timestamp,
    ttl: Span,
) -> Result<bool, StoreError> {
    let sql = "UPDATE leases SET until = $1 WHERE step = $2 AND host = $3 AND process = $4 AND started_ticks = $5";
    let args = [
        micros_after(now, ttl).into(),
        key.as_str().into(),
        owner.host.as_str().into(),
        i64::from(owner.process).into(),
        owner.started_ticks.cast_signed().into(),
    ];
    Ok(tx.execute(sql, &args).await? == 1)
}
