//! `show runs`: what ran, newest first.

use super::listing::{Column, list};
use crate::{
    args::Global,
    error::CliError,
    render::{Align, brief_time, grouped, json_time, json_time_if_any, printable, seconds},
    wire::Wired,
};
use alluvium_store::{RunRecord, RunState};
use jiff::Timestamp;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Line {
    pub run: String,
    pub command: String,
    pub state: RunState,
    #[serde(serialize_with = "json_time")]
    pub started_at: Timestamp,
    #[serde(serialize_with = "json_time_if_any")]
    pub finished_at: Option<Timestamp>,
    pub objects_new: u64,
    pub objects_duplicate: u64,
    pub objects_dead: u64,
}

impl Line {
    pub fn new(r: RunRecord) -> Self {
        Self {
            run: r.run.to_string(),
            command: r.command,
            state: r.state,
            started_at: r.started_at,
            finished_at: r.finished_at,
            objects_new: r.objects_new,
            objects_duplicate: r.objects_duplicate,
            objects_dead: r.objects_dead,
        }
    }

    pub fn took(&self) -> String {
        let micros = self.finished_at.map(|f| f.as_microsecond() - self.started_at.as_microsecond());
        micros.and_then(|m| u64::try_from(m).ok()).map_or_else(|| "-".to_owned(), seconds)
    }
}

const COLUMNS: &[Column<Line>] = &[
    ("run", Align::Left, |l| l.run.clone()),
    ("started", Align::Left, |l| brief_time(l.started_at)),
    ("seconds", Align::Right, Line::took),
    ("state", Align::Left, |l| word(l.state).to_owned()),
    ("new", Align::Right, |l| grouped(l.objects_new)),
    ("duplicate", Align::Right, |l| grouped(l.objects_duplicate)),
    ("dead", Align::Right, |l| grouped(l.objects_dead)),
    ("command", Align::Left, |l| printable(&l.command)),
];

pub async fn show(global: &Global, wired: &Wired, limit: u32) -> Result<(), CliError> {
    list(global, COLUMNS, &lines(wired, limit).await?, "nothing has run yet")
}

pub async fn lines(wired: &Wired, limit: u32) -> Result<Vec<Line>, CliError> {
    Ok(wired.store.runs(limit, &wired.watch()).await?.into_iter().map(Line::new).collect())
}

pub fn word(state: RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Done => "done",
        RunState::Failed => "failed",
        RunState::Interrupted => "interrupted",
    }
}
