//! Answers and refusals in the form and with the numbers of schema registries.

use alluvium_model::Fault;
use alluvium_store::StoreError;
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.schemaregistry.v1+json");

pub(in crate::http) struct Told(pub(super) Value);

pub(in crate::http) type Answer = Result<Told, Refusal>;

impl IntoResponse for Told {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, MEDIA_TYPE)], Json(self.0).into_response().into_body()).into_response()
    }
}

/// Why not. Clients know each by its number.
#[derive(Debug, thiserror::Error)]
pub(in crate::http) enum Refusal {
    #[error("Subject '{0}' not found.")]
    NoSubject(String),
    #[error("Version {0} not found.")]
    NoVersion(String),
    #[error("Schema {0} not found.")]
    NoSchema(String),
    #[error("Subject '{0}' was not deleted first before being permanently deleted")]
    NotDeleted(String),
    #[error("Subject '{0}' Version {1} was not deleted first before being permanently deleted")]
    VersionNotDeleted(String, u32),
    #[error("Subject '{0}' does not have subject-level compatibility configured")]
    NoMode(String),
    #[error("Schema being registered is incompatible with an earlier schema for subject '{subject}', details: {}", .messages.join("; "))]
    Incompatible { subject: String, messages: Vec<String> },
    #[error("Invalid schema: {0}")]
    Schema(String),
    #[error("The specified version '{0}' is not a valid version id. It is a number from 1, or `latest`.")]
    Version(String),
    #[error("Invalid compatibility level: {0}")]
    Mode(String),
    #[error(
        "Subject '{0}' is a contract of this project: its file is where it changes, and `compatibility` in it sets its mode"
    )]
    OfProject(String),
    #[error("{0}")]
    Request(String),
    #[error("The body has to be application/vnd.schemaregistry.v1+json or application/json")]
    Kind,
    #[error("The body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("others kept registering schemas meanwhile")]
    Contended,
    #[error("version {number} of '{subject}' in the state cannot be read any more: {why}")]
    Unreadable { subject: String, number: u32, why: String },
    #[error("the state store failed: {0}")]
    Store(#[from] StoreError),
}

impl Refusal {
    /// Status, and the number within it.
    fn number(&self) -> (StatusCode, u32) {
        match self {
            Self::NoSubject(_) => (StatusCode::NOT_FOUND, 40401),
            Self::NoVersion(_) => (StatusCode::NOT_FOUND, 40402),
            Self::NoSchema(_) => (StatusCode::NOT_FOUND, 40403),
            Self::NotDeleted(_) => (StatusCode::NOT_FOUND, 40405),
            Self::VersionNotDeleted(..) => (StatusCode::NOT_FOUND, 40407),
            Self::NoMode(_) => (StatusCode::NOT_FOUND, 40408),
            Self::Incompatible { .. } => (StatusCode::CONFLICT, 409),
            Self::Schema(_) => (StatusCode::UNPROCESSABLE_ENTITY, 42201),
            Self::Version(_) => (StatusCode::UNPROCESSABLE_ENTITY, 42202),
            Self::Mode(_) => (StatusCode::UNPROCESSABLE_ENTITY, 42203),
            Self::OfProject(_) => (StatusCode::UNPROCESSABLE_ENTITY, 42205),
            Self::Request(_) => (StatusCode::UNPROCESSABLE_ENTITY, 422),
            Self::Kind => (StatusCode::UNSUPPORTED_MEDIA_TYPE, 415),
            Self::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, 413),
            Self::Contended => (StatusCode::SERVICE_UNAVAILABLE, 50302),
            Self::Store(error) if error.class().may_pass() => (StatusCode::SERVICE_UNAVAILABLE, 50301),
            Self::Unreadable { .. } | Self::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, 50001),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, number) = self.number();
        (status, Told(json!({ "error_code": number, "message": self.to_string() }))).into_response()
    }
}
