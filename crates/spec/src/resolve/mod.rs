//! Names to datasets, contracts and columns; then order and versions. The last stage of [`crate::load`].

mod accept;
mod build;
mod columns;
mod contracts;
mod expected;
mod graph;
mod names;
mod turns;
mod unique;
mod version;

pub(crate) use build::{Resolved, resolve};
