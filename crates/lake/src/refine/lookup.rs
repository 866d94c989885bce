//! Hash tables over the rows of a lookup dataset, for references and `enrich`.

use super::{RefineError, cast::fitting, text::is_text};
use alluvium_model::DatasetName;
use arrow::{
    array::{Array, ArrayRef, RecordBatch, new_null_array},
    compute::{CastOptions, cast, cast_with_options, concat},
    datatypes::DataType,
    row::{RowConverter, Rows, SortField},
};
use hashbrown::{DefaultHashBuilder, HashTable};
use std::hash::BuildHasher;

/// Rows by key. Of several rows with one key, the one whose remaining columns sort first is kept, so that the answer
/// does not depend on the order in which the rows were read. A key with a null in it is not found.
#[derive(Debug)]
pub(super) struct Lookup {
    converter: RowConverter,
    types: Vec<DataType>,
    keys: Rows,
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The other columns, one row for each row of `keys`.
    taken: Vec<ArrayRef>,
}

impl Lookup {
    /// `rows` may be empty: then nothing is found, and `taken` columns are null.
    pub fn build(
        dataset: &DatasetName,
        rows: &[RecordBatch],
        on: &[&str],
        take: &[&str],
    ) -> Result<Option<Self>, RefineError> {
        let total: usize = rows.iter().map(RecordBatch::num_rows).sum();
        if total == 0 {
            return Ok(None);
        }
        if u32::try_from(total).is_err() {
            return Err(RefineError::LookupSize { dataset: dataset.clone(), rows: total });
        }
        let columns = |names: &[&str]| names.iter().map(|n| column(dataset, rows, n)).collect::<Result<Vec<_>, _>>();
        let (on, taken) = (columns(on)?, columns(take)?);
        let types: Vec<DataType> = on.iter().map(|c| c.data_type().clone()).collect();
        let failed = RefineError::arrow("reading a lookup's keys");
        let converter = converter_of(&types).map_err(&failed)?;
        let keys = converter.convert_columns(&on).map_err(&failed)?;
        let order = match taken.is_empty() {
            true => None,
            false => {
                let types: Vec<DataType> = taken.iter().map(|c| c.data_type().clone()).collect();
                Some(converter_of(&types).and_then(|c| c.convert_columns(&taken)).map_err(&failed)?)
            }
        };
        let mut this =
            Self { converter, types, keys, table: HashTable::new(), hasher: DefaultHashBuilder::default(), taken };
        this.fill(&on, order.as_ref());
        Ok(Some(this))
    }

    fn fill(&mut self, on: &[ArrayRef], order: Option<&Rows>) {
        let Self { keys, table, hasher, .. } = self;
        let hash = |row: u32| hasher.hash_one(keys.row(row as usize).as_ref());
        for row in 0..keys.num_rows() as u32 {
            if on.iter().any(|c| c.is_null(row as usize)) {
                continue;
            }
            let same = |other: &u32| keys.row(*other as usize) == keys.row(row as usize);
            match table.find_mut(hash(row), same) {
                None => {
                    table.insert_unique(hash(row), row, |r| hash(*r));
                }
                Some(kept) => {
                    if order.is_some_and(|o| o.row(row as usize) < o.row(*kept as usize)) {
                        *kept = row;
                    }
                }
            }
        }
    }

    /// For each row of `columns` the row here that has the same key. `columns` are brought to the key's types; a value
    /// that does not fit is not found.
    pub fn find(&self, columns: &[&ArrayRef]) -> Result<Vec<Option<u32>>, RefineError> {
        let failed = RefineError::arrow("looking up keys");
        let mut cast_columns = Vec::with_capacity(columns.len());
        for (column, kind) in columns.iter().zip(&self.types) {
            cast_columns.push(if column.data_type() == kind { (*column).clone() } else { key_of(column, kind)? });
        }
        let rows = self.converter.convert_columns(&cast_columns).map_err(&failed)?;
        let nullable: Vec<&ArrayRef> = cast_columns.iter().filter(|c| c.logical_null_count() > 0).collect();
        let found = |(at, row): (usize, arrow::row::Row<'_>)| {
            if nullable.iter().any(|c| c.is_null(at)) {
                return None;
            }
            let hash = self.hasher.hash_one(row.as_ref());
            self.table.find(hash, |other| self.keys.row(*other as usize) == row).copied()
        };
        Ok(rows.iter().enumerate().map(found).collect())
    }

    pub fn taken(&self, index: usize) -> &ArrayRef {
        &self.taken[index]
    }
}

/// A key in the lookup's type, null where it has no such value. A text and what it stands for are the same key.
fn key_of(column: &ArrayRef, kind: &DataType) -> Result<ArrayRef, RefineError> {
    let fits = if is_text(column.data_type()) || is_text(kind) {
        cast_with_options(column, kind, &CastOptions::default()).ok()
    } else {
        fitting(column, kind)?
    };
    Ok(fits.unwrap_or_else(|| new_null_array(kind, column.len())))
}

fn converter_of(types: &[DataType]) -> Result<RowConverter, arrow::error::ArrowError> {
    RowConverter::new(types.iter().cloned().map(SortField::new).collect())
}

/// One array of a column over all batches; dictionaries are unpacked.
fn column(dataset: &DatasetName, rows: &[RecordBatch], name: &str) -> Result<ArrayRef, RefineError> {
    let missing = || RefineError::LookupColumn { dataset: dataset.clone(), column: name.to_owned() };
    let failed = RefineError::arrow("reading a lookup's column");
    let parts: Vec<ArrayRef> =
        rows.iter().map(|b| b.column_by_name(name).cloned().ok_or_else(missing)).collect::<Result<_, _>>()?;
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    let whole = concat(&parts).map_err(&failed)?;
    match whole.data_type() {
        DataType::Dictionary(_, value) => cast(&whole, value).map_err(&failed),
        _ => Ok(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Int64Array, StringArray};
    use std::sync::Arc;

    fn batch(code: Vec<Option<i64>>, name: Vec<&str>) -> RecordBatch {
        let code: ArrayRef = Arc::new(Int64Array::from(code));
        let name: ArrayRef = Arc::new(StringArray::from(name));
        RecordBatch::try_from_iter_with_nullable([("code", code, true), ("name", name, true)]).unwrap()
    }

    #[test]
    fn the_row_that_sorts_first_answers_whatever_the_order() {
        let dataset: DatasetName = "silver.codes".parse().unwrap();
        let one = [batch(vec![Some(1), None, Some(1)], vec!["b", "n", "a"]), batch(vec![Some(2)], vec!["c"])];
        let two = [batch(vec![Some(2), Some(1)], vec!["c", "a"]), batch(vec![Some(1), None], vec!["b", "n"])];
        for rows in [&one, &two] {
            let lookup = Lookup::build(&dataset, rows, &["code"], &["name"]).unwrap().unwrap();
            let keys: ArrayRef = Arc::new(StringArray::from(vec![Some("1"), Some("2"), Some("x"), None, Some("3")]));
            let found = lookup.find(&[&keys]).unwrap();
            let names = lookup.taken(0).as_string::<i32>();
            let names: Vec<Option<&str>> = found.iter().map(|f| f.map(|r| names.value(r as usize))).collect();
            assert_eq!(names, [Some("a"), Some("c"), None, None, None]);
        }
    }

    #[test]
    fn an_empty_lookup_and_a_missing_column_are_told_apart() {
        let dataset: DatasetName = "silver.codes".parse().unwrap();
        assert!(Lookup::build(&dataset, &[], &["code"], &[]).unwrap().is_none());
        let rows = [batch(vec![Some(1)], vec!["a"])];
        assert!(matches!(
            Lookup::build(&dataset, &rows, &["cod"], &[]),
            Err(RefineError::LookupColumn { column, .. }) if column == "cod"
        ));
    }
}
