//! How values become text for people, and JSON for programs. Nothing here decides anything.

pub mod backfill;
pub mod diagnostic;
mod heard;
pub mod progress;
pub mod results;
pub mod serving;
mod style;
pub mod summary;
mod summary_text;
mod table;
mod text;

pub use alluvium_model::grouped;
pub use heard::decided;
pub use style::Style;
pub use table::{Align, Table};
pub use text::{brief_time, json_time, json_time_if_any, plural, printable, rate, seconds, size};
