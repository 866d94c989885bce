//! Keys and sequences as fixed numbers that compare like the columns they stand for.

use crate::error::LakeError;
use arrow::{
    array::{ArrayRef, AsArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Int64Type, SchemaRef},
    row::{RowConverter, Rows, SortField},
};

/// How a dataset's write finds and orders its rows. Stateless, so that each lane makes converters of its own.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) keys: Vec<String>,
    pub(crate) sequence: Vec<String>,
    /// The sequence names snapshots: a row stands against a deletion of its snapshot, which then was not all there.
    pub(crate) snapshots: bool,
}

/// Encodes the keys and sequences of batches of one schema.
pub(crate) struct Encoder {
    keys: Vec<usize>,
    sequence: Vec<usize>,
    key_rows: Option<RowConverter>,
    sequence_rows: Option<RowConverter>,
}

impl Keys {
    /// All columns that take part, each once.
    pub(super) fn columns(&self) -> Vec<String> {
        let mut all = self.keys.clone();
        all.extend(self.sequence.iter().filter(|s| !self.keys.contains(s)).cloned());
        all
    }

    /// Of all that decides what is encoded how.
    pub(super) fn fingerprint(&self, schema: &SchemaRef) -> Result<[u8; 16], LakeError> {
        let mut hasher = blake3::Hasher::new();
        // The row encoding is the library's own and may change with it.
        hasher.update(arrow::ARROW_VERSION.as_bytes());
        for (part, names) in [("key", &self.keys), ("sequence", &self.sequence)] {
            for name in names {
                let kind = schema.field_with_name(name)?.data_type();
                hasher.update(format!("\0{part}\0{name}\0{kind}").as_bytes());
            }
        }
        let digest = hasher.finalize();
        let (first, _) = digest.as_bytes().split_at(16);
        Ok(first.try_into().expect("the first half of 32 bytes has 16"))
    }

    pub(crate) fn encoder(&self, schema: &SchemaRef) -> Result<Encoder, LakeError> {
        let at = |names: &[String]| names.iter().map(|n| schema.index_of(n)).collect::<Result<Vec<_>, _>>();
        let (keys, sequence) = (at(&self.keys)?, at(&self.sequence)?);
        let converter = |columns: &[usize]| {
            let fields = columns.iter().map(|i| SortField::new(schema.field(*i).data_type().clone())).collect();
            RowConverter::new(fields)
        };
        let key_rows = match keys.as_slice() {
            [one] if is_whole_number(schema.field(*one).data_type()) => None,
            many => Some(converter(many)?),
        };
        let sequence_rows = if sequence.is_empty() { None } else { Some(converter(&sequence)?) };
        Ok(Encoder { keys, sequence, key_rows, sequence_rows })
    }
}

fn is_whole_number(t: &DataType) -> bool {
    matches!(
        t,
        DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Date32
            | DataType::Timestamp(..)
    )
}

impl Encoder {
    /// A number for each row's key: equal for equal keys, and different for different ones but for a collision of
    /// 128 bits of BLAKE3. A single whole number is its own key.
    pub(crate) fn keys(&self, batch: &RecordBatch) -> Result<Vec<u128>, LakeError> {
        let Some(converter) = &self.key_rows else {
            let numbers = cast(batch.column(self.keys[0]), &DataType::Int64)?;
            let numbers = numbers.as_primitive::<Int64Type>();
            // The bit above the number tells null from any number.
            return Ok(numbers.iter().map(|n| n.map_or(0, |n| 1 << 64 | u128::from(n as u64))).collect());
        };
        let rows = converter.convert_columns(&columns(batch, &self.keys))?;
        Ok(rows.iter().map(|r| hash(r.as_ref())).collect())
    }

    /// The first 16 bytes of each row's sequence, as a number that orders alike (equal numbers decide nothing).
    pub(crate) fn sequences(&self, batch: &RecordBatch) -> Result<Vec<u128>, LakeError> {
        let Some(converter) = &self.sequence_rows else { return Ok(vec![0; batch.num_rows()]) };
        let rows = converter.convert_columns(&columns(batch, &self.sequence))?;
        Ok(rows.iter().map(|r| prefix(r.as_ref())).collect())
    }

    /// The whole of each row's sequence.
    pub(crate) fn whole_sequences(&self, batch: &RecordBatch) -> Result<Option<Rows>, LakeError> {
        let Some(converter) = &self.sequence_rows else { return Ok(None) };
        Ok(Some(converter.convert_columns(&columns(batch, &self.sequence))?))
    }
}

fn columns(batch: &RecordBatch, indices: &[usize]) -> Vec<ArrayRef> {
    indices.iter().map(|i| batch.column(*i).clone()).collect()
}

pub(super) fn hash(bytes: &[u8]) -> u128 {
    let digest = blake3::hash(bytes);
    let (first, _) = digest.as_bytes().split_at(16);
    u128::from_be_bytes(first.try_into().expect("the first half of 32 bytes has 16"))
}

fn prefix(bytes: &[u8]) -> u128 {
    let mut first = [0; 16];
    let n = bytes.len().min(16);
    first[..n].copy_from_slice(&bytes[..n]);
    u128::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::{
        array::{Int64Array, StringArray},
        datatypes::{Field, Schema},
    };
    use std::sync::Arc;

    #[test]
    fn null_differs_from_every_number_and_sequences_keep_their_order() {
        let schema =
            Arc::new(Schema::new(vec![Field::new("k", DataType::Int64, true), Field::new("s", DataType::Utf8, true)]));
        let batch = RecordBatch::try_new(
            schema.clone(),
            vec![
                Arc::new(Int64Array::from(vec![None, Some(0), Some(-1)])),
                Arc::new(StringArray::from(vec![None, Some("a"), Some("b")])),
            ],
        )
        .expect("columns of one length");
        let keys = Keys { keys: vec!["k".into()], sequence: vec!["s".into()], snapshots: false };
        let encoder = keys.encoder(&schema).expect("columns exist");
        let k = encoder.keys(&batch).expect("encodes");
        assert!(k[0] != k[1] && k[1] != k[2] && k[0] != k[2]);
        let s = encoder.sequences(&batch).expect("encodes");
        assert!(s[0] < s[1] && s[1] < s[2]);
    }
}
