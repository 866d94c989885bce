//! Events that were pushed, from their acknowledgement until they lie in a landing object.
//!
//! Called by `store.rs` of this folder, inside a transaction. It never forgets the source and id of an event.

use super::{
    Arg, Session,
    codec::{Cells, micros, number, signed},
    events, terms,
};
use crate::{InboxBound, InboxPart, InboxRecord, NewEvent, Pushed, PushedEvent, PushedList, StoreError};
use alluvium_model::{DatasetName, RunId};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, thiserror::Error)]
#[error("another process was told one of these events at the same time")]
struct ToldTwice;

#[derive(Serialize)]
struct Key<'a> {
    source: &'a str,
    id: &'a str,
}

impl<'a> Key<'a> {
    fn of(event: &'a PushedEvent) -> Self {
        Self { source: &event.source, id: &event.id }
    }
}

#[derive(Serialize)]
struct Row<'a> {
    dataset: String,
    record: &'a str,
}

pub(super) async fn push(
    tx: &mut Session<'_>,
    lists: &[PushedList],
    bound: InboxBound,
    now: Timestamp,
) -> Result<Vec<Pushed>, StoreError> {
    // So that the bound holds, and a record never comes to lie before one that was seen.
    let takers: BTreeSet<String> =
        lists.iter().flat_map(|l| &l.events).flat_map(|e| &e.datasets).map(ToString::to_string).collect();
    tx.take_backlogs(&takers).await?;
    terms::take_rates(tx, lists.iter().flat_map(|l| &l.rates)).await?;
    let mut answers = Vec::with_capacity(lists.len());
    for list in lists {
        answers.push(push_list(tx, list, bound, now).await?);
    }
    Ok(answers)
}

async fn push_list(
    tx: &mut Session<'_>,
    PushedList { events: list, rates }: &PushedList,
    bound: InboxBound,
    now: Timestamp,
) -> Result<Pushed, StoreError> {
    let mut known = known(tx, list).await?;
    let mut new = Vec::new();
    for event in list {
        if known.insert((event.source.clone(), event.id.clone())) {
            new.push(event);
        }
    }
    let mut added: BTreeMap<&DatasetName, (u64, u64)> = BTreeMap::new();
    for event in &new {
        for dataset in &event.datasets {
            let sums = added.entry(dataset).or_default();
            *sums = (sums.0 + 1, sums.1 + event.record.len() as u64);
        }
    }
    for (dataset, (events, bytes)) in &added {
        let (waiting, waiting_bytes) = backlog(tx, dataset).await?;
        // What is too large for an empty inbox would never be taken.
        if waiting > 0 && (waiting + events > bound.events || waiting_bytes + bytes > bound.bytes) {
            return Ok(Pushed::Full { dataset: (*dataset).clone() });
        }
    }
    // The last that it can be refused for: what is not taken uses up no place.
    if let Some(until) = terms::begin_now(tx, rates, now).await? {
        return Ok(Pushed::TooFrequent { until });
    }
    insert(tx, &new, now).await?;
    for (dataset, (events, bytes)) in added {
        change_backlog(tx, dataset, signed(events), signed(bytes)).await?;
    }
    Ok(Pushed::Accepted { new: new.len() as u64, duplicates: (list.len() - new.len()) as u64 })
}

async fn known(tx: &mut Session<'_>, list: &[PushedEvent]) -> Result<BTreeSet<(String, String)>, StoreError> {
    let sql = "SELECT p.source, p.id FROM json_each($1) AS j CROSS JOIN pushed AS p
               WHERE p.source = j.value ->> 'source' AND p.id = j.value ->> 'id'";
    let keys: Vec<Key<'_>> = list.iter().map(Key::of).collect();
    let rows = tx.rows(sql, &[Arg::list(&keys)]).await?;
    rows.iter().map(Cells).map(|cells| Ok((cells.text("source")?, cells.text("id")?))).collect()
}

async fn insert(tx: &mut Session<'_>, new: &[&PushedEvent], now: Timestamp) -> Result<(), StoreError> {
    if new.is_empty() {
        return Ok(());
    }
    let keys: Vec<Key<'_>> = new.iter().copied().map(Key::of).collect();
    // A condition, so that SQLite does not take what follows for that of a join.
    let told = "INSERT INTO pushed (source, id, received_at)
                SELECT value ->> 'source', value ->> 'id', $2 FROM json_each($1) WHERE true ON CONFLICT DO NOTHING";
    if tx.execute(told, &[Arg::list(&keys), micros(now).into()]).await? < new.len() as u64 {
        // Committed since it was looked for. What is new has to be found once more.
        return Err(StoreError::Busy { source: Box::new(ToldTwice) });
    }
    let rows: Vec<Row<'_>> =
        new.iter().flat_map(|e| e.datasets.iter().map(|d| Row { dataset: d.to_string(), record: &e.record })).collect();
    let waits = "INSERT INTO inbox (dataset, record)
                 SELECT value ->> 'dataset', value ->> 'record' FROM json_each($1) ORDER BY key";
    tx.execute(waits, &[Arg::list(&rows)]).await?;
    Ok(())
}

/// Events and bytes that wait for the dataset.
async fn backlog(tx: &mut Session<'_>, dataset: &DatasetName) -> Result<(u64, u64), StoreError> {
    let row = tx.row("SELECT events, bytes FROM backlog WHERE dataset = $1", &[dataset.to_string().into()]).await?;
    row.as_ref().map(Cells).map_or(Ok((0, 0)), |cells| Ok((cells.count("events")?, cells.count("bytes")?)))
}

async fn change_backlog(
    tx: &mut Session<'_>,
    dataset: &DatasetName,
    events: i64,
    bytes: i64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO backlog (dataset, events, bytes) VALUES ($1, $2, $3)
               ON CONFLICT (dataset) DO UPDATE
               SET events = backlog.events + excluded.events, bytes = backlog.bytes + excluded.bytes";
    tx.execute(sql, &[dataset.to_string().into(), events.into(), bytes.into()]).await?;
    Ok(())
}

pub(super) async fn part(tx: &mut Session<'_>, dataset: &DatasetName, bytes: u64) -> Result<InboxPart, StoreError> {
    // The sum over those before a record, so that the first one always fits.
    let sql = "SELECT seq, record FROM (
                   SELECT seq, record, sum(octet_length(record)) OVER (ORDER BY seq) - octet_length(record) AS earlier
                   FROM inbox WHERE dataset = $1) AS sums
               WHERE earlier < $2 ORDER BY seq";
    let rows = tx.rows(sql, &[dataset.to_string().into(), signed(bytes).into()]).await?;
    let mut part = InboxPart::default();
    for cells in rows.iter().map(Cells) {
        part.records.push(cells.text("record")?);
        part.upto = cells.integer("seq")?;
    }
    Ok(part)
}

pub(super) async fn newest(
    tx: &mut Session<'_>,
    dataset: &DatasetName,
    limit: u32,
) -> Result<Vec<InboxRecord>, StoreError> {
    let sql = "SELECT seq, record FROM inbox WHERE dataset = $1 ORDER BY seq DESC LIMIT $2";
    let rows = tx.rows(sql, &[dataset.to_string().into(), i64::from(limit).into()]).await?;
    let record = |cells: Cells<'_>| {
        let (place, record) = (cells.integer("seq")?, cells.text("record")?);
        Ok(InboxRecord { dataset: dataset.clone(), place, record })
    };
    rows.iter().map(Cells).map(record).collect()
}

pub(super) async fn pushed_at(tx: &mut Session<'_>, source: &str, id: &str) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT received_at FROM pushed WHERE source = $1 AND id = $2";
    let row = tx.row(sql, &[source.into(), id.into()]).await?;
    row.as_ref().map(|row| Cells(row).time("received_at")).transpose()
}

/// `false`: the part is not there as a whole any more, and nothing was changed.
pub(super) async fn land(
    tx: &mut Session<'_>,
    run: &RunId,
    event: &NewEvent,
    part: &InboxPart,
) -> Result<bool, StoreError> {
    let dataset = event.dataset.to_string();
    tx.take_backlogs([&dataset]).await?;
    let whole = [dataset.as_str().into(), part.upto.into()];
    let count = tx.row("SELECT count(*) AS parts FROM inbox WHERE dataset = $1 AND seq <= $2", &whole).await?;
    if count.as_ref().map(Cells).map(|cells| cells.integer("parts")).transpose()? != Some(number(part.records.len())) {
        return Ok(false);
    }
    tx.execute("DELETE FROM inbox WHERE dataset = $1 AND seq <= $2", &whole).await?;
    let bytes: u64 = part.records.iter().map(|r| r.len() as u64).sum();
    change_backlog(tx, &event.dataset, -number(part.records.len()), -signed(bytes)).await?;
    events::record(tx, run, std::slice::from_ref(event)).await?;
    Ok(true)
}
