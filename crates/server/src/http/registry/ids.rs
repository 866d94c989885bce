//! `/schemas`: contents by their ids, as readers of messages ask for them.

use super::{
    answer::{Answer, Refusal, Told},
    asked::TYPES,
    store::kind,
};
use crate::http::api::State as Api;
use alluvium_store::SchemaVersion;
use axum::extract::{Path, State};
use serde_json::json;

pub(in crate::http) async fn types() -> Told {
    Told(json!(TYPES.map(|(word, _)| word)))
}

/// Also where all its versions were deleted, as long as they are not gone for good: messages under it can still be there.
pub(in crate::http) async fn of_id(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    let versions = versions(&api, &id).await?;
    let first = versions.first().ok_or(Refusal::NoSchema(id))?;
    let mut out = json!({ "schema": first.text });
    if let Some(kind) = kind(first).filter(|k| *k != "AVRO") {
        out["schemaType"] = json!(kind);
    }
    Ok(Told(out))
}

pub(in crate::http) async fn versions_of_id(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    let found = live(&api, id).await?;
    Ok(Told(found.iter().map(|v| json!({ "subject": v.subject, "version": v.number })).collect()))
}

pub(in crate::http) async fn subjects_of_id(State(api): State<Api>, Path(id): Path<String>) -> Answer {
    let mut subjects: Vec<String> = live(&api, id).await?.into_iter().map(|v| v.subject).collect();
    subjects.dedup();
    Ok(Told(json!(subjects)))
}

async fn live(api: &Api, id: String) -> Result<Vec<SchemaVersion>, Refusal> {
    let mut found = versions(api, &id).await?;
    if found.is_empty() {
        return Err(Refusal::NoSchema(id));
    }
    found.retain(|v| v.deleted_at.is_none());
    Ok(found)
}

async fn versions(api: &Api, id: &str) -> Result<Vec<SchemaVersion>, Refusal> {
    let number: u32 = id.parse().map_err(|_| Refusal::NoSchema(id.to_owned()))?;
    Ok(api.schemas.store.schema(number).await?)
}
