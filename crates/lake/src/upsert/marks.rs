//! Rows of a step's staged files, marked by lanes side by side: one bit a row.

use super::candidates::Spot;
use crate::{stage::StagedFile, vector::Rows};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// By the number of the file.
#[derive(Debug, Default)]
pub(super) struct Marks(Vec<Vec<AtomicU64>>);

impl Marks {
    pub(super) fn of(files: &[StagedFile]) -> Self {
        let mut all = Self::default();
        for f in files {
            let words = f.rows.div_ceil(64);
            let number = f.number as usize;
            all.0.resize_with(all.0.len().max(number + 1), Vec::new);
            all.0[number].extend((0..words).map(|_| AtomicU64::new(0)));
        }
        all
    }

    pub(super) fn set(&self, spot: Spot) {
        let (word, bit) = place(spot);
        self.0[spot.file() as usize][word].fetch_or(bit, Relaxed);
    }

    pub(super) fn has(&self, spot: Spot) -> bool {
        let (word, bit) = place(spot);
        self.0[spot.file() as usize][word].load(Relaxed) & bit != 0
    }

    /// The marked rows of the files that have any.
    pub(super) fn rows(&self) -> BTreeMap<u32, Rows> {
        let marked = |words: &Vec<AtomicU64>| -> Rows {
            let set = |(w, bits): (u64, &AtomicU64)| {
                let bits = bits.load(Relaxed);
                (0..64).filter(move |b| bits >> b & 1 == 1).map(move |b| w * 64 + b)
            };
            Rows::from_sorted_iter((0..).zip(words).flat_map(set)).expect("rows ascend")
        };
        (0..).zip(&self.0).map(|(n, words)| (n, marked(words))).filter(|(_, rows)| !rows.is_empty()).collect()
    }
}

fn place(spot: Spot) -> (usize, u64) {
    (spot.row() as usize / 64, 1 << (spot.row() % 64))
}
