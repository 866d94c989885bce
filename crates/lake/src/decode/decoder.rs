//! One landing object being decoded: chooses the reader by format. What the bronze step calls.

use super::{
    csv::{self, Csv},
    drift::Drift,
    error::DecodeError,
    malformed::Malformed,
    ndjson::{self, Ndjson},
    parquet::{self, Parquet},
    source::Source,
};
use alluvium_spec::{CsvOptions, Format};
use arrow::{
    array::RecordBatch,
    datatypes::{DataType, Field, SchemaRef},
};
use std::fs::File;

#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    pub format: Format,
    pub csv: &'a CsvOptions,
    /// A longer CSV record or line is malformed. Values above 256 MiB count as 256 MiB.
    pub max_record_bytes: u64,
    /// At most this many records come in one batch; fewer where they hold more than 16 MiB.
    pub batch_rows: usize,
    /// A field whose name is a column's but for the case of letters is that column, where the object has not the column itself.
    pub any_case: bool,
}

#[derive(Debug)]
pub struct Decoded {
    /// The expected columns in their order, all nullable; then `_rescued` (text, nullable) and `_position` (bigint: the
    /// zero-based number of the record in the object, malformed records counted too). May have no rows.
    pub batch: RecordBatch,
    /// The malformed records met since the last batch.
    pub malformed: Vec<Malformed>,
}

/// The columns that the object has, read from its header, its first records or its footer; text formats have text
/// columns, Parquet has the types that a Delta table can hold. None for an empty object. Reads no more than about a
/// megabyte of a text format, but for a single longer record.
pub fn discover(file: File, o: &Options<'_>) -> Result<Vec<Field>, DecodeError> {
    let names = match o.format {
        Format::Csv | Format::Tsv => csv::discover(Source::open(file)?, o)?,
        Format::Ndjson => ndjson::discover(Source::open(file)?, o)?,
        Format::Parquet => return parquet::discover(file),
    };
    Ok(names.into_iter().map(|name| Field::new(name, DataType::Utf8, true)).collect())
}

/// Decodes the object into `columns`: text for the text formats, any type that [`super::delta_type`] gives for Parquet.
/// The file is read from its start, on the calling thread.
pub fn open(file: File, o: &Options<'_>, columns: &SchemaRef) -> Result<Decoder, DecodeError> {
    let reader = match o.format {
        Format::Csv | Format::Tsv => Reader::Csv(Box::new(Csv::open(Source::open(file)?, o, columns)?)),
        Format::Ndjson => Reader::Ndjson(Box::new(Ndjson::open(Source::open(file)?, o, columns)?)),
        Format::Parquet => Reader::Parquet(Box::new(Parquet::open(file, o, columns)?)),
    };
    Ok(Decoder { reader, done: false })
}

/// Gives the records of one object in their order. Memory: one batch, one record, and the buffers of the decompressor.
pub struct Decoder {
    reader: Reader,
    done: bool,
}

enum Reader {
    Csv(Box<Csv>),
    Ndjson(Box<Ndjson>),
    Parquet(Box<Parquet>),
}

impl Decoder {
    /// The next records; `None` after the last. An error is about the whole object, batches given before included, and
    /// the last thing the decoder gives.
    pub fn next(&mut self) -> Result<Option<Decoded>, DecodeError> {
        if self.done {
            return Ok(None);
        }
        let next = match &mut self.reader {
            Reader::Csv(r) => r.next(),
            Reader::Ndjson(r) => r.next(),
            Reader::Parquet(r) => r.next(),
        };
        self.done = !matches!(next, Ok(Some(_)));
        next
    }

    /// How the object differs from the expected columns, as far as it was decoded.
    pub fn drift(&self) -> &Drift {
        match &self.reader {
            Reader::Csv(r) => r.drift(),
            Reader::Ndjson(r) => r.drift(),
            Reader::Parquet(r) => r.drift(),
        }
    }

    #[cfg(test)]
    pub(super) fn of_bytes(
        read: impl std::io::Read + Send + 'static,
        o: &Options<'_>,
        columns: &SchemaRef,
    ) -> Result<Self, DecodeError> {
        let source = Source::from_read(read);
        let reader = match o.format {
            Format::Ndjson => Reader::Ndjson(Box::new(Ndjson::open(source, o, columns)?)),
            Format::Csv | Format::Tsv | Format::Parquet => Reader::Csv(Box::new(Csv::open(source, o, columns)?)),
        };
        Ok(Self { reader, done: false })
    }

    /// Size of the input buffer in bytes.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        match &self.reader {
            Reader::Csv(r) => r.capacity(),
            Reader::Ndjson(r) => r.capacity(),
            Reader::Parquet(_) => 0,
        }
    }
}
