//! Leases: which process works on which step, and until when.
//!
//! Called by `store.rs` of this folder, inside a transaction that writes, so that the lease and the state of the step
//! that holds it change together.

use super::{
    codec::{Cells, micros, micros_after},
    steps,
};
use crate::{Claim, Owner, StepState, StoreError, Watch};
use alluvium_model::{DatasetName, RunId, Span, StepKey};
use jiff::Timestamp;
use sqlx::{SqliteConnection, sqlite::SqliteRow};
use std::collections::HashSet;

struct Lease {
    step: String,
    by: Owner,
    until: Timestamp,
}

async fn lease_of(conn: &mut SqliteConnection, dataset: &DatasetName) -> Result<Option<Lease>, StoreError> {
    let row = sqlx::query("SELECT step, host, process, started_ticks, until FROM leases WHERE dataset = ?")
        .bind(dataset.to_string())
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(record_of).transpose()
}

fn record_of(row: &SqliteRow) -> Result<Lease, StoreError> {
    let cells = Cells(row);
    Ok(Lease { step: cells.text("step")?, by: cells.owner()?, until: cells.time("until")? })
}

/// Steps whose lease nobody holds any more and nobody has taken.
pub(super) async fn lost(conn: &mut SqliteConnection, watch: &Watch<'_>) -> Result<HashSet<String>, StoreError> {
    let rows = sqlx::query("SELECT step, host, process, started_ticks, until FROM leases").fetch_all(conn).await?;
    let leases: Vec<Lease> = rows.iter().map(record_of).collect::<Result<_, _>>()?;
    Ok(leases.into_iter().filter(|l| !watch.holds(&l.by, l.until)).map(|l| l.step).collect())
}

/// A process that holds the dataset already is held off as any other: two of its tasks may ask at once.
pub(super) async fn claim(
    conn: &mut SqliteConnection,
    key: &StepKey,
    run: &RunId,
    owner: &Owner,
    ttl: Span,
    watch: &Watch<'_>,
) -> Result<Claim, StoreError> {
    let head = steps::head(conn, key).await?;
    match head.state {
        StepState::Done | StepState::Superseded => return Ok(Claim::Closed),
        StepState::Planned | StepState::Running | StepState::Failed => {}
    }
    if let Some(lease) = lease_of(conn, &head.dataset).await? {
        if watch.holds(&lease.by, lease.until) {
            return Ok(Claim::Held { by: lease.by, until: lease.until });
        }
        sqlx::query("UPDATE steps SET state = 'planned' WHERE key = ? AND state = 'running'")
            .bind(lease.step)
            .execute(&mut *conn)
            .await?;
    }
    sqlx::query("UPDATE steps SET state = 'running', attempts = attempts + 1 WHERE seq = ?")
        .bind(head.seq)
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "INSERT INTO attempts (step, attempt, run, started_at) SELECT key, attempts, ?2, ?3 FROM steps WHERE seq = ?1",
    )
    .bind(head.seq)
    .bind(run.as_str())
    .bind(micros(watch.now))
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "INSERT INTO leases (dataset, step, host, process, started_ticks, until) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (dataset) DO UPDATE SET step = excluded.step, host = excluded.host, process = excluded.process,
             started_ticks = excluded.started_ticks, until = excluded.until",
    )
    .bind(head.dataset.to_string())
    .bind(key.as_str())
    .bind(&owner.host)
    .bind(i64::from(owner.process))
    .bind(owner.started_ticks.cast_signed())
    .bind(micros_after(watch.now, ttl))
    .execute(conn)
    .await?;
    Ok(Claim::Taken)
}

/// A lease past its end that nobody took is still the holder's.
pub(super) async fn renew(
    conn: &mut SqliteConnection,
    key: &StepKey,
    owner: &Owner,
    now: Timestamp,
    ttl: Span,
) -> Result<bool, StoreError> {
    let done =
        sqlx::query("UPDATE leases SET until = ? WHERE step = ? AND host = ? AND process = ? AND started_ticks = ?")
            .bind(micros_after(now, ttl))
            .bind(key.as_str())
            .bind(&owner.host)
            .bind(i64::from(owner.process))
            .bind(owner.started_ticks.cast_signed())
            .execute(conn)
            .await?;
    Ok(done.rows_affected() == 1)
}
