//! Whether two events of a key say the same, as far as history is kept of it: by 128 bits of BLAKE3.

use crate::error::LakeError;
use arrow::{
    array::{ArrayRef, RecordBatch},
    datatypes::Schema,
    row::{RowConverter, SortField},
};

pub(super) struct Tracker {
    columns: Vec<usize>,
    /// `None`: nothing is tracked, and all events say the same.
    converter: Option<RowConverter>,
}

impl Tracker {
    pub(super) fn new(tracked: &[String], schema: &Schema) -> Result<Self, LakeError> {
        let columns = tracked.iter().map(|n| schema.index_of(n)).collect::<Result<Vec<_>, _>>()?;
        let fields: Vec<SortField> =
            columns.iter().map(|i| SortField::new(schema.field(*i).data_type().clone())).collect();
        let converter = if fields.is_empty() { None } else { Some(RowConverter::new(fields)?) };
        Ok(Self { columns, converter })
    }

    pub(super) fn hashes(&self, batch: &RecordBatch) -> Result<Vec<u128>, LakeError> {
        let Some(converter) = &self.converter else { return Ok(vec![0; batch.num_rows()]) };
        let columns: Vec<ArrayRef> = self.columns.iter().map(|i| batch.column(*i).clone()).collect();
        Ok(converter.convert_columns(&columns)?.iter().map(|r| super::super::keys::hash(r.as_ref())).collect())
    }
}
