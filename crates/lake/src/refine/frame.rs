//! The rows of one bronze batch on their way through the steps: named columns of equal length, and for each row its
//! place in the batch it came from.

use super::{RefineError, types::SYSTEM_COLUMNS};
use arrow::{
    array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array},
    buffer::BooleanBuffer,
    compute::{FilterBuilder, filter},
};
use std::sync::Arc;

#[derive(Debug, Clone)]
pub(super) struct Frame {
    columns: Vec<(Arc<str>, ArrayRef)>,
    rows: usize,
    /// `None`: row `i` is bronze row `i`.
    origin: Option<UInt32Array>,
    /// The next rows that leave are the last ones: nobody reads what stays.
    ends: bool,
}

impl Frame {
    /// Takes the data columns of `bronze` that `wanted` accepts.
    pub fn new(bronze: &RecordBatch, wanted: impl Fn(&str) -> bool) -> Self {
        let schema = bronze.schema_ref();
        let columns = schema
            .fields()
            .iter()
            .zip(bronze.columns())
            .filter(|(f, _)| !SYSTEM_COLUMNS.contains(&f.name().as_str()) && wanted(f.name()))
            .map(|(f, c)| (Arc::from(f.name().as_str()), Arc::clone(c)))
            .collect();
        Self { columns, rows: bronze.num_rows(), origin: None, ends: false }
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn get(&self, name: &str) -> Option<&ArrayRef> {
        self.columns.iter().find(|(n, _)| &**n == name).map(|(_, c)| c)
    }

    pub fn set(&mut self, name: &str, array: ArrayRef) {
        debug_assert_eq!(array.len(), self.rows, "a frame's columns have one length");
        match self.columns.iter_mut().find(|(n, _)| &**n == name) {
            Some((_, c)) => *c = array,
            None => self.columns.push((Arc::from(name), array)),
        }
    }

    pub fn remove(&mut self, name: &str) -> Option<ArrayRef> {
        let at = self.columns.iter().position(|(n, _)| &**n == name)?;
        Some(self.columns.swap_remove(at).1)
    }

    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.columns.iter().map(|(n, _)| n)
    }

    pub fn columns_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, &mut ArrayRef)> {
        self.columns.iter_mut().map(|(n, c)| (&*n, c))
    }

    /// The same rows under other columns.
    pub fn with_columns(&self, columns: Vec<(Arc<str>, ArrayRef)>) -> Self {
        Self { columns, rows: self.rows, origin: self.origin.clone(), ends: self.ends }
    }

    /// The bronze row of row `row`.
    pub fn origin_of(&self, row: usize) -> u32 {
        match &self.origin {
            Some(o) => o.value(row),
            None => u32::try_from(row).expect("a batch has fewer rows than 32 bits count"),
        }
    }

    /// `None` if every bronze row is still here.
    pub fn origin(&self) -> Option<&UInt32Array> {
        self.origin.as_ref()
    }

    /// From now on rows that stay are only counted.
    pub fn ends(&mut self) {
        self.ends = true;
    }

    /// Keeps the rows whose bit is set.
    pub fn retain(&mut self, keep: &BooleanBuffer) -> Result<(), RefineError> {
        let kept = keep.count_set_bits();
        if kept == self.rows {
            return Ok(());
        }
        if self.ends {
            (self.rows, self.origin) = (kept, None);
            self.columns.clear();
            return Ok(());
        }
        let failed = RefineError::arrow("removing rows from a batch");
        let mask = BooleanArray::new(keep.clone(), None);
        let predicate = FilterBuilder::new(&mask).optimize().build();
        for (_, column) in &mut self.columns {
            *column = predicate.filter(column).map_err(&failed)?;
        }
        let origin = self.origin.take().unwrap_or_else(|| UInt32Array::from_iter_values(0..self.rows as u32));
        let origin = filter(&origin, &mask).map_err(&failed)?;
        self.origin = origin.as_any().downcast_ref::<UInt32Array>().cloned();
        self.rows = kept;
        Ok(())
    }
}
