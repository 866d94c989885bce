//! `POST /events`: CloudEvents that are durable before they are acknowledged.

use super::{api::State, problem::Problem};
use crate::cloudevents::{self, Event, Mode, NoEvent};
use alluvium_store::{Pushed, PushedEvent};
use axum::{
    Json,
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode, header},
};
use serde_json::{Value, json};
use std::time::Duration;

const MOST_BYTES: usize = 1 << 20;
/// For one body.
const LONGEST: Duration = Duration::from_secs(30);

pub(super) async fn post(
    state: axum::extract::State<State>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let _one = state.at_once.try_acquire().map_err(|_| Problem::Busy)?;
    let (head, body) = request.into_parts();
    let mode = mode(&head.headers)?;
    let body = read(body, &head.headers).await?;
    let events = match mode {
        Mode::Binary => {
            let attributes = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            cloudevents::binary(attributes, &body).map(|event| vec![event])
        }
        Mode::Structured => cloudevents::structured(&body).map(|event| vec![event]),
        Mode::Batch => cloudevents::batch(&body),
    };
    let events = events.map_err(|NoEvent(why)| Problem::Event(why))?;
    let events = events.into_iter().map(|e| routed(&state, e)).collect::<Result<Vec<_>, _>>()?;
    match state.intake.push(events).await {
        None => Err(Problem::Busy),
        Some(Ok(Pushed::Full { dataset })) => Err(Problem::Full(dataset.to_string())),
        Some(Ok(Pushed::Accepted { new, duplicates })) => {
            Ok((StatusCode::ACCEPTED, Json(json!({ "accepted": new, "duplicates": duplicates }))))
        }
        Some(Err(error)) => Err(Problem::failed(error.as_ref())),
    }
}

fn mode(headers: &HeaderMap) -> Result<Mode, Problem> {
    let content = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let content = content.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match content.as_str() {
        "application/cloudevents+json" => Ok(Mode::Structured),
        "application/cloudevents-batch+json" => Ok(Mode::Batch),
        _ if headers.contains_key("ce-specversion") => Ok(Mode::Binary),
        _ => Err(Problem::MediaType),
    }
}

async fn read(body: Body, headers: &HeaderMap) -> Result<Bytes, Problem> {
    let told = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<usize>().ok());
    if told.is_some_and(|t| t > MOST_BYTES) {
        return Err(Problem::TooLarge(MOST_BYTES));
    }
    match tokio::time::timeout(LONGEST, to_bytes(body, MOST_BYTES)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // A body that says its length and breaks off was not too long.
        Ok(Err(_)) if told.is_none() => Err(Problem::TooLarge(MOST_BYTES)),
        Ok(Err(_)) | Err(_) => Err(Problem::Body),
    }
}

fn routed(state: &State, event: Event) -> Result<PushedEvent, Problem> {
    let takers = state.takers.iter().filter(|(_, push)| push.takes(&event.event_type));
    let datasets: Vec<_> = takers.map(|(name, _)| name.clone()).collect();
    if datasets.is_empty() {
        return Err(Problem::Type(event.event_type));
    }
    Ok(PushedEvent { source: event.source, id: event.id, datasets, record: event.record })
}
