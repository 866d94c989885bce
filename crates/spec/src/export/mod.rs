//! A contract in the languages of others. What a language has no words for stays in it as a comment.
//!
//! Called by cli for `contract export`. Pure: a shape in, a text out.

mod avro;
mod html;
mod json_schema;
mod lines;
mod markdown;
mod sql;
mod words;

pub use avro::avro;
pub use html::html;
pub use json_schema::json_schema;
pub use lines::{Line, Need, lines};
pub use markdown::markdown;
pub use sql::sql;
