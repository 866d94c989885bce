//! Replays that were asked for, as a service shows them: how far each has come, and how it went.

use super::run::{self, Whole};
use crate::{
    error::CliError,
    render::{json_time, json_time_if_any},
    wire::Wired,
};
use alluvium_model::RunId;
use alluvium_store::ReplayRecord;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// A service takes it, for the first time or once more.
    Waiting,
    Running,
    /// All that was asked for was done, and what follows from it.
    Done,
    /// It ended, and something is left: the outcome says what.
    Incomplete,
}

#[derive(Debug, Serialize)]
pub struct Line {
    replay: String,
    state: State,
    command: String,
    #[serde(serialize_with = "json_time")]
    asked_at: Timestamp,
    #[serde(serialize_with = "json_time_if_any")]
    ended_at: Option<Timestamp>,
    /// As the service wrote it down when it ended.
    outcome: Option<Value>,
}

/// One replay with the run that does it, once it has begun.
#[derive(Debug, Serialize)]
pub struct WithRun {
    replay: Line,
    run: Option<Whole>,
}

pub async fn lines(wired: &Wired, limit: u32) -> Result<Vec<Line>, CliError> {
    wired.store.replays(limit, &wired.watch()).await?.into_iter().map(Line::new).collect()
}

pub async fn whole(wired: &Wired, id: &RunId) -> Result<Option<WithRun>, CliError> {
    let Some(record) = wired.store.replay(id, &wired.watch()).await? else { return Ok(None) };
    let run = match run::whole(wired, id.as_str()).await {
        Err(CliError::UnknownRun(_)) => None,
        run => Some(run?),
    };
    Ok(Some(WithRun { replay: Line::new(record)?, run }))
}

impl Line {
    fn new(record: ReplayRecord) -> Result<Self, CliError> {
        let ReplayRecord { id, command, asked_at, ended_at, outcome, is_live, .. } = record;
        let outcome: Option<Value> = outcome.as_deref().map(serde_json::from_str).transpose()?;
        let state = match &outcome {
            Some(outcome) if outcome["complete"] == true => State::Done,
            Some(_) => State::Incomplete,
            None if is_live => State::Running,
            None => State::Waiting,
        };
        Ok(Self { replay: id.to_string(), state, command, asked_at, ended_at, outcome })
    }
}
