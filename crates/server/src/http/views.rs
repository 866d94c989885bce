//! What can be read: the same lines as those of `alluvium show … --format json`.

use super::{api::State, problem::Problem};
use alluvium_model::Fault;
use alluvium_store::{Lane, Measures};
use async_trait::async_trait;
use axum::{
    Json,
    extract::{Path, Query},
};
use serde::Deserialize;
use serde_json::Value;

const RUNS: u32 = 20;
const MOST_RUNS: u32 = 1_000;

/// Why something could not be shown.
pub type ApiError = Box<dyn Fault + Send + Sync>;

/// What `show` shows, as JSON. Reads only.
#[async_trait]
pub trait Views: Send + Sync {
    async fn datasets(&self) -> Result<Value, ApiError>;

    /// Newest first.
    async fn runs(&self, limit: u32) -> Result<Value, ApiError>;

    /// By its id, the start of its id, or `latest`. `None`: there is none, or more than one.
    async fn run(&self, id: &str) -> Result<Option<Value>, ApiError>;

    async fn dead_letters(&self) -> Result<Value, ApiError>;

    /// What waits for each sink.
    async fn publications(&self) -> Result<Value, ApiError>;

    async fn measures(&self) -> Result<(Measures, Vec<Lane>), ApiError>;
}

#[derive(Deserialize)]
pub(super) struct Limit {
    limit: Option<String>,
}

type Answer = Result<Json<Value>, Problem>;

pub(super) async fn datasets(state: axum::extract::State<State>) -> Answer {
    shown(state.views.datasets().await)
}

pub(super) async fn runs(state: axum::extract::State<State>, Query(limit): Query<Limit>) -> Answer {
    let limit = match limit.limit.as_deref().map(str::parse) {
        None => RUNS,
        Some(Ok(limit @ 1..=MOST_RUNS)) => limit,
        Some(_) => return Err(Problem::Parameter(format!("`limit` is a number from 1 to {MOST_RUNS}"))),
    };
    shown(state.views.runs(limit).await)
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

fn shown(view: Result<Value, ApiError>) -> Answer {
    view.map(Json).map_err(|error| Problem::failed(error.as_ref()))
}
