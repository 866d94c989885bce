//! Rows that broke their contract, or could not even be split into fields, kept with every reason.

use crate::{
    decode::Malformed,
    error::LakeError,
    refine::{Stamp, quarantine_schema},
};
use arrow::{
    array::{
        ArrayRef, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder, StructBuilder,
        TimestampMicrosecondArray,
    },
    datatypes::{DataType, SchemaRef},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::sync::Arc;

/// Where records came from.
pub(crate) struct Origin<'a> {
    pub(crate) event: &'a str,
    pub(crate) object: &'a str,
    pub(crate) run: &'a str,
    pub(crate) received_at: jiff::Timestamp,
}

/// Records that could not be decoded, as the bytes received: `text`, or `base64` where they are no UTF-8.
pub(crate) fn malformed(stamp: &Stamp, origin: &Origin<'_>, records: &[Malformed]) -> Result<RecordBatch, LakeError> {
    let schema = quarantine_schema();
    let n = records.len();
    let same = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; n])) };
    let time = |t: jiff::Timestamp| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from_value(t.as_microsecond(), n).with_timezone("UTC"))
    };
    let (text, encoding): (Vec<String>, Vec<&str>) = records.iter().map(as_text).unzip();
    let mut columns = Vec::new();
    for field in schema.fields() {
        columns.push(match field.name().as_str() {
            "_event_id" => same(origin.event),
            "_object" => same(origin.object),
            "_position" => Arc::new(Int64Array::from_iter_values(
                records.iter().map(|m| i64::try_from(m.position).unwrap_or(i64::MAX)),
            )),
            "_received_at" => time(origin.received_at),
            "_run_id" => same(origin.run),
            "record" => Arc::new(StringArray::from(text.clone())),
            "record_encoding" => Arc::new(StringArray::from(encoding.clone())),
            "reasons" => reasons(&schema, records)?,
            "_step_key" => same(stamp.step_key.as_str()),
            "_definition_version" => same(stamp.definition_version.as_str()),
            "_quarantined_at" => time(stamp.quarantined_at),
            "_replays" => Arc::new(Int64Array::from_value(0, n)),
            _ => return Err(LakeError::Worker("the quarantine has a column that nobody fills")),
        });
    }
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// What stands as the broken rule of a record that is malformed for this reason.
pub(crate) fn malformed_rule(reason: &str) -> String {
    format!("malformed:{reason}")
}

fn as_text(m: &Malformed) -> (String, &'static str) {
    match std::str::from_utf8(&m.raw) {
        Ok(t) => (t.to_owned(), "text"),
        Err(_) => (STANDARD.encode(&m.raw), "base64"),
    }
}

fn reasons(schema: &SchemaRef, records: &[Malformed]) -> Result<ArrayRef, LakeError> {
    let DataType::List(item) = schema.field_with_name("reasons")?.data_type() else {
        return Err(LakeError::Worker("the reasons of the quarantine are a list"));
    };
    let DataType::Struct(fields) = item.data_type() else {
        return Err(LakeError::Worker("a reason is a struct"));
    };
    let mut list = ListBuilder::new(StructBuilder::from_fields(fields.clone(), records.len())).with_field(item.clone());
    for m in records {
        let one = list.values();
        for (i, field) in fields.iter().enumerate() {
            let b = one.field_builder::<StringBuilder>(i).ok_or(LakeError::Worker("a reason is made of text"))?;
            match field.name().as_str() {
                "rule" => b.append_value(malformed_rule(m.reason.code())),
                "message" => b.append_value(format!("{} (bytes {} to {})", m.message, m.offset, m.offset + m.length)),
                _ => b.append_null(),
            }
        }
        one.append(true);
        list.append(true);
    }
    Ok(Arc::new(list.finish()))
}
