//! Leases: which process works on which step, and until when.
//!
//! Called by `store.rs` of this folder, inside a transaction that writes, so that the lease and the state of the step
//! that holds it change together.

use super::{
    codec::{Cells, micros_after},
    steps,
};
use crate::{Claim, Owner, StepState, StoreError};
use alluvium_model::{DatasetName, Span, StepKey};
use jiff::Timestamp;
use sqlx::SqliteConnection;

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
    let Some(row) = row else { return Ok(None) };
    let cells = Cells(&row);
    let by = Owner {
        host: cells.text("host")?,
        process: cells.small("process")?,
        started_ticks: cells.count("started_ticks")?,
    };
    Ok(Some(Lease { step: cells.text("step")?, by, until: cells.time("until")? }))
}

/// A process that holds the dataset already is held off as any other: two of its tasks may ask at once.
pub(super) async fn claim(
    conn: &mut SqliteConnection,
    key: &StepKey,
    owner: &Owner,
    now: Timestamp,
    ttl: Span,
    alive: &(dyn Fn(&Owner) -> bool + Sync),
) -> Result<Claim, StoreError> {
    let head = steps::head(conn, key).await?;
    match head.state {
        StepState::Done | StepState::Superseded => return Ok(Claim::Closed),
        StepState::Planned | StepState::Running | StepState::Failed => {}
    }
    if let Some(lease) = lease_of(conn, &head.dataset).await? {
        if now < lease.until && alive(&lease.by) {
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
        "INSERT INTO leases (dataset, step, host, process, started_ticks, until) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (dataset) DO UPDATE SET step = excluded.step, host = excluded.host, process = excluded.process,
             started_ticks = excluded.started_ticks, until = excluded.until",
    )
    .bind(head.dataset.to_string())
    .bind(key.as_str())
    .bind(&owner.host)
    .bind(i64::from(owner.process))
    .bind(owner.started_ticks.cast_signed())
    .bind(micros_after(now, ttl))
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
