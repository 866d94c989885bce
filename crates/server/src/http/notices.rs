//! What a store's notice makes due: the datasets whose landing folder is that bucket, mounted.
//!
//! Called by `events.rs`, for what comes to `POST /events`. A notice says only where to look, so that it need not be durable: what it
//! told of and nobody looked at is found by the next look.

use super::{
    api::{Shared, State},
    peer::Peer,
    problem::Problem,
    wait::Taken,
};
use crate::{
    audit::Refused,
    cloudevents::NoEvent,
    notices::{Notice, Object},
};
use alluvium_model::DatasetName;
use alluvium_spec::Notified;
use alluvium_store::RefusalKind;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;
use std::collections::BTreeSet;

const ASKING: &str = "webhook-request-origin";
const ALLOWED: &str = "webhook-allowed-origin";
const ASKING_RATE: &str = "webhook-request-rate";
const ALLOWED_RATE: &str = "webhook-allowed-rate";

pub(super) async fn answer(state: &Shared, notice: Result<Notice, NoEvent>, peer: Peer) -> Result<Taken, Problem> {
    match notice.map_err(|NoEvent(why)| Problem::Notice(why))? {
        Notice::Objects { created, others } => made_due(state, &created, others, peer).await,
        Notice::Validation { code } => Ok(Taken::new(StatusCode::OK, json!({ "validationResponse": code }))),
        Notice::Confirmation { topic, url } => {
            tracing::warn!(topic, url, "Amazon SNS wants to send notices here; open the address to allow it");
            Ok(Taken::new(StatusCode::OK, json!({ "confirm": "the service's log has the address to open" })))
        }
        Notice::Test => Ok(Taken::new(StatusCode::OK, json!({ "test": true }))),
    }
}

/// The datasets are told at once; objects of no dataset are an error only if there is no other.
pub(super) async fn made_due(state: &Shared, created: &[Object], others: usize, peer: Peer) -> Result<Taken, Problem> {
    let mut due: BTreeSet<DatasetName> = BTreeSet::new();
    let mut unmatched = Vec::new();
    for object in created {
        let mut told = state.notified.iter().filter(|(_, n)| tells(n, object)).map(|(name, _)| name.clone()).peekable();
        if told.peek().is_none() {
            unmatched.push(object);
        }
        due.extend(told);
    }
    if let Some(first) = unmatched.first() {
        let problem = Problem::Unmatched { bucket: first.bucket.clone(), key: first.key.clone() };
        let (reason, path) = (problem.to_string(), "/events".to_owned());
        state.audit.note(Refused { kind: RefusalKind::Unmatched, path, peer: peer.0, reason, id: None }).await;
        if due.is_empty() {
            return Err(problem);
        }
    }
    let newest = state.intake.tell_of_objects(&due);
    let body = json!({
        "objects": created.len() - unmatched.len(),
        "datasets": due,
        "unmatched": unmatched.len(),
        "ignored": others,
    });
    let mut taken = Taken::new(StatusCode::ACCEPTED, body);
    taken.due = due.into_iter().map(|name| (name, newest)).collect();
    Ok(taken)
}

fn tells(notified: &Notified, object: &Object) -> bool {
    notified.bucket == object.bucket
        && object.key.starts_with(&notified.prefix)
        && notified.account.as_ref().is_none_or(|account| object.account.as_ref() == Some(account))
}

/// Whoever sends CloudEvents by webhook asks first; Event Grid does.
pub(super) async fn options(
    _: axum::extract::State<State>,
    headers: HeaderMap,
) -> Result<(StatusCode, HeaderMap), Problem> {
    let asking = || Problem::Parameter(format!("there is no header `{ASKING}`"));
    let origin = headers.get(ASKING).ok_or_else(asking)?.clone();
    let mut allowed = HeaderMap::new();
    allowed.insert(ALLOWED, origin);
    if headers.contains_key(ASKING_RATE) {
        allowed.insert(ALLOWED_RATE, HeaderValue::from_static("*"));
    }
    Ok((StatusCode::OK, allowed))
}
