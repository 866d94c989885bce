//! How many different values there are: exact up to a bound, an estimate beyond it, in bounded memory.
//!
//! The least hashes are kept (k minimum values). They are the same in any order and however the values are split.

use siphasher::sip::SipHasher13;
use std::collections::BTreeSet;

/// Hashes that are kept; beyond so many values the count is right within about 1 %.
pub(super) const KEPT: usize = 16_384;
const BYTES_PER_HASH: usize = 8;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Distinct(BTreeSet<u64>);

impl Distinct {
    pub(super) fn add(&mut self, value: &[u8]) {
        // Without a key, so that every process counts alike.
        self.keep(SipHasher13::new().hash(value));
    }

    fn keep(&mut self, hash: u64) {
        if self.0.len() == KEPT {
            match self.0.last() {
                Some(last) if *last > hash => {}
                _ => return,
            }
        }
        if self.0.insert(hash) && self.0.len() > KEPT {
            self.0.pop_last();
        }
    }

    pub(super) fn count(&self) -> u64 {
        let kept = self.0.len();
        match self.0.last() {
            // The last of the least lies where so many of all would lie, spread evenly.
            Some(last) if kept == KEPT => ((kept - 1) as f64 / (*last as f64 / u64::MAX as f64)).round() as u64,
            _ => kept as u64,
        }
    }

    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.0.len() * 2 * BYTES_PER_HASH
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|h| h.to_le_bytes()).collect()
    }

    /// Adds what [`Distinct::to_bytes`] wrote.
    pub(super) fn merge(&mut self, bytes: &[u8]) {
        for hash in bytes.as_chunks::<BYTES_PER_HASH>().0 {
            self.keep(u64::from_le_bytes(*hash));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: std::ops::Range<u64>) -> Distinct {
        let mut distinct = Distinct::default();
        values.for_each(|v| distinct.add(&v.to_le_bytes()));
        distinct
    }

    #[test]
    fn up_to_the_bound_it_is_exact() {
        assert_eq!([of(0..0), of(0..7), of(0..KEPT as u64 - 1)].map(|d| d.count()), [0, 7, KEPT as u64 - 1]);
    }

    #[test]
    fn beyond_it_the_count_is_near_and_the_same_however_it_is_split() {
        let all = of(0..200_000);
        assert!(all.count().abs_diff(200_000) < 5_000, "{}", all.count());
        let mut halves = of(90_000..200_000);
        halves.merge(&of(0..110_000).to_bytes());
        assert_eq!(halves, all);
    }
}
