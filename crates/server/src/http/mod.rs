//! What is asked and told over HTTP.
//!
//! Called by cli through [`Api`]. It holds nothing between two requests, and every body, list and wait has a bound.

mod api;
mod auth;
mod events;
mod problem;
mod views;

pub use api::Api;
pub use views::{ApiError, Views};
