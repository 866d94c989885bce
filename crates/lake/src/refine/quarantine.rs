//! Quarantine rows: the record as received, with every reason why it is there.

use super::{
    RefineError,
    record::encode_records,
    text::to_text,
    types::{EVENT_ID, OBJECT, POSITION, RECEIVED_AT, RUN_ID, utc_micros},
};
use alluvium_model::{DefinitionVersion, StepKey};
use arrow::{
    array::{
        Array, ArrayRef, AsArray, Int64Array, ListArray, RecordBatch, StringArray, StringBuilder, StructArray,
        TimestampMicrosecondArray, UInt32Array, new_null_array,
    },
    buffer::OffsetBuffer,
    compute::{cast, take},
    datatypes::{DataType, Field, Fields, Int64Type, Schema, SchemaRef},
};
use jiff::Timestamp;
use std::{collections::HashMap, sync::Arc};

pub(super) const RECORD: &str = "record";
pub(super) const RECORD_ENCODING: &str = "record_encoding";
/// How often the row was replayed, and stayed.
pub(super) const REPLAYS: &str = "_replays";
/// The only encoding so far.
pub(super) const JSON: &str = "json";

/// What the rows of one step carry besides their own.
#[derive(Debug, Clone)]
pub struct Stamp {
    pub step_key: StepKey,
    pub definition_version: DefinitionVersion,
    pub quarantined_at: Timestamp,
}

fn reason_fields() -> Fields {
    ["rule", "column", "value", "message"].into_iter().map(|n| Field::new(n, DataType::Utf8, true)).collect()
}

/// `_event_id` to `_run_id` tell where the record came from; `_run_id` is the run that received it.
pub fn quarantine_schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let reason = Field::new("element", DataType::Struct(reason_fields()), true);
    Arc::new(Schema::new(vec![
        text(EVENT_ID),
        text(OBJECT),
        Field::new(POSITION, DataType::Int64, true),
        Field::new(RECEIVED_AT, utc_micros(), true),
        text(RUN_ID),
        text(RECORD),
        text(RECORD_ENCODING),
        Field::new("reasons", DataType::List(Arc::new(reason)), true),
        text("_step_key"),
        text("_definition_version"),
        Field::new("_quarantined_at", utc_micros(), true),
        Field::new(REPLAYS, DataType::Int64, true),
    ]))
}

/// Rows on their way to the quarantine, collected over the passes of one batch.
#[derive(Debug, Default)]
pub(super) struct Rejected {
    /// Rows of the bronze batch.
    rows: Vec<u32>,
    /// For each row, how many reasons it has.
    reasons: Vec<usize>,
    rule: StringBuilder,
    column: StringBuilder,
    value: StringBuilder,
    message: StringBuilder,
}

impl Rejected {
    pub fn begin(&mut self, bronze_row: u32) {
        self.rows.push(bronze_row);
        self.reasons.push(0);
    }

    /// A reason of the row begun last.
    pub fn reason(&mut self, rule: &str, column: &str, value: Option<&str>, message: &str) {
        *self.reasons.last_mut().expect("a row was begun") += 1;
        self.rule.append_value(rule);
        self.column.append_value(column);
        self.value.append_option(value);
        self.message.append_value(message);
    }

    /// `None` if no row was rejected.
    pub fn finish(mut self, bronze: &RecordBatch, stamp: &Stamp) -> Result<Option<RecordBatch>, RefineError> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let failed = RefineError::arrow("building quarantine rows");
        let rows = self.rows.len();
        let picked = UInt32Array::from(self.rows);
        let system = |name: &str, kind: &DataType| -> Result<ArrayRef, RefineError> {
            match bronze.column_by_name(name) {
                Some(c) => take(c, &picked, None).and_then(|c| cast(&c, kind)).map_err(&failed),
                None => Ok(new_null_array(kind, rows)),
            }
        };
        let values: Vec<ArrayRef> = [&mut self.rule, &mut self.column, &mut self.value, &mut self.message]
            .into_iter()
            .map(|b| Arc::new(b.finish()) as ArrayRef)
            .collect();
        let schema = quarantine_schema();
        let DataType::List(element) = schema.field_with_name("reasons").map_err(&failed)?.data_type() else {
            unreachable!("reasons are a list");
        };
        let reasons = ListArray::new(
            Arc::clone(element),
            OffsetBuffer::from_lengths(self.reasons),
            Arc::new(StructArray::new(reason_fields(), values, None)),
            None,
        );
        let same = |text: &str| Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows))) as ArrayRef;
        let at = TimestampMicrosecondArray::from_value(stamp.quarantined_at.as_microsecond(), rows);
        let columns: Vec<ArrayRef> = vec![
            system(EVENT_ID, &DataType::Utf8)?,
            system(OBJECT, &DataType::Utf8)?,
            system(POSITION, &DataType::Int64)?,
            system(RECEIVED_AT, &utc_micros())?,
            system(RUN_ID, &DataType::Utf8)?,
            Arc::new(encode_records(bronze, &picked)?),
            same(JSON),
            Arc::new(reasons),
            same(stamp.step_key.as_str()),
            same(stamp.definition_version.as_str()),
            Arc::new(at.with_timezone("UTC")),
            Arc::new(Int64Array::from_value(0, rows)),
        ];
        RecordBatch::try_new(Arc::clone(&schema), columns).map(Some).map_err(&failed)
    }
}

/// Rows that stay after a replay of `before`: each was replayed once more than it had been.
pub fn replayed(rows: &RecordBatch, before: &RecordBatch) -> Result<RecordBatch, RefineError> {
    let failed = RefineError::arrow("counting replays");
    let number = |batch: &RecordBatch, name: &'static str| match batch.column_by_name(name) {
        Some(c) => cast(c, &DataType::Int64).map(|c| c.as_primitive::<Int64Type>().clone()).map_err(&failed),
        // The file is older than the count.
        None => Ok(Int64Array::new_null(batch.num_rows())),
    };
    let place = |events: &StringArray, positions: &Int64Array, row: usize| {
        (events.value(row).to_owned(), positions.is_valid(row).then(|| positions.value(row)))
    };
    let (events, positions, counts) =
        (text_column(before, EVENT_ID)?, number(before, POSITION)?, number(before, REPLAYS)?);
    let known: HashMap<_, i64> = (0..before.num_rows())
        .map(|row| (place(&events, &positions, row), if counts.is_valid(row) { counts.value(row) } else { 0 }))
        .collect();
    let (events, positions) = (text_column(rows, EVENT_ID)?, number(rows, POSITION)?);
    let counts: Int64Array = (0..rows.num_rows())
        .map(|row| Some(known.get(&place(&events, &positions, row)).map_or(0, |n| n + 1)))
        .collect();
    let at = rows.schema().index_of(REPLAYS).map_err(&failed)?;
    let mut columns = rows.columns().to_vec();
    columns[at] = Arc::new(counts);
    RecordBatch::try_new(rows.schema(), columns).map_err(&failed)
}

/// Why a row is set aside before any rule was applied.
#[derive(Debug, Clone)]
pub struct Cause {
    pub rule: String,
    pub column: String,
    pub value: Option<String>,
    pub message: String,
}

/// These rows of a bronze batch as quarantine rows; `None` if there are none.
pub fn set_aside(
    bronze: &RecordBatch,
    rows: Vec<(u32, Vec<Cause>)>,
    stamp: &Stamp,
) -> Result<Option<RecordBatch>, RefineError> {
    let mut rejected = Rejected::default();
    for (row, causes) in rows {
        rejected.begin(row);
        for c in causes {
            rejected.reason(&c.rule, &c.column, c.value.as_deref(), &c.message);
        }
    }
    rejected.finish(bronze, stamp)
}

/// A text column of a batch of quarantine rows.
pub(super) fn text_column(rows: &RecordBatch, name: &'static str) -> Result<StringArray, RefineError> {
    to_text(rows.column_by_name(name).ok_or(RefineError::NoSystemColumn { column: name })?)
}
