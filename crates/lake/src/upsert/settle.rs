//! What stays of the staged files once the winners are known: vectors for the rest, and the files' keys.

use super::{
    candidates::Candidates,
    index::{self, Entry},
    keys::Keys,
    probe::OUTDATED,
    winners::Winners,
};
use crate::{error::LakeError, lanes::Shared, stage::StagedFile, vector::Rows};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
};

/// Rows of the staged files that do not stand, by the number of the file.
#[derive(Default)]
pub(crate) struct Gone {
    pub(crate) rows: BTreeMap<u32, Rows>,
    pub(crate) graves: BTreeMap<u32, Rows>,
}

pub(crate) fn gone(winners: &Winners, fate: &[AtomicU8]) -> Gone {
    let outdated = winners.all.iter().zip(fate).filter(|(_, f)| f.load(Relaxed) == OUTDATED).map(|(c, _)| c.spot);
    let mut spots: Vec<_> = winners.losers.iter().copied().chain(outdated).collect();
    spots.sort_unstable();
    let mut gone = Gone::default();
    for s in spots {
        let side = if s.deletes() { &mut gone.graves } else { &mut gone.rows };
        side.entry(s.file()).or_default().insert(u64::from(s.row()));
    }
    gone
}

/// One lane: writes the keys of one staged file after another, of the rows that stand.
pub(crate) fn write_keys(
    keys: &Keys,
    candidates: &Candidates,
    winners: &Winners,
    fate: &[AtomicU8],
    files: &[(bool, StagedFile)],
    shared: &Shared,
) -> Result<(), LakeError> {
    while let Some(i) = shared.take(files.len()) {
        let (graves, file) = &files[i];
        let stager = match &candidates.graves {
            Some(g) if *graves => g,
            _ => &candidates.rows,
        };
        let standing = winners.all.iter().zip(fate).filter(|(c, f)| {
            c.spot.deletes() == *graves && c.spot.file() == file.number && f.load(Relaxed) != OUTDATED
        });
        let entries: Vec<Entry> =
            standing.map(|(c, _)| Entry { key: c.key, sequence: c.sequence, row: c.spot.row() }).collect();
        let path = index::path_of(stager.dir(), &file.path);
        index::write(&path, keys.fingerprint(stager.schema())?, entries.len(), entries.iter().copied())?;
        shared.advance(file.rows)?;
    }
    Ok(())
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
    let mut written = crate::vector::write(stager.dir(), id, &marked)?.into_iter();
    for f in kept.iter_mut().filter(|f| gone.contains_key(&f.number)) {
        f.vector = written.next();
    }
    Ok((kept, written.collect()))
}
