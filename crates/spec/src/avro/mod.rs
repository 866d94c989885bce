//! Avro schemas: read with places, and compared by the schema resolution of the Avro specification.
//!
//! Called by `contract diff` through [`crate::SchemaFile`].

mod changes;
mod read;
mod resolution;
mod schema;

pub(crate) use changes::compare;
pub(crate) use read::read;
pub use schema::Avro;
