//! The contract's rules, compiled: each gives the rows of a batch that break it, as a bit mask.
//!
//! Called by `pass`. A rule sees columns in their contract types. It never changes a row and formats nothing; reasons
//! are written afterwards, for the rows that failed.

mod length;
mod members;
mod multiple;
mod pattern;
mod range;
mod rule;
mod unique;

pub(super) use rule::{Rule, RuleCompiler, Test};
use rule::{bad_value, mask, not_applicable};
pub(super) use unique::{KeyHasher, Seen};
