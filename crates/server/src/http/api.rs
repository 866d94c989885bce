//! The paths, and the socket that they are asked on.

use super::{auth, events, problem::Problem, views, views::Views};
use crate::{Health, Intake, ServerError, Stop};
use alluvium_model::DatasetName;
use alluvium_spec::{Project, Push};
use axum::{
    Json, Router,
    http::StatusCode,
    middleware,
    response::IntoResponse,
    routing::{get, post},
};
use serde_json::json;
use std::{net::SocketAddr, sync::Arc};
use tokio::{net::TcpListener, sync::Semaphore};

/// Requests with events that are read at the same time.
const MOST_AT_ONCE: usize = 64;
/// A token that can be guessed protects nothing.
const SHORTEST_TOKEN: usize = 16;

/// The HTTP interface of a service, bound to its address.
pub struct Api {
    listener: TcpListener,
    state: State,
}

pub(super) type State = Arc<Shared>;

pub(super) struct Shared {
    pub(super) token: Option<String>,
    pub(super) intake: Intake,
    pub(super) views: Arc<dyn Views>,
    /// Who takes which events.
    pub(super) takers: Vec<(DatasetName, Push)>,
    pub(super) at_once: Semaphore,
    health: Arc<Health>,
}

impl Api {
    /// # Errors
    /// Without a token for an address that others can reach, with a token that is too short, and when the address is taken.
    pub async fn bind(
        address: SocketAddr,
        token: Option<String>,
        project: &Project,
        intake: Intake,
        views: Arc<dyn Views>,
        health: Arc<Health>,
    ) -> Result<Self, ServerError> {
        match &token {
            None if !address.ip().is_loopback() => return Err(ServerError::NoToken(address)),
            Some(token) if token.len() < SHORTEST_TOKEN || !token.bytes().all(|b| b.is_ascii_graphic()) => {
                return Err(ServerError::WeakToken(SHORTEST_TOKEN));
            }
            Some(_) | None => {}
        }
        let listener = TcpListener::bind(address).await.map_err(|source| ServerError::Listen { address, source })?;
        let takers = project.datasets.values().filter_map(|d| Some((d.name.clone(), d.push()?.clone()))).collect();
        let at_once = Semaphore::new(MOST_AT_ONCE);
        let state = Arc::new(Shared { token, intake, views, takers, at_once, health });
        Ok(Self { listener, state })
    }

    /// Where it listens; the system has chosen the port if none was asked for.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> Result<SocketAddr, ServerError> {
        self.listener.local_addr().map_err(ServerError::Serve)
    }

    /// Answers until `stop` is said, and then what was asked by then.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn serve(self, stop: Stop) -> Result<(), ServerError> {
        let app = router(self.state);
        axum::serve(self.listener, app).with_graceful_shutdown(stop.said()).await.map_err(ServerError::Serve)
    }
}

fn router(state: State) -> Router {
    let guarded = Router::new()
        .route("/events", post(events::post))
        .route("/api/datasets", get(views::datasets))
        .route("/api/runs", get(views::runs))
        .route("/api/runs/{id}", get(views::run))
        .route("/api/dead-letters", get(views::dead_letters))
        .method_not_allowed_fallback(async || Problem::Method)
        .fallback(async || Problem::NoSuchPath)
        .layer(middleware::from_fn_with_state(state.clone(), auth::check));
    Router::new()
        .route("/healthz", get(async || Json(json!({ "alive": true }))))
        .route("/readyz", get(ready))
        .merge(guarded)
        .with_state(state)
}

async fn ready(state: axum::extract::State<State>) -> impl IntoResponse {
    let ready = state.health.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": ready })))
}
