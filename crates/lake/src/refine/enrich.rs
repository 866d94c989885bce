//! The `enrich` step: columns of another dataset, looked up by key.

use super::{RefineError, frame::Frame, lookup::Lookup};
use arrow::{
    array::{ArrayRef, UInt32Array, new_null_array},
    compute::take,
    datatypes::DataType,
};

#[derive(Debug)]
pub(super) struct EnrichOp {
    /// Index of the prepared lookup.
    pub slot: usize,
    pub on: Vec<String>,
    /// New columns, in the order in which the lookup holds what they take.
    pub take: Vec<String>,
}

impl EnrichOp {
    /// A row without a match gets nulls, and so do all if the lookup has no rows.
    pub fn apply(&self, frame: &mut Frame, lookup: Option<&Lookup>) -> Result<(), RefineError> {
        let rows = frame.rows();
        let columns: Option<Vec<&ArrayRef>> = self.on.iter().map(|c| frame.get(c)).collect();
        let found = match (lookup, columns) {
            (Some(lookup), Some(columns)) => Some((lookup, UInt32Array::from(lookup.find(&columns)?))),
            _ => None,
        };
        for (index, name) in self.take.iter().enumerate() {
            let values = match &found {
                Some((lookup, rows)) => {
                    take(lookup.taken(index), rows, None).map_err(RefineError::arrow("taking columns of a lookup"))?
                }
                None => new_null_array(&DataType::Utf8, rows),
            };
            frame.set(name, values);
        }
        Ok(())
    }
}
