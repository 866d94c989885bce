//! The key files of a step's staged files, written as the parts of its candidates come in.
//!
//! Called by the lanes that settle parts. Parts come in nearly in their order and go into the files in exactly that; what comes
//! early waits, which is at most one part for each other lane.

use super::{
    candidates::{Candidate, Spot},
    index::{self, Encoded, Entry, KeyWriter},
};
use crate::{error::LakeError, lanes::Shared, stage::StagedFile, syncs::Syncs};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// The staged files of one table.
pub(super) struct Side<'a> {
    /// The table's folder.
    pub(super) dir: &'a Path,
    pub(super) files: &'a [StagedFile],
    pub(super) fingerprint: [u8; 16],
    /// Of the candidates' contents.
    pub(super) seed: u64,
}

#[derive(Default)]
pub(super) struct KeyedFiles {
    /// Place among the writers of the file with that number, by whether it holds deletions.
    places: [Vec<Option<usize>>; 2],
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    /// The first part that has not come in.
    next: usize,
    early: BTreeMap<usize, Vec<Encoded>>,
    writers: Vec<Option<KeyWriter>>,
}

impl KeyedFiles {
    /// `sides`: the rows, and the deletions where there are any.
    pub(super) fn create(sides: &[Side<'_>]) -> Result<Self, LakeError> {
        let mut all = Self::default();
        let mut writers = Vec::new();
        for (places, side) in all.places.iter_mut().zip(sides) {
            for f in side.files {
                let number = f.number as usize;
                places.resize(places.len().max(number + 1), None);
                places[number] = Some(writers.len());
                let path = index::path_of(side.dir, &f.path);
                writers.push(Some(KeyWriter::create(path, side.fingerprint, side.seed)?));
            }
        }
        all.queue = Mutex::new(Queue { writers, ..Queue::default() });
        Ok(all)
    }

    fn place(&self, spot: Spot) -> Result<usize, LakeError> {
        let place = self.places[usize::from(spot.deletes())].get(spot.file() as usize).copied().flatten();
        place.ok_or(LakeError::Worker("a candidate lies in a staged file"))
    }

    /// Takes the keys of part `part`, each part once. A row that does not stand after all may be among them.
    pub(super) fn add(&self, part: usize, keys: impl Iterator<Item = Candidate>) -> Result<(), LakeError> {
        let count = self.places.iter().flatten().flatten().count();
        let mut entries: Vec<Vec<Entry>> = vec![Vec::new(); count];
        for c in keys {
            entries[self.place(c.spot)?].push(Entry::of(&c));
        }
        let ascending = |mut e: Vec<Entry>| {
            e.sort_unstable();
            index::encode(&e)
        };
        let encoded = entries.into_iter().map(ascending).collect();
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        queue.early.insert(part, encoded);
        let queue = &mut *queue;
        while let Some(encoded) = queue.early.remove(&queue.next) {
            queue.next += 1;
            for (writer, more) in queue.writers.iter_mut().flatten().zip(&encoded) {
                writer.append(more)?;
            }
        }
        Ok(())
    }

    /// One lane: ends one file after another, when all parts are in.
    pub(super) fn finish(&self, shared: &Shared, syncs: &Syncs) -> Result<(), LakeError> {
        let count = self.places.iter().flatten().flatten().count();
        while let Some(i) = shared.take(count) {
            let writer = self.queue.lock().unwrap_or_else(PoisonError::into_inner).writers[i].take();
            writer.map_or(Ok(()), |w| w.finish(Some(syncs)))?;
        }
        Ok(())
    }

    pub(super) fn count(&self) -> usize {
        self.places.iter().flatten().flatten().count()
    }
}
