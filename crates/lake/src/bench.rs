//! The kernels by themselves, for `benches/kernels.rs`. No part of the API: nothing else may call this.

pub use crate::{
    decode::{Options, discover, open},
    refine::{Binding, Compiled, Refinery, Stamp, Tally},
};

use crate::{
    encoding,
    error::LakeError,
    meter::Meter,
    silver,
    stage::{self, Stager},
    syncs::Syncs,
    table::Place,
    upsert::{CandidateLane, CandidatePart, Candidates, Keys, Room, Settling, Stored},
};
use alluvium_model::DatasetName;
use arrow::{array::RecordBatch, datatypes::SchemaRef};
use std::{path::Path, sync::Arc};

/// More than any bench needs.
const ROOM_BYTES: u64 = 1 << 30;

/// Writes and upserts into one table's folder, without a log.
pub struct Writes {
    keys: Keys,
    rows: Arc<Stager>,
    room: Arc<Room>,
    meter: Arc<Meter>,
}

/// Rows in staged files, with their keys in memory.
#[derive(Clone)]
pub struct Staged(CandidatePart);

impl Writes {
    pub fn new(folder: &Path, dataset: DatasetName, schema: SchemaRef, keys: &[&str], sequence_by: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let keys = Keys { keys: owned(keys), sequence: owned(sequence_by) };
        let meter = Arc::new(Meter::default());
        let compression = encoding::compression(&Place::Dataset(dataset));
        let rows = Arc::new(Stager::new(folder, "bench".into(), schema, compression, meter.clone(), Syncs::default()));
        let room = Arc::new(Room::new(ROOM_BYTES, folder.to_owned(), 0));
        Self { keys, rows, room, meter }
    }

    /// Encodes keys and sequences; answers how many.
    pub fn encode(&self, rows: &RecordBatch) -> Result<usize, LakeError> {
        let encoder = self.keys.encoder(rows.schema_ref())?;
        Ok(encoder.keys(rows)?.len() + encoder.sequences(rows)?.len())
    }

    /// Writes a file, makes it durable, removes it; answers its bytes.
    pub fn write(&self, rows: &[RecordBatch]) -> Result<u64, LakeError> {
        let mut lane = self.rows.lane();
        for batch in rows {
            lane.write(batch)?;
        }
        let files = lane.finish()?;
        stage::discard(self.rows.dir(), &files);
        Ok(files.iter().map(|f| f.bytes).sum())
    }

    pub fn stage(&self, rows: &[RecordBatch]) -> Result<Staged, LakeError> {
        let mut lane = CandidateLane::new(&self.keys, &self.room, &self.rows, None)?;
        for batch in rows {
            lane.add(batch, None)?;
        }
        lane.finish().map(Staged)
    }

    /// Decides which row of each key stands, against a table of what was staged before, and writes the key files; answers how
    /// many rows of both do not stand.
    pub async fn settle(&self, new: Staged, stored: Option<&Staged>) -> Result<u64, LakeError> {
        let mut lanes_parts = [new.0];
        let candidates = Candidates::gather(&mut lanes_parts, &self.room, self.rows.clone(), None);
        let dir = self.rows.dir().to_owned();
        let files = stored.map_or(&[][..], |s| &s.0.rows);
        let sources = files.iter().map(|f| f.source(&dir)).collect::<Result<Vec<_>, _>>()?;
        let table = Stored { dir, sources, schema: self.rows.schema().clone(), graves: false };
        let (keys, room, meter) = (self.keys.clone(), self.room.clone(), self.meter.clone());
        let staged = (&lanes_parts[0].rows[..], &[][..]);
        let settling = Arc::new(Settling::new(keys, room, candidates, staged, (table, None), meter)?);
        let settled = silver::settle(settling, 1, |_| ()).await?;
        let gone = settled.gone.rows.values().chain(settled.superseded.rows.values());
        Ok(gone.map(|rows| rows.len()).sum())
    }
}
