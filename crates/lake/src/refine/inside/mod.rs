//! Rules of what is inside of a column of JSON: its values are read once, those that rules ask for become columns of their own,
//! and the tests of columns are run on these.
//!
//! Called by `pass`, after the casts. Its steps go no deeper than the contract, whatever the data, and what it keeps is bounded
//! by a few MiB of JSON, or one row.

mod findings;
mod tree;
mod walk;

pub(super) use tree::{Inside, trees};
