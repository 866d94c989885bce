//! Parquet files as this crate writes them: columns of text in a way of our own, which costs less than half of the library's, and all others
//! in the library's.
//!
//! Called by `stage`, with the properties that `encoding` chose. A column of text goes through [`text`] into pages of [`page`], of which
//! [`dictionary`] tells values that come again; [`bits`] has the encodings, [`pack`] compresses, [`bounds`] are what the footer tells. Readers
//! see files like any others.

mod bits;
mod bounds;
mod dictionary;
mod file;
mod pack;
mod page;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use file::FileWriter;
pub(crate) use text::shared;
