//! Schemas over HTTP, in the shape that clients of schema registries speak: subjects, versions, compatibility and modes.
//!
//! Called through `routes.rs`. Contracts of the project are subjects that are read here and written by their files only. Who writes
//! decides by what it read, and decides anew when somebody else wrote meanwhile.

mod answer;
mod asked;
mod compatibility;
mod config;
mod ids;
mod routes;
mod store;
mod subjects;

pub(super) use routes::ROUTES;
pub(super) use store::Schemas;
