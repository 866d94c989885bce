//! `/config` and `/mode`: under which compatibility mode subjects are. A contract of the project declares its own.

use super::{
    answer::{Answer, Refusal, Told},
    asked::{body, flag},
    store::{default, parsed},
};
use crate::http::api::State as Api;
use alluvium_flow::registry::MOST_TURNS;
use axum::extract::{Path, Query, Request, State};
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
struct Sent {
    compatibility: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Asked {
    #[serde(default, deserialize_with = "flag")]
    default_to_global: bool,
}

pub(in crate::http) async fn default_mode(State(api): State<Api>) -> Answer {
    let registry = api.schemas.store.registry(Some("")).await?;
    Ok(Told(json!({ "compatibilityLevel": default(&registry)?.word() })))
}

pub(in crate::http) async fn mode_of(
    State(api): State<Api>,
    Path(subject): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer {
    let registry = api.schemas.store.registry(Some(&subject)).await?;
    let mode = match api.schemas.own_mode(&registry, &subject)? {
        Some(mode) => mode,
        None if asked.default_to_global => default(&registry)?,
        None => return Err(Refusal::NoMode(subject)),
    };
    Ok(Told(json!({ "compatibilityLevel": mode.word() })))
}

pub(in crate::http) async fn set_default(State(api): State<Api>, request: Request) -> Answer {
    let mode = parsed(&body::<Sent>(request).await?.compatibility)?;
    set(&api, None, Some(mode.word())).await?;
    Ok(Told(json!({ "compatibility": mode.word() })))
}

pub(in crate::http) async fn set_mode(State(api): State<Api>, Path(subject): Path<String>, request: Request) -> Answer {
    api.schemas.free(&subject)?;
    let mode = parsed(&body::<Sent>(request).await?.compatibility)?;
    set(&api, Some(&subject), Some(mode.word())).await?;
    Ok(Told(json!({ "compatibility": mode.word() })))
}

/// The subject is under the mode of all again.
pub(in crate::http) async fn forget_mode(State(api): State<Api>, Path(subject): Path<String>) -> Answer {
    api.schemas.free(&subject)?;
    let registry = api.schemas.store.registry(Some(&subject)).await?;
    let Some(mode) = api.schemas.own_mode(&registry, &subject)? else { return Err(Refusal::NoMode(subject)) };
    set(&api, Some(&subject), None).await?;
    Ok(Told(json!({ "compatibilityLevel": mode.word() })))
}

/// Whether schemas can be registered: always.
pub(in crate::http) async fn read_or_write() -> Told {
    Told(json!({ "mode": "READWRITE" }))
}

async fn set(api: &Api, subject: Option<&str>, mode: Option<&str>) -> Result<(), Refusal> {
    let store = &api.schemas.store;
    for _ in 0..MOST_TURNS {
        let revision = store.registry(Some(subject.unwrap_or_default())).await?.revision;
        if store.set_mode(subject, mode, revision).await? {
            return Ok(());
        }
    }
    Err(Refusal::Contended)
}
