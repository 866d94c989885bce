//! How the contract's types and the system columns look in Arrow.

use alluvium_spec::{ColumnType, Contract};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;

pub(super) const EVENT_ID: &str = "_event_id";
pub(super) const OBJECT: &str = "_object";
pub(super) const POSITION: &str = "_position";
pub(super) const RECEIVED_AT: &str = "_received_at";
pub(super) const RUN_ID: &str = "_run_id";
pub(super) const RESCUED: &str = "_rescued";

/// What bronze adds to a source's own columns.
pub(super) const SYSTEM_COLUMNS: [&str; 6] = [EVENT_ID, OBJECT, POSITION, RECEIVED_AT, RUN_ID, RESCUED];

pub(super) fn utc_micros() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The Arrow type of a silver column.
pub fn arrow_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::String | ColumnType::Time | ColumnType::Json => DataType::Utf8,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Int32 => DataType::Int32,
        ColumnType::Number => DataType::Float64,
        // A contract's scale is at most its precision, 38.
        ColumnType::Decimal { precision, scale } => DataType::Decimal128(precision, scale.cast_signed()),
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Date => DataType::Date32,
        ColumnType::Timestamp => utc_micros(),
    }
}

/// The contract's columns in their order, then `_event_id` and `_position`.
pub(super) fn output_schema(contract: &Contract) -> SchemaRef {
    let own = contract.columns.iter().map(|c| Field::new(&c.name, arrow_type(c.kind), true));
    let system = [Field::new(EVENT_ID, DataType::Utf8, true), Field::new(POSITION, DataType::Int64, true)];
    Arc::new(Schema::new(own.chain(system).collect::<Vec<_>>()))
}
