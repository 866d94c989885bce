//! The state in one SQLite file.
//!
//! Called by the statements of `sql`, which decide what is read and written.

mod connection;
mod migrations;

pub use connection::SqliteStore;
