//! Batch against table: which stored rows are superseded, and which candidates the table already outdates.

use super::{
    candidates::{Candidates, Spot, numbered},
    content::Content,
    index,
    keys::Keys,
    winners::Winners,
};
use crate::{
    error::LakeError,
    lanes::Shared,
    meter::Meter,
    scan::{Pick, Source},
    vector::Rows,
};
use arrow::datatypes::SchemaRef;
use std::{
    cmp::Ordering,
    collections::BTreeMap,
    path::Path,
    sync::atomic::{AtomicU8, Ordering::Relaxed},
};

/// What the table says of one winner.
pub(crate) const NEW: u8 = 0;
/// A stored row makes way for it.
pub(super) const REPLACES: u8 = 1;
/// The table holds a later row (or the same one): it changes nothing.
pub(super) const OUTDATED: u8 = 2;

/// Result of probing all files that can hold the batch's keys.
#[derive(Default)]
pub(crate) struct Probed {
    /// File to its superseded rows.
    pub(crate) superseded: BTreeMap<usize, Rows>,
    /// Those of them whose key the batch deletes.
    pub(super) deleted: BTreeMap<usize, Rows>,
    /// Winners with the key and the sequence of a stored row.
    pub(crate) duplicates: u64,
}

/// A stored row whose sequence prefix equals the winner's.
struct Close {
    row: u64,
    winner: usize,
}

/// The files that lanes share: those of a table, or those with its deleted keys.
pub(crate) struct Stored<'a> {
    /// The table's folder.
    pub(crate) dir: &'a Path,
    pub(crate) sources: &'a [Source],
    pub(crate) schema: &'a SchemaRef,
    /// Rows of deleted keys: such a row makes way for nothing, and wins at an equal sequence.
    pub(crate) graves: bool,
}

/// One lane: file after file. `fate` has one entry a winner and is shared by the lanes.
pub(crate) fn probe(
    keys: &Keys,
    stored: &Stored<'_>,
    winners: &Winners,
    candidates: &Candidates,
    fate: &[AtomicU8],
    meter: &Meter,
    shared: &Shared,
) -> Result<Probed, LakeError> {
    let mut probed = Probed::default();
    while let Some(file) = shared.take(stored.sources.len()) {
        let source = &stored.sources[file];
        let rows = index::open_or_make(stored.dir, source, keys, stored.schema, meter)?;
        let mut close = Vec::new();
        let (mut superseded, mut deleted) = (Rows::new(), Rows::new());
        rows.probe(
            winners.len(),
            |w| winners.all[w].key,
            |w, entry| {
                let row = u64::from(entry.row);
                if matches!(&source.pick, Pick::Without(gone) if gone.contains(row)) {
                    return Ok(());
                }
                match winners.all[w].sequence.cmp(&entry.sequence) {
                    Ordering::Greater if stored.graves => {}
                    Ordering::Greater => {
                        fate[w].store(REPLACES, Relaxed);
                        superseded.insert(row);
                        if winners.all[w].spot.deletes() {
                            deleted.insert(row);
                        }
                    }
                    Ordering::Less => fate[w].store(OUTDATED, Relaxed),
                    Ordering::Equal => close.push(Close { row, winner: w }),
                }
                Ok(())
            },
        )?;
        probed.duplicates +=
            decide(keys, stored, source, winners, candidates, fate, meter, close, (&mut superseded, &mut deleted))?;
        if !superseded.is_empty() {
            probed.superseded.insert(file, superseded);
            probed.deleted.insert(file, deleted);
        }
        shared.advance(1)?;
    }
    Ok(probed)
}

/// Compares the rows themselves where the start of their sequences does not tell; answers the number of duplicates.
#[expect(clippy::too_many_arguments, reason = "the tail of `probe`")]
fn decide(
    keys: &Keys,
    stored: &Stored<'_>,
    source: &Source,
    winners: &Winners,
    candidates: &Candidates,
    fate: &[AtomicU8],
    meter: &Meter,
    mut close: Vec<Close>,
    (superseded, deleted): (&mut Rows, &mut Rows),
) -> Result<u64, LakeError> {
    if close.is_empty() {
        return Ok(0);
    }
    close.sort_unstable_by_key(|c| c.row);
    let rows: Vec<u64> = close.iter().map(|c| c.row).collect();
    let theirs = numbered(source, stored.schema, &rows, meter)?;
    let theirs = Content::of(keys, &arrow::compute::concat_batches(stored.schema, &theirs)?)?;
    let mut spots: Vec<Spot> = close.iter().map(|c| winners.all[c.winner].spot).collect();
    spots.sort_unstable();
    let ours = Content::of(keys, &candidates.fetch(&spots, meter)?)?;
    let mut duplicates = 0;
    for (i, c) in close.iter().enumerate() {
        let w = spots.binary_search(&winners.all[c.winner].spot).expect("every close winner was fetched");
        let same = ours.same_sequence(w, &theirs, i);
        duplicates += u64::from(same);
        if ours.beats(w, &theirs, i) && !(stored.graves && same) {
            if !stored.graves {
                fate[c.winner].store(REPLACES, Relaxed);
                superseded.insert(c.row);
                if winners.all[c.winner].spot.deletes() {
                    deleted.insert(c.row);
                }
            }
        } else {
            fate[c.winner].store(OUTDATED, Relaxed);
        }
    }
    Ok(duplicates)
}

impl Probed {
    pub(crate) fn merge(parts: Vec<Self>) -> Self {
        let mut all = Self::default();
        for p in parts {
            all.duplicates += p.duplicates;
            all.superseded.extend(p.superseded);
            all.deleted.extend(p.deleted);
        }
        all
    }
}
