//! What a client sends: a schema in its language, or a mode.

use super::answer::Refusal;
use crate::http::{events::read, problem::Problem};
use alluvium_spec::{Document, Language};
use axum::{
    extract::Request,
    http::{HeaderMap, header},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::Value;
use std::path::Path;

const MOST_BYTES: usize = 1 << 20;

/// As clients name them.
pub(super) const TYPES: [(&str, Language); 3] =
    [("AVRO", Language::Avro), ("JSON", Language::JsonSchema), ("ODCS", Language::Odcs)];

/// What else clients send of a schema decides nothing here, but for what a reader would rely on.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    schema: String,
    schema_type: Option<String>,
    references: Option<Vec<Value>>,
    rule_set: Option<Value>,
    metadata: Option<Value>,
}

pub(super) async fn document(request: Request) -> Result<Document, Refusal> {
    let sent: Sent = body(request).await?;
    let name = sent.schema_type.as_deref().unwrap_or("AVRO");
    let language = TYPES.iter().find(|(word, _)| *word == name).map(|(_, language)| *language);
    let language = language.ok_or_else(|| {
        let known: Vec<&str> = TYPES.iter().map(|(word, _)| *word).collect();
        Refusal::Schema(format!("schemas of the type {name:?} are not taken; there are {}", known.join(", ")))
    })?;
    if sent.references.is_some_and(|r| !r.is_empty()) {
        return Err(Refusal::Schema(
            "references to other subjects are not followed; put the schema together".to_owned(),
        ));
    }
    if sent.rule_set.is_some() || sent.metadata.is_some() {
        return Err(Refusal::Schema(
            "rule sets and metadata are not kept here, and nothing would act on them".to_owned(),
        ));
    }
    Document::read(language, Path::new("schema"), &sent.schema).map_err(|mistakes| {
        let first = mistakes.0.first();
        Refusal::Schema(
            first.map_or_else(String::new, |d| format!("{} (line {}, column {})", d.message, d.line, d.column)),
        )
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let content = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = content.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || kind.starts_with("application/vnd.schemaregistry") && kind.ends_with("+json")
}

pub(super) async fn body<T: DeserializeOwned>(request: Request) -> Result<T, Refusal> {
    let (head, body) = request.into_parts();
    // A page of another site can send a body as text without being asked for its origin.
    if !is_json(&head.headers) {
        return Err(Refusal::Kind);
    }
    let bytes = read(body, &head.headers, MOST_BYTES).await.map_err(|problem| match problem {
        Problem::TooLarge(most) => Refusal::TooLarge(most),
        other => Refusal::Request(other.to_string()),
    })?;
    serde_json::from_slice(&bytes).map_err(|e| Refusal::Request(format!("the body cannot be read: {e}")))
}

/// `true` in any case of letters, as clients of several languages write it.
pub(super) fn flag<'de, D: Deserializer<'de>>(field: D) -> Result<bool, D::Error> {
    Ok(String::deserialize(field)?.eq_ignore_ascii_case("true"))
}
