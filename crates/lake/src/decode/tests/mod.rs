//! The decoder as its caller sees it, format by format, and on hostile bytes.

mod csv;
mod hostile;
mod ndjson;
mod parquet;
mod pieces;

use super::{
    DecodeError, Malformed, Options,
    decoder::{Decoded, Decoder},
    discover,
    drift::Drift,
    open,
};
use alluvium_spec::{CsvOptions, Format};
use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::concat_batches,
    datatypes::{DataType, Field, Int64Type, Schema, SchemaRef},
};
use std::{
    fs::File,
    io::{Read, Seek, Write},
    sync::Arc,
};

pub(super) const CSV: CsvOptions = CsvOptions { delimiter: None, quote: b'"', columns: None };

pub(super) fn options(format: Format) -> Options<'static> {
    Options { format, csv: &CSV, max_record_bytes: 1024 * 1024, batch_rows: 1_000, any_case: false }
}

pub(super) fn text(names: &[&str]) -> SchemaRef {
    Arc::new(Schema::new(names.iter().map(|n| Field::new(*n, DataType::Utf8, true)).collect::<Vec<_>>()))
}

pub(super) fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

/// All that came out of one object.
pub(super) struct All {
    pub(super) batch: RecordBatch,
    pub(super) malformed: Vec<Malformed>,
    pub(super) drift: Drift,
    pub(super) batches: usize,
    pub(super) capacity: usize,
}

impl All {
    /// A column's texts, null as `∅`.
    pub(super) fn column(&self, name: &str) -> Vec<&str> {
        let values = self.batch.column_by_name(name).unwrap().as_string::<i32>();
        values.iter().map(|v| v.unwrap_or("∅")).collect()
    }

    pub(super) fn positions(&self) -> Vec<i64> {
        self.batch.column_by_name("_position").unwrap().as_primitive::<Int64Type>().values().to_vec()
    }

    /// Position and reason of each malformed record.
    pub(super) fn rejects(&self) -> Vec<(u64, &'static str)> {
        self.malformed.iter().map(|m| (m.position, m.reason.code())).collect()
    }
}

pub(super) fn drain(mut decoder: Decoder) -> Result<All, DecodeError> {
    let (mut batches, mut malformed, mut capacity) = (Vec::new(), Vec::new(), 0);
    while let Some(Decoded { batch, malformed: some }) = decoder.next()? {
        batches.push(batch);
        malformed.extend(some);
        capacity = capacity.max(decoder.capacity());
    }
    assert!(decoder.next()?.is_none());
    capacity = capacity.max(decoder.capacity());
    let schema = batches.first().map_or_else(|| Arc::new(Schema::empty()), |b| b.schema());
    let batch = concat_batches(&schema, &batches).unwrap();
    Ok(All { batch, malformed, drift: decoder.drift().clone(), batches: batches.len(), capacity })
}

pub(super) fn decode(bytes: &[u8], o: &Options<'_>, columns: &SchemaRef) -> Result<All, DecodeError> {
    drain(open(file(bytes), o, columns)?)
}

pub(super) fn names(bytes: &[u8], o: &Options<'_>) -> Vec<String> {
    discover(file(bytes), o).unwrap().into_iter().map(|f| f.name().clone()).collect()
}

/// Decodes with the columns that the object itself has.
pub(super) fn decode_own(bytes: &[u8], o: &Options<'_>) -> Result<All, DecodeError> {
    let columns = Arc::new(Schema::new(discover(file(bytes), o)?));
    decode(bytes, o, &columns)
}

/// Gives bytes in pieces of the given sizes, over and over.
pub(super) struct Pieces {
    pub(super) bytes: Vec<u8>,
    pub(super) at: usize,
    pub(super) sizes: Vec<usize>,
    pub(super) turn: usize,
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let size = self.sizes[self.turn % self.sizes.len()];
        self.turn += 1;
        let n = size.min(into.len()).min(self.bytes.len() - self.at);
        into[..n].copy_from_slice(&self.bytes[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

/// Rows and malformed records are numbered without a gap or a repetition.
pub(super) fn assert_each_once(all: &All) {
    let mut seen: Vec<u64> = all.malformed.iter().map(|m| m.position).collect();
    if all.batches > 0 {
        seen.extend(all.positions().iter().map(|p| p.cast_unsigned()));
    }
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(0..seen.len() as u64), "{seen:?}");
}

pub(super) fn assert_send<T: Send>(_: &T) {}
