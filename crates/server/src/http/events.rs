//! `POST /events`: CloudEvents that are durable before they are acknowledged, and notices of object stores.

use super::{
    api::State,
    notices::{answer, made_due},
    peer::Peer,
    problem::Problem,
    wait::{self, Answer, Taken},
};
use crate::{
    audit::Refused,
    cloudevents::{self, Event, Mode, NoEvent},
    notices::{self, Object},
    rates::counted,
};
use alluvium_model::DatasetName;
use alluvium_spec::{EventSchema, Push};
use alluvium_store::{Pushed, PushedEvent, PushedList, Rate, RefusalKind};
use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode, header},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

const MOST_BYTES: usize = 1 << 20;
/// For one body.
const LONGEST: Duration = Duration::from_secs(30);

pub(super) async fn post(state: axum::extract::State<State>, peer: Peer, request: Request) -> Answer {
    match wait::asked(request.uri().query())? {
        None => Ok(take(&state, peer, request).await?.answer()),
        Some(time) => wait::until_done(&state, time, take(&state, peer, request)).await,
    }
}

async fn take(state: &State, peer: Peer, request: Request) -> Result<Taken, Problem> {
    let _one = state.at_once.try_acquire().map_err(|_| Problem::Busy)?;
    let (head, body) = request.into_parts();
    let mode = match mode(&head.headers) {
        Ok(mode) => mode,
        Err(no_event) => {
            let body = read(body, &head.headers, MOST_BYTES).await?;
            return match notices::read(&body) {
                Some(notice) => answer(state, notice, peer).await,
                None => Err(no_event),
            };
        }
    };
    let body = read(body, &head.headers, MOST_BYTES).await?;
    let events = match mode {
        Mode::Binary => {
            let attributes = head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            cloudevents::binary(attributes, &body).map(|event| vec![event])
        }
        Mode::Structured => cloudevents::structured(&body).map(|event| vec![event]),
        Mode::Batch => cloudevents::batch(&body),
    };
    let events = events.map_err(|NoEvent(why)| Problem::Event(why))?;
    if let Some((problem, id)) = first_breach(state, &events) {
        let (kind, path, reason) = (RefusalKind::Schema, "/events".to_owned(), problem.to_string());
        state.audit.note(Refused { kind, path, peer: peer.0, reason, id: Some(id) }).await;
        return Err(problem);
    }
    let Routed { taken, created, others } = routed(state, events)?;
    let takers: BTreeSet<DatasetName> = taken.iter().flat_map(|e| e.datasets.iter().cloned()).collect();
    let is_data = created.is_empty() && others == 0;
    // In a batch of both, what is data is durable first.
    let durable = if is_data || !taken.is_empty() {
        let rates = rates(state, &takers);
        Some(pushed(state, PushedList { events: taken, rates }).await?)
    } else {
        None
    };
    let mut told = match durable {
        Some(Durable { new, duplicates, .. }) if is_data => {
            Taken::new(StatusCode::ACCEPTED, json!({ "accepted": new, "duplicates": duplicates }))
        }
        _ => made_due(state, &created, others, peer).await?,
    };
    if let Some(Durable { new, newest, .. }) = durable {
        told.is_told = new > 0;
        told.due.extend(takers.into_iter().map(|name| (name, newest)));
    }
    Ok(told)
}

/// Those of the datasets that take something of a request, each once.
fn rates(state: &State, takers: &BTreeSet<DatasetName>) -> Vec<Rate> {
    let of = |(name, push): &(DatasetName, Push)| {
        let rate = push.rate.as_ref().filter(|_| takers.contains(name))?;
        let rate = counted(rate, || format!("http {name}"));
        Some((rate.key.clone(), rate))
    };
    let by_key: BTreeMap<String, Rate> = state.takers.iter().filter_map(of).collect();
    by_key.into_values().collect()
}

/// What became of events that were pushed.
#[derive(Clone, Copy)]
pub(super) struct Durable {
    pub(super) new: u64,
    pub(super) duplicates: u64,
    /// The newest turn of the loop that may not have seen them.
    newest: u64,
}

/// Durable when this returns.
pub(super) async fn pushed(state: &State, list: PushedList) -> Result<Durable, Problem> {
    match state.intake.push(list).await {
        None => Err(Problem::Busy),
        Some(Ok((Pushed::Full { dataset }, _))) => Err(Problem::Full(dataset.to_string())),
        Some(Ok((Pushed::TooFrequent { until }, _))) => {
            let wait = until.duration_since(state.clock.now());
            Err(Problem::TooFrequent(Duration::try_from(wait).unwrap_or_default()))
        }
        Some(Ok((Pushed::Accepted { new, duplicates }, newest))) => Ok(Durable { new, duplicates, newest }),
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

/// All of a body, if it is not larger than `most`.
pub(super) async fn read(body: Body, headers: &HeaderMap, most: usize) -> Result<Bytes, Problem> {
    let told = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<usize>().ok());
    if told.is_some_and(|t| t > most) {
        return Err(Problem::TooLarge(most));
    }
    match tokio::time::timeout(LONGEST, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // A body that says its length and breaks off was not too long.
        Ok(Err(_)) if told.is_none() => Err(Problem::TooLarge(most)),
        Ok(Err(_)) | Err(_) => Err(Problem::Body),
    }
}

#[derive(Default)]
struct Routed {
    taken: Vec<PushedEvent>,
    /// Objects of which stores tell in events that no dataset takes as data.
    created: Vec<Object>,
    /// What else such events tell.
    others: usize,
}

/// Of the first event that breaks the schema of its type, with its id. None of those that came with it is taken.
fn first_breach(state: &State, events: &[Event]) -> Option<(Problem, String)> {
    events.iter().enumerate().find_map(|(place, event)| {
        let schema = state.takers.iter().find_map(|(_, push)| push.schemas.get(&event.event_type))?;
        let place = if events.len() > 1 { format!("event {place}") } else { "the event".to_owned() };
        breach(schema, event, place).map(|problem| (problem, event.id.clone()))
    })
}

/// How the event's data breaks the schema of its type.
pub(super) fn breach(schema: &EventSchema, event: &Event, place: String) -> Option<Problem> {
    let what: Vec<String> = match event.data() {
        Some(data) => schema.validator.breaches(&data).iter().map(ToString::to_string).collect(),
        None => vec!["it is nested too deep to be judged".to_owned()],
    };
    (!what.is_empty()).then(|| Problem::Schema {
        place,
        event_type: event.event_type.clone(),
        file: schema.file.display().to_string(),
        what: what.join("; "),
    })
}

fn routed(state: &State, events: Vec<Event>) -> Result<Routed, Problem> {
    let mut routed = Routed::default();
    for event in events {
        let takers = state.takers.iter().filter(|(_, push)| push.takes(&event.event_type));
        let datasets: Vec<_> = takers.map(|(name, _)| name.clone()).collect();
        if !datasets.is_empty() {
            let Event { source, id, record, .. } = event;
            routed.taken.push(PushedEvent { source, id, datasets, record });
            continue;
        }
        match notices::of_event(&event.event_type, &event.source, event.subject.as_deref()) {
            Some((object, true)) => routed.created.push(object),
            Some((_, false)) => routed.others += 1,
            None => return Err(Problem::Type(event.event_type)),
        }
    }
    Ok(routed)
}
