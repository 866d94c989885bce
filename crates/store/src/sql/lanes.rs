//! Publications, from the end of their step until they were delivered.
//!
//! Called by `finish.rs` and `store.rs` of this folder, inside a transaction. Of a lane only the oldest is tried, so that
//! when it is tried next is a fact of the lane.

use super::{
    Arg, Row, Session,
    codec::{Cells, micros, micros_after},
};
use crate::{Ending, Lane, LaneEnd, NewPublication, Owner, Publication, StepDone, StoreError, Topic, Watch};
use alluvium_model::Span;
use jiff::Timestamp;
use serde::Serialize;

#[derive(Serialize)]
struct New<'a>(&'a str, &'a str);

pub(super) async fn publish(tx: &mut Session<'_>, done: &StepDone, dataset: &str) -> Result<(), StoreError> {
    let Some(committed) = done.committed else { return Ok(()) };
    let step = done.key.as_str();
    write(tx, (step, Some(step), dataset, Some(committed)), &done.publish, done.finished_at).await
}

/// As [`publish`], where it is no step's commit that is told.
pub(super) async fn tell(
    tx: &mut Session<'_>,
    topic: &Topic,
    ending: &Ending,
    at: Timestamp,
) -> Result<(), StoreError> {
    write(tx, (&ending.id, None, &topic.to_string(), ending.committed), &ending.publish, at).await
}

async fn write(
    tx: &mut Session<'_>,
    (id, step, topic, committed): (&str, Option<&str>, &str, Option<i64>),
    publish: &[NewPublication],
    at: Timestamp,
) -> Result<(), StoreError> {
    if publish.is_empty() {
        return Ok(());
    }
    let new: Vec<New<'_>> = publish.iter().map(|p| New(&p.sink, &p.event)).collect();
    tx.execute(
        "INSERT INTO publications (id, step, dataset, sink, committed, event, made_at)
         SELECT $1, nullif($2, ''), $3, value ->> 0, $4, value ->> 1, $5 FROM json_each($6) ORDER BY key",
        &[
            id.into(),
            step.unwrap_or_default().into(),
            topic.into(),
            committed.into(),
            micros(at).into(),
            Arg::list(&new),
        ],
    )
    .await?;
    // A condition, so that SQLite does not take what follows for that of a join.
    tx.execute(
        "INSERT INTO lanes (dataset, sink) SELECT $1, value ->> 0 FROM json_each($2) WHERE true
         ON CONFLICT DO NOTHING",
        &[topic.into(), Arg::list(&new)],
    )
    .await?;
    Ok(())
}

pub(super) async fn all(tx: &mut Session<'_>) -> Result<Vec<Lane>, StoreError> {
    let sql = "SELECT l.dataset, l.sink, l.failures, l.next_at, l.error, l.off,
                      (SELECT count(*) FROM publications AS p
                       WHERE p.dataset = l.dataset AND p.sink = l.sink AND p.delivered_at IS NULL) AS waiting,
                      (SELECT p.made_at FROM publications AS p
                       WHERE p.dataset = l.dataset AND p.sink = l.sink AND p.delivered_at IS NULL
                       ORDER BY p.seq LIMIT 1) AS oldest
               FROM lanes AS l ORDER BY l.dataset, l.sink";
    tx.rows(sql, &[]).await?.iter().map(lane_of).collect()
}

fn lane_of(row: &Row) -> Result<Lane, StoreError> {
    let cells = Cells(row);
    Ok(Lane {
        topic: cells.parsed("dataset")?,
        sink: cells.text("sink")?,
        waiting: cells.count("waiting")?,
        oldest: cells.optional_time("oldest")?,
        failures: cells.small("failures")?,
        next_at: cells.time("next_at")?,
        error: cells.optional_text("error")?,
        off: cells.optional_text("off")?,
    })
}

pub(super) async fn take(
    tx: &mut Session<'_>,
    (topic, sink): (&Topic, &str),
    target: &str,
    owner: &Owner,
    ttl: Span,
    watch: &Watch<'_>,
    most: u32,
) -> Result<Vec<Publication>, StoreError> {
    let name = topic.to_string();
    let sql = "SELECT next_at, off, host, process, started_ticks, until FROM lanes
               WHERE dataset = $1 AND sink = $2 FOR UPDATE";
    let Some(row) = tx.row(sql, &[name.as_str().into(), sink.into()]).await? else { return Ok(Vec::new()) };
    let cells = Cells(&row);
    let held = match cells.optional_time("until")? {
        Some(until) => {
            let by = cells.owner()?;
            by != *owner && watch.holds(&by, until)
        }
        None => false,
    };
    if held || cells.time("next_at")? > watch.now || cells.optional_text("off")?.is_some_and(|t| t == target) {
        return Ok(Vec::new());
    }
    let sql = "SELECT seq, id, committed, event FROM publications
               WHERE dataset = $1 AND sink = $2 AND delivered_at IS NULL ORDER BY seq LIMIT $3";
    let rows = tx.rows(sql, &[name.as_str().into(), sink.into(), i64::from(most).into()]).await?;
    if rows.is_empty() {
        // In the same transaction: who publishes after it finds the lane free.
        let sql = "UPDATE lanes SET host = NULL, process = NULL, started_ticks = NULL, until = NULL
                   WHERE dataset = $1 AND sink = $2";
        tx.execute(sql, &[name.as_str().into(), sink.into()]).await?;
        return Ok(Vec::new());
    }
    tx.execute(
        "UPDATE lanes SET off = NULL, host = $3, process = $4, started_ticks = $5, until = $6
         WHERE dataset = $1 AND sink = $2",
        &[
            name.as_str().into(),
            sink.into(),
            owner.host.as_str().into(),
            i64::from(owner.process).into(),
            owner.started_ticks.cast_signed().into(),
            micros_after(watch.now, ttl).into(),
        ],
    )
    .await?;
    let publication = |row: &Row| {
        let cells = Cells(row);
        Ok(Publication {
            seq: cells.integer("seq")?,
            id: cells.text("id")?,
            topic: topic.clone(),
            sink: sink.to_owned(),
            committed: cells.optional_integer("committed")?,
            event: cells.text("event")?,
        })
    };
    rows.iter().map(publication).collect()
}

pub(super) async fn delivered(
    tx: &mut Session<'_>,
    publication: &Publication,
    owner: &Owner,
    now: Timestamp,
    ttl: Span,
) -> Result<bool, StoreError> {
    let sql = "UPDATE publications SET delivered_at = $2 WHERE seq = $1 AND delivered_at IS NULL";
    tx.execute(sql, &[publication.seq.into(), micros(now).into()]).await?;
    let sql = "UPDATE lanes SET failures = 0, next_at = 0, error = NULL, until = $3
               WHERE dataset = $1 AND sink = $2 AND host = $4 AND process = $5 AND started_ticks = $6";
    let args = [
        publication.topic.to_string().into(),
        publication.sink.as_str().into(),
        micros_after(now, ttl).into(),
        owner.host.as_str().into(),
        i64::from(owner.process).into(),
        owner.started_ticks.cast_signed().into(),
    ];
    Ok(tx.execute(sql, &args).await? == 1)
}

pub(super) async fn end(
    tx: &mut Session<'_>,
    (topic, sink): (&Topic, &str),
    owner: &Owner,
    end: &LaneEnd,
) -> Result<(), StoreError> {
    let (failed, error, next_at) = match end {
        LaneEnd::Done => (0, None, None),
        LaneEnd::Later { next_at } => (0, None, Some(micros(*next_at))),
        LaneEnd::Failed { error, next_at } => (1, Some(error), Some(micros(*next_at))),
        LaneEnd::Off { error, .. } => (1, Some(error), Some(0)),
    };
    let freed = tx
        .execute(
            "UPDATE lanes SET failures = failures + $3, next_at = CASE WHEN CAST($4 AS BIGINT) < 0 THEN next_at ELSE CAST($4 AS BIGINT) END,
                    error = CASE WHEN $5 = '' THEN error ELSE $5 END, host = NULL, process = NULL, started_ticks = NULL, until = NULL
             WHERE dataset = $1 AND sink = $2 AND host = $6 AND process = $7 AND started_ticks = $8",
            &[
                topic.to_string().into(),
                sink.into(),
                i64::from(failed).into(),
                next_at.unwrap_or(-1).into(),
                error.map_or("", String::as_str).into(),
                owner.host.as_str().into(),
                i64::from(owner.process).into(),
                owner.started_ticks.cast_signed().into(),
            ],
        )
        .await?;
    if let LaneEnd::Off { target, .. } = end
        && freed == 1
    {
        let sql = "UPDATE lanes SET off = $2 WHERE sink = $1";
        tx.execute(sql, &[sink.into(), target.as_str().into()]).await?;
    }
    Ok(())
}

pub(super) async fn reopen(tx: &mut Session<'_>, sink: &str) -> Result<u64, StoreError> {
    let sql = "UPDATE lanes SET off = NULL, failures = 0, next_at = 0 WHERE sink = $1";
    tx.execute(sql, &[sink.into()]).await
}
