//! JSON Schemas, draft 4 to 2020-12: read, and compared by whether every value of one is a value of the other.
//!
//! Called by `contract diff` through [`crate::SchemaFile`]. What cannot be shown to hold counts as broken: it may name a change
//! that breaks nothing, and never passes one that breaks.

mod arrays;
mod changes;
mod inclusion;
mod node;
mod numbers;
mod objects;
mod patterns;
mod read;
mod unevaluated;
mod validate;

pub(crate) use changes::compare;
pub use node::JsonSchema;
pub(crate) use read::read;
pub use validate::{Breach, Undecidable, Validator, same_value_text};
