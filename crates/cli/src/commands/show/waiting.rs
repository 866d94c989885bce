//! Events on their way, as a service shows them: what was received and is in no table yet, and what became of one that was pushed.

use super::event::{self, rows};
use crate::{
    error::CliError,
    render::{json_time, json_time_if_any, printable},
    wire::Wired,
};
use alluvium_model::DatasetName;
use alluvium_store::{EventRecord, EventState, InboxRecord};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// It was pushed, and is in the inbox.
    Inbox,
    /// A landing object that no step has taken.
    Pending,
    /// A landing object that a step is to load.
    Planned,
}

#[derive(Debug, Serialize)]
pub struct Line {
    dataset: String,
    state: State,
    #[serde(serialize_with = "json_time_if_any")]
    received_at: Option<Timestamp>,
    bytes: u64,
    /// Of an event that was pushed.
    source: Option<String>,
    id: Option<String>,
    /// Of a landing object.
    event: Option<String>,
    path: Option<String>,
    step: Option<String>,
}

/// An event that was pushed, and the landing objects in which it was loaded.
#[derive(Debug, Serialize)]
pub struct Pushed {
    source: String,
    id: String,
    #[serde(serialize_with = "json_time")]
    received_at: Timestamp,
    /// None of a dataset that has not loaded it yet, or that does not take it.
    loaded: Vec<event::Whole>,
}

pub async fn lines(wired: &Wired, only: Option<&DatasetName>, limit: u32) -> Result<Vec<Line>, CliError> {
    let objects = wired.store.waiting_events(only, limit).await?;
    let mut lines: Vec<Line> = objects.into_iter().map(Line::of_object).collect();
    let pushed = wired.project.datasets.values().filter(|d| d.is_pushed() && only.is_none_or(|o| *o == d.name));
    for dataset in pushed {
        for record in wired.store.newest_in_inbox(&dataset.name, limit).await? {
            lines.push(Line::of_record(wired, record).await?);
        }
    }
    // Stable: what came at the same time stays in its order.
    lines.sort_by_key(|line| std::cmp::Reverse(line.received_at));
    lines.truncate(limit as usize);
    Ok(lines)
}

impl Line {
    fn of_object(e: EventRecord) -> Self {
        let state = if e.state == EventState::Pending { State::Pending } else { State::Planned };
        Self {
            dataset: e.dataset.to_string(),
            state,
            received_at: Some(e.received_at),
            bytes: e.bytes,
            source: None,
            id: None,
            event: Some(e.event.to_string()),
            path: Some(e.path),
            step: e.step.map(|s| s.to_string()),
        }
    }

    async fn of_record(wired: &Wired, InboxRecord { dataset, record, .. }: InboxRecord) -> Result<Self, CliError> {
        let bytes = record.len() as u64;
        let record: Value = serde_json::from_str(&record)?;
        let text = |name: &str| record[name].as_str().map(str::to_owned);
        let (source, id) = (text("ce_source"), text("ce_id"));
        let received_at = match (&source, &id) {
            (Some(source), Some(id)) => wired.store.pushed_at(source, id).await?,
            _ => None,
        };
        let (dataset, state) = (dataset.to_string(), State::Inbox);
        Ok(Self { dataset, state, received_at, bytes, source, id, event: None, path: None, step: None })
    }
}

/// The state knows that it came, its rows in bronze know in which landing object.
pub async fn pushed(wired: &Wired, source: &str, id: &str) -> Result<Pushed, CliError> {
    let received_at = wired.store.pushed_at(source, id).await?;
    let received_at = received_at.ok_or_else(|| CliError::UnknownEvent(printable(id)))?;
    let quoted = |text: &str| text.replace('\'', "''");
    let mut loaded = Vec::new();
    for info in alluvium_lake::describe(&wired.engine, &wired.project).await? {
        // A table without rows need not have these columns.
        if !wired.project.datasets[&info.name].is_pushed() || info.rows == 0 {
            continue;
        }
        let (name, source, id) = (&info.name, quoted(source), quoted(id));
        let sql = format!("SELECT _event_id FROM {name} WHERE ce_id = '{id}' AND ce_source = '{source}' LIMIT 1");
        for row in rows(wired, &sql).await? {
            loaded.push(event::whole(wired, row["_event_id"].as_str().unwrap_or_default()).await?);
        }
    }
    Ok(Pushed { source: source.to_owned(), id: id.to_owned(), received_at, loaded })
}
