//! What is asked and told over HTTP.
//!
//! Called by cli through [`Api`]. It holds nothing between two requests, and every body, list and wait has a bound.

mod api;
mod auth;
mod events;
mod hooks;
mod metrics;
mod notices;
mod openapi;
mod peer;
mod problem;
mod rate;
mod registry;
mod replays;
mod routes;
mod tls;
mod views;
mod wait;
mod waiting;

pub use api::{Api, ApiParts};
pub use tls::TlsFiles;
pub use views::{ApiError, Views};
