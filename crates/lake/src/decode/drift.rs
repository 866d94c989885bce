//! How an object differs from the columns expected of it. Filled while decoding; the bronze step reports it.

use alluvium_spec::DriftKind;
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
    /// Fields that were taken for a column whose name has other letters: the column, and the number of records.
    pub recased: BTreeMap<String, (String, u64)>,
    /// Two columns that the object has in another order: the one that comes first there, and one that comes before it here.
    pub reordered: Option<(String, String)>,
    /// What differs inside of columns, by path, with the number of records.
    pub inside: BTreeMap<DriftKind, BTreeMap<String, u64>>,
    /// Paths inside of columns that their contract names, and whether some record had them.
    pub inside_known: BTreeMap<String, bool>,
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

    pub(super) fn recase(&mut self, name: &str, column: &str, records: u64) {
        if let Some((_, n)) = self.recased.get_mut(name) {
            *n += records;
        } else if self.recased.len() < NAMES_LIMIT {
            self.recased.insert(super::names::cut(name).to_owned(), (column.to_owned(), records));
        }
    }

    /// `columns`: the columns of the object's fields in their order, by their place here.
    pub(super) fn order<'n>(&mut self, columns: impl Iterator<Item = usize>, name: impl Fn(usize) -> &'n str) {
        let mut before: Option<usize> = None;
        for column in columns {
            if let Some(earlier) = before.filter(|b| *b > column) {
                self.reordered = Some((name(earlier).to_owned(), name(column).to_owned()));
                return;
            }
            before = Some(column);
        }
    }

    /// A difference inside of a column, in so many records.
    pub fn inside(&mut self, kind: DriftKind, path: &str, records: u64) {
        let of_kind = self.inside.entry(kind).or_default();
        if let Some(n) = of_kind.get_mut(path) {
            *n += records;
        } else if of_kind.len() < NAMES_LIMIT {
            of_kind.insert(super::names::cut(path).to_owned(), records);
        }
    }

    /// A field inside of a column that the contract names, in a record that could have it.
    pub fn inside_known(&mut self, path: &str, found: bool) {
        if let Some(known) = self.inside_known.get_mut(path) {
            *known |= found;
        } else if self.inside_known.len() < NAMES_LIMIT {
            self.inside_known.insert(path.to_owned(), found);
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
        for (name, (column, records)) in &part.recased {
            self.recase(name, column, *records);
        }
        self.merge_inside(part);
    }

    /// Adds what was found inside of columns.
    pub fn merge_inside(&mut self, part: &Self) {
        for (kind, paths) in &part.inside {
            paths.iter().for_each(|(path, records)| self.inside(*kind, path, *records));
        }
        for (path, found) in &part.inside_known {
            self.inside_known(path, *found);
        }
    }
}
