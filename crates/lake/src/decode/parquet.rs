//! Parquet to the bronze columns, typed as they are. Called by the decoder. Text and binary are read as views into the
//! file's pages, so that a batch is cut to size before its values are copied.

use super::{
    convert::{Converted, convert, write_json},
    decoder::{Decoded, Options},
    drift::{Drift, Rescues},
    error::{Cause, DecodeError},
    footer,
    guard::guarded,
    json_text,
    names::{self, COLUMNS_LIMIT},
    rows::{BATCH_BYTES, TextColumn, output_schema},
    source::{check_regular, io_error},
    types::delta_type,
};
use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, new_null_array},
    buffer::BooleanBuffer,
    datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit},
    error::ArrowError,
};
use parquet::{
    arrow::arrow_reader::{
        ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
    },
    basic::{ConvertedType, Type as PhysicalType},
    errors::ParquetError,
    file::metadata::ParquetMetaData,
};
use std::{fs::File, os::unix::fs::FileExt, sync::Arc};

const WHAT: &str = "Parquet file";
const MAGIC: &[u8; 4] = b"PAR1";
const ENCRYPTED_MAGIC: &[u8; 4] = b"PARE";
/// Two magic words and the footer's length.
const MIN_FILE_BYTES: u64 = 12;
/// Of a column's name in an error.
const NAME_CHARS: usize = 100;

/// The file's columns under holdable names, with types that a Delta table can hold. None for an empty file.
pub(super) fn discover(file: File) -> Result<Vec<Field>, DecodeError> {
    let Some(metadata) = metadata(&file)? else { return Ok(Vec::new()) };
    let (names, _) = unique_names(metadata.schema());
    let fields = names.into_iter().zip(metadata.schema().fields());
    Ok(fields.map(|(name, f)| Field::new(name, delta_type(f.data_type()), true)).collect())
}

pub(super) struct Parquet {
    /// `None` for an empty file.
    reader: Option<ParquetRecordBatchReader>,
    /// Rows that the footer promises.
    promised_rows: u64,
    position: u64,
    /// A batch of the reader, and how many of its rows were given out.
    pending: Option<(RecordBatch, usize)>,
    schema: SchemaRef,
    /// For each expected column, the column of the file.
    sources: Vec<Option<usize>>,
    /// Columns of the file that are not expected.
    extra: Vec<(usize, String)>,
    drift: Drift,
}

impl Parquet {
    pub(super) fn open(file: File, o: &Options<'_>, columns: &SchemaRef) -> Result<Self, DecodeError> {
        let mut this = Self {
            reader: None,
            promised_rows: 0,
            position: 0,
            pending: None,
            schema: output_schema(columns),
            sources: vec![None; columns.fields().len()],
            extra: Vec::new(),
            drift: Drift::default(),
        };
        let Some(metadata) = metadata(&file)? else { return Ok(this) };
        let (names, renamed) = unique_names(metadata.schema());
        this.drift.rename(renamed);
        for (index, name) in names.into_iter().enumerate() {
            match columns.index_of(&name) {
                Ok(column) => this.sources[column] = Some(index),
                Err(_) => this.extra.push((index, name)),
            }
        }
        if o.any_case {
            this.take_other_letters(columns);
        }
        let mut order: Vec<(usize, usize)> =
            this.sources.iter().enumerate().filter_map(|(column, s)| Some(((*s)?, column))).collect();
        order.sort_unstable();
        this.drift.order(order.into_iter().map(|(_, column)| column), |c| columns.field(c).name().as_str());
        let sources = this.sources.iter().zip(columns.fields());
        this.drift.set_missing(sources.filter(|(s, _)| s.is_none()).map(|(_, f)| f.name().as_str()));
        for (_, name) in &this.extra {
            this.drift.new_field(name, 0);
        }
        this.promised_rows = u64::try_from(metadata.metadata().file_metadata().num_rows()).unwrap_or(0);
        let rows = batch_rows(metadata.metadata(), o.batch_rows);
        let reader = guarded(|| {
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
                .with_batch_size(rows)
                .build()
                .map_err(damaged)
        })?;
        this.reader = Some(reader);
        Ok(this)
    }

    /// Columns that the file has under a name in other letters.
    fn take_other_letters(&mut self, columns: &SchemaRef) {
        self.extra.retain(|(index, name)| {
            let open = columns.fields().iter().enumerate().filter(|(column, _)| self.sources[*column].is_none());
            let Some(column) = names::in_other_letters(name, open.map(|(_, f)| f.name().as_str())) else { return true };
            self.sources[columns.index_of(column).expect("it was among them")] = Some(*index);
            self.drift.recase(name, column, 0);
            false
        });
    }

    pub(super) fn drift(&self) -> &Drift {
        &self.drift
    }

    pub(super) fn next(&mut self) -> Result<Option<Decoded>, DecodeError> {
        loop {
            if let Some((batch, done)) = self.pending.take()
                && done < batch.num_rows()
            {
                let rows = fitting_rows(&batch, done);
                let slice = batch.slice(done, rows);
                self.pending = Some((batch, done + rows));
                return guarded(|| self.decode(&slice)).map(Some);
            }
            let Some(reader) = &mut self.reader else { return Ok(None) };
            match guarded(|| reader.next().transpose().map_err(damaged_arrow))? {
                Some(batch) => self.pending = Some((batch, 0)),
                None if self.position == self.promised_rows => return Ok(None),
                None => return Err(DecodeError::Corrupt { what: WHAT, source: Some("rows are missing".into()) }),
            }
        }
    }

    fn decode(&mut self, batch: &RecordBatch) -> Result<Decoded, DecodeError> {
        let rows = batch.num_rows();
        self.drift.recased.values_mut().for_each(|(_, n)| *n += rows as u64);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        let mut rescues = Vec::new();
        for (field, source) in self.schema.fields().iter().zip(&self.sources) {
            let Some(source) = source else {
                arrays.push(new_null_array(field.data_type(), rows));
                continue;
            };
            let values = batch.column(*source);
            let Converted { array, lossy } = convert(values, field.data_type()).map_err(damaged_arrow)?;
            arrays.push(array);
            if let Some(lossy) = lossy {
                let retyped = lossy.count_set_bits() as u64;
                self.drift.rescue(field.name(), Rescues { retyped, ..Rescues::default() });
                rescues.push((json_text::key(field.name()), values, lossy));
            }
        }
        for (source, name) in &self.extra {
            let values = batch.column(*source);
            let present = present(values);
            self.drift.new_field(name, present.count_set_bits() as u64);
            rescues.push((json_text::key(name), values, present));
        }
        arrays.push(rescued(rows, &rescues)?);
        let positions = self.position..self.position + rows as u64;
        self.position = positions.end;
        arrays.push(Arc::new(positions.map(|p| p.cast_signed()).collect::<Int64Array>()));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|source| DecodeError::Batch { source })?;
        Ok(Decoded { batch, malformed: Vec::new() })
    }
}

fn rescued(rows: usize, rescues: &[(Vec<u8>, &ArrayRef, BooleanBuffer)]) -> Result<ArrayRef, DecodeError> {
    let mut column = TextColumn::with_capacity(rows, 0);
    let mut out = Vec::new();
    for row in 0..rows {
        out.clear();
        for (key, values, _) in rescues.iter().filter(|(_, _, rescue)| rescue.value(row)) {
            out.push(if out.is_empty() { b'{' } else { b',' });
            out.extend_from_slice(key);
            write_json(values, row, &mut out).map_err(damaged_arrow)?;
        }
        if out.is_empty() {
            column.push_null();
        } else {
            out.push(b'}');
            column.push(&out);
        }
    }
    Ok(Arc::new(column.finish()?))
}

fn present(values: &ArrayRef) -> BooleanBuffer {
    values.logical_nulls().map_or_else(|| BooleanBuffer::new_set(values.len()), |nulls| nulls.inner().clone())
}

/// How many rows from `from` hold no more than a batch may; at least one.
fn fitting_rows(batch: &RecordBatch, from: usize) -> usize {
    let rows = batch.num_rows() - from;
    let views: Vec<&[u128]> = batch
        .columns()
        .iter()
        .filter_map(|c| match c.data_type() {
            DataType::Utf8View => Some(&c.as_string_view().views()[from..]),
            DataType::BinaryView => Some(&c.as_binary_view().views()[from..]),
            _ => None,
        })
        .collect();
    let mut bytes = 0;
    for row in 0..rows {
        // The low half of the first word of a view is the length of its value.
        bytes += views.iter().map(|v| (v[row] as u32) as usize).sum::<usize>();
        if bytes > BATCH_BYTES {
            return row.max(1);
        }
    }
    rows
}

/// Fewer rows where rows are long, so that the columns which are not views stay small too.
fn batch_rows(metadata: &ParquetMetaData, wanted: usize) -> usize {
    let longest = |g: &parquet::file::metadata::RowGroupMetaData| {
        usize::try_from(g.total_byte_size() / g.num_rows().max(1)).unwrap_or(BATCH_BYTES)
    };
    let row_bytes = metadata.row_groups().iter().map(longest).max().unwrap_or(0);
    wanted.min(BATCH_BYTES / row_bytes.max(1)).max(1)
}

/// The footer, checked, with text and binary columns as views; `None` for a file without a byte.
fn metadata(file: &File) -> Result<Option<ArrowReaderMetadata>, DecodeError> {
    let length = check_regular(file)?;
    if length == 0 {
        return Ok(None);
    }
    check_magic(file, length)?;
    footer::check(file, length)?;
    guarded(|| {
        let metadata = ArrowReaderMetadata::load(file, ArrowReaderOptions::new()).map_err(damaged)?;
        let columns = metadata.schema().fields().len();
        if columns > COLUMNS_LIMIT {
            return Err(DecodeError::TooWide { columns, limit: COLUMNS_LIMIT });
        }
        check_places(metadata.metadata(), length)?;
        check_intervals(&metadata)?;
        let options = ArrowReaderOptions::new().with_schema(with_views(&metadata));
        ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options).map_err(damaged)
    })
    .map(Some)
}

fn check_magic(file: &File, length: u64) -> Result<(), DecodeError> {
    let mut head = [0; 4];
    let read = head.len().min(usize::try_from(length).unwrap_or(usize::MAX));
    file.read_exact_at(&mut head[..read], 0).map_err(io_error)?;
    if head[..read] != MAGIC[..read] {
        let found = if head == *ENCRYPTED_MAGIC { "an encrypted Parquet file" } else { "no Parquet file" };
        return Err(DecodeError::WrongFormat { found, expected: "Parquet" });
    }
    let mut tail = [0; 4];
    if length >= MIN_FILE_BYTES {
        file.read_exact_at(&mut tail, length - 4).map_err(io_error)?;
    }
    match &tail {
        MAGIC => Ok(()),
        ENCRYPTED_MAGIC => {
            Err(DecodeError::WrongFormat { found: "a Parquet file with an encrypted footer", expected: "Parquet" })
        }
        _ => Err(DecodeError::Truncated { what: WHAT, source: None }),
    }
}

/// Column chunks must lie in the file, and row counts agree, before anything is allocated for them.
fn check_places(metadata: &ParquetMetaData, length: u64) -> Result<(), DecodeError> {
    let corrupt = |why: &'static str| Err(DecodeError::Corrupt { what: WHAT, source: Some(why.into()) });
    let mut rows: i64 = 0;
    for group in metadata.row_groups() {
        match rows.checked_add(group.num_rows()) {
            Some(sum) if group.num_rows() >= 0 => rows = sum,
            Some(_) | None => return corrupt("a row group has an impossible number of rows"),
        }
        for chunk in group.columns() {
            let (start, bytes) = chunk.byte_range();
            if start.checked_add(bytes).is_none_or(|end| end > length) {
                return corrupt("a column chunk lies outside the file");
            }
        }
    }
    if rows == metadata.file_metadata().num_rows() { Ok(()) } else { corrupt("the numbers of rows disagree") }
}

fn check_intervals(metadata: &ArrowReaderMetadata) -> Result<(), DecodeError> {
    let columns = metadata.parquet_schema().columns();
    match columns.iter().find(|c| c.converted_type() == ConvertedType::INTERVAL) {
        Some(c) => Err(DecodeError::Interval { column: c.path().string().chars().take(NAME_CHARS).collect() }),
        None => Ok(()),
    }
}

/// The file's schema with text and binary columns read as views, and the old 96-bit timestamps in microseconds, whose
/// range has no need to wrap.
fn with_views(metadata: &ArrowReaderMetadata) -> SchemaRef {
    let roots = metadata.parquet_schema().root_schema().get_fields();
    let field = |(f, root): (&FieldRef, &parquet::schema::types::TypePtr)| {
        let int96 = root.is_primitive() && root.get_physical_type() == PhysicalType::INT96;
        let t = match value_type(f.data_type()) {
            DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
            DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
            DataType::Timestamp(_, _) if int96 => DataType::Timestamp(TimeUnit::Microsecond, None),
            _ => f.data_type().clone(),
        };
        f.as_ref().clone().with_data_type(t)
    };
    Arc::new(Schema::new(metadata.schema().fields().iter().zip(roots).map(field).collect::<Vec<_>>()))
}

fn value_type(t: &DataType) -> &DataType {
    match t {
        DataType::Dictionary(_, value) => value,
        other => other,
    }
}

fn unique_names(schema: &SchemaRef) -> (Vec<String>, Vec<(String, String)>) {
    names::unique(schema.fields().iter().map(|f| f.name().clone()).collect())
}

fn damaged(e: ParquetError) -> DecodeError {
    cause(Box::new(e))
}

fn damaged_arrow(e: ArrowError) -> DecodeError {
    match e {
        ArrowError::IoError(_, source) if source.raw_os_error().is_some() => io_error(source),
        other => cause(Box::new(other)),
    }
}

fn cause(source: Cause) -> DecodeError {
    DecodeError::Corrupt { what: WHAT, source: Some(source) }
}
