//! The records as hashes: which columns tell them apart.

use hashbrown::HashSet;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// Of all columns together.
const MOST_BYTES: usize = 64 << 20;

/// A hash of every value, in the order of the records; 0 for what is no value. Keeps the first records only, where there are very many.
#[derive(Debug, Default)]
pub struct RowHashes {
    pub(super) columns: Vec<Vec<u64>>,
    most_rows: usize,
}

pub(super) fn hash(text: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(text.as_bytes());
    hasher.finish().max(1)
}

impl RowHashes {
    pub(super) fn new(columns: usize) -> Self {
        let most_rows = MOST_BYTES / size_of::<u64>() / columns.max(1);
        Self { columns: vec![Vec::new(); columns], most_rows }
    }

    pub(super) fn push(&mut self, column: usize, text: Option<&str>) {
        let of = &mut self.columns[column];
        if of.len() < self.most_rows {
            of.push(text.map_or(0, hash));
        }
    }

    /// Whether no two of the records that are kept have the same values in all of these columns.
    pub fn unique(&self, columns: &[usize]) -> bool {
        let rows = columns.first().map_or(0, |c| self.columns[*c].len());
        let mut seen = HashSet::new();
        (0..rows).all(|row| {
            // Each step mixes what came before, so that the order of the columns counts.
            let all = columns.iter().fold(0_u64, |h, c| {
                let mixed = (h ^ self.columns[*c][row]).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                mixed ^ (mixed >> 32)
            });
            seen.insert(all)
        })
    }

    /// The different values of a column, of the records that are kept.
    pub(super) fn different(&self, column: usize) -> HashSet<u64> {
        self.columns[column].iter().copied().filter(|h| *h != 0).collect()
    }
}
