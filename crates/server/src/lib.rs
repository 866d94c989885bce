//! A project that is served: what arrives is processed when it arrives, until somebody says stop.
//!
//! Called by cli, which puts the parts together. All work goes through [`alluvium_flow::Flow`], as that of `run` does.

mod error;
mod service;
mod stop;

pub use error::ServerError;
pub use service::Service;
pub use stop::{Stop, Stopper};
