//! Batch against table: which stored rows are superseded, and which candidates the table already outdates.

use super::{
    candidates::{Candidate, Candidates, Spot, numbered},
    content::{self, Content, Fingerprint},
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
use arrow::{array::RecordBatch, datatypes::SchemaRef};
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
    content: u64,
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
        let (source, keys) = (&self.stored.sources[file], self.keys_of(file)?);
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
                    Ordering::Equal => found.close.push(Close { row, winner: spot, content: entry.content }),
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
        close.sort_unstable_by_key(|c| c.row);
        let mut duplicates = 0;
        for close in close.chunks(CLOSE_ROWS) {
            let mut spots: Vec<Spot> = close.iter().map(|c| c.winner).collect();
            spots.sort_unstable();
            let ours = asking.candidates.fetch(&spots, asking.meter)?;
            let numbers = Fingerprint::new(self.keys_of(file)?.seed()).of(&ours)?;
            let place = |c: &&Close| spots.binary_search(&c.winner).expect("every close winner was fetched");
            let alike = |c: &&Close| !c.winner.deletes() && c.content == numbers[place(c)];
            let (same, other): (Vec<&Close>, Vec<&Close>) = close.iter().partition(alike);
            if !same.is_empty() {
                let origins = content::origin(&self.stored.schema)?;
                let theirs = Content::of_equals(&self.rows(file, &origins, &same, asking)?)?;
                let pairs = (&Content::of_equals(&ours)?, &theirs);
                duplicates += self.compare(file, same.iter().map(|c| (*c, place(c))), pairs, asking);
            }
            if !other.is_empty() {
                let theirs = Content::of(asking.keys, &self.rows(file, &self.stored.schema, &other, asking)?)?;
                let pairs = (&Content::of(asking.keys, &ours)?, &theirs);
                duplicates += self.compare(file, other.iter().map(|c| (*c, place(c))), pairs, asking);
            }
        }
        Ok(duplicates)
    }

    /// The stored rows, of them these columns.
    fn rows(
        &self,
        file: usize,
        columns: &SchemaRef,
        close: &[&Close],
        asking: &Asking<'_>,
    ) -> Result<RecordBatch, LakeError> {
        let rows: Vec<u64> = close.iter().map(|c| c.row).collect();
        let batches = numbered(&self.stored.sources[file], columns, &rows, asking.meter)?;
        Ok(arrow::compute::concat_batches(columns, &batches)?)
    }

    /// `close`: in the order of `theirs`, each with its winner's place in `ours`. Answers the number of duplicates.
    fn compare<'c>(
        &self,
        file: usize,
        close: impl Iterator<Item = (&'c Close, usize)>,
        (ours, theirs): (&Content, &Content),
        asking: &Asking<'_>,
    ) -> u64 {
        let graves = self.stored.graves;
        let (mut found, mut duplicates) = (Found::default(), 0);
        for (i, (c, w)) in close.enumerate() {
            let same = ours.same_sequence(w, theirs, i);
            // At its own sequence a deletion stands; in snapshots the row does, and is no duplicate of it.
            let buried = graves && same;
            let snapshot = buried && asking.keys.snapshots && !c.winner.deletes();
            duplicates += u64::from(same && !snapshot);
            if !snapshot && (buried || !ours.beats(w, theirs, i)) {
                (asking.tell)(c.winner, Fate::Outdated);
            } else if !graves {
                found.supersede(c.row, c.winner, asking);
            }
        }
        let mut all = self.files[file].found.lock().unwrap_or_else(PoisonError::into_inner);
        all.superseded |= found.superseded;
        all.deleted |= found.deleted;
        duplicates
    }

    fn keys_of(&self, file: usize) -> Result<&KeyFile, LakeError> {
        self.files[file].keys.get().ok_or(LakeError::Worker("a key file is open before it is asked"))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        silver,
        stage::{StagedFile, Stager},
        syncs::Syncs,
        upsert::{CandidateLane, Candidates, Settled, Settling, keys_of_file},
    };
    use arrow::{
        array::{ArrayRef, Int64Array, StringArray},
        datatypes::{DataType, Field, Schema},
    };
    use parquet::basic::Compression;
    use std::path::Path;

    const FIELDS: [&str; 4] = ["id", "at", "v", "_position"];

    fn schema() -> SchemaRef {
        let numbers = FIELDS.map(|name| Field::new(name, DataType::Int64, true));
        let event = Field::new("_event_id", DataType::Utf8, true);
        Arc::new(Schema::new(numbers.into_iter().chain([event]).collect::<Vec<_>>()))
    }

    /// The row of key 1 that says `v`, out of this event.
    fn row(v: i64, event: &str) -> RecordBatch {
        let numbers = [1, 7, v, 0].map(|n| Arc::new(Int64Array::from(vec![n])) as ArrayRef);
        let event: ArrayRef = Arc::new(StringArray::from(vec![event]));
        RecordBatch::try_new(schema(), numbers.into_iter().chain([event]).collect()).expect("a row")
    }

    fn stager(dir: &Path, name: &str) -> Arc<Stager> {
        let (meter, syncs) = (Arc::new(Meter::default()), Syncs::default());
        Arc::new(Stager::new(dir, name.to_owned(), schema(), Compression::UNCOMPRESSED, meter, syncs))
    }

    /// What a step of this row makes of the stored file.
    async fn step(
        dir: &Path,
        name: &str,
        rows: &RecordBatch,
        stored: Option<&StagedFile>,
    ) -> (Vec<StagedFile>, Settled) {
        let keys = Keys { keys: vec!["id".into()], sequence: vec!["at".into()], snapshots: false };
        let seed = u64::from(name.as_bytes()[0]);
        let (room, stager) = (Arc::new(Room::new(1 << 20, dir.to_owned(), seed)), stager(dir, name));
        let mut lane = CandidateLane::new(&keys, &room, &stager, None).expect("a lane");
        lane.add(rows, None).expect("added");
        let mut parts = vec![lane.finish().expect("finished")];
        let candidates = Candidates::gather(&mut parts, &room, stager, None);
        let files = parts.remove(0).rows;
        let sources = stored.iter().map(|f| f.source(dir).expect("a source")).collect();
        let table = Stored { dir: dir.to_owned(), sources, schema: schema(), graves: false };
        let settling = Settling::new(keys, room, candidates, (&files, &[]), (table, None), Arc::new(Meter::default()));
        let settled = silver::settle(Arc::new(settling.expect("settles")), 1, |_| ()).await.expect("settled");
        (files, settled)
    }

    /// As if the file held this row.
    fn replace(dir: &Path, file: &StagedFile, rows: &RecordBatch) {
        let other = stager(dir, "other");
        let mut lane = other.lane();
        lane.write(rows).expect("written");
        let written = lane.finish().expect("finished").remove(0);
        std::fs::rename(dir.join(written.path), dir.join(&file.path)).expect("replaced");
    }

    #[tokio::test]
    async fn a_stored_row_that_says_the_same_is_told_by_its_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path();
        let (stored, _) = step(dir, "first", &row(1, "e2"), None).await;
        // Whoever compares the rows themselves finds that the stored one is the greater, which then stands.
        replace(dir, &stored[0], &row(9, "e2"));
        let (_, settled) = step(dir, "second", &row(1, "e1"), Some(&stored[0])).await;
        assert_eq!(settled.superseded.rows.len(), 1, "of what says the same the earlier event stands");
        assert_eq!(settled.duplicates, 1);
        let (_, settled) = step(dir, "third", &row(2, "e1"), Some(&stored[0])).await;
        assert_eq!(settled.superseded.rows.len(), 0, "of what says something else the greater row stands");
    }

    #[tokio::test]
    async fn of_keys_made_anew_the_rows_themselves_are_compared() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path();
        let (stored, _) = step(dir, "first", &row(1, "e2"), None).await;
        std::fs::remove_file(keys_of_file(dir, &stored[0].path)).expect("removed");
        let (_, settled) = step(dir, "second", &row(1, "e1"), Some(&stored[0])).await;
        assert_eq!((settled.superseded.rows.len(), settled.duplicates), (1, 1));
        let (_, settled) = step(dir, "third", &row(0, "e1"), Some(&stored[0])).await;
        assert_eq!((settled.superseded.rows.len(), settled.duplicates), (0, 1));
    }
}
