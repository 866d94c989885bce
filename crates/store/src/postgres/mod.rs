//! The state in one schema of a PostgreSQL database.
//!
//! Called by the statements of `sql`, which decide what is read and written. [`wire`] speaks the protocol, [`scram`]
//! and [`tls`] let it in, [`connection`] keeps the one connection of a process.

mod connection;
mod migrations;
mod scram;
mod store;
mod text;
mod tls;
mod wire;

pub(crate) use connection::Connection;
pub use store::PostgresStore;
pub(crate) use wire::WireError;
