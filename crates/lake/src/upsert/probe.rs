//! Batch against table: which stored rows are superseded, and which candidates the table already outdates.

use super::{
    candidates::{Candidate, Candidates, Spot, numbered},
    content::Content,
    index::{self, KeyFile},
    keys::Keys,
    runs::Room,
};
use crate::{
    error::LakeError,
    meter::Meter,
    scan::{Pick, Source},
    vector::Rows,
};
use arrow::datatypes::SchemaRef;
use std::{
    cmp::Ordering,
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};
use tokio::runtime::Handle;

/// Rows of one file whose content is in memory at once while it is compared.
const CLOSE_ROWS: usize = 50_000;

/// The data files that a batch meets: those of a table, or those with its deleted keys.
pub(crate) struct Stored {
    /// The table's folder.
    pub(crate) dir: PathBuf,
    pub(crate) sources: Vec<Source>,
    pub(crate) schema: SchemaRef,
    /// Rows of deleted keys: such a row makes way for nothing, and wins at an equal sequence.
    pub(crate) graves: bool,
}

/// What the table says of one winner; of one it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// A stored row makes way for it.
    Replaces,
    /// The table holds a later row (or the same one): it changes nothing.
    Outdated,
}

/// Stored files while lanes probe them.
pub(super) struct Probed {
    stored: Stored,
    files: Vec<OneFile>,
}

#[derive(Default)]
struct OneFile {
    keys: OnceLock<KeyFile>,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    superseded: Rows,
    /// Those of them whose key the batch deletes.
    deleted: Rows,
    /// Stored rows whose sequence prefix equals the winner's.
    close: Vec<Close>,
}

struct Close {
    row: u64,
    winner: Spot,
}

/// Stored rows that make way, by the place of their file.
#[derive(Default)]
pub(crate) struct Superseded {
    pub(crate) rows: BTreeMap<usize, Rows>,
    /// Those of them whose key the batch deletes.
    pub(super) deleted: BTreeMap<usize, Rows>,
}

/// Whom a lane asks, and whom it tells.
pub(super) struct Asking<'a> {
    pub(super) keys: &'a Keys,
    pub(super) candidates: &'a Candidates,
    pub(super) meter: &'a Meter,
    pub(super) tell: &'a (dyn Fn(Spot, Fate) + Sync),
}

impl Probed {
    pub(super) fn new(stored: Stored) -> Self {
        let files = stored.sources.iter().map(|_| OneFile::default()).collect();
        Self { stored, files }
    }

    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    /// Opens the key file of one data file, and makes it before if it is not there.
    pub(super) fn open(&self, file: usize, keys: &Keys, room: &Arc<Room>, meter: &Meter) -> Result<(), LakeError> {
        let Stored { dir, sources, schema, .. } = &self.stored;
        let found = index::open_or_make(dir, &sources[file], keys, schema, room, meter)?;
        self.files[file].keys.set(found).map_err(|_| LakeError::Worker("a key file is opened once"))
    }

    /// Looks for the keys of `winners`, which ascend without repetition, in so many threads. Answers the number of duplicates.
    pub(super) fn ask(&self, winners: &[Candidate], threads: usize, asking: &Asking<'_>) -> Result<u64, LakeError> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<u64, LakeError> {
            let mut duplicates = 0;
            loop {
                let file = next.fetch_add(1, Relaxed);
                if file >= self.files.len() {
                    return Ok(duplicates);
                }
                duplicates += self.ask_one(file, winners, asking)?;
            }
        };
        // To fetch a file of an object store takes the runtime.
        let runtime = Handle::try_current().ok();
        let helper = || {
            let _entered = runtime.as_ref().map(Handle::enter);
            work()
        };
        thread::scope(|scope| {
            let others: Vec<_> = (1..threads.min(self.files.len())).map(|_| scope.spawn(helper)).collect();
            let own = work();
            let ended = |_| Err(LakeError::Worker("a thread ended early"));
            let theirs: Vec<_> = others.into_iter().map(|o| o.join().unwrap_or_else(ended)).collect();
            theirs.into_iter().chain([own]).sum()
        })
    }

    fn ask_one(&self, file: usize, winners: &[Candidate], asking: &Asking<'_>) -> Result<u64, LakeError> {
        let found = self.find(file, winners, asking)?;
        let full = {
            let mut all = self.files[file].found.lock().unwrap_or_else(PoisonError::into_inner);
            all.superseded |= found.superseded;
            all.deleted |= found.deleted;
            all.close.extend(found.close);
            if all.close.len() > CLOSE_ROWS { std::mem::take(&mut all.close) } else { Vec::new() }
        };
        self.decide(file, full, asking)
    }

    fn find(&self, file: usize, winners: &[Candidate], asking: &Asking<'_>) -> Result<Found, LakeError> {
        let source = &self.stored.sources[file];
        let keys = self.files[file].keys.get().ok_or(LakeError::Worker("a key file is open before it is asked"))?;
        let mut found = Found::default();
        keys.probe(
            winners.len(),
            |w| winners[w].key,
            |w, entry| {
                let row = u64::from(entry.row);
                if matches!(&source.pick, Pick::Without(gone) if gone.contains(row)) {
                    return Ok(());
                }
                let Candidate { sequence, spot, .. } = winners[w];
                match sequence.cmp(&entry.sequence) {
                    Ordering::Greater if self.stored.graves => {}
                    Ordering::Greater => found.supersede(row, spot, asking),
                    Ordering::Less => (asking.tell)(spot, Fate::Outdated),
                    Ordering::Equal => found.close.push(Close { row, winner: spot }),
                }
                Ok(())
            },
        )?;
        Ok(found)
    }

    /// Decides what is still open of one file, when all winners were asked for. Answers the number of duplicates.
    pub(super) fn finish(&self, file: usize, asking: &Asking<'_>) -> Result<u64, LakeError> {
        let mut all = self.files[file].found.lock().unwrap_or_else(PoisonError::into_inner);
        let close = std::mem::take(&mut all.close);
        drop(all);
        self.decide(file, close, asking)
    }

    /// Compares the rows themselves where the start of their sequences does not tell.
    fn decide(&self, file: usize, mut close: Vec<Close>, asking: &Asking<'_>) -> Result<u64, LakeError> {
        let Asking { keys, candidates, meter, tell } = *asking;
        let Stored { sources, schema, graves, .. } = &self.stored;
        close.sort_unstable_by_key(|c| c.row);
        let mut duplicates = 0;
        for close in close.chunks(CLOSE_ROWS) {
            let rows: Vec<u64> = close.iter().map(|c| c.row).collect();
            let theirs = numbered(&sources[file], schema, &rows, meter)?;
            let theirs = Content::of(keys, &arrow::compute::concat_batches(schema, &theirs)?)?;
            let mut spots: Vec<Spot> = close.iter().map(|c| c.winner).collect();
            spots.sort_unstable();
            let ours = Content::of(keys, &candidates.fetch(&spots, meter)?)?;
            let mut found = Found::default();
            for (i, c) in close.iter().enumerate() {
                let w = spots.binary_search(&c.winner).expect("every close winner was fetched");
                let same = ours.same_sequence(w, &theirs, i);
                duplicates += u64::from(same);
                if !ours.beats(w, &theirs, i) || (*graves && same) {
                    tell(c.winner, Fate::Outdated);
                } else if !graves {
                    found.supersede(c.row, c.winner, asking);
                }
            }
            let mut all = self.files[file].found.lock().unwrap_or_else(PoisonError::into_inner);
            all.superseded |= found.superseded;
            all.deleted |= found.deleted;
        }
        Ok(duplicates)
    }

    /// Stored rows that make way. What was found is gone from here then.
    pub(super) fn superseded(&self) -> Superseded {
        let mut all = Superseded::default();
        for (i, file) in self.files.iter().enumerate() {
            let found = std::mem::take(&mut *file.found.lock().unwrap_or_else(PoisonError::into_inner));
            if !found.superseded.is_empty() {
                all.rows.insert(i, found.superseded);
                all.deleted.insert(i, found.deleted);
            }
        }
        all
    }
}

impl Found {
    fn supersede(&mut self, row: u64, winner: Spot, asking: &Asking<'_>) {
        (asking.tell)(winner, Fate::Replaces);
        self.superseded.insert(row);
        if winner.deletes() {
            self.deleted.insert(row);
        }
    }
}
