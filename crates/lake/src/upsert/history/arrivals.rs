//! Events on their way: the rows in scratch files without a name, what decides over them in memory (64 bytes an event,
//! and its sequence).
//!
//! A version's end is not known before all events are there, so a row is written to the table only then.

use super::{super::keys::Encoder, shape::Shape, tracker::Tracker};
use crate::{error::LakeError, scan::conform};
use arrow::{
    array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt32Array, new_empty_array},
    compute::{concat, concat_batches, take_record_batch},
    datatypes::SchemaRef,
    ipc::{reader::FileReader, writer::FileWriter},
};
use std::{
    fs::File,
    io::{BufReader, BufWriter, Seek},
    ops::Range,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// What decides over one event.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) key: u128,
    /// The start of its sequence.
    pub(super) start: u128,
    pub(super) tracked: u128,
    /// Its number among all: where its row and its sequence are.
    pub(super) id: u32,
    pub(super) deletes: bool,
    /// Made of a truncate: no row of the step.
    pub(super) made: bool,
}

/// One lane's part, while it is written.
pub(crate) struct ArrivalLane {
    encoder: Encoder,
    tracker: Tracker,
    sequence: usize,
    schema: SchemaRef,
    made: bool,
    out: FileWriter<BufWriter<File>>,
    firsts: Vec<u32>,
    all: Vec<Arrival>,
    sequences: Vec<ArrayRef>,
}

/// What one lane made.
pub(crate) struct ArrivalPart {
    all: Vec<Arrival>,
    sequences: ArrayRef,
    rows: Rows,
}

/// The rows of one lane, in the order in which they came.
struct Rows {
    file: Mutex<FileReader<BufReader<File>>>,
    /// Number of the first row of each batch.
    firsts: Vec<u32>,
    count: u32,
}

/// The events of one step, by key and the start of their sequence.
pub(crate) struct Arrivals {
    pub(super) all: Vec<Arrival>,
    /// By number.
    pub(super) sequences: ArrayRef,
    parts: Vec<Rows>,
    schema: SchemaRef,
}

fn too_many<T>(_: T) -> LakeError {
    LakeError::Worker("a step has fewer than 2^31 rows")
}

impl ArrivalLane {
    /// `scratch`: a folder on the lake's disk.
    pub(crate) fn new(shape: &Shape, scratch: &Path) -> Result<Self, LakeError> {
        let schema = shape.event.clone();
        let file = tempfile::tempfile_in(scratch).map_err(LakeError::io(scratch))?;
        Ok(Self {
            encoder: shape.keys.encoder(&schema)?,
            tracker: Tracker::new(&shape.tracked, &schema)?,
            sequence: schema.index_of(shape.sequence()?)?,
            out: FileWriter::try_new_buffered(file, &schema)?,
            schema,
            made: false,
            firsts: Vec::new(),
            all: Vec::new(),
            sequences: Vec::new(),
        })
    }

    /// Of events that are made, and no rows of the step.
    pub(super) fn made(shape: &Shape, scratch: &Path) -> Result<Self, LakeError> {
        Ok(Self { made: true, ..Self::new(shape, scratch)? })
    }

    /// `rows`: the contract's columns, and where each row came from.
    pub(crate) fn add(&mut self, rows: &RecordBatch, deletes: Option<&BooleanArray>) -> Result<(), LakeError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let flags: Vec<bool> = match deletes {
            Some(d) => d.iter().map(|d| d == Some(true)).collect(),
            None => vec![false; rows.num_rows()],
        };
        let mut columns = conform(rows, &self.schema)?.columns().to_vec();
        *columns.last_mut().expect("the flag is the last column") = Arc::new(BooleanArray::from(flags.clone()));
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        self.out.write(&batch)?;
        let first = u32::try_from(self.all.len()).map_err(too_many)?;
        self.firsts.push(first);
        let starts = self.encoder.sequences(&batch)?;
        let keyed = self.encoder.keys(&batch)?.into_iter().zip(starts).zip(self.tracker.hashes(&batch)?);
        let (placed, made) = (keyed.zip(first..).zip(flags), self.made);
        self.all.extend(placed.map(|((((key, start), tracked), id), deletes)| Arrival {
            key,
            start,
            tracked,
            id,
            deletes,
            made,
        }));
        self.sequences.push(batch.column(self.sequence).clone());
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<ArrivalPart, LakeError> {
        let sequences = joined(&self.sequences, self.schema.field(self.sequence).data_type())?;
        self.out.finish()?;
        let mut file =
            self.out.into_inner()?.into_inner().map_err(|e| arrow::error::ArrowError::from(e.into_error()))?;
        file.rewind().map_err(arrow::error::ArrowError::from)?;
        let reader = FileReader::try_new_buffered(file, None)?;
        let count = u32::try_from(self.all.len()).map_err(too_many)?;
        self.all.sort_unstable_by_key(order);
        Ok(ArrivalPart {
            all: self.all,
            sequences,
            rows: Rows { file: Mutex::new(reader), firsts: self.firsts, count },
        })
    }
}

fn joined(arrays: &[ArrayRef], kind: &arrow::datatypes::DataType) -> Result<ArrayRef, LakeError> {
    let parts: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
    Ok(if parts.is_empty() { new_empty_array(kind) } else { concat(&parts)? })
}

fn order(a: &Arrival) -> (u128, u128, u32) {
    (a.key, a.start, a.id)
}

impl ArrivalPart {
    /// All rows, batch by batch, in the order in which they came.
    pub(super) fn read(&self, mut each: impl FnMut(&RecordBatch) -> Result<(), LakeError>) -> Result<(), LakeError> {
        (0..self.rows.firsts.len()).try_for_each(|i| each(&self.rows.batch(i)?))
    }
}

impl Arrivals {
    pub(crate) fn gather(parts: Vec<ArrivalPart>, shape: &Shape) -> Result<Self, LakeError> {
        let mut all = Vec::with_capacity(parts.iter().map(|p| p.all.len()).sum());
        let (mut sequences, mut rows) = (Vec::new(), Vec::new());
        let mut base: u32 = 0;
        for p in parts {
            all.extend(p.all.into_iter().map(|a| Arrival { id: base + a.id, ..a }));
            base = base.checked_add(p.rows.count).filter(|n| *n < 1 << 31).ok_or_else(|| too_many(()))?;
            sequences.push(p.sequences);
            rows.push(p.rows);
        }
        // Merges the lanes' sorted runs.
        all.sort_by_key(order);
        let kind = shape.event.field_with_name(shape.sequence()?)?.data_type();
        Ok(Self { all, sequences: joined(&sequences, kind)?, parts: rows, schema: shape.event.clone() })
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// How many pieces of work [`Arrivals::read`] makes.
    pub(crate) fn parts(&self) -> usize {
        self.parts.len()
    }

    /// All rows of one part, batch by batch, with the number of each batch's first row.
    pub(super) fn read(
        &self,
        part: usize,
        mut each: impl FnMut(u32, &RecordBatch) -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        let base: u32 = self.parts[..part].iter().map(|p| p.count).sum();
        let rows = &self.parts[part];
        for (i, first) in rows.firsts.iter().enumerate() {
            each(base + first, &rows.batch(i)?)?;
        }
        Ok(())
    }

    /// The rows of these numbers, which ascend.
    pub(super) fn fetch(&self, ids: &[u32]) -> Result<RecordBatch, LakeError> {
        let mut found = Vec::new();
        let mut rest = ids;
        let mut base = 0;
        for rows in &self.parts {
            for (i, first) in rows.firsts.iter().enumerate() {
                let end = base + rows.firsts.get(i + 1).copied().unwrap_or(rows.count);
                let (here, later) = rest.split_at(rest.partition_point(|id| *id < end));
                rest = later;
                if !here.is_empty() {
                    let at = UInt32Array::from_iter_values(here.iter().map(|id| id - base - first));
                    found.push(take_record_batch(&rows.batch(i)?, &at)?);
                }
            }
            base += rows.count;
        }
        Ok(concat_batches(&self.schema, &found)?)
    }

    /// Pieces of about `rows` events, each with all events of its keys.
    pub(crate) fn pieces(&self, rows: usize) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        let mut from = 0;
        while from < self.all.len() {
            let mut to = (from + rows.max(1)).min(self.all.len());
            to += self.all[to..].iter().take_while(|a| a.key == self.all[to - 1].key).count();
            pieces.push(from..to);
            from = to;
        }
        pieces
    }
}

impl Arrivals {
    /// A piece as two; `None` when it is of one key.
    pub(crate) fn halves(&self, piece: Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
        let all = &self.all[piece.clone()];
        let middle = all[all.len() / 2].key;
        let before = all.partition_point(|a| a.key < middle);
        let cut = if before > 0 { before } else { all.partition_point(|a| a.key <= middle) };
        (cut < all.len()).then(|| (piece.start..piece.start + cut, piece.start + cut..piece.end))
    }
}

impl Rows {
    fn batch(&self, i: usize) -> Result<RecordBatch, LakeError> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.set_index(i)?;
        Ok(file.next().ok_or(LakeError::Worker("a batch that was written is there"))??)
    }
}
