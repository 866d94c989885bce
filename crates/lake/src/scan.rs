//! Reading data files by row group, so that lanes can share even one large file.

use crate::{error::LakeError, meter::Meter, remote::LakeFile, vector::Rows};
use arrow::{
    array::{ArrayRef, BooleanArray, BooleanBufferBuilder, RecordBatch},
    buffer::BooleanBuffer,
    compute::{cast, filter_record_batch},
    datatypes::{Field, Schema, SchemaRef},
};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection},
};
use std::{collections::BTreeSet, sync::Arc};

const BATCH_ROWS: usize = 8192;

/// A data file and which of its rows are meant.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: LakeFile,
    pub(crate) pick: Pick,
}

#[derive(Debug, Clone)]
pub(crate) enum Pick {
    All,
    Without(Arc<Rows>),
    Only(Arc<Rows>),
}

impl Source {
    pub(crate) fn whole(path: impl Into<LakeFile>) -> Self {
        Self { path: path.into(), pick: Pick::All }
    }
}

impl Pick {
    /// Which of the rows `[from, from + count)` are meant; `None`: all of them.
    pub(crate) fn mask(&self, from: u64, count: usize) -> Option<BooleanBuffer> {
        let (rows, set) = match self {
            Self::All => return None,
            Self::Without(gone) => (gone, false),
            Self::Only(only) => (only, true),
        };
        let end = from + count as u64;
        let mut mask = BooleanBufferBuilder::new(count);
        mask.append_n(count, !set);
        let mut named = rows.iter();
        named.advance_to(from);
        for row in named.take_while(|r| *r < end) {
            mask.set_bit((row - from) as usize, set);
        }
        Some(mask.finish())
    }

    /// How many of the first `count` rows are meant.
    pub(crate) fn of(&self, count: u64) -> u64 {
        let named = |rows: &Rows| count.checked_sub(1).map_or(0, |last| rows.rank(last));
        match self {
            Self::All => count,
            Self::Without(gone) => count - named(gone),
            Self::Only(only) => named(only),
        }
    }
}

/// One row group of one file.
#[derive(Clone)]
pub(crate) struct Unit {
    path: Arc<LakeFile>,
    metadata: ArrowReaderMetadata,
    group: usize,
    /// Row of the file that is the group's first.
    pub(crate) base: u64,
    /// Rows in it, those that are not meant included.
    pub(crate) rows: u64,
    bytes: u64,
    pick: Pick,
}

pub(crate) fn units(sources: &[Source]) -> Result<Vec<Unit>, LakeError> {
    let mut units = Vec::new();
    for Source { path, pick } in sources {
        let path = Arc::new(path.clone());
        let opened = path.open()?;
        // The stored schema is Parquet's own: what another writer's Arrow hints say does not matter.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::load(&opened, options)?;
        let mut base = 0;
        for (group, g) in metadata.metadata().row_groups().iter().enumerate() {
            let rows = u64::try_from(g.num_rows()).unwrap_or(0);
            let bytes = u64::try_from(g.compressed_size()).unwrap_or(0);
            let (path, metadata, pick) = (path.clone(), metadata.clone(), pick.clone());
            units.push(Unit { path, metadata, group, base, rows, bytes, pick });
            base += rows;
        }
    }
    Ok(units)
}

/// Batches of one row group with exactly the columns of `schema`, by name and type; a column that the file lacks is null.
pub(crate) struct Batches {
    reader: parquet::arrow::arrow_reader::ParquetRecordBatchReader,
    schema: SchemaRef,
    pick: Pick,
    /// Number in the file of the next row that the reader gives.
    next: u64,
}

impl Unit {
    /// The rows that are meant.
    pub(crate) fn read(&self, schema: &SchemaRef, meter: &Meter) -> Result<Batches, LakeError> {
        let all = self.read_rows(schema, meter, None)?;
        Ok(Batches { pick: self.pick.clone(), ..all })
    }

    /// As [`Unit::read`], for few rows of many: what lies between them is not decoded where that can be helped.
    pub(crate) fn read_few(&self, schema: &SchemaRef, meter: &Meter) -> Result<Batches, LakeError> {
        let Pick::Only(only) = &self.pick else { return self.read(schema, meter) };
        let mut rows = only.iter();
        rows.advance_to(self.base);
        let rows: Vec<u64> = rows.take_while(|r| *r < self.base + self.rows).map(|r| r - self.base).collect();
        self.read_rows(schema, meter, Some(&rows))
    }

    /// How many rows are meant.
    pub(crate) fn picked(&self) -> u64 {
        self.pick.of(self.base + self.rows) - self.pick.of(self.base)
    }

    /// Rows by their number, whether or not they are meant. `rows`: ascending, relative to the group; `None`: all.
    pub(crate) fn read_rows(
        &self,
        schema: &SchemaRef,
        meter: &Meter,
        rows: Option<&[u64]>,
    ) -> Result<Batches, LakeError> {
        let file = self.path.open()?;
        meter.read(self.bytes);
        let wanted: BTreeSet<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        let present = self.metadata.schema().fields().iter().enumerate();
        let roots: Vec<usize> = present.filter(|(_, f)| wanted.contains(f.name().as_str())).map(|(i, _)| i).collect();
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), roots);
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            .with_row_groups(vec![self.group])
            .with_batch_size(BATCH_ROWS)
            .with_projection(mask);
        if let Some(rows) = rows {
            let ranges = rows.iter().map(|r| *r as usize..*r as usize + 1);
            builder = builder.with_row_selection(RowSelection::from_consecutive_ranges(ranges, self.rows as usize));
        }
        Ok(Batches { reader: builder.build()?, schema: schema.clone(), pick: Pick::All, next: self.base })
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, LakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?.map_err(LakeError::from);
        Some(batch.and_then(|b| self.picked(b)).and_then(|b| conform(&b, &self.schema)))
    }
}

impl Batches {
    fn picked(&mut self, batch: RecordBatch) -> Result<RecordBatch, LakeError> {
        let mask = self.pick.mask(self.next, batch.num_rows());
        self.next += batch.num_rows() as u64;
        Ok(match mask {
            Some(mask) => filter_record_batch(&batch, &BooleanArray::new(mask, None))?,
            None => batch,
        })
    }
}

/// The batch with exactly these columns, by name and type.
pub(crate) fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, LakeError> {
    let columns = schema.fields().iter().map(|f| column(batch, f));
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

fn column(batch: &RecordBatch, field: &Field) -> Result<ArrayRef, LakeError> {
    match batch.column_by_name(field.name()) {
        Some(c) if c.data_type() == field.data_type() => Ok(c.clone()),
        Some(c) => Ok(cast(c, field.data_type())?),
        None => Ok(arrow::array::new_null_array(field.data_type(), batch.num_rows())),
    }
}

/// The named columns of `schema`, in the order of the names.
pub(crate) fn project(schema: &Schema, names: &[String]) -> Result<SchemaRef, LakeError> {
    let fields = names.iter().map(|n| schema.field_with_name(n).cloned());
    let fields: Vec<Field> = fields.collect::<Result<_, _>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// The columns of a Parquet file.
pub(crate) fn schema_of(file: &LakeFile) -> Result<SchemaRef, LakeError> {
    let file = file.open()?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    Ok(ArrowReaderMetadata::load(&file, options)?.schema().clone())
}
