//! Bytes of a landing object to Arrow record batches: CSV, TSV, NDJSON and Parquet; plain, gzip and zstd.
//!
//! Called by the bronze step of this crate, one [`Decoder`] an object. Every record of the object comes out exactly
//! once: as a row, or as a [`Malformed`] record with the bytes received. An object that cannot be read to its end is a
//! [`DecodeError`] as a whole. This module must never panic on any bytes, never hold more than a few records and one
//! batch in memory, and never write anything.
//!
//! # Columns
//! Text formats give text columns; Parquet keeps its types, mapped to those that a Delta table holds (`delta_type`).
//! Names are kept as the source has them, with these exceptions: a header or Parquet column without a name becomes
//! `column_<n>` (n counts from 1); control characters become `_`; a name longer than 255 bytes is cut; a name that,
//! ignoring case, is already taken in the object or by one of the bronze columns of our own (`_event_id`, `_object`,
//! `_position`, `_received_at`, `_run_id`, `_rescued`) gets a suffix `_2`, `_3` and so on. [`Drift::renamed`] tells. NDJSON
//! keys are never renamed: a key with such a name is not a column and stays in `_rescued` under its own key.
//!
//! # `_rescued`
//! A JSON object of what the columns cannot hold, null where they hold everything. The received record is "the columns
//! overlaid by `_rescued`". A text column of an NDJSON object that is a JSON number, boolean, array or object reads as
//! that value, any other text as a string; so `_rescued` has the original JSON of explicit nulls, of strings which
//! would read as another value (`"12"`, `"true"`), and of unknown keys. Of a key given twice in one object the last
//! value counts; the earlier ones are, in their order, in the array `_rescued._duplicates.<key>`. A key of the source which
//! is itself called `_duplicates` (or with more underscores in front) is written there with one underscore more.

mod convert;
mod csv;
mod csv_scan;
mod decoder;
mod drift;
mod error;
mod footer;
mod format;
mod guard;
mod json_scan;
mod json_text;
mod lines;
mod malformed;
mod names;
mod ndjson;
mod parquet;
mod pieces;
#[cfg(test)]
mod rebuild;
mod rows;
mod simd;
mod source;
#[cfg(test)]
mod tests;
mod types;
mod window;

pub use decoder::{Decoded, Decoder, Options, discover, open};
pub use drift::Drift;
pub use error::DecodeError;
pub use format::format_of;
pub use malformed::Malformed;
pub use names::{holdable, in_other_letters, new_columns};
pub use pieces::{Piece, PieceDecoder, Pieces};
