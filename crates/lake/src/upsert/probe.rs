//! Batch against table: which stored rows are superseded, and which candidates the table already outdates.

use super::{
    candidates::{Candidates, Spot},
    content::Content,
    keys::Keys,
    winners::Winners,
};
use crate::{
    error::LakeError,
    lanes::Shared,
    meter::Meter,
    scan::{self, Unit},
};
use arrow::datatypes::SchemaRef;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU8, Ordering},
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
    /// File to its superseded rows, ascending.
    pub(super) superseded: BTreeMap<usize, Vec<u64>>,
    /// Those of them whose key the batch deletes.
    pub(super) deleted: BTreeSet<(usize, u64)>,
    /// Winners with the key and the sequence of a stored row.
    pub(crate) duplicates: u64,
}

/// A stored row whose sequence prefix equals the winner's.
struct Close {
    unit: usize,
    row: u64,
    winner: usize,
}

/// One lane: unit after unit. `fate` has one entry a winner and is shared by the lanes. With `tombstones`, the files
/// hold deleted keys: such a row makes way for nothing, and wins at an equal sequence.
#[expect(clippy::too_many_arguments, reason = "all of it is shared by the lanes of one call")]
pub(crate) fn probe(
    keys: &Keys,
    table: &SchemaRef,
    units: &[Unit],
    winners: &Winners,
    candidates: &Candidates,
    fate: &[AtomicU8],
    tombstones: bool,
    meter: &Meter,
    shared: &Shared,
) -> Result<Probed, LakeError> {
    let mut probed = Probed::default();
    let mut close = Vec::new();
    let names: Vec<String> = keys.keys.iter().chain(keys.sequence.iter()).cloned().collect();
    let columns = scan::project(table, &dedup(names))?;
    let encoder = keys.encoder(&columns)?;
    while let Some(u) = shared.take(units.len()) {
        let unit = &units[u];
        let mut row = 0;
        for batch in unit.read(&columns, meter)? {
            let batch = batch?;
            let stored = encoder.keys(&batch)?;
            let mut sequences: Option<Vec<u128>> = None;
            for (i, key) in stored.iter().enumerate() {
                let Some(w) = winners.find(*key) else { continue };
                if sequences.is_none() {
                    sequences = Some(encoder.sequences(&batch)?);
                }
                let sequence = sequences.as_ref().map_or(0, |s| s[i]);
                let here = row + i as u64;
                match winners.all[w].sequence.cmp(&sequence) {
                    std::cmp::Ordering::Greater if tombstones => {}
                    std::cmp::Ordering::Greater => {
                        fate[w].fetch_max(REPLACES, Ordering::Relaxed);
                        probed.supersede(unit, here, candidates.deletes(winners.all[w].spot));
                    }
                    std::cmp::Ordering::Less => {
                        fate[w].store(OUTDATED, Ordering::Relaxed);
                    }
                    std::cmp::Ordering::Equal => close.push(Close { unit: u, row: here, winner: w }),
                }
            }
            row += batch.num_rows() as u64;
        }
        shared.advance(unit.rows)?;
    }
    decide(keys, table, units, winners, candidates, fate, tombstones, meter, &close, &mut probed)?;
    Ok(probed)
}

#[expect(clippy::too_many_arguments, reason = "the tail of `probe`")]
fn decide(
    keys: &Keys,
    table: &SchemaRef,
    units: &[Unit],
    winners: &Winners,
    candidates: &Candidates,
    fate: &[AtomicU8],
    tombstones: bool,
    meter: &Meter,
    close: &[Close],
    probed: &mut Probed,
) -> Result<(), LakeError> {
    let mut rest = close;
    while let Some(first) = rest.first() {
        let n = rest.iter().take_while(|c| c.unit == first.unit).count();
        let (here, later) = rest.split_at(n);
        rest = later;
        let unit = &units[first.unit];
        let rows: Vec<u64> = here.iter().map(|c| c.row).collect();
        let stored: Vec<_> = unit.read_rows(table, meter, Some(&rows))?.collect::<Result<_, _>>()?;
        let stored = Content::of(keys, &arrow::compute::concat_batches(table, &stored)?)?;
        let mut spots: Vec<Spot> = here.iter().map(|c| winners.all[c.winner].spot).collect();
        spots.sort_unstable();
        let ours = Content::of(keys, &candidates.fetch(&spots)?)?;
        for (i, c) in here.iter().enumerate() {
            let w = spots.binary_search(&winners.all[c.winner].spot).expect("every close winner was fetched");
            let same = ours.same_sequence(w, &stored, i);
            probed.duplicates += u64::from(same);
            if ours.beats(w, &stored, i) && !(tombstones && same) {
                if !tombstones {
                    fate[c.winner].fetch_max(REPLACES, Ordering::Relaxed);
                    probed.supersede(unit, c.row, candidates.deletes(winners.all[c.winner].spot));
                }
            } else {
                fate[c.winner].store(OUTDATED, Ordering::Relaxed);
            }
        }
    }
    Ok(())
}

fn dedup(names: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for n in names {
        if !kept.contains(&n) {
            kept.push(n);
        }
    }
    kept
}

impl Probed {
    fn supersede(&mut self, unit: &Unit, row: u64, deleted: bool) {
        let row = unit.base + row;
        self.superseded.entry(unit.file).or_default().push(row);
        if deleted {
            self.deleted.insert((unit.file, row));
        }
    }

    /// Indices of the files that hold a superseded row.
    pub(crate) fn files(&self) -> impl Iterator<Item = usize> + '_ {
        self.superseded.keys().copied()
    }

    pub(crate) fn merge(parts: Vec<Self>) -> Self {
        let mut all = Self::default();
        for p in parts {
            all.duplicates += p.duplicates;
            all.deleted.extend(p.deleted);
            for (file, rows) in p.superseded {
                all.superseded.entry(file).or_default().extend(rows);
            }
        }
        for rows in all.superseded.values_mut() {
            rows.sort_unstable();
            rows.dedup();
        }
        all
    }
}
