//! Gold that is a grouping of one input: its groups are kept, and a change adds to them and takes from them.
//!
//! Called by the gold step. What is kept is derived: without it, or when it does not fit, the query runs over the whole
//! input, and both ways give the same table.

mod front;
mod gone;
mod groups;
mod shape;
mod sketch;

pub(crate) use gone::Gone;
pub(crate) use groups::{Advance, Groups, advance};
pub(crate) use shape::Shape;
