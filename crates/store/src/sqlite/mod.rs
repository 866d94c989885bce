//! The state in one SQLite file.
//!
//! Called through [`crate::Store`]. One file per concern; nothing here reads a clock or decides what work is due.

mod codec;
mod connection;
mod dump;
mod events;
mod finish;
mod inbox;
mod leases;
mod migrations;
mod plan;
mod runs;
mod steps;
mod store;
mod versions;

pub use connection::SqliteStore;
