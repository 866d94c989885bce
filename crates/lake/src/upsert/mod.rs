//! One row a key, the latest by sequence, in any order of arrival and any split into batches.
//!
//! Called by the silver step. Candidates go to disk as they are refined; only their keys stay in memory (40 bytes a
//! candidate). Files of the table are read for their keys, and rewritten only if they hold a superseded row.

mod apply;
mod candidates;
mod content;
mod keys;
mod probe;
mod winners;

pub(crate) use apply::{Plan, apply, feed_schema};
pub(crate) use candidates::{CandidateLane, Candidates};
pub(crate) use keys::Keys;
pub(crate) use probe::{NEW, Probed, probe};
pub(crate) use winners::{Winners, resolve};
