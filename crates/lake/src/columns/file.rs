//! A Parquet file, row group by row group. Called by `stage`.

use super::{
    pack::Packer,
    text::{self, TextColumn},
};
use crate::error::LakeError;
use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::{DataType, Field, Float32Type, Float64Type, SchemaRef},
};
use parquet::{
    arrow::{
        ArrowSchemaConverter,
        arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves},
    },
    basic::Type,
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, ParquetMetaData},
        properties::WriterProperties,
        statistics::Statistics,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
};
use std::{
    io::{BufWriter, Write},
    sync::Arc,
};

/// What is written at once, since the library copies chunks in small pieces.
const BUFFER_BYTES: usize = 256 << 10;

pub(crate) struct FileWriter<W: Write + Send> {
    file: SerializedFileWriter<BufWriter<W>>,
    others: ArrowRowGroupWriterFactory,
    schema: SchemaRef,
    /// A row group ends with so many rows, or when about so many bytes of it are held.
    row_group_rows: usize,
    row_group_bytes: usize,
    open: Option<RowGroup>,
    packer: Packer,
}

struct RowGroup {
    rows: usize,
    columns: Vec<Column>,
}

enum Column {
    Text(Box<TextColumn>),
    /// A nested one is several columns of the file.
    Other {
        writers: Vec<ArrowColumnWriter>,
        has_nan: bool,
    },
}

impl<W: Write + Send> FileWriter<W> {
    pub(crate) fn new(to: W, schema: SchemaRef, properties: WriterProperties) -> Result<Self, LakeError> {
        let columns = ArrowSchemaConverter::new().convert(&schema)?;
        let row_group_rows = properties.max_row_group_row_count().unwrap_or(usize::MAX);
        let row_group_bytes = properties.max_row_group_bytes().unwrap_or(usize::MAX);
        let to = BufWriter::with_capacity(BUFFER_BYTES, to);
        let file = SerializedFileWriter::new(to, columns.root_schema_ptr(), Arc::new(properties))?;
        let others = ArrowRowGroupWriterFactory::new(&file, schema.clone());
        Ok(Self { file, others, schema, row_group_rows, row_group_bytes, open: None, packer: Packer::new() })
    }

    /// `batch`: of the file's columns; one of text may be a dictionary of it.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), LakeError> {
        let mut rest = batch.clone();
        while rest.num_rows() > 0 {
            let open = match &mut self.open {
                Some(open) => open,
                None => self.open.insert(RowGroup::new(&self.file, &self.others, &self.schema)?),
            };
            let rows = rest.num_rows().min(self.row_group_rows - open.rows);
            open.write(&self.schema, &rest.slice(0, rows), &mut self.packer)?;
            if open.rows == self.row_group_rows || open.bytes() >= self.row_group_bytes {
                self.end_row_group()?;
            }
            rest = rest.slice(rows, rest.num_rows() - rows);
        }
        Ok(())
    }

    fn end_row_group(&mut self) -> Result<(), LakeError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let mut row_group = self.file.next_row_group()?;
        for column in open.columns {
            column.close(&mut row_group, &mut self.packer)?;
        }
        row_group.close()?;
        self.file.flush().map_err(ParquetError::from)?;
        Ok(())
    }

    pub(crate) fn finish(&mut self) -> Result<ParquetMetaData, LakeError> {
        self.end_row_group()?;
        Ok(self.file.finish()?)
    }

    /// Row groups that were handed to [`Self::inner`] as a whole.
    pub(crate) fn row_groups(&self) -> usize {
        self.file.flushed_row_groups().len()
    }

    pub(crate) fn bytes_written(&self) -> usize {
        self.file.bytes_written()
    }

    pub(crate) fn inner(&self) -> &W {
        self.file.inner().get_ref()
    }
}

impl RowGroup {
    fn new<W: Write + Send>(
        file: &SerializedFileWriter<BufWriter<W>>,
        others: &ArrowRowGroupWriterFactory,
        schema: &SchemaRef,
    ) -> Result<Self, LakeError> {
        let descriptor = file.schema_descr();
        let mut others = others.create_column_writers(file.flushed_row_groups().len())?.into_iter().enumerate();
        let columns = schema.fields().iter().enumerate().map(|(root, field)| {
            let leaves = (0..descriptor.num_columns()).filter(|leaf| descriptor.get_column_root_idx(*leaf) == root);
            let mut own = others.by_ref().take(leaves.count());
            if !text::is_text(field.data_type()) {
                return Column::Other { writers: own.map(|(_, writer)| writer).collect(), has_nan: false };
            }
            let at = own.next().map_or(root, |(leaf, _)| leaf);
            let column = TextColumn::new(at, descriptor.column(at), field.data_type(), file.properties());
            Column::Text(Box::new(column))
        });
        Ok(Self { rows: 0, columns: columns.collect() })
    }

    fn write(&mut self, schema: &SchemaRef, batch: &RecordBatch, packer: &mut Packer) -> Result<(), LakeError> {
        let values = schema.fields().iter().zip(batch.columns());
        for ((field, values), column) in values.zip(&mut self.columns) {
            column.write(field, values, packer)?;
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.columns.iter().map(Column::bytes).sum()
    }
}

impl Column {
    /// What is held of it, texts as they were before they were packed: so many a reader has in memory as well.
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.bytes(),
            Self::Other { writers, .. } => writers.iter().map(ArrowColumnWriter::memory_size).sum(),
        }
    }

    fn write(&mut self, field: &Field, values: &ArrayRef, packer: &mut Packer) -> Result<(), LakeError> {
        match self {
            Self::Text(text) => text.write(values, packer),
            Self::Other { writers, has_nan } => {
                *has_nan = *has_nan || holds_nan(values);
                for (leaf, writer) in compute_leaves(field, values)?.iter().zip(writers) {
                    writer.write(leaf)?;
                }
                Ok(())
            }
        }
    }

    fn close<W: Write + Send>(
        self,
        to: &mut SerializedRowGroupWriter<'_, W>,
        packer: &mut Packer,
    ) -> Result<(), LakeError> {
        match self {
            Self::Text(text) => {
                let (pages, result) = text.close(packer)?;
                to.append_column(&pages, result)?;
            }
            Self::Other { writers, has_nan } => {
                for writer in writers {
                    let mut chunk = writer.close()?;
                    if has_nan {
                        let closed = chunk.close_mut();
                        closed.metadata = unbounded(closed.metadata.clone())?;
                    }
                    chunk.append_to_row_group(to)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether a column of floating-point numbers has one that is none. To readers it is above all numbers, and the library's bounds
/// know nothing of it.
fn holds_nan(values: &ArrayRef) -> bool {
    match values.data_type() {
        DataType::Float32 => values.as_primitive::<Float32Type>().values().iter().any(|v| v.is_nan()),
        DataType::Float64 => values.as_primitive::<Float64Type>().values().iter().any(|v| v.is_nan()),
        _ => false,
    }
}

/// What is known of a chunk, without its bounds.
fn unbounded(chunk: ColumnChunkMetaData) -> Result<ColumnChunkMetaData, LakeError> {
    let nulls = chunk.statistics().and_then(Statistics::null_count_opt);
    let statistics = match chunk.column_type() {
        Type::FLOAT => Statistics::float(None, None, None, nulls, false),
        _ => Statistics::double(None, None, None, nulls, false),
    };
    Ok(chunk.into_builder().set_statistics(statistics).build()?)
}
