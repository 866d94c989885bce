//! Which of two rows with the same key and sequence stands: the rule for ties.
//!
//! The later sequence wins; at equal sequences a deletion wins; then the row whose columns, compared left to right,
//! are greater; rows equal in all of these are duplicates, and the one with the smaller event id and position stands.

use super::{
    candidates::{DELETED, is_deleted},
    keys::Keys,
};
use crate::error::LakeError;
use arrow::{
    array::{Array, ArrayRef, BooleanArray, RecordBatch},
    row::{RowConverter, Rows, SortField},
};
use std::sync::Arc;

/// Columns that say where a row came from; they take no part in what a row says.
const ORIGIN: [&str; 2] = ["_event_id", "_position"];

/// Rows in a form that compares by the rule.
pub(super) struct Content {
    sequences: Option<Rows>,
    deleted: BooleanArray,
    rows: Rows,
    origins: Rows,
}

impl Content {
    /// `rows` has the table's columns, and [`DELETED`] unless none of them is a deletion.
    pub(super) fn of(keys: &Keys, rows: &RecordBatch) -> Result<Self, LakeError> {
        let encoder = keys.encoder(&rows.schema())?;
        let deleted = is_deleted(rows);
        let (mut own, mut origin): (Vec<ArrayRef>, Vec<ArrayRef>) = (Vec::new(), Vec::new());
        for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
            match field.name().as_str() {
                DELETED => {}
                n if ORIGIN.contains(&n) => origin.push(column.clone()),
                _ => own.push(column.clone()),
            }
        }
        Ok(Self {
            sequences: encoder.whole_sequences(rows)?,
            deleted,
            rows: convert(&own)?,
            origins: convert(&origin)?,
        })
    }

    /// Whether row `a` of `self` stands against row `b` of `other`.
    pub(super) fn beats(&self, a: usize, other: &Self, b: usize) -> bool {
        let by_sequence = match (&self.sequences, &other.sequences) {
            (Some(x), Some(y)) => x.row(a).cmp(&y.row(b)),
            _ => std::cmp::Ordering::Equal,
        };
        by_sequence
            .then_with(|| self.deleted.value(a).cmp(&other.deleted.value(b)))
            .then_with(|| {
                // Two deletions of one key say the same, whatever their other columns hold.
                if self.deleted.value(a) { std::cmp::Ordering::Equal } else { self.rows.row(a).cmp(&other.rows.row(b)) }
            })
            .then_with(|| other.origins.row(b).cmp(&self.origins.row(a)))
            .is_gt()
    }

    pub(super) fn same_sequence(&self, a: usize, other: &Self, b: usize) -> bool {
        match (&self.sequences, &other.sequences) {
            (Some(x), Some(y)) => x.row(a) == y.row(b),
            _ => true,
        }
    }
}

fn convert(columns: &[ArrayRef]) -> Result<Rows, LakeError> {
    let columns: Vec<ArrayRef> = columns.iter().map(|c| unpacked(c)).collect::<Result<_, _>>()?;
    let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
    Ok(RowConverter::new(fields)?.convert_columns(&columns)?)
}

/// Rows from a file and rows from a batch compare as values, however they are packed.
fn unpacked(column: &ArrayRef) -> Result<ArrayRef, LakeError> {
    match column.data_type() {
        arrow::datatypes::DataType::Dictionary(_, value) => Ok(arrow::compute::cast(column, value)?),
        _ => Ok(Arc::clone(column)),
    }
}
