//! The records as hashes: which columns tell them apart.

use hashbrown::HashSet;
use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// Of all columns together.
const MOST_BYTES: usize = 64 << 20;

/// A hash of every value, in the order of the records; 0 for what is no value. Keeps the first records only, where there are very many.
#[derive(Debug, Default)]
pub struct RowHashes {
    columns: Vec<Vec<u64>>,
}

/// Those of one column.
#[derive(Debug)]
pub(super) struct Hashes {
    kept: Vec<u64>,
    most: usize,
}

pub(super) fn hash(text: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(text.as_bytes());
    hasher.finish().max(1)
}

impl Hashes {
    /// One of so many columns.
    pub(super) fn new(of: usize) -> Self {
        Self { kept: Vec::new(), most: MOST_BYTES / size_of::<u64>() / of.max(1) }
    }

    pub(super) fn push(&mut self, text: Option<&str>) {
        if self.kept.len() < self.most {
            self.kept.push(text.map_or(0, hash));
        }
    }
}

impl FromIterator<Hashes> for RowHashes {
    fn from_iter<I: IntoIterator<Item = Hashes>>(columns: I) -> Self {
        Self { columns: columns.into_iter().map(|c| c.kept).collect() }
    }
}

impl RowHashes {
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
