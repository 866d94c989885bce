//! The batch being built from a text format: text columns, `_rescued`, `_position` and the malformed records beside
//! them. The CSV and NDJSON readers append; nothing here knows a format.

use super::{
    decoder::Decoded,
    error::DecodeError,
    malformed::{Defect, Malformed},
};
use arrow::array::NullBufferBuilder;
use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray},
    buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer},
    datatypes::{DataType, Field, FieldRef, Schema, SchemaRef},
};
use std::sync::Arc;

/// A batch ends once it holds this much, however few rows that are.
pub(super) const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// With the sixfold growth that escaping can cause, a record of this length and a batch stay within 2 GiB.
pub(super) const RECORD_LIMIT_BYTES: u64 = 256 * 1024 * 1024;
/// Kept for each value beside its text: offset and validity.
const VALUE_OVERHEAD_BYTES: usize = 5;

/// A text column that can drop its last rows again.
pub(super) struct TextColumn {
    values: Vec<u8>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
}

impl TextColumn {
    pub(super) fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { values: Vec::with_capacity(bytes), offsets, nulls: NullBufferBuilder::new(rows) }
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    #[inline]
    pub(super) fn push(&mut self, text: &[u8]) {
        self.push_with(|values| values.extend_from_slice(text));
    }

    /// One value, written by `write` at the end of what it is given.
    #[inline]
    pub(super) fn push_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.values);
        self.end_value();
        self.nulls.append_non_null();
    }

    #[inline]
    pub(super) fn push_null(&mut self) {
        self.end_value();
        self.nulls.append_null();
    }

    /// The last value as written.
    pub(super) fn last(&self) -> &[u8] {
        let start = self.offsets.len().checked_sub(2).map_or(0, |i| self.offsets[i] as usize);
        &self.values[start..]
    }

    #[inline]
    fn end_value(&mut self) {
        self.offsets.push(i32::try_from(self.values.len()).expect("a batch and a record are bounded below 2 GiB"));
    }

    fn truncate(&mut self, rows: usize) {
        if self.len() > rows {
            self.offsets.truncate(rows + 1);
            self.values.truncate(self.offsets[rows] as usize);
            self.nulls.truncate(rows);
        }
    }

    /// The array, with room like it for the next one.
    pub(super) fn finish(&mut self) -> Result<StringArray, DecodeError> {
        let next = Self::with_capacity(self.len() + self.len() / 8, self.values.len() + self.values.len() / 8);
        let mut done = std::mem::replace(self, next);
        let nulls: Option<NullBuffer> = done.nulls.finish();
        let offsets = OffsetBuffer::new(ScalarBuffer::from(done.offsets));
        StringArray::try_new(offsets, Buffer::from_vec(done.values), nulls)
            .map_err(|source| DecodeError::Batch { source })
    }
}

pub(super) struct Rows {
    pub(super) columns: Vec<TextColumn>,
    pub(super) rescued: TextColumn,
    schema: SchemaRef,
    positions: Vec<i64>,
    malformed: Vec<Malformed>,
    next_position: u64,
    cost_bytes: usize,
    batch_rows: usize,
}

impl Rows {
    pub(super) fn new(columns: &SchemaRef, batch_rows: usize) -> Result<Self, DecodeError> {
        if let Some(field) = columns.fields().iter().find(|f| *f.data_type() != DataType::Utf8) {
            return Err(DecodeError::ColumnType { column: field.name().clone() });
        }
        Ok(Self {
            columns: columns.fields().iter().map(|_| TextColumn::with_capacity(0, 0)).collect(),
            rescued: TextColumn::with_capacity(0, 0),
            schema: output_schema(columns),
            positions: Vec::new(),
            malformed: Vec::new(),
            next_position: 0,
            cost_bytes: 0,
            batch_rows: batch_rows.max(1),
        })
    }

    pub(super) fn is_full(&self) -> bool {
        self.positions.len() + self.malformed.len() >= self.batch_rows || self.cost_bytes >= BATCH_BYTES
    }

    /// Takes the row that every column, and `_rescued`, has got a value for.
    #[inline]
    pub(super) fn commit(&mut self, record_bytes: usize) {
        debug_assert!(self.columns.iter().chain([&self.rescued]).all(|c| c.len() == self.positions.len() + 1));
        self.positions.push(i64::try_from(self.next_position).expect("fewer than 2^63 records"));
        self.next_position += 1;
        let rescued = self.rescued.last().len();
        self.cost_bytes += record_bytes + rescued + VALUE_OVERHEAD_BYTES * (self.columns.len() + 1) + size_of::<i64>();
    }

    /// Drops what was pushed since the last commit.
    pub(super) fn rollback(&mut self) {
        let rows = self.positions.len();
        self.columns.iter_mut().chain([&mut self.rescued]).for_each(|c| c.truncate(rows));
    }

    /// Counts a record that is no row. `head` is its beginning, at least 64 KiB of it if it has so much.
    pub(super) fn reject(&mut self, defect: Defect, offset: u64, length: u64, head: &[u8]) {
        let malformed = defect.at(self.next_position, offset, length, head);
        self.next_position += 1;
        self.cost_bytes += malformed.raw.len() + size_of::<Malformed>();
        self.malformed.push(malformed);
    }

    /// The next record has this number in the object.
    pub(super) fn seek(&mut self, position: u64) {
        debug_assert!(self.positions.is_empty() && self.malformed.is_empty());
        self.next_position = position;
    }

    /// What was built since the last call; nothing where that is nothing.
    pub(super) fn finish(&mut self) -> Result<Option<Decoded>, DecodeError> {
        if self.positions.is_empty() && self.malformed.is_empty() {
            return Ok(None);
        }
        self.cost_bytes = 0;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len() + 2);
        for column in self.columns.iter_mut().chain([&mut self.rescued]) {
            arrays.push(Arc::new(column.finish()?));
        }
        arrays.push(Arc::new(Int64Array::from(std::mem::take(&mut self.positions))));
        let batch =
            RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(|source| DecodeError::Batch { source })?;
        Ok(Some(Decoded { batch, malformed: std::mem::take(&mut self.malformed) }))
    }
}

/// The given columns, all nullable, then `_rescued` and `_position`.
pub(super) fn output_schema(columns: &SchemaRef) -> SchemaRef {
    let mut fields: Vec<FieldRef> =
        columns.fields().iter().map(|f| Arc::new(f.as_ref().clone().with_nullable(true))).collect();
    fields.push(Arc::new(Field::new("_rescued", DataType::Utf8, true)));
    fields.push(Arc::new(Field::new("_position", DataType::Int64, false)));
    Arc::new(Schema::new(fields))
}
