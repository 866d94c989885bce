//! What truncates are to a history: deletions of the keys that have an event before them, each at the truncate's sequence.
//!
//! Each event is ended by the first truncate at or after it, so that one deletion is all it needs; later ones of the key would say
//! nothing new. They are events like others from then on, so whatever comes between is placed by what decides over events.

use super::{
    super::{candidates::DELETED, keys::Encoder, truncates::Truncates},
    arrivals::{ArrivalLane, ArrivalPart},
    shape::Shape,
};
use crate::{
    error::LakeError,
    meter::Meter,
    scan::{self, Source},
};
use arrow::{
    array::{Array, AsArray, BooleanArray, RecordBatch, UInt32Array},
    compute::take_record_batch,
    datatypes::{Schema, SchemaRef},
};
use std::{collections::BTreeSet, path::Path, sync::Arc};

/// Makes the deletions.
struct Ending<'a> {
    truncates: &'a Truncates,
    encoder: Encoder,
    /// Of what is looked at.
    schema: SchemaRef,
    shape: &'a Shape,
    lane: ArrivalLane,
    made: BTreeSet<(u128, u32)>,
}

/// The deletions that `truncates` are for what arrived and for the rows of `stored`. `scratch`: a folder on the lake's disk.
pub(crate) fn deletions(
    shape: &Shape,
    truncates: &Truncates,
    arrived: &[ArrivalPart],
    stored: &[Source],
    scratch: &Path,
    meter: &Meter,
) -> Result<ArrivalPart, LakeError> {
    let names: Vec<String> = shape.keys.columns().into_iter().chain([DELETED.to_owned()]).collect();
    let schema = scan::project(&shape.stored, &names)?;
    let mut ending = Ending {
        truncates,
        encoder: shape.keys.encoder(&schema)?,
        shape,
        lane: ArrivalLane::made(shape, scratch)?,
        schema,
        made: BTreeSet::new(),
    };
    for part in arrived {
        part.read(|rows| ending.of(&scan::conform(rows, &ending.schema.clone())?))?;
    }
    for unit in scan::units(stored)? {
        for rows in unit.read(&ending.schema, meter)? {
            ending.of(&rows?)?;
        }
    }
    ending.lane.finish()
}

impl Ending<'_> {
    fn of(&mut self, rows: &RecordBatch) -> Result<(), LakeError> {
        let ends = self.truncates.ending(rows)?;
        if ends.iter().all(Option::is_none) {
            return Ok(());
        }
        let deleted = rows.column(rows.num_columns() - 1).as_boolean();
        let (mut at, mut whose) = (Vec::new(), Vec::new());
        for (row, (end, key)) in (0..).zip(ends.into_iter().zip(self.encoder.keys(rows)?)) {
            let is_deletion = deleted.is_valid(row) && deleted.value(row);
            if let Some(end) = end.filter(|end| !is_deletion && self.made.insert((key, *end))) {
                at.push(end);
                whose.push(row as u32);
            }
        }
        if at.is_empty() {
            return Ok(());
        }
        let made = deletion_rows(self.shape, rows, whose, &self.truncates.at(at)?)?;
        self.lane.add(&made, Some(&BooleanArray::from(vec![true; made.num_rows()])))
    }
}

/// Deletions of the keys of rows `whose`, one for each of `sequences`.
pub(super) fn deletion_rows(
    shape: &Shape,
    rows: &RecordBatch,
    whose: Vec<u32>,
    sequences: &RecordBatch,
) -> Result<RecordBatch, LakeError> {
    let schema = scan::project(&shape.stored, &shape.keys.keys)?;
    let keys = take_record_batch(&scan::conform(rows, &schema)?, &UInt32Array::from(whose))?;
    let fields = schema.fields().iter().chain(sequences.schema_ref().fields()).cloned().collect::<Vec<_>>();
    let columns = keys.columns().iter().chain(sequences.columns()).cloned().collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
