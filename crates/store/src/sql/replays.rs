//! Replays that were asked for, until somebody has done them, and what a service looks for about once a second.
//!
//! Called by `store.rs` of this folder, inside a transaction. Of one that was asked for nothing is forgotten.

use super::{
    Arg, Row, Session,
    codec::{Cells, micros},
    runs,
    sets::over,
    steps,
};
use crate::{AskedReplay, NewReplay, News, Owner, ReplayRecord, RunRecord, RunState, StoreError, Watch};
use alluvium_model::{DatasetName, EventId, RunId, Span};
use jiff::Timestamp;
use serde::Serialize;

#[derive(Serialize)]
struct Line<'a>(&'a str, Option<&'a str>, &'a str, &'a str, &'a str);

macro_rules! select_replays {
    ($tail:literal) => {
        concat!("SELECT id, key, asked, request, command, asked_at, ended_at, outcome FROM replays ", $tail)
    };
}

pub(super) async fn ask(tx: &mut Session<'_>, new: &NewReplay, most: u32) -> Result<AskedReplay, StoreError> {
    if let Some(known) = under_key(tx, new).await? {
        return Ok(known);
    }
    if new.key.is_none() {
        // One that has begun may have looked already at what the new one is about.
        let same = "SELECT p.id FROM replays AS p WHERE p.ended_at IS NULL AND p.request = $1
                    AND NOT EXISTS (SELECT 1 FROM runs AS r WHERE r.run = p.id) ORDER BY p.asked_at, p.id LIMIT 1";
        if let Some(row) = tx.row(same, &[new.request.as_str().into()]).await? {
            return Ok(AskedReplay::Known(RunId::from_stored(Cells(&row).text("id")?)));
        }
    }
    let waiting = tx.row("SELECT count(*) AS waiting FROM replays WHERE ended_at IS NULL", &[]).await?;
    if waiting.as_ref().map(|row| Cells(row).small("waiting")).transpose()?.is_some_and(|waiting| waiting >= most) {
        return Ok(AskedReplay::Full);
    }
    // A condition, so that SQLite does not take what follows for that of a join.
    let sql = "INSERT INTO replays (id, key, asked, request, command, asked_at)
               SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, $2 FROM json_each($1) WHERE true
               ON CONFLICT DO NOTHING";
    let line = Line(new.id.as_str(), new.key.as_deref(), &new.asked, &new.request, &new.command);
    if tx.execute(sql, &[Arg::list(&[line]), micros(new.asked_at).into()]).await? == 1 {
        return Ok(AskedReplay::New);
    }
    // Asked for under the same key, by way of another process, since it was looked for; or told twice.
    Ok(under_key(tx, new).await?.unwrap_or(AskedReplay::New))
}

async fn under_key(tx: &mut Session<'_>, new: &NewReplay) -> Result<Option<AskedReplay>, StoreError> {
    let Some(key) = new.key.as_deref() else { return Ok(None) };
    let row = tx.row("SELECT id, asked FROM replays WHERE key = $1", &[key.into()]).await?;
    let known = row.as_ref().map(Cells).map(|cells| {
        let id = RunId::from_stored(cells.text("id")?);
        let same = cells.text("asked")? == new.asked;
        Ok(if same { AskedReplay::Known(id) } else { AskedReplay::OtherUnderKey(id) })
    });
    known.transpose()
}

pub(super) async fn by_id(
    tx: &mut Session<'_>,
    id: &RunId,
    watch: &Watch<'_>,
) -> Result<Option<ReplayRecord>, StoreError> {
    let rows = tx.rows(select_replays!("WHERE id = $1"), &[id.as_str().into()]).await?;
    Ok(records(tx, &rows, watch).await?.pop())
}

pub(super) async fn under(
    tx: &mut Session<'_>,
    key: &str,
    watch: &Watch<'_>,
) -> Result<Option<ReplayRecord>, StoreError> {
    let rows = tx.rows(select_replays!("WHERE key = $1"), &[key.into()]).await?;
    Ok(records(tx, &rows, watch).await?.pop())
}

pub(super) async fn newest(
    tx: &mut Session<'_>,
    limit: u32,
    watch: &Watch<'_>,
) -> Result<Vec<ReplayRecord>, StoreError> {
    let rows = tx.rows(select_replays!("ORDER BY asked_at DESC, id DESC LIMIT $1"), &[i64::from(limit).into()]).await?;
    records(tx, &rows, watch).await
}

async fn records(tx: &mut Session<'_>, rows: &[Row], watch: &Watch<'_>) -> Result<Vec<ReplayRecord>, StoreError> {
    let mut records: Vec<ReplayRecord> = rows.iter().map(record_of).collect::<Result<_, _>>()?;
    // Of those there is a bound.
    for record in records.iter_mut().filter(|r| r.ended_at.is_none()) {
        record.is_live = runs::is_live(tx, &record.id, watch).await?;
    }
    Ok(records)
}

pub(super) async fn start(
    tx: &mut Session<'_>,
    id: &RunId,
    owner: &Owner,
    ttl: Span,
    tells: bool,
    watch: &Watch<'_>,
) -> Result<bool, StoreError> {
    // Whoever else would take it waits.
    let sql = select_replays!("WHERE id = $1 FOR UPDATE");
    let row = tx.row(sql, &[id.as_str().into()]).await?.ok_or_else(|| StoreError::unknown("replay", id))?;
    let replay = record_of(&row)?;
    if replay.ended_at.is_some() || runs::is_live(tx, id, watch).await? {
        return Ok(false);
    }
    let run = RunRecord {
        run: id.clone(),
        command: replay.command,
        state: RunState::Running,
        started_at: watch.now,
        finished_at: None,
        objects_new: 0,
        objects_duplicate: 0,
        objects_dead: 0,
        tells,
    };
    // Its first time; at another time it is there.
    runs::start(tx, &run, owner, ttl, watch).await?;
    runs::start_again(tx, id, owner, ttl, watch.now).await?;
    Ok(true)
}

pub(super) async fn end(
    tx: &mut Session<'_>,
    id: &RunId,
    state: RunState,
    at: Timestamp,
    outcome: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE replays SET ended_at = $1, outcome = $2 WHERE id = $3 AND ended_at IS NULL";
    if tx.execute(sql, &[micros(at).into(), outcome.into(), id.as_str().into()]).await? == 0 {
        let known = tx.row("SELECT id FROM replays WHERE id = $1", &[id.as_str().into()]).await?;
        return known.map(drop).ok_or_else(|| StoreError::unknown("replay", id));
    }
    runs::finish(tx, id, state, at).await
}

pub(super) async fn news(
    tx: &mut Session<'_>,
    datasets: &[DatasetName],
    watch: &Watch<'_>,
) -> Result<News, StoreError> {
    let sql = "SELECT j.value ->> 0 AS dataset,
                      (SELECT max(s.committed) FROM steps AS s
                       WHERE s.dataset = j.value ->> 0 AND s.committed IS NOT NULL AND s.kind <> 'backfill') AS committed,
                      (SELECT min(i.seq) FROM inbox AS i WHERE i.dataset = j.value ->> 0) AS pushed,
                      (SELECT e.event FROM events AS e WHERE e.dataset = j.value ->> 0 AND e.state = 'pending'
                       ORDER BY e.received_at, e.path LIMIT 1) AS unplanned
               FROM json_each($1) AS j";
    let rows = tx.rows(sql, &[Arg::column(datasets.iter().map(ToString::to_string))]).await?;
    let mut news = News::default();
    for cells in rows.iter().map(Cells) {
        let dataset = cells.dataset("dataset")?;
        news.committed.extend(cells.optional_integer("committed")?.map(|version| (dataset.clone(), version)));
        news.pushed.extend(cells.optional_integer("pushed")?.map(|place| (dataset.clone(), place)));
        let event = cells.optional_text("unplanned")?.map(EventId::from_stored);
        news.unplanned.extend(event.map(|event| (dataset, event)));
    }
    // One look more, most of the time; what it finds is read.
    let sql = concat!(
        "SELECT (SELECT count(*) FROM (SELECT 1 FROM steps WHERE state NOT IN ",
        over!(),
        " AND state <> 'dead' AND kind <> 'backfill' LIMIT 1) AS s) AS steps,
          (SELECT count(*) FROM (SELECT 1 FROM replays WHERE ended_at IS NULL LIMIT 1) AS p) AS replays,
          (SELECT count(*) FROM (SELECT 1 FROM runs WHERE tells = 1 LIMIT 1) AS r) AS untold"
    );
    let Some(row) = tx.row(sql, &[]).await? else { return Ok(news) };
    let cells = Cells(&row);
    let (steps, replays) = (cells.integer("steps")? > 0, cells.integer("replays")? > 0);
    news.untold = cells.integer("untold")? > 0;
    news.going = steps;
    if steps {
        news.ready = steps::ready(tx, watch).await?;
    }
    if replays {
        let open = tx.rows(select_replays!("WHERE ended_at IS NULL ORDER BY asked_at, id"), &[]).await?;
        news.replays = records(tx, &open, watch).await?;
        news.going |= news.replays.iter().any(|r| r.is_live);
        news.replays.retain(|r| !r.is_live);
    }
    Ok(news)
}

fn record_of(row: &Row) -> Result<ReplayRecord, StoreError> {
    let cells = Cells(row);
    Ok(ReplayRecord {
        id: RunId::from_stored(cells.text("id")?),
        key: cells.optional_text("key")?,
        asked: cells.text("asked")?,
        request: cells.text("request")?,
        command: cells.text("command")?,
        asked_at: cells.time("asked_at")?,
        ended_at: cells.optional_time("ended_at")?,
        outcome: cells.optional_text("outcome")?,
        is_live: false,
    })
}
