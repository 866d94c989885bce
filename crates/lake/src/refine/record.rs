//! A bronze record as one JSON object, and back: what the quarantine keeps and `replay` rebuilds.
//!
//! The way there and back gives the same batch, bit for bit, for every type that a source can deliver.

use super::{
    RefineError,
    cast::{DAYS, MICROS},
    quarantine::{JSON, RECORD, RECORD_ENCODING, text_column},
    rescued::text_of,
    text::{is_text, to_text, written_as},
    types::{RESCUED, SYSTEM_COLUMNS},
};
use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, StringBuilder, UInt32Array, new_null_array},
    compute::{cast, take},
    datatypes::{
        DataType, Date32Type, Field, FieldRef, Float16Type, Float32Type, Float64Type, Schema, SchemaRef, TimeUnit,
        TimestampMicrosecondType,
    },
    error::ArrowError,
    json::{
        ReaderBuilder,
        writer::{EncoderOptions, make_encoder},
    },
};
use serde_json::value::RawValue;
use std::{collections::HashMap, sync::Arc};

/// The record's fields in their order.
type Fields<'a> = Vec<(String, &'a RawValue)>;

/// The rows `picked` of a bronze batch: the source's columns as received, nulls left out, and under `_rescued` what
/// bronze put aside.
pub(super) fn encode_records(bronze: &RecordBatch, picked: &UInt32Array) -> Result<StringArray, RefineError> {
    let failed = RefineError::arrow("writing records as JSON");
    let mut data: Vec<(&FieldRef, Written)> = Vec::new();
    for (field, column) in bronze.schema_ref().fields().iter().zip(bronze.columns()) {
        if !SYSTEM_COLUMNS.contains(&field.name().as_str()) {
            let column = take(column, picked, None).map_err(&failed)?;
            data.push((field, Written::of(&column).map_err(&failed)?));
        }
    }
    let rescued = match bronze.column_by_name(RESCUED) {
        Some(c) => Some(to_text(&take(c, picked, None).map_err(&failed)?)?),
        None => None,
    };
    // Or a map would lose the keys that have no value.
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let mut columns = Vec::with_capacity(data.len());
    for (field, written) in &data {
        let key = serde_json::to_string(field.name()).expect("a text is JSON");
        let encoder = make_encoder(field, &written.values, &options).map_err(&failed)?;
        let otherwise = match &written.otherwise {
            Some(values) => Some(make_encoder(field, values, &options).map_err(&failed)?),
            None => None,
        };
        columns.push((key, written, encoder, otherwise));
    }
    let mut out = StringBuilder::with_capacity(picked.len(), picked.len() * 128);
    let (mut line, mut written) = (Vec::new(), 0_usize);
    for row in 0..picked.len() {
        line.clear();
        line.push(b'{');
        for (key, written, encoder, otherwise) in &mut columns {
            if encoder.is_null(row) || written.values.is_null(row) {
                continue;
            }
            begin_field(&mut line, key);
            match otherwise {
                Some(otherwise) if is_beyond(&written.values.slice(row, 1)) => otherwise.encode(row, &mut line),
                _ => encoder.encode(row, &mut line),
            }
        }
        if let Some(text) = rescued.as_ref().filter(|r| r.is_valid(row)).map(|r| r.value(row)) {
            begin_field(&mut line, "\"_rescued\"");
            line.extend_from_slice(embedded(text).as_bytes());
        }
        line.push(b'}');
        written += line.len();
        if i32::try_from(written).is_err() {
            return Err(failed(ArrowError::OffsetOverflowError(written)));
        }
        out.append_value(std::str::from_utf8(&line).expect("JSON is UTF-8"));
    }
    Ok(out.finish())
}

fn begin_field(line: &mut Vec<u8>, key: &str) {
    if line.len() > 1 {
        line.push(b',');
    }
    line.extend_from_slice(key.as_bytes());
    line.push(b':');
}

/// A column as the encoder takes it.
struct Written {
    values: ArrayRef,
    /// The same for rows of which something is beyond what it can write, if there are any.
    otherwise: Option<ArrayRef>,
}

impl Written {
    fn of(column: &ArrayRef) -> Result<Self, ArrowError> {
        let otherwise = is_beyond(column).then(|| cast(column, &written_as(column.data_type(), true))).transpose()?;
        Ok(Self { values: cast(column, &written_as(column.data_type(), false))?, otherwise })
    }
}

/// Whether it has a day or a time that the encoder has no text for which reads back, or a number that JSON does not have.
fn is_beyond(values: &dyn Array) -> bool {
    let within = |offsets: &[i32], inner: &dyn Array| {
        let (from, to) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
        is_beyond(&inner.slice(from, to - from))
    };
    match values.data_type() {
        DataType::Float16 => values.as_primitive::<Float16Type>().iter().flatten().any(|n| !n.is_finite()),
        DataType::Float32 => values.as_primitive::<Float32Type>().iter().flatten().any(|n| !n.is_finite()),
        DataType::Float64 => values.as_primitive::<Float64Type>().iter().flatten().any(|n| !n.is_finite()),
        DataType::Date32 => values.as_primitive::<Date32Type>().iter().flatten().any(|day| !DAYS.contains(&day)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            values.as_primitive::<TimestampMicrosecondType>().iter().flatten().any(|at| !MICROS.contains(&at))
        }
        DataType::List(_) => within(values.as_list::<i32>().value_offsets(), values.as_list::<i32>().values()),
        DataType::Map(..) => within(values.as_map().value_offsets(), values.as_map().entries()),
        DataType::Struct(_) => values.as_struct().columns().iter().any(|c| is_beyond(c)),
        _ => false,
    }
}

/// An object stands as it is; anything else as a text, so that both are told apart on the way back.
fn embedded(rescued: &str) -> String {
    let is_object = rescued.starts_with('{') && !rescued.contains('\n');
    match serde_json::from_str::<&RawValue>(rescued) {
        Ok(raw) if is_object && raw.get().len() == rescued.len() => rescued.to_owned(),
        _ => serde_json::to_string(rescued).expect("a text is JSON"),
    }
}

/// Rebuilds the bronze rows that quarantine rows were made of, in the columns of `bronze_schema`. A field that the
/// schema does not have goes to `_rescued`.
pub fn unquarantine(rows: &RecordBatch, bronze_schema: &SchemaRef) -> Result<RecordBatch, RefineError> {
    let failed = RefineError::arrow("rebuilding bronze rows");
    let records = text_column(rows, RECORD)?;
    let encodings = text_column(rows, RECORD_ENCODING)?;
    let mut parsed: Vec<Fields<'_>> = Vec::with_capacity(records.len());
    for row in 0..records.len() {
        let encoding = if encodings.is_null(row) { "" } else { encodings.value(row) };
        if encoding != JSON {
            return Err(RefineError::RecordEncoding { row, encoding: encoding.to_owned() });
        }
        parsed.push(fields(records.value(row)).map_err(|source| RefineError::Record { row, source })?);
    }
    let is_data = |f: &FieldRef| !SYSTEM_COLUMNS.contains(&f.name().as_str());
    let typed: Vec<FieldRef> =
        bronze_schema.fields().iter().filter(|f| is_data(f) && !is_text(f.data_type())).cloned().collect();
    let typed = decode_typed(&parsed, typed).map_err(&failed)?;
    let mut columns = Vec::with_capacity(bronze_schema.fields().len());
    for field in bronze_schema.fields() {
        let column: ArrayRef = match field.name().as_str() {
            RESCUED => Arc::new(rescued(&parsed, bronze_schema)),
            name if is_data(field) => match typed.column_by_name(name) {
                Some(c) => Arc::clone(c),
                None => Arc::new(parsed.iter().map(|r| of(r, name).and_then(text_of)).collect::<StringArray>()),
            },
            name => {
                rows.column_by_name(name).cloned().unwrap_or_else(|| new_null_array(field.data_type(), rows.num_rows()))
            }
        };
        columns.push(if column.data_type() == field.data_type() {
            column
        } else {
            cast(&column, field.data_type()).map_err(&failed)?
        });
    }
    RecordBatch::try_new(Arc::clone(bronze_schema), columns).map_err(&failed)
}

/// Quarantine rows in which a field that bronze had put aside stands in its column, where there is one by now. `any_case`: also under a
/// name in other letters. `json`: what a text column does not tell of a JSON value stays put aside as well, as the decoder does it.
pub fn with_columns(
    rows: &RecordBatch,
    bronze_schema: &SchemaRef,
    any_case: bool,
    json: bool,
) -> Result<RecordBatch, RefineError> {
    let failed = RefineError::arrow("rebuilding bronze rows");
    let records = text_column(rows, RECORD)?;
    let mut moved = StringBuilder::with_capacity(records.len(), records.values().len());
    for row in 0..records.len() {
        let parsed = fields(records.value(row)).map_err(|source| RefineError::Record { row, source })?;
        match of(&parsed, RESCUED).map(|kept| fields(kept.get())) {
            Some(Ok(kept)) => moved.append_value(spread(&parsed, &kept, bronze_schema, any_case, json)),
            // What is put aside as a text, or nothing.
            Some(Err(_)) | None => moved.append_value(records.value(row)),
        }
    }
    let at = rows.schema().index_of(RECORD).map_err(&failed)?;
    let mut columns = rows.columns().to_vec();
    columns[at] = cast(&moved.finish(), rows.column(at).data_type()).map_err(&failed)?;
    RecordBatch::try_new(rows.schema(), columns).map_err(&failed)
}

/// The record's fields, with those of `kept` among them that have a column.
fn spread(record: &Fields<'_>, kept: &Fields<'_>, schema: &SchemaRef, any_case: bool, json: bool) -> String {
    let column = |name: &str| {
        let data = || schema.fields().iter().filter(|f| !SYSTEM_COLUMNS.contains(&f.name().as_str()));
        let lower = name.to_lowercase();
        let other = || data().find(|f| any_case && f.name().to_lowercase() == lower);
        data().find(|f| *f.name() == name).or_else(other)
    };
    let mut line = vec![b'{'];
    let write = |line: &mut Vec<u8>, name: &str, value: &str| {
        begin_field(line, &serde_json::to_string(name).expect("a text is JSON"));
        line.extend_from_slice(value.as_bytes());
    };
    let mut taken: Vec<&str> = Vec::new();
    for (name, value) in record.iter().filter(|(n, _)| n != RESCUED) {
        write(&mut line, name, value.get());
        taken.push(name);
    }
    let mut left = vec![b'{'];
    for (name, value) in kept {
        let target = column(name).filter(|f| !taken.contains(&f.name().as_str()) && fits(f, value));
        let blurred = || json && text_of(value).is_none_or(|t| value.get().starts_with('"') && is_json(&t));
        if let Some(field) = target {
            write(&mut line, field.name(), value.get());
            taken.push(field.name());
            if blurred() {
                write(&mut left, field.name(), value.get());
            }
        } else {
            write(&mut left, name, value.get());
        }
    }
    left.push(b'}');
    if left.len() > 2 {
        write(&mut line, RESCUED, std::str::from_utf8(&left).expect("JSON is UTF-8"));
    }
    line.push(b'}');
    String::from_utf8(line).expect("JSON is UTF-8")
}

/// Whether the column's type takes the value.
fn fits(field: &FieldRef, value: &RawValue) -> bool {
    if is_text(field.data_type()) {
        return true;
    }
    let one: Fields<'_> = vec![(field.name().clone(), value)];
    decode_typed(&[one], vec![Arc::clone(field)]).is_ok_and(|b| b.num_columns() == 1 && b.column(0).is_valid(0))
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn fields(record: &str) -> Result<Fields<'_>, serde_json::Error> {
    struct Ordered;
    impl<'de> serde::de::Visitor<'de> for Ordered {
        type Value = Vec<(String, &'de RawValue)>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut fields = Vec::new();
            while let Some(field) = map.next_entry()? {
                fields.push(field);
            }
            Ok(fields)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(record);
    let fields = serde::Deserializer::deserialize_map(&mut reader, Ordered)?;
    reader.end()?;
    Ok(fields)
}

fn of<'a>(fields: &Fields<'a>, name: &str) -> Option<&'a RawValue> {
    fields.iter().find(|(n, _)| n == name).map(|(_, v)| *v)
}

/// The columns that are no text, by Arrow's own JSON reader.
fn decode_typed(records: &[Fields<'_>], typed: Vec<FieldRef>) -> Result<RecordBatch, ArrowError> {
    let nullable = typed.iter().map(|f| Field::new(f.name(), f.data_type().clone(), true));
    let schema = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
    if typed.is_empty() || records.is_empty() {
        return Ok(RecordBatch::new_empty(Arc::new(if typed.is_empty() {
            Schema::empty()
        } else {
            (*schema).clone()
        })));
    }
    let mut lines = Vec::new();
    for record in records {
        lines.push(b'{');
        let start = lines.len();
        for field in &typed {
            if let Some(value) = of(record, field.name()) {
                if lines.len() > start {
                    lines.push(b',');
                }
                lines.extend(serde_json::to_vec(field.name()).expect("a text is JSON"));
                lines.push(b':');
                lines.extend_from_slice(value.get().as_bytes());
            }
        }
        lines.extend_from_slice(b"}\n");
    }
    let mut decoder = ReaderBuilder::new(schema).with_batch_size(records.len()).build_decoder()?;
    decoder.decode(&lines)?;
    decoder.flush()?.ok_or_else(|| ArrowError::JsonError("no record was read".into()))
}

/// What was put aside before, and the fields that the schema does not have.
fn rescued(records: &[Fields<'_>], schema: &SchemaRef) -> StringArray {
    let known: HashMap<&str, ()> = schema.fields().iter().map(|f| (f.name().as_str(), ())).collect();
    let row = |fields: &Fields<'_>| {
        let kept = of(fields, RESCUED);
        let unknown: Vec<&(String, &RawValue)> =
            fields.iter().filter(|(n, _)| !known.contains_key(n.as_str())).collect();
        if unknown.is_empty() {
            return kept.and_then(text_of);
        }
        let earlier = kept.and_then(text_of).unwrap_or_default();
        let mut line = earlier.trim_end().strip_suffix('}').unwrap_or("{").as_bytes().to_vec();
        for (name, value) in unknown {
            begin_field(&mut line, &serde_json::to_string(name).expect("a text is JSON"));
            line.extend_from_slice(value.get().as_bytes());
        }
        line.push(b'}');
        String::from_utf8(line).ok()
    };
    records.iter().map(row).collect()
}
