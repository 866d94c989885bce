//! Every path of the service, once: the router and the OpenAPI document are both made from this table.
//!
//! Called by `api.rs` and `openapi.rs`.

use super::{api::State, events, metrics, notices, openapi, problem::Problem, registry, replays, views, waiting};
use axum::routing::MethodFilter;
use axum::{
    Json,
    http::StatusCode,
    response::IntoResponse,
    routing::{MethodRouter, get, on, post},
};
use serde_json::json;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Put,
    Delete,
    Options,
}

pub(super) struct Route {
    pub(super) method: Method,
    /// Parts in braces are parameters, in the router as in the document.
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) summary: &'static str,
    /// Whether it asks for the token.
    pub(super) guarded: bool,
    pub(super) parameters: &'static [Parameter],
    /// Content types of the body, if there is one, each with the name of its schema. `None`: anything.
    pub(super) takes: &'static [(&'static str, Option<&'static str>)],
    /// Status, meaning and content type of each answer, but for errors.
    pub(super) answers: &'static [(u16, &'static str, Content)],
    pub(super) errors: &'static [u16],
    pub(super) handler: fn() -> MethodRouter<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    None,
    /// By the name of its schema.
    Object(&'static str),
    /// Of what.
    List(&'static str),
    /// What clients of schema registries take.
    Registry(&'static str),
    Text,
}

/// Where a parameter is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) what: &'static str,
    pub(super) whole_number: bool,
}

/// What is no CloudEvent is the notice of an object store, or the data of an event whose attributes are headers.
const EVENTS: &[(&str, Option<&str>)] = &[
    ("application/cloudevents+json", Some("CloudEvent")),
    ("application/cloudevents-batch+json", Some("CloudEvents")),
    ("application/json", None),
    ("text/plain", None),
    ("*/*", None),
];

const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/healthz",
        id: "alive",
        summary: "Whether the process lives",
        guarded: false,
        parameters: &[],
        takes: &[],
        answers: &[(200, "It does", Content::Object("Alive"))],
        errors: &[],
        handler: || get(async || Json(json!({ "alive": true }))),
    },
    Route {
        method: Method::Get,
        path: "/readyz",
        id: "ready",
        summary: "Whether the service does its work",
        guarded: false,
        parameters: &[],
        takes: &[],
        answers: &[
            (200, "It does", Content::Object("Ready")),
            (503, "It starts or stops, or cannot reach the state", Content::Object("Ready")),
        ],
        errors: &[],
        handler: || get(ready),
    },
    Route {
        method: Method::Get,
        path: "/metrics",
        id: "metrics",
        summary: "Counts of the state, in the text format of Prometheus",
        guarded: true,
        parameters: &[],
        takes: &[],
        answers: &[(200, "The counts", Content::Text)],
        errors: &[401, 403, 500, 503],
        handler: || get(metrics::metrics),
    },
    Route {
        method: Method::Get,
        path: "/openapi.json",
        id: "openapi",
        summary: "This document",
        guarded: true,
        parameters: &[],
        takes: &[],
        answers: &[(200, "The document", Content::Object("Document"))],
        errors: &[401, 403],
        handler: || get(openapi::get),
    },
    Route {
        method: Method::Post,
        path: "/events",
        id: "push",
        summary: "CloudEvents, durable before they are acknowledged; and notices of object stores",
        guarded: true,
        parameters: &[TOKEN, WAIT],
        takes: EVENTS,
        answers: &[
            (202, "Events are durable, or datasets are due", Content::Object("AcceptedOrDue")),
            (
                200,
                "With `wait`, what the request started is done; or a question of a cloud is answered",
                Content::Object("Answered"),
            ),
        ],
        errors: &[400, 401, 403, 408, 413, 415, 422, 429, 500, 503],
        handler: || post(events::post),
    },
    Route {
        method: Method::Options,
        path: "/events",
        id: "allow",
        summary: "Whether a sender of CloudEvents may send here",
        guarded: true,
        parameters: &[TOKEN],
        takes: &[],
        answers: &[(200, "It may", Content::None)],
        errors: &[400, 401, 403],
        handler: || on(MethodFilter::OPTIONS, notices::options),
    },
    Route {
        method: Method::Get,
        path: "/api/datasets",
        id: "datasets",
        summary: "As `alluvium show datasets --format json`",
        guarded: true,
        parameters: &[],
        takes: &[],
        answers: &[(200, "One object a dataset", Content::List("Dataset"))],
        errors: &[401, 403, 500, 503],
        handler: || get(views::datasets),
    },
    Route {
        method: Method::Get,
        path: "/api/catalog",
        id: "catalog",
        summary: "As `alluvium show catalog --format json`",
        guarded: true,
        parameters: &[Parameter {
            name: "q",
            place: Place::Query,
            what: "Words, all of which are found in what is told of a dataset",
            whole_number: false,
        }],
        takes: &[],
        answers: &[(200, "One object a dataset", Content::List("CatalogEntry"))],
        errors: &[400, 401, 403, 500, 503],
        handler: || get(views::catalog),
    },
    Route {
        method: Method::Get,
        path: "/api/gaps",
        id: "gaps",
        summary: "As `alluvium show gaps --format json`",
        guarded: true,
        parameters: &[
            Parameter { name: "dataset", place: Place::Query, what: "Only those of this dataset", whole_number: false },
            Parameter {
                name: "window",
                place: Place::Query,
                what: "How long windows are, as `1 hour`",
                whole_number: false,
            },
        ],
        takes: &[],
        answers: &[(200, "One object a gap", Content::List("Gap"))],
        errors: &[400, 401, 403, 404, 500, 503],
        handler: || get(views::gaps),
    },
    Route {
        method: Method::Get,
        path: "/api/runs",
        id: "runs",
        summary: "As `alluvium show runs --format json`, newest first",
        guarded: true,
        parameters: &[LIMIT],
        takes: &[],
        answers: &[(200, "One object a run", Content::List("Run"))],
        errors: &[400, 401, 403, 500, 503],
        handler: || get(views::runs),
    },
    Route {
        method: Method::Get,
        path: "/api/runs/{id}",
        id: "run",
        summary: "As `alluvium show run --format json`",
        guarded: true,
        parameters: &[Parameter {
            name: "id",
            place: Place::Path,
            what: "Its id, the start of its id, or `latest`",
            whole_number: false,
        }],
        takes: &[],
        answers: &[(200, "The run with its steps and broken rules", Content::Object("RunWithSteps"))],
        errors: &[401, 403, 404, 500, 503],
        handler: || get(views::run),
    },
    Route {
        method: Method::Get,
        path: "/api/dead-letters",
        id: "dead_letters",
        summary: "As `alluvium show dead-letters --format json`",
        guarded: true,
        parameters: &[],
        takes: &[],
        answers: &[(200, "One object a dead letter", Content::List("DeadLetter"))],
        errors: &[401, 403, 500, 503],
        handler: || get(views::dead_letters),
    },
    Route {
        method: Method::Get,
        path: "/api/events",
        id: "events",
        summary: "What was received and is in no table yet, newest first",
        guarded: true,
        parameters: &[
            LIMIT,
            Parameter { name: "dataset", place: Place::Query, what: "Only that of this dataset", whole_number: false },
        ],
        takes: &[],
        answers: &[(200, "One object an event", Content::List("WaitingEvent"))],
        errors: &[400, 401, 403, 404, 500, 503],
        handler: || get(waiting::list),
    },
    Route {
        method: Method::Get,
        path: "/api/events/{id}",
        id: "event",
        summary: "As `alluvium show event --format json`; with `source`, of an event that was pushed",
        guarded: true,
        parameters: &[
            Parameter {
                name: "id",
                place: Place::Path,
                what: "That of a landing object, its start, or the object's path; with `source`, that of the event",
                whole_number: false,
            },
            Parameter { name: "source", place: Place::Query, what: "The event's `source`", whole_number: false },
        ],
        takes: &[],
        answers: &[(200, "What became of it", Content::Object("Event"))],
        errors: &[401, 403, 404, 500, 503],
        handler: || get(waiting::one),
    },
    Route {
        method: Method::Get,
        path: "/api/replays",
        id: "replays",
        summary: "Replays that were asked for here, newest first",
        guarded: true,
        parameters: &[LIMIT],
        takes: &[],
        answers: &[(200, "One object a replay", Content::List("Replay"))],
        errors: &[400, 401, 403, 500, 503],
        handler: || get(replays::list),
    },
    Route {
        method: Method::Post,
        path: "/api/replays",
        id: "ask_replay",
        summary: "As `alluvium replay`: what waits in a quarantine, or dead letters, once more",
        guarded: true,
        parameters: &[Parameter {
            name: "idempotency-key",
            place: Place::Header,
            what: "Names the question: asked again, the answer is the same replay",
            whole_number: false,
        }],
        takes: &[("application/json", Some("AskedReplay"))],
        answers: &[(202, "It is durable; `Location` is where to look how it goes", Content::Object("AcceptedReplay"))],
        errors: &[400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 503],
        handler: || post(replays::post),
    },
    Route {
        method: Method::Get,
        path: "/api/replays/{id}",
        id: "replay",
        summary: "How a replay goes, or went",
        guarded: true,
        parameters: &[Parameter { name: "id", place: Place::Path, what: "Its id", whole_number: false }],
        takes: &[],
        answers: &[(200, "The replay, its outcome and its run", Content::Object("ReplayWithRun"))],
        errors: &[401, 403, 404, 500, 503],
        handler: || get(replays::one),
    },
    Route {
        method: Method::Get,
        path: "/api/publications",
        id: "publications",
        summary: "As `alluvium show publications --format json`",
        guarded: true,
        parameters: &[],
        takes: &[],
        answers: &[(200, "One object a dataset and sink", Content::List("Publication"))],
        errors: &[401, 403, 500, 503],
        handler: || get(views::publications),
    },
    Route {
        method: Method::Get,
        path: "/api/alerts",
        id: "alerts",
        summary: "As `alluvium show alerts --format json`",
        guarded: true,
        parameters: &[],
        takes: &[],
        answers: &[(200, "Open alerts, and those that were resolved in the last week", Content::List("Alert"))],
        errors: &[401, 403, 500, 503],
        handler: || get(views::alerts),
    },
];

const LIMIT: Parameter =
    Parameter { name: "limit", place: Place::Query, what: "1 to 1,000; 20 if not given", whole_number: true };

const TOKEN: Parameter = Parameter {
    name: "token",
    place: Place::Query,
    what: "The service's token, for senders that can set no header",
    whole_number: false,
};

const WAIT: Parameter = Parameter {
    name: "wait",
    place: Place::Query,
    what: "How long the answer may wait for what the request starts, up to 1h, as `30s`",
    whole_number: false,
};

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().chain(registry::ROUTES)
}

/// Those that ask for the token, or those that do not.
pub(super) fn router(guarded: bool) -> axum::Router<State> {
    let routes = all().filter(|r| r.guarded == guarded);
    let router = routes.fold(axum::Router::new(), |router, r| router.route(r.path, (r.handler)()));
    router.method_not_allowed_fallback(async || Problem::Method)
}

async fn ready(state: axum::extract::State<State>) -> impl IntoResponse {
    let ready = state.health.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready })))
}
