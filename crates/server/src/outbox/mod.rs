//! What is told of commits, runs, backfills and alerts leaves the state: to files, and to receivers of signed HTTP calls.
//!
//! Called by cli, while it serves and at the end of a run. At least once, in order for each dataset and sink, and never
//! before the commit: only what lies in the state is sent.

mod address;
mod deliver;
mod error;
mod files;
mod receiver;
mod slack;
mod webhook;

pub use deliver::{Outbox, Waking};
pub use receiver::Variables;
