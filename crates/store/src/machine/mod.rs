//! What becomes of steps, runs, landing objects and backfills, as values: a state and a command make the next state, or a
//! refusal that says why.
//!
//! Called by the files of `sql`, which read a row under its lock, ask here, and write what they are told. Nothing here reads or
//! writes anything, and the time is an argument.

pub(crate) mod backfill;
pub(crate) mod event;
#[cfg(test)]
mod page;
pub(crate) mod run;
pub(crate) mod step;
