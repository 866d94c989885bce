//! Uniqueness among the accepted rows of a step.

use crate::refine::{RefineError, frame::Frame, types::arrow_type};
use alluvium_spec::ColumnType;
use arrow::{
    array::{Array, ArrayRef},
    row::{RowConverter, SortField},
};
use hashbrown::HashSet;
use std::sync::{Mutex, PoisonError};

/// Turns the columns of a rule into keys.
#[derive(Debug)]
pub(crate) struct KeyHasher(RowConverter);

impl KeyHasher {
    pub fn new(kinds: impl Iterator<Item = ColumnType>) -> Result<Self, RefineError> {
        let fields = kinds.map(|k| SortField::new(arrow_type(k))).collect();
        RowConverter::new(fields).map(Self).map_err(RefineError::arrow("preparing a unique key"))
    }

    /// 128 bits of a keyed hash for each row; `None` where a column is null, since nulls never collide.
    pub fn keys(&self, frame: &Frame, columns: &[String], seed: &[u8; 32]) -> Result<Vec<Option<u128>>, RefineError> {
        let columns: Vec<ArrayRef> = columns.iter().filter_map(|c| frame.get(c).cloned()).collect();
        let rows = self.0.convert_columns(&columns).map_err(RefineError::arrow("reading a unique key"))?;
        let key = |row: usize| {
            if columns.iter().any(|c| c.is_null(row)) {
                return None;
            }
            let hash = blake3::keyed_hash(seed, rows.row(row).as_ref());
            let first = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
            Some(u128::from_le_bytes(*first))
        };
        Ok((0..frame.rows()).map(key).collect())
    }
}

/// The keys accepted so far, one set for each `unique` rule. Shared by the workers of a step; 16 bytes a key.
#[derive(Debug)]
pub(crate) struct Seen(Mutex<Vec<HashSet<u128>>>);

impl Seen {
    pub fn new(rules: usize) -> Self {
        Self(Mutex::new(vec![HashSet::new(); rules]))
    }

    /// For each row the rules (by position) under which its key was there before. A row that breaks a rule which
    /// `removes` claims no key, nor does one that `candidate` excludes: it is not accepted.
    pub fn claim(
        &self,
        keys: &[Vec<Option<u128>>],
        removes: &[bool],
        candidate: impl Fn(usize) -> bool,
    ) -> Vec<(usize, usize)> {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut broken = Vec::new();
        for row in (0..keys.first().map_or(0, Vec::len)).filter(|r| candidate(*r)) {
            let first = broken.len();
            for (rule, keys) in keys.iter().enumerate() {
                if keys[row].is_some_and(|k| sets[rule].contains(&k)) {
                    broken.push((row, rule));
                }
            }
            if broken[first..].iter().any(|(_, rule)| removes[*rule]) {
                continue;
            }
            for (rule, keys) in keys.iter().enumerate() {
                sets[rule].extend(keys[row]);
            }
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_not_accepted_claims_nothing() {
        let seen = Seen::new(2);
        let keys = [vec![Some(1), Some(1), Some(2), None, None], vec![Some(7), Some(8), Some(8), Some(7), None]];
        let broken = seen.claim(&keys, &[true, true], |row| row != 4);
        // Row 1 leaves, so its key 8 is free for row 2.
        assert_eq!(broken, [(1, 0), (3, 1)]);
        assert_eq!(seen.claim(&[vec![Some(2)], vec![None]], &[true, true], |_| true), [(0, 0)]);
    }

    #[test]
    fn a_rule_that_only_counts_keeps_the_row() {
        let seen = Seen::new(1);
        assert_eq!(seen.claim(&[vec![Some(1), Some(1), Some(1)]], &[false], |_| true), [(1, 0), (2, 0)]);
    }
}
