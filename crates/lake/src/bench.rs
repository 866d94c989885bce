//! The kernels by themselves, for `benches/kernels.rs`. No part of the API: nothing else may call this.

pub use crate::{
    decode::{Options, discover, open},
    refine::{Binding, Compiled, Refinery, Stamp, Tally},
};

use crate::{
    columns::FileWriter,
    encoding,
    error::LakeError,
    meter::Meter,
    remote::Disk,
    silver,
    stage::{self, Stager},
    syncs::Syncs,
    table::Place,
    upsert::{CandidateLane, CandidatePart, Candidates, Keys, Room, Settling, Stored},
    vector,
    windows::{self, Touched},
};
use alluvium_model::DatasetName;
use alluvium_spec::WindowSpec;
use arrow::{
    array::{ArrayRef, RecordBatch},
    datatypes::SchemaRef,
};
use deltalake::kernel::DeletionVectorDescriptor;
use parquet::file::properties::WriterProperties;
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
        let keys = Keys { keys: owned(keys), sequence: owned(sequence_by), snapshots: false };
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

/// One column as a file of a table has it: its bytes, and its encodings.
pub fn encode(dataset: DatasetName, values: &ArrayRef) -> Result<(u64, Vec<String>), LakeError> {
    let batch = RecordBatch::try_from_iter([("column", values.clone())])?;
    let compression = encoding::compression(&Place::Dataset(dataset));
    let properties = encoding::choose(WriterProperties::builder(), compression, &batch)?.build();
    let mut writer = FileWriter::new(Vec::new(), batch.schema(), properties)?;
    writer.write(&batch)?;
    let footer = writer.finish()?;
    let column = footer.row_group(0).column(0);
    Ok((column.compressed_size().unsigned_abs(), column.encodings().map(|e| e.to_string()).collect()))
}

/// Rows of a file that are gone.
pub struct Vector(vector::Rows);

/// Where a vector was written.
pub struct VectorAt(DeletionVectorDescriptor);

impl Vector {
    pub fn of(rows: impl Iterator<Item = u64>) -> Self {
        Self(rows.collect())
    }

    pub fn rows(&self) -> u64 {
        self.0.len()
    }

    /// Into one file, over the one of before; made durable beside what follows.
    pub fn write(&self, folder: &Path) -> Result<VectorAt, LakeError> {
        let written = vector::write(folder, 0, &[&self.0], &Syncs::default())?;
        written.into_iter().next().map(VectorAt).ok_or(LakeError::Worker("one vector was written"))
    }
}

impl VectorAt {
    /// How many rows it names.
    pub fn read(&self, folder: &Path) -> Result<u64, LakeError> {
        Ok(vector::read(&Disk::default(), folder, &self.0)?.len())
    }
}

/// Windows of a gold dataset that a change touches.
pub struct Windows(Touched);

impl Windows {
    /// Those that hold the values of the batches' first column.
    pub fn holding(changed: &[RecordBatch], window: &WindowSpec) -> Result<Self, LakeError> {
        windows::holding(changed, window).map(Self)
    }

    pub fn count(&self) -> u64 {
        self.0.count()
    }

    /// How many of the values lie in one of them.
    pub fn inside(&self, values: &ArrayRef) -> Result<usize, LakeError> {
        Ok(windows::inside(values, &self.0)?.true_count())
    }
}
