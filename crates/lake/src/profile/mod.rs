//! What files hold, column by column: the facts that a contract is proposed from.
//!
//! Called by cli for `contract infer`. Files are decoded as the bronze step decodes them, one after the other, and each column is looked at in the order of its rows, so that the same files give the
//! same facts. Writes nothing. Memory has bounds that do not depend on the files: the different values of a column are kept while they are few,
//! and the records are kept as hashes up to a number of bytes.

mod column;
mod delimiter;
mod form;
mod json;
mod names;
mod refer;
mod rows;
mod scan;
mod shape;
#[cfg(test)]
mod tests;

pub use rows::RowHashes;
pub use scan::{Look, Looked, profile};
