//! How an object differs from the columns expected of it. Filled while decoding; the bronze step reports it.

use std::collections::BTreeMap;

const NAMES_LIMIT: usize = 1_000;

/// Complete when the decoder has returned its last batch. At most 1,000 names in each list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drift {
    /// Fields outside the expected columns, with the number of records that had them. Their values are in `_rescued`.
    pub new_fields: BTreeMap<String, u64>,
    /// Occurrences of new fields beyond the names listed in `new_fields`.
    pub new_fields_unlisted: u64,
    /// Expected columns that the object does not have. Empty for an object without records.
    pub missing: Vec<String>,
    /// Expected columns of which some values are in `_rescued`.
    pub rescued: BTreeMap<String, Rescues>,
    /// Names in the object which could not be column names, and what was used instead.
    pub renamed: Vec<(String, String)>,
}

/// Numbers of values of one column that were rescued, by why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rescues {
    /// JSON nulls given explicitly.
    pub nulls: u64,
    /// JSON strings whose text reads as another JSON value.
    pub strings: u64,
    /// Records that gave the key more than once.
    pub duplicates: u64,
    /// Typed values that do not fit the column's type.
    pub retyped: u64,
}

impl Drift {
    pub(super) fn new_field(&mut self, name: &str, records: u64) {
        if let Some(n) = self.new_fields.get_mut(name) {
            *n += records;
        } else if self.new_fields.len() < NAMES_LIMIT {
            self.new_fields.insert(super::names::cut(name).to_owned(), records);
        } else {
            self.new_fields_unlisted += records;
        }
    }

    /// Counts records of an object in which every record has every field: those listed, and so many more.
    pub(super) fn every_record_had_new_fields(&mut self, records: u64, unlisted: u64) {
        self.new_fields.values_mut().for_each(|n| *n += records);
        self.new_fields_unlisted += unlisted * records;
    }

    pub(super) fn rename(&mut self, renamed: Vec<(String, String)>) {
        self.renamed = renamed;
        self.renamed.truncate(NAMES_LIMIT);
    }

    pub(super) fn set_missing<'n>(&mut self, names: impl Iterator<Item = &'n str>) {
        self.missing = names.take(NAMES_LIMIT).map(str::to_owned).collect();
    }

    pub(super) fn rescue(&mut self, name: &str, counts: Rescues) {
        if counts == Rescues::default() {
            return;
        }
        if self.rescued.len() >= NAMES_LIMIT && !self.rescued.contains_key(name) {
            return;
        }
        let total = self.rescued.entry(name.to_owned()).or_default();
        total.nulls += counts.nulls;
        total.strings += counts.strings;
        total.duplicates += counts.duplicates;
        total.retyped += counts.retyped;
    }
}

impl Drift {
    /// Adds what another thread found in its part of the same object. Both parts had rows.
    pub fn merge(&mut self, part: &Self) {
        for (name, records) in &part.new_fields {
            self.new_field(name, *records);
        }
        self.new_fields_unlisted += part.new_fields_unlisted;
        self.missing.retain(|name| part.missing.contains(name));
        for (name, counts) in &part.rescued {
            self.rescue(name, *counts);
        }
    }

    /// What a person should hear of, each with the number of records it concerns (0: the whole object).
    pub fn notes(&self) -> Vec<(String, u64)> {
        let new = self.new_fields.iter().map(|(n, records)| (format!("new field `{n}`, kept in _rescued"), *records));
        let missing = self.missing.iter().map(|n| (format!("expected field `{n}` is missing"), 0));
        let retyped = self.rescued.iter().filter(|(_, r)| r.retyped > 0);
        let retyped = retyped.map(|(n, r)| (format!("field `{n}` changed its type, kept in _rescued"), r.retyped));
        let renamed = self.renamed.iter().map(|(from, to)| (format!("field `{from}` is stored as `{to}`"), 0));
        new.chain(missing).chain(retyped).chain(renamed).collect()
    }
}
