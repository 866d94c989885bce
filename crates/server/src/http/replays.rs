//! `POST /api/replays`: what `alluvium replay` does, asked for over HTTP and durable before it is acknowledged.
//!
//! The service's loop does the work. Whoever asks looks how it goes, under the address that the answer names.

use super::{
    api::State,
    auth::Caller,
    events::read,
    problem::Problem,
    views::{Answer, Limit, shown},
};
use alluvium_flow::{FlowError, Replay};
use alluvium_model::{Fault, RunId};
use alluvium_store::AskedReplay;
use axum::{
    Json,
    extract::{Path, Query, Request},
    http::{HeaderMap, HeaderName, StatusCode, header},
};
use serde_json::{Value, json};

const MOST_BYTES: usize = 1 << 20;
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const LONGEST_KEY: usize = 256;

type Accepted = (StatusCode, [(HeaderName, String); 1], Json<Value>);

pub(super) async fn post(state: axum::extract::State<State>, request: Request) -> Result<Accepted, Problem> {
    let (head, body) = request.into_parts();
    let key = key(&head.headers)?;
    if !is_json(&head.headers) {
        return Err(Problem::NotJson);
    }
    let body = read(body, &head.headers, MOST_BYTES).await?;
    let what: Replay = serde_json::from_slice(&body).map_err(|e| Problem::Replay(format!("no replay: {e}")))?;
    let what = said(&state, what, head.extensions.get::<Caller>().and_then(|c| c.0.as_deref()))?;
    let (answer, id) = state.views.ask_replay(&what, key).await.map_err(|e| refused(&state, e))?;
    match answer {
        AskedReplay::Full => return Err(Problem::TooManyReplays),
        AskedReplay::OtherUnderKey(id) => return Err(Problem::OtherUnderKey(id.to_string())),
        AskedReplay::New => state.intake.look(),
        AskedReplay::Known(_) => {}
    }
    let location = format!("/api/replays/{id}");
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(json!({ "replay": id, "command": what.command() }))))
}

/// Who has a token of his own says it under his name. Where only some decide, others cannot show that they are among them.
fn said(state: &State, what: Replay, caller: Option<&str>) -> Result<Replay, Problem> {
    match (caller, &what) {
        (Some(who), _) => Ok(what.said_by(who)),
        (None, Replay::Held(settle)) => match state.decided.get(&settle.dataset) {
            Some(may) => Err(Problem::NotTheirs(FlowError::NotTheirs {
                dataset: settle.dataset.clone(),
                by: "a token without a name".to_owned(),
                may: may.clone(),
            })),
            None => Ok(what),
        },
        (None, _) => Ok(what),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(key) = headers.get(KEY) else { return Ok(None) };
    let text = key.to_str().ok().filter(|k| !k.is_empty() && k.len() <= LONGEST_KEY);
    let wrong = || Problem::Parameter(format!("`Idempotency-Key` is 1 to {LONGEST_KEY} visible characters"));
    text.map(Some).ok_or_else(wrong)
}

fn is_json(headers: &HeaderMap) -> bool {
    let content = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    content.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

fn refused(state: &State, error: FlowError) -> Problem {
    match error {
        FlowError::UnknownDataset(name) => Problem::no_dataset(name.to_string(), &state.datasets),
        error @ FlowError::UnknownLetter(_) => Problem::NotThere(error),
        error @ FlowError::NotTheirs { .. } => Problem::NotTheirs(error),
        error @ (FlowError::AmbiguousLetter(_)
        | FlowError::NoQuarantine(_)
        | FlowError::NotSilver(_)
        | FlowError::NothingToDrop(_)) => Problem::NotPossible(error),
        error => Problem::failed(&error as &dyn Fault),
    }
}

pub(super) async fn list(state: axum::extract::State<State>, Query(limit): Query<Limit>) -> Answer {
    shown(state.views.replays(limit.rows()?).await)
}

pub(super) async fn one(state: axum::extract::State<State>, Path(id): Path<String>) -> Answer {
    match state.views.replay(&RunId::from_stored(id)).await {
        Ok(Some(replay)) => Ok(Json(replay)),
        Ok(None) => Err(Problem::NoSuchReplay),
        Err(error) => Err(Problem::failed(error.as_ref())),
    }
}
