//! A Parquet file's footer as Delta's per-file statistics.

use crate::error::LakeError;
use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::kernels::aggregate,
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        SchemaRef, TimeUnit, TimestampMicrosecondType,
    },
};
use parquet::{arrow::arrow_reader::statistics::StatisticsConverter, file::metadata::ParquetMetaData};
use serde_json::{Map, Value, json};

/// Statistics are kept for this many leading columns, as readers expect by default.
const COLUMNS: usize = 32;
/// Longer texts are cut: a minimum by cutting, a maximum is left out, which is always right.
const TEXT_CHARS: usize = 32;

pub(crate) fn of(metadata: &ParquetMetaData, schema: &SchemaRef) -> Result<String, LakeError> {
    let descriptor = metadata.file_metadata().schema_descr();
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for field in schema.fields().iter().take(COLUMNS) {
        if field.data_type().is_nested() {
            continue;
        }
        let converter = StatisticsConverter::try_new(field.name(), schema, descriptor)?;
        let counts = converter.row_group_null_counts(metadata.row_groups())?;
        if counts.null_count() == 0 {
            nulls.insert(field.name().clone(), json!(counts.values().iter().sum::<u64>()));
        }
        // A row group may have values and no bounds, as of a long text that nothing is above; then the others' are not the file's.
        let known = |bounds: &ArrayRef| {
            let mut groups = metadata.row_groups().iter().enumerate();
            groups.all(|(i, group)| {
                bounds.is_valid(i) || counts.is_valid(i) && counts.value(i) == group.num_rows().cast_unsigned()
            })
        };
        let mins = converter.row_group_mins(metadata.row_groups())?;
        let maxes = converter.row_group_maxes(metadata.row_groups())?;
        if let Some(v) = extreme(&mins, false).filter(|_| known(&mins)) {
            min.insert(field.name().clone(), v);
        }
        if let Some(v) = extreme(&maxes, true).filter(|_| known(&maxes)) {
            max.insert(field.name().clone(), v);
        }
    }
    let rows = metadata.file_metadata().num_rows();
    Ok(json!({ "numRecords": rows, "minValues": min, "maxValues": max, "nullCount": nulls }).to_string())
}

/// The smallest or largest of the row groups' values, as Delta writes it.
fn extreme(values: &ArrayRef, max: bool) -> Option<Value> {
    macro_rules! number {
        ($t:ty) => {{
            let a = values.as_primitive::<$t>();
            if max { aggregate::max(a) } else { aggregate::min(a) }
        }};
    }
    match values.data_type() {
        DataType::Int8 => number!(Int8Type).map(Value::from),
        DataType::Int16 => number!(Int16Type).map(Value::from),
        DataType::Int32 => number!(Int32Type).map(Value::from),
        DataType::Int64 => number!(Int64Type).map(Value::from),
        DataType::Float32 => number!(Float32Type).filter(|v| v.is_finite()).map(Value::from),
        DataType::Float64 => number!(Float64Type).filter(|v| v.is_finite()).map(Value::from),
        DataType::Date32 => number!(Date32Type)
            .and_then(Date32Type::to_naive_date_opt)
            .map(|d| Value::from(d.format("%Y-%m-%d").to_string())),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => number!(TimestampMicrosecondType)
            .and_then(|v| jiff::Timestamp::from_microsecond(v).ok())
            // Readers keep milliseconds: round a maximum up, so that no row lies beyond it.
            .and_then(|t| {
                let micros = t.as_microsecond();
                let millis = if max { (micros + 999).div_euclid(1000) } else { micros.div_euclid(1000) };
                jiff::Timestamp::from_millisecond(millis).ok()
            })
            .map(|t| format!("{t:.3}"))
            // A time without a zone has none here either.
            .map(|t| Value::from(if zone.is_some() { &t } else { t.trim_end_matches('Z') })),
        // As text, a decimal could be read as another type: exact decimals fit JSON numbers only up to 15 digits.
        DataType::Decimal128(p, s) if *p <= 15 => number!(Decimal128Type).and_then(|v| {
            let scale = 10f64.powi(i32::from(*s));
            serde_json::Number::from_f64(v as f64 / scale).map(Value::Number)
        }),
        DataType::Utf8 => {
            let a = values.as_string::<i32>();
            let v = if max { aggregate::max_string(a) } else { aggregate::min_string(a) }?;
            text(v, max)
        }
        _ => None,
    }
}

fn text(value: &str, max: bool) -> Option<Value> {
    match value.char_indices().nth(TEXT_CHARS) {
        None => Some(Value::from(value)),
        Some(_) if max => None,
        Some((cut, _)) => Some(Value::from(&value[..cut])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::FileWriter;
    use arrow::array::{RecordBatch, StringArray};
    use parquet::file::properties::WriterProperties;
    use std::sync::Arc;

    /// Of a file with a row group for each of the values.
    fn told(values: &[Option<&str>]) -> Value {
        let texts: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
        let batch = RecordBatch::try_from_iter_with_nullable([("c", texts, true)]).expect("a column");
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1)).build();
        let mut writer = FileWriter::new(Vec::new(), batch.schema(), properties).expect("a writer");
        writer.write(&batch).expect("written");
        let footer = writer.finish().expect("a footer");
        serde_json::from_str(&of(&footer, &batch.schema()).expect("statistics")).expect("JSON")
    }

    #[test]
    fn a_row_group_without_bounds_leaves_the_file_without() {
        let expected =
            json!({ "numRecords": 3, "minValues": { "c": "a" }, "maxValues": { "c": "b" }, "nullCount": { "c": 1 } });
        assert_eq!(told(&[Some("b"), None, Some("a")]), expected);
        // No text of as many bytes is above what this one begins with.
        let last = "\u{7f}".repeat(65);
        let expected = json!({ "numRecords": 2, "minValues": {}, "maxValues": {}, "nullCount": { "c": 0 } });
        assert_eq!(told(&[Some("a"), Some(&last)]), expected);
    }
}
