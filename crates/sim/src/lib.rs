//! Seeded simulation: the real planner, store and step machine under schedules that a seed decides, with an engine made of
//! memory, several processes, faults, kills and a clock that jumps.
//!
//! Called by its tests and by `cargo run -p alluvium-sim -- --seeds N`. Development only; no part of what users install. The
//! same seed gives the same run.

mod beside;
mod check;
mod days;
mod engine;
mod executor;
mod fault;
mod landing;
mod process;
mod store;
mod tables;
mod world;

pub use tables::Fence;
pub use world::{Found, explore, simulate};
