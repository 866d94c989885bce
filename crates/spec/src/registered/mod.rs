//! A contract or a schema as a registry keeps it: its text, what is read from it, and by what it is known again.
//!
//! Called by flow, which registers the contracts of a project, and by server, which takes schemas over HTTP. Pure: no file is opened.

mod avro;
mod canonical;
mod document;
mod verdict;

pub(crate) use canonical::of_yaml;
pub use document::Document;
pub use verdict::{event_verdict, not_compared, verdict};
