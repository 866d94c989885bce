//! The column types that a Delta table can hold, for the types that Parquet files bring. Called by the Parquet reader, and
//! by whoever plans a bronze table.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef, Fields, TimeUnit};
use std::sync::Arc;

/// The type of the bronze column for values of type `t`. Every value of `t` fits, with these exceptions, which the
/// decoder puts into `_rescued`: a timestamp in nanoseconds that is no whole microsecond, and a timestamp in seconds or
/// milliseconds beyond the years that microseconds reach. A time zone other than UTC becomes UTC: the instants are the
/// same. Times of day become text, durations the number of their unit. Intervals do not come here: the reader refuses them.
pub fn delta_type(t: &DataType) -> DataType {
    match t {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Date32
        | DataType::Utf8
        | DataType::Binary => t.clone(),
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::Duration(_) => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::Timestamp(_, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| Arc::from("UTC")))
        }
        DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Decimal32(p, s)
        | DataType::Decimal64(p, s)
        | DataType::Decimal128(p, s)
        | DataType::Decimal256(p, s) => decimal(*p, *s),
        DataType::BinaryView | DataType::LargeBinary | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Dictionary(_, value) => delta_type(value),
        DataType::RunEndEncoded(_, values) => delta_type(values.data_type()),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => DataType::List(renamed(item, "element", true)),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|f| renamed(f, f.name(), true)).collect::<Fields>())
        }
        DataType::Map(entries, _) => map(entries),
        DataType::Utf8View
        | DataType::LargeUtf8
        | DataType::Null
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Interval(_)
        | DataType::Union(_, _) => DataType::Utf8,
    }
}

fn decimal(precision: u8, scale: i8) -> DataType {
    let held = precision <= DECIMAL128_MAX_PRECISION && u8::try_from(scale).is_ok_and(|s| s <= precision);
    if held { DataType::Decimal128(precision, scale) } else { DataType::Utf8 }
}

fn renamed(field: &FieldRef, name: &str, nullable: bool) -> FieldRef {
    Arc::new(Field::new(name, delta_type(field.data_type()), nullable))
}

fn map(entries: &FieldRef) -> DataType {
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => {
            let entry = vec![renamed(&fields[0], "key", false), renamed(&fields[1], "value", true)];
            DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entry.into()), false)), false)
        }
        _ => DataType::Utf8,
    }
}
