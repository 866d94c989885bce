//! `/subjects`: what is registered, registering, looking up, deleting.

use super::{
    answer::{Answer, Refusal, Told},
    asked::{document, flag},
    store::{fields, find},
};
use crate::http::api::State as Api;
use alluvium_flow::registry::MOST_TURNS;
use alluvium_store::{Registry, SchemaVersion};
use axum::{
    extract::{Path, Query, Request, State},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Asked {
    subject_prefix: Option<String>,
    #[serde(default, deserialize_with = "flag")]
    deleted: bool,
    #[serde(default, deserialize_with = "flag")]
    permanent: bool,
}

pub(in crate::http) async fn list(State(api): State<Api>, Query(asked): Query<Asked>) -> Answer {
    let registry = api.schemas.store.registry(None).await?;
    let prefix = asked.subject_prefix.unwrap_or_default();
    let shown = |v: &&SchemaVersion| (asked.deleted || v.deleted_at.is_none()) && v.subject.starts_with(&prefix);
    let subjects: BTreeSet<&str> = registry.versions.iter().filter(shown).map(|v| v.subject.as_str()).collect();
    Ok(Told(json!(subjects)))
}

pub(in crate::http) async fn versions(
    State(api): State<Api>,
    Path(subject): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer {
    let registry = api.schemas.store.registry(Some(&subject)).await?;
    let numbers: Vec<u32> =
        registry.versions.iter().filter(|v| asked.deleted || v.deleted_at.is_none()).map(|v| v.number).collect();
    if numbers.is_empty() { Err(Refusal::NoSubject(subject)) } else { Ok(Told(json!(numbers))) }
}

pub(in crate::http) async fn version(
    State(api): State<Api>,
    Path((subject, number)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Answer {
    let registry = api.schemas.store.registry(Some(&subject)).await?;
    let found = one(&registry, &subject, &number, asked.deleted)?;
    Ok(Told(fields(found)))
}

/// The text alone.
pub(in crate::http) async fn text_of_version(
    State(api): State<Api>,
    Path((subject, number)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let registry = api.schemas.store.registry(Some(&subject)).await?;
    Ok(one(&registry, &subject, &number, false)?.text.clone().into_response())
}

pub(in crate::http) async fn register(State(api): State<Api>, Path(subject): Path<String>, request: Request) -> Answer {
    let document = document(request).await?;
    let (number, id) = api.schemas.register(&subject, &document).await?;
    Ok(Told(json!({ "id": id, "version": number })))
}

pub(in crate::http) async fn look_up(State(api): State<Api>, Path(subject): Path<String>, request: Request) -> Answer {
    let document = document(request).await?;
    let registry = api.schemas.store.registry(Some(&subject)).await?;
    if registry.of(&subject).next().is_none() {
        return Err(Refusal::NoSubject(subject));
    }
    let found = find(&registry, &subject, &document).ok_or_else(|| Refusal::NoSchema(String::new()))?;
    Ok(Told(fields(found)))
}

pub(in crate::http) async fn delete_subject(
    State(api): State<Api>,
    Path(subject): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer {
    let schemas = &api.schemas;
    schemas.free(&subject)?;
    for _ in 0..MOST_TURNS {
        let registry = schemas.store.registry(Some(&subject)).await?;
        let live: Vec<u32> = registry.of(&subject).map(|v| v.number).collect();
        let all: Vec<u32> = registry.versions.iter().map(|v| v.number).collect();
        let numbers = match (asked.permanent, live.is_empty()) {
            (_, true) if all.is_empty() => return Err(Refusal::NoSubject(subject.clone())),
            (true, false) => return Err(Refusal::NotDeleted(subject.clone())),
            (false, true) => return Err(Refusal::NoSubject(subject.clone())),
            (true, true) => all,
            (false, false) => live,
        };
        let (under, now) = (registry.revision, schemas.clock.now());
        if schemas.store.delete_schemas(&subject, &numbers, asked.permanent, under, now).await? {
            return Ok(Told(json!(numbers)));
        }
    }
    Err(Refusal::Contended)
}

pub(in crate::http) async fn delete_version(
    State(api): State<Api>,
    Path((subject, wanted)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Answer {
    let schemas = &api.schemas;
    schemas.free(&subject)?;
    for _ in 0..MOST_TURNS {
        let registry = schemas.store.registry(Some(&subject)).await?;
        let version = one(&registry, &subject, &wanted, asked.permanent)?;
        let number = version.number;
        if asked.permanent && version.deleted_at.is_none() {
            return Err(Refusal::VersionNotDeleted(subject.clone(), number));
        }
        let (under, now) = (registry.revision, schemas.clock.now());
        if schemas.store.delete_schemas(&subject, &[number], asked.permanent, under, now).await? {
            return Ok(Told(json!(number)));
        }
    }
    Err(Refusal::Contended)
}

/// By its number, or the one in force by `latest`.
pub(super) fn one<'a>(
    registry: &'a Registry,
    subject: &str,
    wanted: &str,
    deleted: bool,
) -> Result<&'a SchemaVersion, Refusal> {
    let current = registry.current(subject);
    let number = match wanted {
        "latest" | "-1" => current,
        text => match text.parse::<u32>() {
            Ok(number @ 1..) => Some(number),
            _ => return Err(Refusal::Version(wanted.to_owned())),
        },
    };
    let mut known = registry.versions.iter().filter(|v| deleted || v.deleted_at.is_none()).peekable();
    if known.peek().is_none() {
        return Err(Refusal::NoSubject(subject.to_owned()));
    }
    known.find(|v| Some(v.number) == number).ok_or_else(|| Refusal::NoVersion(wanted.to_owned()))
}
