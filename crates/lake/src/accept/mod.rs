//! `accept`: what the definition of a dataset asks of the rows that a step is about to publish.
//!
//! Called by the gate. Everything that is measured of the staged rows is one query; what is only compared is computed from its answer. Nothing here decides
//! what a row is.

mod aggregates;
mod before;
mod columns;
mod distinct;
mod distribution;
mod found;
mod freshness;
mod measures;
mod parts;
mod pass;
mod profile;
mod rows;
#[cfg(test)]
mod tests;
mod totals;
mod volume;

pub(crate) use found::Found;
pub(crate) use freshness::newest;
pub(crate) use measures::measures;
pub(crate) use rows::{bounds, invalid, made};
