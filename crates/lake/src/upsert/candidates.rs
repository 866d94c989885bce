//! Accepted rows on their way into the table: the rows on disk, their keys in memory.

use super::keys::{Encoder, Keys};
use crate::error::LakeError;
use arrow::{
    array::{ArrayRef, BooleanArray, RecordBatch},
    datatypes::{DataType, Field, Schema, SchemaRef},
    ipc::{reader::FileReader, writer::FileWriter},
};
use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

/// Name of the column that marks a candidate as the deletion of its key.
pub(super) const DELETED: &str = "_deleted";

/// Where a candidate lies on disk: lane, batch and row, packed so that order of number is order of place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Spot(u64);

impl Spot {
    fn new(lane: usize, batch: usize, row: usize) -> Self {
        Self((lane as u64) << 56 | (batch as u64) << 24 | row as u64)
    }

    pub(super) fn lane(self) -> usize {
        (self.0 >> 56) as usize
    }

    pub(super) fn batch(self) -> usize {
        (self.0 >> 24 & 0xFFFF_FFFF) as usize
    }

    pub(super) fn row(self) -> usize {
        (self.0 & 0xFF_FFFF) as usize
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) key: u128,
    pub(super) sequence: u128,
    pub(super) spot: Spot,
}

/// One lane's part, while it is written.
pub(crate) struct CandidateLane {
    encoder: Encoder,
    schema: SchemaRef,
    writer: FileWriter<BufWriter<File>>,
    batches: usize,
    keys: Vec<(u128, u128, u32, u32)>,
    deletes: Vec<(u32, u32)>,
}

/// The candidates of one step.
pub(crate) struct Candidates {
    /// The table's columns and [`DELETED`].
    pub(super) schema: SchemaRef,
    files: Vec<Arc<File>>,
    pub(super) all: Vec<Candidate>,
    /// Candidates that delete their key; few, or the table would be empty.
    deletes: HashSet<Spot>,
}

impl CandidateLane {
    /// `scratch`: a folder on a disk with room for the step's rows; the file has no name and goes with the process.
    pub(crate) fn new(keys: &Keys, table: &SchemaRef, scratch: &Path) -> Result<Self, LakeError> {
        let mut fields: Vec<Field> = table.fields().iter().map(|f| f.as_ref().clone()).collect();
        fields.push(Field::new(DELETED, DataType::Boolean, true));
        let schema = Arc::new(Schema::new(fields));
        let file = tempfile::tempfile_in(scratch).map_err(LakeError::io(scratch))?;
        let writer = FileWriter::try_new_buffered(file, &schema)?;
        Ok(Self { encoder: keys.encoder(table)?, schema, writer, batches: 0, keys: Vec::new(), deletes: Vec::new() })
    }

    /// `rows`: of the table's schema.
    pub(crate) fn add(&mut self, rows: &RecordBatch, deletes: Option<&BooleanArray>) -> Result<(), LakeError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let keys = self.encoder.keys(rows)?;
        let sequences = self.encoder.sequences(rows)?;
        let batch = u32::try_from(self.batches).map_err(|_| LakeError::Worker("a step has too many batches"))?;
        let placed = keys.into_iter().zip(sequences).zip(0..);
        self.keys.extend(placed.map(|((k, s), row)| (k, s, batch, row)));
        let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
        columns.push(match deletes {
            Some(d) => {
                self.deletes.extend((0..).zip(d).filter(|(_, d)| *d == Some(true)).map(|(row, _)| (batch, row)));
                Arc::new(d.clone())
            }
            None => Arc::new(BooleanArray::from(vec![false; rows.num_rows()])),
        });
        self.writer.write(&RecordBatch::try_new(self.schema.clone(), columns)?)?;
        self.batches += 1;
        Ok(())
    }
}

impl Candidates {
    pub(crate) fn gather(lanes: Vec<CandidateLane>) -> Result<Self, LakeError> {
        let schema = lanes.first().map(|l| l.schema.clone()).ok_or(LakeError::Worker("a step has a lane"))?;
        let mut all = Vec::with_capacity(lanes.iter().map(|l| l.keys.len()).sum());
        let mut files = Vec::new();
        let mut deletes = HashSet::new();
        for (lane, part) in lanes.into_iter().enumerate() {
            let spot = |batch: u32, row: u32| Spot::new(lane, batch as usize, row as usize);
            all.extend(part.keys.iter().map(|&(key, sequence, b, r)| Candidate { key, sequence, spot: spot(b, r) }));
            deletes.extend(part.deletes.iter().map(|&(b, r)| spot(b, r)));
            let file = part.writer.into_inner()?.into_inner().map_err(|e| LakeError::io("scratch")(e.into_error()))?;
            files.push(Arc::new(file));
        }
        Ok(Self { schema, files, all, deletes })
    }

    pub(super) fn reader(&self, lane: usize) -> Result<FileReader<Cursor>, LakeError> {
        Ok(FileReader::try_new(Cursor { file: self.files[lane].clone(), at: 0 }, None)?)
    }

    pub(super) fn deletes(&self, spot: Spot) -> bool {
        self.deletes.contains(&spot)
    }

    /// The rows at `spots`, which ascend, in that order.
    pub(super) fn fetch(&self, spots: &[Spot]) -> Result<RecordBatch, LakeError> {
        let mut parts = Vec::new();
        let mut rest = spots;
        while let Some(first) = rest.first() {
            let mut reader = self.reader(first.lane())?;
            while let Some(next) = rest.first().filter(|s| s.lane() == first.lane()) {
                let n = rest.iter().take_while(|s| s.lane() == next.lane() && s.batch() == next.batch()).count();
                let (here, later) = rest.split_at(n);
                parts.push(rows_of(&mut reader, here)?);
                rest = later;
            }
        }
        Ok(arrow::compute::concat_batches(&self.schema, &parts)?)
    }
}

/// Rows of one batch of one lane.
pub(super) fn rows_of(reader: &mut FileReader<Cursor>, spots: &[Spot]) -> Result<RecordBatch, LakeError> {
    let batch = spots.first().map_or(0, |s| s.batch());
    reader.set_index(batch)?;
    let rows = reader.next().ok_or(LakeError::Worker("a batch of candidates is gone"))??;
    if spots.len() == rows.num_rows() {
        return Ok(rows);
    }
    let indices = arrow::array::UInt32Array::from_iter_values(spots.iter().map(|s| s.row() as u32));
    Ok(arrow::compute::take_record_batch(&rows, &indices)?)
}

/// A place in a file of its own, so that several threads can read one file.
pub(super) struct Cursor {
    file: Arc<File>,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for Cursor {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(n) => Some(n),
            SeekFrom::Current(n) => self.at.checked_add_signed(n),
            SeekFrom::End(n) => self.file.metadata()?.len().checked_add_signed(n),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}
