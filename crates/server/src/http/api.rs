//! The paths, and the socket that they are asked on.

use super::{
    auth::{self, Tokens},
    hooks,
    hooks::{Hooks, NoKey},
    peer::Remote,
    problem::Problem,
    registry::Schemas,
    routes,
    tls::{self, Door, TlsFiles},
    views::Views,
};
use crate::{Audit, Health, Intake, ServerError, Stop, Variables};
use alluvium_flow::made_from;
use alluvium_model::{Clock, DatasetName};
use alluvium_spec::{Kind, Notified, Project, Push};
use alluvium_store::Store;
use axum::{
    Router,
    extract::{self, Request},
    http::Method,
    middleware::{self, Next},
    response::Response,
    routing::post,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_rustls::rustls::ServerConfig;

/// Requests with events that are read at the same time.
const MOST_AT_ONCE: usize = 64;
/// Requests that wait for what comes of their events: they have been read, and keep no other out.
const MOST_WAITING: usize = 256;
/// Signed calls that are read at the same time: a sender nobody knows keeps no other out of `/events`.
const MOST_HOOKS_AT_ONCE: usize = 32;
/// The HTTP interface of a service, bound to its address.
pub struct Api {
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    state: State,
}

pub(super) type State = Arc<Shared>;

pub(super) struct Shared {
    pub(super) tokens: Tokens,
    /// Of whose held rows not everybody decides, and who does.
    pub(super) decided: BTreeMap<DatasetName, String>,
    pub(super) intake: Intake,
    pub(super) views: Arc<dyn Views>,
    pub(super) schemas: Schemas,
    /// Their names.
    pub(super) datasets: Vec<String>,
    /// Which bucket is whose landing folder.
    pub(super) notified: Vec<(DatasetName, Notified)>,
    /// Who takes which events.
    pub(super) takers: Vec<(DatasetName, Push)>,
    /// Each bronze dataset with all that is made from it.
    pub(super) below: BTreeMap<DatasetName, BTreeSet<DatasetName>>,
    pub(super) at_once: Semaphore,
    pub(super) waiting_at_once: Semaphore,
    pub(super) hooks: Hooks,
    pub(super) hooks_at_once: Semaphore,
    pub(super) audit: Audit,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) health: Arc<Health>,
}

/// What it works with.
pub struct ApiParts<'a> {
    pub project: &'a Project,
    pub token: Option<String>,
    /// Of people: `name:token`, separated by commas.
    pub named_tokens: Option<String>,
    pub tls: Option<TlsFiles>,
    pub intake: Intake,
    pub audit: Audit,
    pub views: Arc<dyn Views>,
    /// For schemas that are registered over HTTP.
    pub registry: Arc<dyn Store>,
    pub health: Arc<Health>,
    pub clock: Arc<dyn Clock>,
    pub variables: &'a Variables,
}

impl Api {
    /// # Errors
    /// Without a token for an address that others can reach, with a token that is too short, without the secret of a
    /// webhook, with certificates that cannot be used, and when the address is taken.
    pub async fn bind(address: SocketAddr, parts: ApiParts<'_>) -> Result<Self, ServerError> {
        let ApiParts { project, token, named_tokens, tls, intake, audit, views, registry, health, clock, variables } =
            parts;
        let tokens = Tokens::of(token, named_tokens.as_deref())?;
        if tokens.is_empty() && !address.ip().is_loopback() {
            return Err(ServerError::NoToken(address));
        }
        let hooks = hooks::of(project, variables).map_err(|NoKey(variable)| ServerError::NoKey(variable))?;
        let tls = tls.as_ref().map(tls::config).transpose()?;
        let listener = TcpListener::bind(address).await.map_err(|source| ServerError::Listen { address, source })?;
        let takers = project.datasets.values().filter_map(|d| Some((d.name.clone(), d.push()?.clone()))).collect();
        let notified =
            project.datasets.values().filter_map(|d| Some((d.name.clone(), d.notified()?.clone()))).collect();
        let bronze = project.datasets.values().filter(|d| matches!(d.kind, Kind::Bronze(_))).map(|d| d.name.clone());
        let below = bronze.map(|name| (name.clone(), made_from(project, BTreeSet::from([name])))).collect();
        let decided = project.datasets.values().filter(|d| !d.accept.decided_by.is_empty());
        let state = Arc::new(Shared {
            tokens,
            decided: decided.map(|d| (d.name.clone(), d.accept.decided_by.join(", "))).collect(),
            datasets: project.datasets.keys().map(ToString::to_string).collect(),
            notified,
            intake,
            views,
            schemas: Schemas::new(project, registry, clock.clone()),
            takers,
            below,
            waiting_at_once: Semaphore::new(MOST_WAITING),
            at_once: Semaphore::new(MOST_AT_ONCE),
            hooks,
            hooks_at_once: Semaphore::new(MOST_HOOKS_AT_ONCE),
            audit,
            clock,
            health,
        });
        Ok(Self { listener, tls, state })
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
        let app = router(self.state).into_make_service_with_connect_info::<Remote>();
        let served = match self.tls {
            None => axum::serve(self.listener, app).with_graceful_shutdown(stop.said()).await,
            Some(config) => {
                let door = Door::new(self.listener, config).map_err(ServerError::Serve)?;
                axum::serve(door, app).with_graceful_shutdown(stop.said()).await
            }
        };
        served.map_err(ServerError::Serve)
    }
}

fn router(state: State) -> Router {
    // Inside of the token check: who may not ask brings no work, nor does who asks for what is not here.
    let guarded = routes::router(true)
        .route_layer(middleware::from_fn_with_state(state.clone(), counted))
        .fallback(async || Problem::NoSuchPath)
        .layer(middleware::from_fn_with_state(state.clone(), auth::check));
    // Who calls these shows by a signature who they are, and is counted when it holds.
    let signed =
        Router::new().route("/hooks/{*path}", post(hooks::post)).method_not_allowed_fallback(async || Problem::Method);
    routes::router(false).merge(signed).merge(guarded).with_state(state)
}

/// Who only reads brings no work.
async fn counted(state: extract::State<State>, request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let _asked = (!reads).then(|| state.intake.asked());
    next.run(request).await
}
