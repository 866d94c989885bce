//! Leases: which process works on which step, and until when.
//!
//! Called by `store.rs` of this folder, inside a transaction that writes, so that the lease and the state of the step
//! that holds it change together.

use super::{
    Arg, Row, Session, backfills,
    codec::{Cells, micros, micros_after},
    retries, steps, terms,
};
use crate::{
    Claim, NotYet, Owner, StepKind, StoreError, Terms, Watch,
    machine::step::{Command, Refusal},
};
use alluvium_model::{DatasetName, RunId, Span, StepKey};
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};

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
        | StepKind::Discard
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

/// Steps whose lease nobody holds any more and nobody has taken.
pub(super) async fn lost(tx: &mut Session<'_>, watch: &Watch<'_>) -> Result<HashSet<String>, StoreError> {
    let rows = tx.rows("SELECT step, host, process, started_ticks, until FROM leases", &[]).await?;
    let leases: Vec<Lease> = rows.iter().map(record_of).collect::<Result<_, _>>()?;
    Ok(leases.into_iter().filter(|l| !watch.holds(&l.by, l.until)).map(|l| l.step).collect())
}

/// Datasets of which somebody executes a live step.
pub(super) async fn held(tx: &mut Session<'_>, watch: &Watch<'_>) -> Result<HashSet<DatasetName>, StoreError> {
    let leases = live(tx).await?;
    Ok(leases.into_iter().filter(|(_, l)| watch.holds(&l.by, l.until)).map(|(dataset, _)| dataset).collect())
}

/// With their datasets, and without windows of backfills.
async fn live(tx: &mut Session<'_>) -> Result<Vec<(DatasetName, Lease)>, StoreError> {
    let sql = "SELECT s.dataset, l.step, l.host, l.process, l.started_ticks, l.until
               FROM leases AS l JOIN steps AS s ON s.key = l.step WHERE s.kind <> 'backfill'";
    let rows = tx.rows(sql, &[]).await?;
    rows.iter().map(|row| Ok((Cells(row).dataset("dataset")?, record_of(row)?))).collect()
}

/// Who executes the step, and lives.
pub(super) async fn holder_of(
    tx: &mut Session<'_>,
    head: &steps::Head,
    key: &StepKey,
    watch: &Watch<'_>,
) -> Result<Option<Owner>, StoreError> {
    let lease = lease_of(tx, &lane(head, key)).await?.filter(|l| l.step == key.as_str() && watch.holds(&l.by, l.until));
    Ok(lease.map(|l| l.by))
}

/// Windows of backfills that somebody makes, and lives, each with its backfill.
pub(super) async fn windows(tx: &mut Session<'_>, watch: &Watch<'_>) -> Result<HashMap<String, String>, StoreError> {
    let sql = "SELECT s.run, l.step, l.host, l.process, l.started_ticks, l.until
               FROM leases AS l JOIN steps AS s ON s.key = l.step WHERE s.kind = 'backfill'";
    let mut held = HashMap::new();
    for row in tx.rows(sql, &[]).await? {
        let lease = record_of(&row)?;
        if watch.holds(&lease.by, lease.until) {
            held.insert(lease.step, Cells(&row).text("run")?);
        }
    }
    Ok(held)
}

/// Whether somebody executes a live step, and lives.
pub(super) async fn is_busy(tx: &mut Session<'_>, watch: &Watch<'_>) -> Result<bool, StoreError> {
    Ok(!held(tx, watch).await?.is_empty())
}

/// A process that holds the dataset already is held off as any other: two of its tasks may ask at once.
pub(super) async fn claim(
    tx: &mut Session<'_>,
    key: &StepKey,
    run: &RunId,
    owner: &Owner,
    ttl: Span,
    terms: &Terms,
    watch: &Watch<'_>,
) -> Result<Claim, StoreError> {
    let mut head = steps::head(tx, key).await?;
    if !head.step.state.is_open() {
        return Ok(Claim::Closed);
    }
    let lane = lane(&head, key);
    if let Some(lease) = lease_of(tx, &lane).await? {
        if watch.holds(&lease.by, lease.until) {
            return Ok(Claim::Held { by: lease.by, until: lease.until });
        }
        if lease.step != key.as_str()
            && let Some(mut holder) = steps::taken_head(tx, &lease.step).await?
        {
            lose(tx, &mut holder).await?;
        }
        end(tx, &[&lease.step]).await?;
    }
    // Nobody holds it: one that is running lost its lease.
    lose(tx, &mut head).await?;
    let next = match head.step.after(Command::Claim { now: watch.now }) {
        Ok(next) => next,
        Err(Refusal::NotYet { until }) => return Ok(Claim::NotYet { until, why: NotYet::Delay }),
        Err(_) => return Ok(Claim::Closed),
    };
    if head.kind == StepKind::Backfill && backfills::is_full(tx, key, watch).await? {
        return Ok(Claim::Full { key: "windows".to_owned() });
    }
    let is_retry = next.failures > 0;
    if is_retry
        && let Some(retries_per_day) = terms.retries_per_day
        && let Some(until) = retries::used_up(tx, &head.dataset, retries_per_day, watch.now).await?
    {
        return Ok(Claim::NotYet { until, why: NotYet::Budget { retries_per_day } });
    }
    if let Some(refused) = terms::take(tx, key, head.seq, terms, watch).await? {
        return Ok(refused);
    }
    if is_retry {
        retries::count(tx, &head.dataset, watch.now).await?;
    }
    head.write(tx, next).await?;
    let sql = "INSERT INTO attempts (step, attempt, run, started_at) VALUES ($1, $2, $3, $4)";
    let attempt = i64::from(next.attempts);
    tx.execute(sql, &[key.as_str().into(), attempt.into(), run.as_str().into(), micros(watch.now).into()]).await?;
    tx.execute(
        "INSERT INTO leases (dataset, step, host, process, started_ticks, until) VALUES ($1, $2, $3, $4, $5, $6)",
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
    Ok(Claim::Taken { attempt: next.attempts, failures: next.failures })
}

/// Nobody ended the attempt that had the lease, if there is one.
async fn lose(tx: &mut Session<'_>, head: &mut steps::Head) -> Result<(), StoreError> {
    match head.step.after(Command::Lose) {
        Ok(next) => head.write(tx, next).await,
        Err(_) => Ok(()),
    }
}

/// The leases of the steps end, and with them their slots.
pub(super) async fn end<T: AsRef<str>>(tx: &mut Session<'_>, steps: &[T]) -> Result<(), StoreError> {
    for free in [
        "DELETE FROM slots WHERE step IN (SELECT value ->> 0 FROM json_each($1))",
        "DELETE FROM leases WHERE step IN (SELECT value ->> 0 FROM json_each($1))",
    ] {
        tx.execute(free, &[Arg::column(steps)]).await?;
    }
    Ok(())
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
