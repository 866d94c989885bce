//! `/compatibility`: whether a schema would be taken, and what it breaks.

use super::{
    answer::{Answer, Told},
    asked::{document, flag},
    store::broken,
    subjects::one,
};
use crate::http::api::State as Api;
use alluvium_flow::registry::looked_at;
use alluvium_spec::Mode;
use axum::extract::{Path, Query, Request, State};
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, Deserialize)]
pub(in crate::http) struct Asked {
    /// Clients that want to know why.
    #[serde(default, deserialize_with = "flag")]
    verbose: bool,
}

/// Against one version, whatever the mode says of others.
pub(in crate::http) async fn against_version(
    State(api): State<Api>,
    Path((subject, number)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Answer {
    let document = document(request).await?;
    let registry = api.schemas.store.registry(Some(&subject)).await?;
    let mode = api.schemas.mode(&registry, &subject)?;
    let version = one(&registry, &subject, &number, false)?;
    let old = if mode == Mode::None { vec![] } else { vec![version] };
    Ok(verdict(&broken(&old, &document, mode)?, &asked))
}

/// Against those that the mode looks at.
pub(in crate::http) async fn against_mode(
    State(api): State<Api>,
    Path(subject): Path<String>,
    Query(asked): Query<Asked>,
    request: Request,
) -> Answer {
    let document = document(request).await?;
    let registry = api.schemas.store.registry(Some(&subject)).await?;
    let mode = api.schemas.mode(&registry, &subject)?;
    Ok(verdict(&broken(&looked_at(&registry, &subject, mode), &document, mode)?, &asked))
}

fn verdict(messages: &[String], asked: &Asked) -> Told {
    let mut out = json!({ "is_compatible": messages.is_empty() });
    if asked.verbose {
        out["messages"] = json!(messages);
    }
    Told(out)
}
