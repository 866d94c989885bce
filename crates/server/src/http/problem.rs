//! An answer that says what is wrong, with the fields that errors have everywhere.

use alluvium_flow::FlowError;
use alluvium_model::{Fault, RetryClass};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::time::Duration;

/// After so many seconds a producer that was told to wait may try again.
const RETRY_AFTER_SECONDS: u64 = 5;

#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("the token is missing or wrong")]
    Token,
    #[error("this host name is not served")]
    Host,
    #[error("there is nothing here")]
    NoSuchPath,
    #[error("this cannot be done here")]
    Method,
    #[error(
        "the body is no notice of an object store, the content type is none of CloudEvents, and there is no header `ce-specversion`"
    )]
    MediaType,
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the body did not arrive in time, or not whole")]
    Body,
    #[error("{0}")]
    Event(String),
    #[error("no dataset takes events of type `{0}`")]
    Type(String),
    #[error("{place} breaks the schema of `{event_type}`, {file}: {what}")]
    Schema { place: String, event_type: String, file: String, what: String },
    #[error("there are too many events on their way")]
    Busy,
    #[error("the inbox is full of events that wait for {0}")]
    Full(String),
    #[error("{0}")]
    Notice(String),
    #[error("no dataset is told of `{key}` in the bucket `{bucket}`")]
    Unmatched { bucket: String, key: String },
    #[error("the signature does not hold: {0}")]
    Forged(&'static str),
    #[error("the call's time is further than {0} from ours")]
    Stale(String),
    #[error("this is called more often than its `rate` allows")]
    TooFrequent(Duration),
    #[error("{0}")]
    Parameter(String),
    #[error("there is no such run, or more than one")]
    NoSuchRun,
    #[error("there is no such event, or more than one")]
    NoSuchEvent,
    #[error("there is no such replay")]
    NoSuchReplay,
    #[error("{0}")]
    Replay(String),
    #[error("a replay is asked for as `application/json`")]
    NotJson,
    #[error("{} is not a dataset of this project{}", .name, nearest.as_ref().map_or_else(String::new, |n| format!("; there is {n}")))]
    NoSuchDataset { name: String, nearest: Option<String> },
    #[error("{0}")]
    NotThere(FlowError),
    #[error("{0}")]
    NotPossible(FlowError),
    #[error("another replay was asked for under this `Idempotency-Key`: {0}")]
    OtherUnderKey(String),
    /// Others decide.
    #[error(transparent)]
    NotTheirs(FlowError),
    #[error("there are too many replays that wait")]
    TooManyReplays,
    #[error("{}: {message}", .code)]
    Failed { code: &'static str, message: String, class: RetryClass, remedy: &'static str },
}

impl Problem {
    pub(super) fn failed(error: &dyn Fault) -> Self {
        Self::Failed { code: error.code(), message: error.to_string(), class: error.class(), remedy: error.remedy() }
    }

    pub(super) fn no_dataset(name: String, known: &[String]) -> Self {
        let nearest = alluvium_spec::nearest(&name, known.iter().map(String::as_str)).map(str::to_owned);
        Self::NoSuchDataset { name, nearest }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Token | Self::Forged(_) | Self::Stale(_) => StatusCode::UNAUTHORIZED,
            Self::Host | Self::NotTheirs(_) => StatusCode::FORBIDDEN,
            Self::NoSuchPath
            | Self::NoSuchRun
            | Self::NoSuchReplay
            | Self::NoSuchEvent
            | Self::NoSuchDataset { .. }
            | Self::NotThere(_) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::MediaType | Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Body => StatusCode::REQUEST_TIMEOUT,
            Self::Event(_) | Self::Notice(_) | Self::Parameter(_) | Self::Replay(_) => StatusCode::BAD_REQUEST,
            Self::Type(_)
            | Self::Schema { .. }
            | Self::Unmatched { .. }
            | Self::NotPossible(_)
            | Self::OtherUnderKey(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Busy | Self::Full(_) | Self::TooFrequent(_) | Self::TooManyReplays => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed { class, .. } if class.may_pass() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// After how many seconds to send again.
    fn says_when(&self) -> Option<u64> {
        match self {
            Self::TooFrequent(wait) => Some(wait.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX)),
            _ => matches!(self.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
                .then_some(RETRY_AFTER_SECONDS),
        }
    }
}

impl Fault for Problem {
    fn code(&self) -> &'static str {
        match self {
            Self::Token => "H0101",
            Self::Host => "H0102",
            Self::NoSuchPath => "H0103",
            Self::Method => "H0104",
            Self::Parameter(_) => "H0105",
            Self::NoSuchRun => "H0106",
            Self::NoSuchReplay => "H0107",
            Self::Replay(_) => "H0108",
            Self::NotJson => "H0109",
            Self::OtherUnderKey(_) => "H0110",
            Self::TooManyReplays => "H0111",
            Self::NoSuchEvent => "H0112",
            Self::NoSuchDataset { .. } => "F0101",
            Self::NotThere(error) | Self::NotPossible(error) | Self::NotTheirs(error) => error.code(),
            Self::MediaType => "H0201",
            Self::TooLarge(_) => "H0202",
            Self::Body => "H0203",
            Self::Event(_) => "H0204",
            Self::Type(_) => "H0205",
            Self::Busy => "H0206",
            Self::Full(_) => "H0207",
            Self::Notice(_) => "H0208",
            Self::Unmatched { .. } => "H0209",
            Self::Schema { .. } => "H0210",
            Self::Forged(_) => "H0211",
            Self::Stale(_) => "H0212",
            Self::TooFrequent(_) => "H0213",
            Self::Failed { code, .. } => code,
        }
    }

    fn class(&self) -> RetryClass {
        match self {
            Self::Token | Self::Host | Self::NotTheirs(_) | Self::Forged(_) | Self::Stale(_) => RetryClass::Auth,
            Self::NoSuchPath
            | Self::Method
            | Self::Parameter(_)
            | Self::NoSuchRun
            | Self::NoSuchReplay
            | Self::NoSuchEvent
            | Self::NoSuchDataset { .. }
            | Self::NotThere(_)
            | Self::NotPossible(_)
            | Self::OtherUnderKey(_)
            | Self::Replay(_)
            | Self::NotJson
            | Self::MediaType
            | Self::Event(_)
            | Self::Notice(_)
            | Self::Unmatched { .. }
            | Self::Schema { .. }
            | Self::Type(_) => RetryClass::Schema,
            Self::TooLarge(_) => RetryClass::Data,
            Self::Body => RetryClass::Timeout,
            Self::Busy | Self::Full(_) | Self::TooFrequent(_) | Self::TooManyReplays => RetryClass::Throttled,
            Self::Failed { class, .. } => *class,
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Token => "send the header `Authorization: Bearer …` with the token of the service",
            Self::Host => "ask `localhost` or the address itself, or give the service a token",
            Self::NoSuchPath => "the reference lists the paths",
            Self::Method => "use GET to read, and POST for events and replays",
            Self::Parameter(_) => "correct the parameter",
            Self::NoSuchRun => "ask for the list of runs",
            Self::NoSuchEvent => {
                "write more of its id; rows have theirs in `_event_id`, and pushed ones need `source`, too"
            }
            Self::NoSuchReplay => "ask for the list of replays",
            Self::Replay(_) => {
                "send one of `quarantine`, `rescued`, `dead_letters`, `held` and `discard`, as in `{\"quarantine\": {\"dataset\": …}}`; the reference says more"
            }
            Self::NotJson => "send the header `Content-Type: application/json`",
            Self::OtherUnderKey(_) => "name another question by another key",
            Self::TooManyReplays => "ask again when some of them have ended",
            Self::NoSuchDataset { .. } => "ask for the list of datasets",
            Self::NotThere(error) | Self::NotPossible(error) | Self::NotTheirs(error) => error.remedy(),
            Self::MediaType => {
                "send `application/cloudevents+json`, `application/cloudevents-batch+json`, or the headers `ce-…`"
            }
            Self::TooLarge(_) => "send fewer events at once, or large data as a file",
            Self::Body => "send the whole body at once",
            Self::Event(_) => "send the event as CloudEvents 1.0 says",
            Self::Type(_) => {
                "name the type under `types` of the source of a bronze dataset, and start the service anew"
            }
            Self::Schema { .. } => {
                "correct the event; or let a new version of the schema allow it, and start the service anew. None of the events was taken"
            }
            Self::Notice(_) => "send the notices of an object store as its cloud makes them",
            Self::Unmatched { .. } => {
                "name the bucket under `source.files` or `source.notified_by` of a bronze dataset, and start the service anew"
            }
            Self::Forged(_) => "sign as Standard Webhooks says, with a secret that the service has",
            Self::Stale(_) => "sign with the present time; set the clock of the sender or of the service",
            Self::TooFrequent(_) => "send the same call again after the time in `Retry-After`",
            Self::Busy | Self::Full(_) => "send the same events again later; none of them was taken",
            Self::Failed { remedy, .. } => remedy,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let error = json!({
            "code": self.code(),
            "message": self.to_string(),
            "class": self.class(),
            "help": self.remedy(),
        });
        let mut response = (self.status(), Json(json!({ "error": error }))).into_response();
        if let Some(seconds) = self.says_when() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Self::Token = self {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
