//! `POST /events?wait=30s`: the answer comes when what the events started is done, so that a request of a cloud can be all that runs.
//!
//! Called by `events.rs`. What is waited for is durable before: an answer that comes too late, or never, loses nothing.

use super::{
    api::{Shared, State},
    problem::Problem,
};
use crate::{cloudevents::decoded, turns::Left};
use alluvium_model::{DatasetName, Span};
use axum::{Json, http::StatusCode};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, time::Duration};

const LONGEST: Span = Span::from_secs(3_600);

pub(super) type Answer = Result<(StatusCode, Json<Value>), Problem>;

/// What a request brought.
pub(super) struct Taken {
    status: StatusCode,
    body: Value,
    /// Datasets that it makes due, each with the number of the newest turn that may not have seen it.
    pub(super) due: BTreeMap<DatasetName, u64>,
    /// Whether the loop was told of all of them.
    pub(super) is_told: bool,
}

impl Taken {
    pub(super) fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body, due: BTreeMap::new(), is_told: true }
    }

    pub(super) fn answer(self) -> (StatusCode, Json<Value>) {
        (self.status, Json(self.body))
    }
}

/// How long the request wants to wait.
pub(super) fn asked(query: Option<&str>) -> Result<Option<Duration>, Problem> {
    let parameters = query.unwrap_or_default().split('&').map(|p| p.split_once('=').unwrap_or((p, "")));
    let mut all = parameters.filter(|(name, _)| *name == "wait").map(|(_, value)| value);
    let Some(first) = all.next() else { return Ok(None) };
    let span = decoded(first.as_bytes()).and_then(|text| text.parse::<Span>().ok()).filter(|s| *s <= LONGEST);
    match (span, all.next()) {
        (Some(span), None) => Ok(Some(span.into())),
        _ => Err(Problem::Parameter(format!("`wait` is a time up to {LONGEST}, as 30s, and is given once"))),
    }
}

/// 200 with what became of each dataset, or what the request is answered without waiting when the time is over.
pub(super) async fn until_done(
    state: &State,
    time: Duration,
    taken: impl Future<Output = Result<Taken, Problem>>,
) -> Answer {
    let _one = state.waiting_at_once.try_acquire().map_err(|_| Problem::Busy)?;
    let before = committed(state).await?;
    let taken = taken.await?;
    if taken.due.is_empty() {
        return Ok(taken.answer());
    }
    // Events that were known already start nothing by themselves; what they started may go on still.
    if !taken.is_told {
        state.intake.tell(taken.due.keys().cloned());
    }
    let mut all = BTreeMap::new();
    for (name, newest) in &taken.due {
        for below in state.below.get(name).into_iter().flatten() {
            let after = all.entry(below.clone()).or_insert(*newest);
            *after = (*after).max(*newest);
        }
    }
    match tokio::time::timeout(time, state.intake.turns.done(&all)).await {
        Ok(Some(left)) => Ok(match committed(state).await {
            Ok(after) => outcome(taken, left, &before, &after),
            // It is durable all the same, and is not to be sent again.
            Err(_) => taken.answer(),
        }),
        Ok(None) | Err(_) => Ok(taken.answer()),
    }
}

async fn committed(state: &Shared) -> Result<BTreeMap<DatasetName, i64>, Problem> {
    state.views.committed().await.map_err(|error| Problem::failed(error.as_ref()))
}

fn outcome(
    taken: Taken,
    left: BTreeMap<DatasetName, Left>,
    before: &BTreeMap<DatasetName, i64>,
    after: &BTreeMap<DatasetName, i64>,
) -> (StatusCode, Json<Value>) {
    let mut datasets = Map::new();
    for (name, left) in left {
        let version = after.get(&name).filter(|v| before.get(&name) != Some(v));
        let word = match (left, version) {
            (Left::Failed | Left::Waits, _) => "failed",
            (Left::Held, _) => "held",
            (Left::Nothing, Some(_)) => "committed",
            (Left::Nothing, None) => "unchanged",
        };
        datasets.insert(name.to_string(), json!({ "state": word, "version": version }));
    }
    let mut body = taken.body;
    body["outcome"] = Value::Object(datasets);
    (StatusCode::OK, Json(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_time_that_is_told_once_is_waited() {
        let asked = |query: &str| asked(Some(query)).map_err(|p| p.to_string());
        assert_eq!(super::asked(None).ok(), Some(None));
        assert_eq!(asked("token=a&waiting=1s"), Ok(None));
        assert_eq!(asked("token=a&wait=30s"), Ok(Some(Duration::from_secs(30))));
        assert_eq!(asked("wait=1%20min"), Ok(Some(Duration::from_secs(60))));
        assert_eq!(asked("wait=0s"), Ok(Some(Duration::ZERO)));
        for wrong in [
            "wait",
            "wait=",
            "wait=30",
            "wait=-1s",
            "wait=1.5s",
            "wait=2h",
            "wait=4294967295d",
            "wait=99999999999s",
            "wait=soon",
            "wait=%ff",
            "wait=%00",
            "wait=1s&wait=1s",
            "wait=1s&wait",
        ] {
            assert!(asked(wrong).is_err(), "{wrong}");
        }
    }
}
