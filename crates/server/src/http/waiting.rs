//! `GET /api/events`: what was received and waits, and what became of one event.

use super::{
    api::State,
    problem::Problem,
    views::{Answer, Limit, Which, shown},
};
use axum::{
    Json,
    extract::{Path, Query},
};
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct From {
    source: Option<String>,
}

pub(super) async fn list(
    state: axum::extract::State<State>,
    Query(which): Query<Which>,
    Query(limit): Query<Limit>,
) -> Answer {
    let dataset = which.known(&state)?;
    shown(state.views.events(dataset.as_ref(), limit.rows()?).await)
}

pub(super) async fn one(
    state: axum::extract::State<State>,
    Path(id): Path<String>,
    Query(from): Query<From>,
) -> Answer {
    match state.views.event(&id, from.source.as_deref()).await {
        Ok(Some(event)) => Ok(Json(event)),
        Ok(None) => Err(Problem::NoSuchEvent),
        Err(error) => Err(Problem::failed(error.as_ref())),
    }
}
