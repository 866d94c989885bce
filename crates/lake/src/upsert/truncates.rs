//! Truncates: each ends all that has a sequence up to its own. Which there are, as the table remembers them.
//!
//! Called by the refining lanes, which find them, and by the silver step. A table without versions needs the latest one only. The
//! version columns of a history show where each of them ended something, so it keeps all.

use super::keys::Keys;
use crate::{error::LakeError, scan};
use alluvium_model::DatasetName;
use arrow::{
    array::{RecordBatch, UInt32Array},
    compute::{concat_batches, take_record_batch},
    datatypes::Schema,
    ipc::{reader::StreamReader, writer::StreamWriter},
    row::{RowConverter, Rows, SortField},
    util::display::{ArrayFormatter, FormatOptions},
};
use base64::{Engine, prelude::BASE64_STANDARD};

/// Truncates of one history. They are part of each version of its table's metadata.
const MOST: usize = 10_000;

/// Their sequences, ascending, each once.
#[derive(Debug, Clone)]
pub(crate) struct Truncates {
    sequences: RecordBatch,
    /// Whether all are kept, or the latest.
    all: bool,
}

impl Truncates {
    /// `table`: has the columns of the sequence.
    pub(crate) fn none(keys: &Keys, table: &Schema, history: bool) -> Result<Self, LakeError> {
        Ok(Self { sequences: RecordBatch::new_empty(scan::project(table, &keys.sequence)?), all: history })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sequences.num_rows() == 0
    }

    pub(crate) fn sequences(&self) -> &RecordBatch {
        &self.sequences
    }

    /// `rows`: have the columns of the sequence, and may have others.
    ///
    /// # Errors
    /// [`LakeError::Truncates`] when they are more than a history can keep.
    pub(crate) fn add(&mut self, rows: &RecordBatch, dataset: &DatasetName) -> Result<(), LakeError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let schema = self.sequences.schema();
        let both = concat_batches(&schema, [&self.sequences, &scan::conform(rows, &schema)?])?;
        let encoded = encode(&both)?;
        let mut order: Vec<usize> = (0..both.num_rows()).collect();
        order.sort_by(|a, b| encoded.row(*a).cmp(&encoded.row(*b)));
        order.dedup_by(|a, b| encoded.row(*a) == encoded.row(*b));
        if !self.all {
            order.drain(..order.len() - 1);
        }
        if order.len() > MOST {
            return Err(LakeError::Truncates { dataset: dataset.clone(), most: MOST });
        }
        let order = UInt32Array::from_iter_values(order.into_iter().map(|i| i as u32));
        self.sequences = take_record_batch(&both, &order)?;
        Ok(())
    }

    pub(crate) fn merge(&mut self, other: &Self, dataset: &DatasetName) -> Result<(), LakeError> {
        self.add(&other.sequences, dataset)
    }

    /// For each row the place of the first truncate at or after its sequence, which is the one that ends it.
    pub(crate) fn ending(&self, rows: &RecordBatch) -> Result<Vec<Option<u32>>, LakeError> {
        let own = encode(&self.sequences)?;
        let rows = encode(&scan::conform(rows, &self.sequences.schema())?)?;
        let place = |row: arrow::row::Row<'_>| {
            let (mut from, mut to) = (0, own.num_rows());
            while from < to {
                let middle = from + (to - from) / 2;
                if own.row(middle) < row { from = middle + 1 } else { to = middle }
            }
            (from < own.num_rows()).then_some(from as u32)
        };
        Ok(rows.iter().map(place).collect())
    }

    /// Of the one sequence of a history.
    pub(super) fn at(&self, places: Vec<u32>) -> Result<RecordBatch, LakeError> {
        Ok(take_record_batch(&self.sequences, &UInt32Array::from(places))?)
    }

    /// As a property of the table.
    pub(crate) fn to_property(&self) -> Result<String, LakeError> {
        let mut out = StreamWriter::try_new(Vec::new(), &self.sequences.schema())?;
        out.write(&self.sequences)?;
        Ok(BASE64_STANDARD.encode(out.into_inner()?))
    }

    /// Takes in what [`Truncates::to_property`] gave. Truncates by other columns are none.
    pub(crate) fn add_property(&mut self, property: &str, dataset: &DatasetName) -> Result<(), LakeError> {
        let strange = |_| LakeError::Worker("a table's truncates are as they were written");
        let bytes = BASE64_STANDARD.decode(property).map_err(strange)?;
        for batch in StreamReader::try_new(bytes.as_slice(), None)? {
            let batch = batch?;
            let columns = |s: &Schema| -> Vec<_> {
                s.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect()
            };
            if columns(&batch.schema()) == columns(&self.sequences.schema()) {
                self.add(&batch, dataset)?;
            }
        }
        Ok(())
    }

    /// The latest, for people.
    pub(crate) fn latest(&self) -> Result<Option<String>, LakeError> {
        let Some(last) = self.sequences.num_rows().checked_sub(1) else { return Ok(None) };
        let options = FormatOptions::default().with_null("null");
        let cells = self.sequences.schema_ref().fields().iter().zip(self.sequences.columns()).map(|(field, column)| {
            let cell = ArrayFormatter::try_new(column.as_ref(), &options)?;
            Ok::<_, LakeError>(format!("{} {}", field.name(), cell.value(last)))
        });
        Ok(Some(cells.collect::<Result<Vec<_>, _>>()?.join(", ")))
    }
}

impl PartialEq for Truncates {
    fn eq(&self, other: &Self) -> bool {
        self.sequences.columns() == other.sequences.columns()
    }
}

fn encode(rows: &RecordBatch) -> Result<Rows, LakeError> {
    let fields = rows.schema_ref().fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
    Ok(RowConverter::new(fields)?.convert_columns(rows.columns())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_model::Layer;
    use arrow::{
        array::{ArrayRef, Int64Array, StringArray},
        datatypes::{DataType, Field},
    };
    use std::sync::Arc;

    fn name() -> DatasetName {
        DatasetName::new(Layer::Silver, "t").expect("a name")
    }

    fn rows(at: &[Option<i64>]) -> RecordBatch {
        let other: ArrayRef = Arc::new(StringArray::from(vec!["x"; at.len()]));
        let at: ArrayRef = Arc::new(Int64Array::from(at.to_vec()));
        RecordBatch::try_from_iter([("other", other), ("at", at)]).expect("columns of one length")
    }

    fn of(at: &[Option<i64>], history: bool) -> Truncates {
        let keys = Keys { keys: vec!["other".into()], sequence: vec!["at".into()], snapshots: false };
        let schema = Schema::new(vec![Field::new("at", DataType::Int64, true)]);
        let mut all = Truncates::none(&keys, &schema, history).expect("none");
        at.chunks(2).for_each(|c| all.add(&rows(c), &name()).expect("added"));
        all
    }

    #[test]
    fn a_row_ends_at_the_first_truncate_at_or_after_it() {
        let all = of(&[Some(9), None, Some(3), Some(9), Some(-4)], true);
        let found = all.ending(&rows(&[None, Some(-9), Some(-4), Some(-3), Some(3), Some(4), Some(9), Some(10)]));
        assert_eq!(found.expect("found"), [0, 1, 1, 2, 2, 3, 3, -1].map(|n| u32::try_from(n).ok()));
        let latest = of(&[Some(9), None, Some(3)], false);
        assert_eq!(latest.ending(&rows(&[None, Some(9), Some(10)])).expect("found"), [Some(0), Some(0), None]);
        assert_eq!(latest.latest().expect("said"), Some("at 9".to_owned()));
        assert!(of(&[], false).ending(&rows(&[None])).expect("found").iter().all(Option::is_none));
    }

    #[test]
    fn what_a_table_remembers_is_what_was_written() {
        let all = of(&[Some(i64::MIN), None, Some(i64::MAX)], true);
        let property = all.to_property().expect("written");
        let mut read = of(&[], true);
        read.add_property(&property, &name()).expect("read");
        assert!(read == all && !read.is_empty());
        // Of another sequence they say nothing.
        let keys = Keys { keys: vec!["other".into()], sequence: vec!["other".into()], snapshots: false };
        let mut other = Truncates::none(&keys, &rows(&[]).schema(), true).expect("none");
        other.add_property(&property, &name()).expect("read");
        assert!(other.is_empty());
    }

    #[test]
    fn a_history_keeps_so_many_and_no_more() {
        let most: Vec<Option<i64>> = (0..MOST as i64).map(Some).collect();
        let mut all = of(&[], true);
        all.add(&rows(&most), &name()).expect("as many as fit");
        all.add(&rows(&most), &name()).expect("the same once more");
        let refused = all.add(&rows(&[Some(-1)]), &name()).expect_err("one too many");
        assert!(matches!(refused, LakeError::Truncates { most: MOST, .. }), "{refused}");
        assert!(of(&[], false).add(&rows(&[most, vec![Some(-1)]].concat()), &name()).is_ok(), "the latest is one");
    }
}
