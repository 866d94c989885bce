//! Casts a column to its contract type. A value that does not fit becomes null and is marked as failed.
//!
//! Called by `validate`. It never rounds, truncates or guesses: what does not fit exactly has failed.

mod column;
mod format;
mod number;
mod time;
mod typed;

pub(super) use column::{Cast, cast, cast_constant};
use column::{either, lost, without};
pub(crate) use format::Format;
pub(crate) use number::{parse_decimal_parts, parse_integer, parse_number};
pub(super) use time::{DAYS, MICROS};
pub(crate) use time::{is_time, parse_date, parse_timestamp};
pub(super) use typed::{fitting, nameable};
