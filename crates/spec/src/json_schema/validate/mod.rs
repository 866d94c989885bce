//! Whether a value is valid under a schema: the schema compiled once, then asked for each value.
//!
//! Called for events that arrive. Keywords mean what draft 2020-12 says, or an older draft where only that has them; `format` and
//! what describes contents are notes to people.

mod check;
mod compile;
mod equal;
mod keyword;

pub use check::Breach;
pub use compile::Undecidable;
pub use equal::same_value_text;
pub use keyword::Validator;
