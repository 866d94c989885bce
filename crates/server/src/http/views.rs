//! What can be read: the same lines as those of `alluvium show … --format json`.

use super::{api::State, problem::Problem};
use alluvium_flow::{FlowError, Replay};
use alluvium_model::{DatasetName, Fault, RunId, Span};
use alluvium_store::{AskedReplay, Lane, Measures};
use async_trait::async_trait;
use axum::{
    Json,
    extract::{Path, Query},
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

const ROWS: u32 = 20;
const MOST_ROWS: u32 = 1_000;

/// Why something could not be shown.
pub type ApiError = Box<dyn Fault + Send + Sync>;

/// What `show` shows, as JSON; and what a person may ask for. But for the latter it only reads.
#[async_trait]
pub trait Views: Send + Sync {
    async fn datasets(&self) -> Result<Value, ApiError>;

    /// Those that all words are found in.
    async fn catalog(&self, words: &[String]) -> Result<Value, ApiError>;

    /// Windows without rows; of datasets that have windows, or of one, whose windows may be taken as so long.
    async fn gaps(&self, dataset: Option<&DatasetName>, window: Option<Span>) -> Result<Value, ApiError>;

    /// Newest first.
    async fn runs(&self, limit: u32) -> Result<Value, ApiError>;

    /// By its id, the start of its id, or `latest`. `None`: there is none, or more than one.
    async fn run(&self, id: &str) -> Result<Option<Value>, ApiError>;

    async fn dead_letters(&self) -> Result<Value, ApiError>;

    /// What waits for each sink.
    async fn publications(&self) -> Result<Value, ApiError>;

    /// What is wrong and was told, and what was resolved in the last so many days.
    async fn alerts(&self, days: u32) -> Result<Value, ApiError>;

    /// What was received and is in no table yet, newest first.
    async fn events(&self, dataset: Option<&DatasetName>, limit: u32) -> Result<Value, ApiError>;

    /// What became of a landing object, by its id, the start of its id, or its path; with a source, of an event that was pushed. `None`:
    /// there is none, or more than one.
    async fn event(&self, id: &str, source: Option<&str>) -> Result<Option<Value>, ApiError>;

    /// Newest first.
    async fn replays(&self, limit: u32) -> Result<Value, ApiError>;

    /// `None`: there is none of this id.
    async fn replay(&self, id: &RunId) -> Result<Option<Value>, ApiError>;

    /// As [`alluvium_flow::Flow::ask_replay`].
    async fn ask_replay(&self, what: &Replay, key: Option<&str>) -> Result<(AskedReplay, RunId), FlowError>;

    /// The newest version of each dataset that a step committed.
    async fn committed(&self) -> Result<BTreeMap<DatasetName, i64>, ApiError>;

    async fn measures(&self) -> Result<(Measures, Vec<Lane>), ApiError>;
}

#[derive(Deserialize)]
pub(super) struct Limit {
    limit: Option<String>,
}

impl Limit {
    pub(super) fn rows(&self) -> Result<u32, Problem> {
        match self.limit.as_deref().map(str::parse) {
            None => Ok(ROWS),
            Some(Ok(limit @ 1..=MOST_ROWS)) => Ok(limit),
            Some(_) => Err(Problem::Parameter(format!("`limit` is a number from 1 to {MOST_ROWS}"))),
        }
    }
}

pub(super) type Answer = Result<Json<Value>, Problem>;

pub(super) async fn datasets(state: axum::extract::State<State>) -> Answer {
    shown(state.views.datasets().await)
}

#[derive(Deserialize)]
pub(super) struct Words {
    q: Option<String>,
}

pub(super) async fn catalog(state: axum::extract::State<State>, Query(words): Query<Words>) -> Answer {
    let words: Vec<String> = words.q.iter().flat_map(|q| q.split_whitespace()).map(str::to_owned).collect();
    shown(state.views.catalog(&words).await)
}

/// A dataset of the project.
#[derive(Deserialize)]
pub(super) struct Which {
    dataset: Option<String>,
}

impl Which {
    pub(super) fn known(self, state: &State) -> Result<Option<DatasetName>, Problem> {
        let Some(name) = self.dataset else { return Ok(None) };
        let found = name.parse().ok().filter(|_| state.datasets.contains(&name));
        found.map(Some).ok_or_else(|| Problem::no_dataset(name, &state.datasets))
    }
}

#[derive(Deserialize)]
pub(super) struct Windows {
    window: Option<String>,
}

pub(super) async fn gaps(
    state: axum::extract::State<State>,
    Query(which): Query<Which>,
    Query(windows): Query<Windows>,
) -> Answer {
    let dataset = which.known(&state)?;
    let window = windows.window.map(|text| text.parse::<Span>()).transpose();
    let window = window.map_err(|e| Problem::Parameter(format!("`window`: {e}")))?;
    shown(state.views.gaps(dataset.as_ref(), window).await)
}

pub(super) async fn runs(state: axum::extract::State<State>, Query(limit): Query<Limit>) -> Answer {
    shown(state.views.runs(limit.rows()?).await)
}

pub(super) async fn run(state: axum::extract::State<State>, Path(id): Path<String>) -> Answer {
    match state.views.run(&id).await {
        Ok(Some(run)) => Ok(Json(run)),
        Ok(None) => Err(Problem::NoSuchRun),
        Err(error) => Err(Problem::failed(error.as_ref())),
    }
}

pub(super) async fn dead_letters(state: axum::extract::State<State>) -> Answer {
    shown(state.views.dead_letters().await)
}

pub(super) async fn publications(state: axum::extract::State<State>) -> Answer {
    shown(state.views.publications().await)
}

/// Resolved ones of the last week are shown.
const ALERT_DAYS: u32 = 7;

pub(super) async fn alerts(state: axum::extract::State<State>) -> Answer {
    shown(state.views.alerts(ALERT_DAYS).await)
}

pub(super) fn shown(view: Result<Value, ApiError>) -> Answer {
    view.map(Json).map_err(|error| Problem::failed(error.as_ref()))
}
