//! Accepted rows on their way into the table: the rows in staged files, their keys in sorted runs.

use super::{
    content::Fingerprint,
    keys::{Encoder, Keys},
    runs::{Parts, Room, Run, Runs},
};
use crate::{
    error::LakeError,
    meter::Meter,
    scan::{self, Source, conform},
    stage::{Lane, Stager},
};
use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch},
    compute::{filter_record_batch, not},
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use std::sync::Arc;

/// Name of the column that marks a candidate as the deletion of its key.
pub(super) const DELETED: &str = "_deleted";

/// Where a candidate lies: whether among the deletions, in which staged file and which row. Packed so that the order
/// of numbers is the order of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Spot(u64);

impl Spot {
    pub(super) fn new(deletes: bool, file: u32, row: u32) -> Self {
        Self(u64::from(deletes) << 63 | u64::from(file) << 32 | u64::from(row))
    }

    pub(super) fn deletes(self) -> bool {
        self.0 >> 63 == 1
    }

    pub(super) fn file(self) -> u32 {
        (self.0 >> 32 & 0x7FFF_FFFF) as u32
    }

    pub(super) fn row(self) -> u32 {
        self.0 as u32
    }

    pub(super) fn number(self) -> u64 {
        self.0
    }

    pub(super) fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// Packed, since alignment would make it 64 bytes.
#[derive(Debug, Clone, Copy)]
#[repr(C, packed(8))]
pub(super) struct Candidate {
    pub(super) key: u128,
    pub(super) sequence: u128,
    pub(super) spot: Spot,
    /// Rows of one key that say the same have the same number; 0: not known.
    pub(super) content: u64,
}

/// One lane's part, while it is written.
pub(crate) struct CandidateLane<'a> {
    encoder: Encoder,
    fingerprint: Fingerprint,
    rows: Lane<'a>,
    graves: Option<Lane<'a>>,
    runs: Runs,
}

/// The candidates of one step.
pub(crate) struct Candidates {
    pub(super) rows: Arc<Stager>,
    pub(super) graves: Option<Arc<Stager>>,
    pub(super) parts: Parts,
}

impl<'a> CandidateLane<'a> {
    /// `graves`: where deletions go, when the dataset has any.
    pub(crate) fn new(
        keys: &Keys,
        room: &Arc<Room>,
        rows: &'a Stager,
        graves: Option<&'a Stager>,
    ) -> Result<Self, LakeError> {
        let encoder = keys.encoder(rows.schema())?;
        let (fingerprint, graves) = (room.fingerprint(), graves.map(Stager::lane));
        Ok(Self { encoder, fingerprint, rows: rows.lane(), graves, runs: Runs::new(room.clone()) })
    }

    /// `rows`: of the table's schema.
    pub(crate) fn add(&mut self, rows: &RecordBatch, deletes: Option<&BooleanArray>) -> Result<(), LakeError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let contents = self.fingerprint.of(rows)?;
        let pairs = self.encoder.keys(rows)?.into_iter().zip(self.encoder.sequences(rows)?).zip(contents);
        let deletes = deletes.filter(|d| d.true_count() > 0);
        let Some(deletes) = deletes else {
            let (file, first) = self.rows.write(rows)?;
            for (((key, sequence), content), row) in pairs.zip(first..) {
                self.runs.push(Candidate { key, sequence, spot: Spot::new(false, file, row), content })?;
            }
            return Ok(());
        };
        let graves = self.graves.as_mut().ok_or(LakeError::Worker("a dataset that deletes keeps deleted keys"))?;
        let deletes = match deletes.nulls() {
            Some(_) => arrow::compute::prep_null_mask_filter(deletes),
            None => deletes.clone(),
        };
        let (file, mut row) = self.rows.write(&filter_record_batch(rows, &not(&deletes)?)?)?;
        let dead = conform(&filter_record_batch(rows, &deletes)?, graves.schema())?;
        let (grave, mut grave_row) = graves.write(&dead)?;
        for (i, ((key, sequence), content)) in pairs.enumerate() {
            let (spot, content) = if deletes.value(i) {
                grave_row += 1;
                // What a deletion says does not lie in all of its columns.
                (Spot::new(true, grave, grave_row - 1), 0)
            } else {
                row += 1;
                (Spot::new(false, file, row - 1), content)
            };
            self.runs.push(Candidate { key, sequence, spot, content })?;
        }
        Ok(())
    }

    /// Durable files, and the candidates in sorted runs.
    pub(crate) fn finish(self) -> Result<CandidatePart, LakeError> {
        Ok(CandidatePart {
            runs: self.runs.finish()?,
            rows: self.rows.finish()?,
            graves: self.graves.map(Lane::finish).transpose()?.unwrap_or_default(),
        })
    }
}

/// What one lane made.
#[derive(Clone)]
pub(crate) struct CandidatePart {
    runs: Vec<Run>,
    pub(crate) rows: Vec<crate::stage::StagedFile>,
    pub(crate) graves: Vec<crate::stage::StagedFile>,
}

impl Candidates {
    /// Takes the candidates out of the lanes' parts.
    pub(crate) fn gather(
        lanes: &mut [CandidatePart],
        room: &Room,
        rows: Arc<Stager>,
        graves: Option<Arc<Stager>>,
    ) -> Self {
        let runs = lanes.iter_mut().flat_map(|p| std::mem::take(&mut p.runs)).collect();
        Self { rows, graves, parts: Parts::of(runs, room.part_rows()) }
    }

    /// The rows at `spots`, which ascend, in that order: the table's columns and [`DELETED`].
    pub(super) fn fetch(&self, spots: &[Spot], meter: &Meter) -> Result<RecordBatch, LakeError> {
        self.fetch_columns(self.rows.schema(), spots, meter)
    }

    /// As [`Candidates::fetch`], of the table's columns only those of `table`.
    pub(super) fn fetch_columns(
        &self,
        table: &SchemaRef,
        spots: &[Spot],
        meter: &Meter,
    ) -> Result<RecordBatch, LakeError> {
        let mut fields: Vec<Field> = table.fields().iter().map(|f| f.as_ref().clone()).collect();
        fields.push(Field::new(DELETED, DataType::Boolean, true));
        let schema = Arc::new(Schema::new(fields));
        let mut parts = Vec::new();
        let mut rest = spots;
        while let Some(first) = rest.first() {
            let n = rest.iter().take_while(|s| s.deletes() == first.deletes() && s.file() == first.file()).count();
            let (here, later) = rest.split_at(n);
            rest = later;
            let stager = match &self.graves {
                Some(graves) if first.deletes() => graves,
                _ => &self.rows,
            };
            let rows: Vec<u64> = here.iter().map(|s| u64::from(s.row())).collect();
            let source = Source::whole(stager.path(first.file()));
            for batch in numbered(&source, table, &rows, meter)? {
                let flags: ArrayRef = Arc::new(BooleanArray::from(vec![first.deletes(); batch.num_rows()]));
                let columns = batch.columns().iter().cloned().chain([flags]).collect();
                parts.push(RecordBatch::try_new(schema.clone(), columns)?);
            }
        }
        Ok(arrow::compute::concat_batches(&schema, &parts)?)
    }
}

/// Rows of a file by their numbers, which ascend.
pub(super) fn numbered(
    source: &Source,
    schema: &SchemaRef,
    rows: &[u64],
    meter: &Meter,
) -> Result<Vec<RecordBatch>, LakeError> {
    let mut batches = Vec::new();
    let mut rest = rows;
    for unit in scan::units(std::slice::from_ref(source))? {
        let n = rest.partition_point(|r| *r < unit.base + unit.rows);
        let (here, later) = rest.split_at(n);
        rest = later;
        if here.is_empty() {
            continue;
        }
        let relative: Vec<u64> = here.iter().map(|r| r - unit.base).collect();
        for batch in unit.read_rows(schema, meter, Some(&relative))? {
            batches.push(batch?);
        }
    }
    Ok(batches)
}

pub(super) fn is_deleted(rows: &RecordBatch) -> BooleanArray {
    match rows.column_by_name(DELETED) {
        Some(d) => d.as_boolean().clone(),
        None => BooleanArray::from(vec![false; rows.num_rows()]),
    }
}
