//! Which of two rows with the same key and sequence stands: the rule for ties.
//!
//! The later sequence wins; at equal sequences a deletion wins (in snapshots the row); then the row whose columns, compared left to right,
//! are greater; rows equal in all of these are duplicates, and the one with the smaller event id and position stands.

use super::{
    candidates::{DELETED, is_deleted},
    keys::Keys,
};
use crate::error::LakeError;
use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array, UInt64Array},
    datatypes::{DataType, Float32Type, Float64Type, Schema, SchemaRef},
    row::{RowConverter, Rows, SortField},
};
use datafusion::common::hash_utils::{RandomState, create_hashes};
use std::{hash::BuildHasher, sync::Arc};

/// Columns that say where a row came from; they take no part in what a row says.
const ORIGIN: [&str; 2] = ["_event_id", "_position"];

/// The columns that say where a row came from.
pub(super) fn origin(table: &Schema) -> Result<SchemaRef, LakeError> {
    crate::scan::project(table, &ORIGIN.map(str::to_owned))
}

/// Odd, with bits all over.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Numbers what rows say, with all their columns but those of their origin. Key files keep these numbers: another way to make them has
/// to give others.
pub(super) struct Fingerprint(RandomState);

impl Fingerprint {
    pub(super) fn new(seed: u64) -> Self {
        Self(RandomState::with_seed(seed))
    }

    /// Never 0. [`DELETED`] takes no part.
    pub(super) fn of(&self, rows: &RecordBatch) -> Result<Vec<u64>, LakeError> {
        let own = rows.schema_ref().fields().iter().zip(rows.columns());
        let says = |name: &str| name != DELETED && !ORIGIN.contains(&name);
        let own: Vec<_> = own.filter(|(f, _)| says(f.name())).collect();
        // The same values in other columns are not the same.
        let columns = own.iter().map(|(f, _)| format!("{}\0{}", f.name(), f.data_type()));
        let mut numbers = vec![self.0.hash_one(columns.collect::<Vec<_>>()); rows.num_rows()];
        let mut column = vec![0; rows.num_rows()];
        for (_, values) in own {
            // A null leaves its 0, so that the same value in another column makes another number.
            column.fill(0);
            create_hashes([&by_bits(values)], &self.0, &mut column)?;
            for (number, value) in numbers.iter_mut().zip(&column) {
                *number = (u64::rotate_left(*number, 26) ^ value).wrapping_mul(SPREAD);
            }
        }
        numbers.iter_mut().for_each(|n| *n = (*n).max(1));
        Ok(numbers)
    }
}

/// Floating-point numbers as [`Content`] compares them: both zeros differ, and a NaN equals itself. Their hashes would go
/// by the numbers' own equality, and rows that are not the same would count as duplicates.
fn by_bits(values: &ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Float64 => {
            let numbers = values.as_primitive::<Float64Type>();
            Arc::new(UInt64Array::new(numbers.values().inner().clone().into(), numbers.nulls().cloned()))
        }
        DataType::Float32 => {
            let numbers = values.as_primitive::<Float32Type>();
            Arc::new(UInt32Array::new(numbers.values().inner().clone().into(), numbers.nulls().cloned()))
        }
        _ => values.clone(),
    }
}

/// Rows in a form that compares by the rule.
pub(super) struct Content {
    sequences: Option<Rows>,
    deleted: BooleanArray,
    /// See [`Keys::snapshots`].
    snapshots: bool,
    /// `None`: they say the same.
    rows: Option<Rows>,
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
            snapshots: keys.snapshots,
            rows: Some(convert(&own)?),
            origins: convert(&origin)?,
        })
    }

    /// Of rows of which each says the same as those that it is compared with. They need the columns of [`origin`] only.
    pub(super) fn of_equals(rows: &RecordBatch) -> Result<Self, LakeError> {
        let origin: Vec<ArrayRef> = ORIGIN.iter().filter_map(|n| rows.column_by_name(n)).cloned().collect();
        let deleted = is_deleted(rows);
        Ok(Self { sequences: None, deleted, snapshots: false, rows: None, origins: convert(&origin)? })
    }

    /// Whether row `a` of `self` stands against row `b` of `other`.
    pub(super) fn beats(&self, a: usize, other: &Self, b: usize) -> bool {
        let by_sequence = match (&self.sequences, &other.sequences) {
            (Some(x), Some(y)) => x.row(a).cmp(&y.row(b)),
            _ => std::cmp::Ordering::Equal,
        };
        by_sequence
            .then_with(|| {
                let deletes = self.deleted.value(a).cmp(&other.deleted.value(b));
                if self.snapshots { deletes.reverse() } else { deletes }
            })
            .then_with(|| {
                // Two deletions of one key say the same, whatever their other columns hold.
                match (&self.rows, &other.rows) {
                    (Some(x), Some(y)) if !self.deleted.value(a) => x.row(a).cmp(&y.row(b)),
                    _ => std::cmp::Ordering::Equal,
                }
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
        DataType::Dictionary(_, value) => Ok(arrow::compute::cast(column, value)?),
        _ => Ok(Arc::clone(column)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float32Array, Float64Array, Int64Array, StringArray};

    /// Or the tie rule would hang on which rows come in one step.
    #[test]
    fn numbers_are_told_apart_as_the_rule_compares_them() {
        let float64: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(0.0), Some(-0.0), Some(f64::NAN), Some(f64::NAN), None, Some(0.0)]));
        let float32: ArrayRef =
            Arc::new(Float32Array::from(vec![Some(0.0), Some(-0.0), Some(f32::NAN), Some(f32::NAN), None, Some(0.0)]));
        for values in [float64, float32] {
            let event: ArrayRef = Arc::new(StringArray::from(vec!["e"; 6]));
            let rows =
                RecordBatch::try_from_iter([("n", values), ("_event_id", event)]).expect("columns of one length");
            let numbers = Fingerprint::new(7).of(&rows).expect("numbers");
            let keys = Keys { keys: vec!["n".into()], sequence: Vec::new(), snapshots: false };
            let content = Content::of(&keys, &rows).expect("rows");
            for (a, b) in (0..6).flat_map(|a| (0..6).map(move |b| (a, b))) {
                let same = !content.beats(a, &content, b) && !content.beats(b, &content, a);
                assert_eq!(numbers[a] == numbers[b], same, "{a} and {b} of {rows:?}");
            }
        }
    }

    #[test]
    fn rows_have_one_number_only_if_they_say_the_same() {
        let columns: [(&str, ArrayRef); 5] = [
            ("a", Arc::new(Int64Array::from(vec![Some(1), Some(1), None, None, Some(1), Some(2)]))),
            ("b", Arc::new(StringArray::from(vec![None, None, Some("1"), None, None, None]))),
            ("c", Arc::new(StringArray::from(vec![None, None, None, Some("1"), Some("1"), None]))),
            ("_event_id", Arc::new(StringArray::from(vec!["e1", "e2", "e1", "e1", "e1", "e1"]))),
            ("_position", Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5, 6]))),
        ];
        let renamed = columns.clone().map(|(name, values)| (if name == "a" { "z" } else { name }, values));
        let of = |columns| {
            let rows = RecordBatch::try_from_iter::<Vec<_>, _>(columns).expect("columns of one length");
            (Fingerprint::new(7).of(&rows).expect("numbers"), rows)
        };
        let (numbers, rows) = of(columns.to_vec());
        assert_eq!(numbers[0], numbers[1], "where they came from does not matter");
        assert_ne!(numbers[0], of(renamed.to_vec()).0[0], "the same in another column is something else");
        let distinct: std::collections::BTreeSet<u64> = numbers.iter().copied().collect();
        assert_eq!(distinct.len(), 5, "{numbers:?}");
        assert!(!distinct.contains(&0));
        assert_ne!(numbers, Fingerprint::new(8).of(&rows).expect("numbers"), "nobody outside can aim at a number");
    }
}
