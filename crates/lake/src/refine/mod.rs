//! Turns bronze rows into silver rows: a silver dataset's steps, compiled once, applied to record batches.
//!
//! Called by the step runner for every batch, and by `check` (compile only). Rows that break the contract leave with
//! every reason. It must never lose a row: `received = valid + quarantined + dropped + late` holds for each batch. It does no
//! I/O, reads no clock, and a row costs no text formatting unless it fails.

mod cast;
mod compile;
mod enrich;
mod error;
mod expression;
mod frame;
mod inside;
mod late;
mod lookup;
mod normalize;
mod pass;
mod quarantine;
mod record;
mod refinery;
mod rescued;
mod rules;
mod schedule;
mod scope;
mod sql;
mod tally;
mod text;
mod turn;
mod types;

pub(crate) use cast::{Format, is_time, parse_date, parse_decimal_parts, parse_integer, parse_number, parse_timestamp};
pub use compile::{Compiled, lookup_needs};
pub use error::{Part, Place, RefineError};
pub use quarantine::{Cause, Stamp, quarantine_schema, replayed, set_aside};
pub use record::{unquarantine, with_columns};
pub use refinery::{Binding, Refined, Refinery};
pub use tally::{Stop, Tally};
pub(crate) use text::to_text;
pub use turn::{Turn, Turns};
pub use types::arrow_type;

#[cfg(test)]
mod tests;
