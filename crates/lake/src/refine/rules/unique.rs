//! Uniqueness among the accepted rows of a step.

use crate::refine::{RefineError, frame::Frame, types::arrow_type};
use alluvium_spec::ColumnType;
use arrow::{
    array::{Array, ArrayRef, AsArray},
    buffer::NullBuffer,
    row::{RowConverter, SortField},
};
use hashbrown::{HashTable, hash_table::Entry};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::{
    hash::Hasher,
    sync::{Mutex, PoisonError},
};

/// Turns the columns of a rule into keys.
#[derive(Debug)]
pub(crate) enum KeyHasher {
    /// One column of text, by its bytes.
    Text,
    Rows(RowConverter),
}

impl KeyHasher {
    pub fn new(kinds: impl Iterator<Item = ColumnType>) -> Result<Self, RefineError> {
        let kinds: Vec<_> = kinds.collect();
        if kinds == [ColumnType::String] {
            return Ok(Self::Text);
        }
        let fields = kinds.into_iter().map(|k| SortField::new(arrow_type(k))).collect();
        RowConverter::new(fields).map(Self::Rows).map_err(RefineError::arrow("preparing a unique key"))
    }

    /// 128 bits of a keyed hash for each row; `None` where a column is null, since nulls never collide.
    pub fn keys(&self, frame: &Frame, columns: &[String], seed: &[u8; 16]) -> Result<Vec<Option<u128>>, RefineError> {
        let columns: Vec<ArrayRef> = columns.iter().filter_map(|c| frame.get(c).cloned()).collect();
        let nulls = columns.iter().fold(None, |all, c| NullBuffer::union(all.as_ref(), c.nulls()));
        let keyed = SipHasher13::new_with_key(seed);
        let key = |row: usize, bytes: &[u8]| {
            let mut hasher = keyed;
            hasher.write(bytes);
            nulls.as_ref().is_none_or(|n| n.is_valid(row)).then(|| hasher.finish128().as_u128())
        };
        Ok(match self {
            Self::Text => {
                let text = columns[0].as_string::<i32>();
                (0..text.len()).map(|row| key(row, text.value(row).as_bytes())).collect()
            }
            Self::Rows(converter) => {
                let rows = converter.convert_columns(&columns).map_err(RefineError::arrow("reading a unique key"))?;
                rows.iter().enumerate().map(|(row, r)| key(row, r.as_ref())).collect()
            }
        })
    }
}

/// Tables that the keys of a rule are spread over: each grows by itself, so that little is moved at once, and in the cache.
const TABLES: usize = 64;

/// The keys of one rule.
#[derive(Debug, Clone)]
struct Keys(Vec<HashTable<u128>>);

impl Keys {
    fn new() -> Self {
        Self(vec![HashTable::new(); TABLES])
    }

    /// A key is a hash already: its upper half tells the table, its lower half the place in it.
    fn table(&mut self, key: u128) -> &mut HashTable<u128> {
        &mut self.0[(key >> 64) as usize % TABLES]
    }

    fn hash(key: &u128) -> u64 {
        *key as u64
    }

    fn has(&mut self, key: u128) -> bool {
        self.table(key).find(Self::hash(&key), |other| *other == key).is_some()
    }

    /// Whether the key is new.
    fn insert(&mut self, key: u128) -> bool {
        match self.table(key).entry(Self::hash(&key), |other| *other == key, Self::hash) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(key);
                true
            }
        }
    }
}

/// The keys accepted so far, for each `unique` rule. Shared by the workers of a step; 16 bytes a key.
#[derive(Debug)]
pub(crate) struct Seen(Mutex<Vec<Keys>>);

impl Seen {
    pub fn new(rules: usize) -> Self {
        Self(Mutex::new(vec![Keys::new(); rules]))
    }

    /// For each row the rules (by position) under which its key was there before. A row that breaks a rule which
    /// `removes` claims no key, nor does one that `candidate` excludes: it is not accepted.
    pub fn claim(
        &self,
        keys: &[Vec<Option<u128>>],
        removes: &[bool],
        candidate: impl Fn(usize) -> bool,
    ) -> Vec<(usize, usize)> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = (0..keys.first().map_or(0, Vec::len)).filter(|r| candidate(*r));
        if let ([keys], [seen]) = (keys, &mut seen[..]) {
            let again = |row: &usize| keys[*row].is_some_and(|key| !seen.insert(key));
            return rows.filter(again).map(|row| (row, 0)).collect();
        }
        let mut broken = Vec::new();
        for row in rows {
            let first = broken.len();
            for (rule, keys) in keys.iter().enumerate() {
                if keys[row].is_some_and(|key| seen[rule].has(key)) {
                    broken.push((row, rule));
                }
            }
            if broken[first..].iter().any(|(_, rule)| removes[*rule]) {
                continue;
            }
            for (rule, keys) in keys.iter().enumerate() {
                if let Some(key) = keys[row]
                    && !broken[first..].contains(&(row, rule))
                {
                    seen[rule].insert(key);
                }
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
