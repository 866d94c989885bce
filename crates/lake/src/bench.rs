//! The kernels by themselves, for `benches/kernels.rs`. No part of the API: nothing else may call this.

pub use crate::{
    decode::{Options, discover, open},
    refine::{Binding, Refinery, Stamp, Tally},
};

use crate::{
    encoding,
    error::LakeError,
    lanes,
    meter::Meter,
    stage::{self, Stager},
    table::Place,
    upsert::{self, CandidateLane, CandidatePart, Candidates, Keys},
};
use alluvium_model::DatasetName;
use arrow::{array::RecordBatch, datatypes::SchemaRef};
use std::{
    path::Path,
    sync::{Arc, atomic::AtomicU8},
};

/// Writes and upserts into one table's folder, without a log.
pub struct Writes {
    keys: Keys,
    rows: Arc<Stager>,
    meter: Arc<Meter>,
}

/// Rows in staged files, with their keys in memory.
#[derive(Clone)]
pub struct Staged(CandidatePart);

/// One row a key, and where it lies.
pub struct Standing {
    candidates: Candidates,
    winners: upsert::Winners,
}

impl Writes {
    pub fn new(folder: &Path, dataset: DatasetName, schema: SchemaRef, keys: &[&str], sequence_by: &[&str]) -> Self {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        let keys = Keys { keys: owned(keys), sequence: owned(sequence_by) };
        let meter = Arc::new(Meter::default());
        let compression = encoding::compression(&Place::Dataset(dataset));
        let rows = Arc::new(Stager::new(folder, "bench".into(), schema, compression, meter.clone()));
        Self { keys, rows, meter }
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
        let mut lane = CandidateLane::new(&self.keys, &self.rows, None)?;
        for batch in rows {
            lane.add(batch, None)?;
        }
        lane.finish().map(Staged)
    }

    pub fn winners(&self, staged: Staged) -> Result<Standing, LakeError> {
        let mut candidates = Candidates::gather(&mut [staged.0], self.rows.clone(), None);
        let winners = upsert::resolve(&self.keys, &mut candidates, &self.meter)?;
        Ok(Standing { candidates, winners })
    }

    /// Looks for the keys in the key files of what was staged before, which are made if they are not there; answers how many
    /// stored rows make way.
    pub async fn probe(&self, stored: &Staged, new: &Arc<Standing>) -> Result<u64, LakeError> {
        let dir = self.rows.dir().to_owned();
        let sources = stored.0.rows.iter().map(|f| f.source(&dir)).collect::<Result<Vec<_>, _>>()?;
        let (keys, schema) = (self.keys.clone(), self.rows.schema().clone());
        let (new, meter) = (new.clone(), self.meter.clone());
        let fate: Vec<AtomicU8> = (0..new.winners.len()).map(|_| AtomicU8::new(upsert::NEW)).collect();
        let work = move |shared: &lanes::Shared| {
            let stored = upsert::Stored { dir: &dir, sources: &sources, schema: &schema, graves: false };
            upsert::probe(&keys, &stored, &new.winners, &new.candidates, &fate, &meter, shared)
        };
        let probed = upsert::Probed::merge(lanes::run(1, work, |_| ()).await?);
        Ok(probed.superseded.values().map(|rows| rows.len()).sum())
    }
}
