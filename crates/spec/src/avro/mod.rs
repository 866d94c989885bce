//! Avro schemas: read with places, and compared by the schema resolution of the Avro specification.
//!
//! Called by `contract diff` through [`crate::SchemaFile`], and by datasets that name the schemas of events.

mod changes;
mod defaults;
mod plain;
mod read;
mod resolution;
mod schema;

pub(crate) use changes::compare;
pub(crate) use defaults::check_defaults;
pub(crate) use read::read;
pub use schema::Avro;
