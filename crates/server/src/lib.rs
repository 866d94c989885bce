//! A project that is served: what arrives is processed when it arrives, until somebody says stop.
//!
//! Called by cli, which puts the parts together. All work goes through [`alluvium_flow::Flow`], as that of `run` does.

mod cloudevents;
mod error;
mod http;
mod intake;
mod service;
mod stop;

pub use error::ServerError;
pub use http::{Api, ApiError, Views};
pub use intake::Intake;
pub use service::{Health, Service};
pub use stop::{Stop, Stopper};
