//! Seeded simulation: the real planner, store and step machine under schedules that a seed decides, with an engine made of
//! memory, several processes, faults, kills and a clock that jumps.
//!
//! Called by its tests and by `cargo run -p alluvium-sim -- --seeds N`. Development only; no part of what users install. The
//! same seed gives the same run.

mod aside;
mod beside;
mod check;
mod days;
mod engine;
mod executor;
mod fault;
mod files;
mod gate;
mod history;
mod landing;
mod people;
mod places;
mod planted;
mod process;
mod pushed;
mod quiet;
mod settle;
mod store;
mod tables;
mod told;
mod witness;
mod world;

pub use planted::Planted;
pub use world::{Found, explore, simulate};
