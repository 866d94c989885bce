//! A project that is served: what arrives is processed when it arrives, until somebody says stop.
//!
//! Called by cli, which puts the parts together. All work goes through [`alluvium_flow::Flow`], as that of `run` does.

mod abandoned;
mod audit;
mod cloudevents;
mod error;
mod http;
mod idle;
mod intake;
mod news;
mod notices;
mod outbox;
mod rates;
mod resting;
mod service;
mod signature;
mod stale;
mod stop;
mod turns;
mod windows;
mod worker;

pub use audit::Audit;
pub use error::ServerError;
pub use http::{Api, ApiError, ApiParts, TlsFiles, Views};
pub use intake::Intake;
pub use outbox::{Outbox, Variables, Waking};
pub use service::{Health, Over, Service};
pub use stale::tell_stale;
pub use stop::{Stop, Stopper};
pub use worker::Worker;
