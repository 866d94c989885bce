//! Which candidates stand, what of the table makes way for them, and the keys of the files they lie in: part by part, in lanes.
//!
//! Called by the silver step when all rows are staged. A lane has one part in memory; what can only be told from the rows
//! themselves waits until enough of it is there to be worth reading files.

use super::{
    candidates::{Candidate, Candidates, Spot},
    keyed::{KeyedFiles, Side},
    keys::Keys,
    marks::Marks,
    probe::{Asking, Fate, Probed, Stored, Superseded},
    runs::Room,
    winners::{self, TIE_ROWS, Ties},
};
use crate::{
    error::LakeError,
    lanes::{self, Shared},
    meter::Meter,
    stage::StagedFile,
    vector::Rows,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Rows of the staged files that do not stand, by the number of the file.
#[derive(Default)]
pub(crate) struct Gone {
    pub(crate) rows: BTreeMap<u32, Rows>,
    pub(crate) graves: BTreeMap<u32, Rows>,
}

/// How a step's candidates and the table change each other.
pub(crate) struct Settled {
    pub(crate) gone: Gone,
    pub(crate) superseded: Superseded,
    /// Rows of the staged files that stand for a stored one.
    pub(super) replacing: BTreeMap<u32, Rows>,
    /// Candidates with the key and the sequence of another one, or of a stored row.
    pub(crate) duplicates: u64,
}

impl Settled {
    /// Stored rows that a truncate ends, by their file. Those that make way for others are later than that, and change.
    pub(crate) fn truncate(&mut self, stored: BTreeMap<usize, Rows>) {
        for (file, rows) in stored {
            let before = self.superseded.rows.entry(file).or_default();
            let deleted = self.superseded.deleted.entry(file).or_default();
            *deleted |= &rows - &*before;
            *before |= rows;
        }
    }
}

/// What the lanes share.
pub(crate) struct Settling {
    keys: Keys,
    room: Arc<Room>,
    candidates: Candidates,
    /// Whether some candidates are gone from the start.
    ended: bool,
    table: Probed,
    graves: Option<Probed>,
    gone: Marks,
    gone_graves: Marks,
    replacing: Marks,
    keyed: KeyedFiles,
    ties: Mutex<Ties>,
    duplicates: AtomicU64,
    meter: Arc<Meter>,
}

impl Settling {
    /// `files` and `dead`: what was staged. `graves`: the keys deleted so far, when the dataset deletes.
    pub(crate) fn new(
        keys: Keys,
        room: Arc<Room>,
        candidates: Candidates,
        (files, dead): (&[StagedFile], &[StagedFile]),
        (table, graves): (Stored, Option<Stored>),
        meter: Arc<Meter>,
    ) -> Result<Self, LakeError> {
        let mut sides = Vec::new();
        for (stager, files) in [(Some(&candidates.rows), files), (candidates.graves.as_ref(), dead)] {
            let Some(stager) = stager else { continue };
            let (fingerprint, seed) = (keys.fingerprint(stager.schema())?, room.seed());
            sides.push(Side { dir: stager.dir(), files, fingerprint, seed });
        }
        let keyed = KeyedFiles::create(&sides)?;
        Ok(Self {
            keys,
            room,
            ended: false,
            table: Probed::new(table),
            graves: graves.map(Probed::new),
            gone: Marks::of(files),
            gone_graves: Marks::of(dead),
            replacing: Marks::of(files),
            keyed,
            ties: Mutex::default(),
            duplicates: AtomicU64::new(0),
            candidates,
            meter,
        })
    }

    /// Rows of the staged file with that number do not stand, whatever else there is, and nothing makes way for them.
    pub(crate) fn without(&mut self, file: u32, rows: &Rows) -> Result<(), LakeError> {
        self.ended = true;
        for row in rows {
            let row = u32::try_from(row).map_err(|_| LakeError::Worker("a data file has too many rows"))?;
            self.gone.set(Spot::new(false, file, row));
        }
        Ok(())
    }

    /// The data files that the candidates meet.
    pub(crate) fn stored_files(&self) -> usize {
        self.table.files() + self.graves.as_ref().map_or(0, Probed::files)
    }

    /// How often lanes can take a part.
    pub(crate) fn parts(&self) -> usize {
        self.candidates.parts.count()
    }

    pub(crate) fn staged_files(&self) -> usize {
        self.keyed.count()
    }

    /// One lane, first: opens the key file of one stored file after another.
    pub(crate) fn open(&self, shared: &Shared) -> Result<(), LakeError> {
        while let Some(i) = shared.take(self.stored_files()) {
            let (probed, file) = self.stored(i);
            probed.open(file, &self.keys, &self.room, &self.meter)?;
            shared.advance(1)?;
        }
        Ok(())
    }

    /// One lane, second: settles one part after another.
    pub(crate) fn settle(&self, shared: &Shared) -> Result<(), LakeError> {
        while let Some(i) = shared.take(self.parts()) {
            self.part(i)?;
            shared.advance(1)?;
        }
        Ok(())
    }

    /// Third, by one alone: what only the rows of the batch can tell.
    pub(crate) fn settle_ties(&self) -> Result<(), LakeError> {
        self.tied(std::mem::take(&mut *self.ties.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// One lane, fourth: what only the stored rows can tell, of one stored file after another.
    pub(crate) fn compare(&self, shared: &Shared) -> Result<(), LakeError> {
        while let Some(i) = shared.take(self.stored_files()) {
            let (probed, file) = self.stored(i);
            let duplicates = self.asking(|asking| probed.finish(file, asking))?;
            self.duplicates.fetch_add(duplicates, Relaxed);
            shared.advance(1)?;
        }
        Ok(())
    }

    /// One lane, last: one key file after another.
    pub(crate) fn finish_keys(&self, shared: &Shared) -> Result<(), LakeError> {
        self.keyed.finish(shared, self.candidates.rows.syncs())
    }

    pub(crate) fn result(&self) -> Settled {
        Settled {
            gone: Gone { rows: self.gone.rows(), graves: self.gone_graves.rows() },
            superseded: self.table.superseded(),
            replacing: self.replacing.rows(),
            duplicates: self.duplicates.load(Relaxed),
        }
    }

    fn stored(&self, i: usize) -> (&Probed, usize) {
        match &self.graves {
            Some(graves) if i >= self.table.files() => (graves, i - self.table.files()),
            _ => (&self.table, i),
        }
    }

    fn part(&self, i: usize) -> Result<(), LakeError> {
        let mut all = self.candidates.parts.read(i)?;
        if self.ended {
            all.retain(|c| !self.is_gone(c.spot));
        }
        let decided = winners::decide(&all);
        drop(all);
        decided.losers.iter().for_each(|spot| self.goes(*spot));
        self.against_table(&decided.winners)?;
        let standing = decided.winners.iter().filter(|c| !self.is_gone(c.spot)).chain(decided.ties.top()).copied();
        self.keyed.add(i, standing)?;
        let enough = {
            let mut ties = self.ties.lock().unwrap_or_else(PoisonError::into_inner);
            ties.append(decided.ties);
            if ties.rows() > TIE_ROWS { std::mem::take(&mut *ties) } else { Ties::default() }
        };
        self.tied(enough)
    }

    fn tied(&self, ties: Ties) -> Result<(), LakeError> {
        if ties.rows() == 0 {
            return Ok(());
        }
        let settled = ties.settle(&self.keys, &self.candidates, &self.meter)?;
        self.duplicates.fetch_add(settled.duplicates, Relaxed);
        settled.losers.iter().for_each(|spot| self.goes(*spot));
        self.against_table(&settled.winners)
    }

    fn against_table(&self, winners: &[Candidate]) -> Result<(), LakeError> {
        // Few parts leave lanes without work.
        let threads = lanes::count() / self.parts().max(1);
        self.asking(|asking| {
            let mut duplicates = self.table.ask(winners, threads, asking)?;
            if let Some(graves) = &self.graves {
                duplicates += graves.ask(winners, threads, asking)?;
            }
            self.duplicates.fetch_add(duplicates, Relaxed);
            Ok(())
        })
    }

    fn asking<T>(&self, ask: impl FnOnce(&Asking<'_>) -> Result<T, LakeError>) -> Result<T, LakeError> {
        let tell = |spot: Spot, fate| match fate {
            Fate::Outdated => self.goes(spot),
            Fate::Replaces if !spot.deletes() => self.replacing.set(spot),
            Fate::Replaces => {}
        };
        let (keys, candidates, meter) = (&self.keys, &self.candidates, &*self.meter);
        ask(&Asking { keys, candidates, meter, tell: &tell })
    }

    fn goes(&self, spot: Spot) {
        let gone = if spot.deletes() { &self.gone_graves } else { &self.gone };
        gone.set(spot);
    }

    fn is_gone(&self, spot: Spot) -> bool {
        let gone = if spot.deletes() { &self.gone_graves } else { &self.gone };
        gone.has(spot)
    }
}

/// Staged files with their vectors, written as one file; those without a row that stands are dropped.
pub(crate) fn mark(
    stager: &Arc<crate::stage::Stager>,
    files: Vec<StagedFile>,
    gone: &BTreeMap<u32, Rows>,
    stored: &[&Rows],
    id: u128,
) -> Result<(Vec<StagedFile>, Vec<deltalake::kernel::DeletionVectorDescriptor>), LakeError> {
    let whole = |f: &StagedFile| gone.get(&f.number).is_some_and(|g| g.len() >= f.rows);
    let (empty, mut kept): (Vec<_>, Vec<_>) = files.into_iter().partition(whole);
    crate::stage::discard(stager.dir(), &empty);
    let marked: Vec<&Rows> = kept.iter().filter_map(|f| gone.get(&f.number)).chain(stored.iter().copied()).collect();
    let mut written = crate::vector::write(stager.dir(), id, &marked, stager.syncs())?.into_iter();
    for f in kept.iter_mut().filter(|f| gone.contains_key(&f.number)) {
        f.vector = written.next();
    }
    Ok((kept, written.collect()))
}
