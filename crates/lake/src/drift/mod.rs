//! Drift: what arrives has other fields than the dataset's columns, and the dataset's policy says what is done about it.
//!
//! Called by the ingest step. `gate` compares the header, the first records or the footer of an object with the columns, before
//! a row is loaded; `watch` finds the rows that have drift while they are loaded; `seen` counts it, for the run's summary and the
//! state. Nothing here writes.

mod difference;
mod gate;
mod inside;
mod seen;
mod watch;

pub(crate) use difference::{Difference, compare, rule};
pub(crate) use gate::{Gate, fits, gate, grown, room, stop};
pub(crate) use seen::{Found, Seen, differences_of};
pub(crate) use watch::{Aside, Object, Reason, Watch};

/// What stands before the kind and the field, where drift is a rule.
pub(crate) const RULE: &str = "drift:";
