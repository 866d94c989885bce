//! What was found in files, before anything is concluded from it. Made by lake.

use crate::ColumnType;
use alluvium_model::DatasetName;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub files: usize,
    /// Records that became rows.
    pub records: u64,
    /// Records that did not, by why.
    pub malformed: BTreeMap<&'static str, u64>,
    /// Some file has more records than were looked at.
    pub sampled: bool,
    /// There are text files and typed ones.
    pub mixed: bool,
    /// What the text files have between their fields, where it is not what their names say.
    pub delimiter: Option<u8>,
    /// How many text files have which delimiter, where one dataset cannot read them all for that; else empty.
    pub delimiters: BTreeMap<u8, usize>,
    /// What they seem to have between their fields, where the dataset that reads them takes something else.
    pub unread_delimiter: Option<u8>,
    /// Columns that a contract cannot have, and why.
    pub left_out: Vec<(String, &'static str)>,
    /// In the order in which they came first. No two have the same name but for the case of letters.
    pub columns: Vec<ColumnFacts>,
}

#[derive(Debug, Clone, Default)]
pub struct ColumnFacts {
    /// As the source has it.
    pub name: String,
    /// The same name with other letters large, as some files have it. What they hold of it is not looked at.
    pub spellings: BTreeSet<String>,
    /// The type that the files themselves give it, as Parquet does; `None`: it came as text without one.
    pub declared: Option<ColumnType>,
    pub nulls: u64,
    /// Values that are in [`super::NULL_WORDS`], and how often.
    pub words: BTreeMap<String, u64>,
    /// Values that are neither null nor such a word. The rest is about these, without white space around them.
    pub values: u64,
    /// Values with white space around them.
    pub padded: u64,
    /// Texts of a source that has numbers, too, and wrote these as text.
    pub quoted: u64,
    /// Of the longest value, in characters.
    pub longest: u64,
    pub known: Known,
    pub numbers: Numbers,
    pub times: Times,
    pub texts: Texts,
    /// Values that are no JSON object or array.
    pub not_json: Misses,
    pub nested: NestedFacts,
    /// A dataset in which every value of it is a key.
    pub refers: Option<Referred>,
}

/// The different values.
#[derive(Debug, Clone)]
pub enum Known {
    /// Every one, and how often it came.
    All(BTreeMap<String, u64>),
    /// Too many to keep.
    Many,
}

impl Default for Known {
    fn default() -> Self {
        Self::All(BTreeMap::new())
    }
}

/// Values that do not read as a type.
#[derive(Debug, Clone, Default)]
pub struct Misses {
    pub values: u64,
    /// The least of them, cut.
    pub example: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Numbers {
    pub not_integer: Misses,
    pub not_decimal: Misses,
    pub not_number: Misses,
    /// Values that only a code has: digits behind a zero, or a telephone's `+`.
    pub codes: Misses,
    /// Digits before the point, of the value that has most.
    pub whole_digits: u32,
    /// Digits behind the point: fewest and most.
    pub fraction_digits: Option<(u32, u32)>,
    /// Values that a 64-bit float would not give back digit by digit.
    pub inexact: u64,
    pub least: Option<f64>,
    pub most: Option<f64>,
}

#[derive(Debug, Clone, Default)]
pub struct Times {
    pub not_date: Misses,
    pub not_timestamp: Misses,
    pub not_time: Misses,
    /// Those of [`super::FORMATS`] that read every value, by their place.
    pub formats: BTreeSet<usize>,
    /// Days of the first and the last of what reads as ISO 8601: `YYYY-MM-DD`.
    pub first: Option<String>,
    pub last: Option<String>,
}

/// Numbers of values that have a form.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    pub emails: u64,
    pub uuids: u64,
    pub addresses: u64,
    pub urls: u64,
    pub phones: u64,
    pub ibans: u64,
    pub cards: u64,
    /// Which of the words of [`crate::ColumnType::Boolean`] came, in lower case.
    pub booleans: BTreeSet<&'static str>,
    pub not_boolean: u64,
    /// A regular expression that all values match, because they are built alike.
    pub shape: Option<String>,
}

/// What values inside of JSON are.
#[derive(Debug, Clone, Default)]
pub struct NestedFacts {
    pub strings: u64,
    pub integers: u64,
    pub numbers: u64,
    pub booleans: u64,
    pub arrays: u64,
    pub objects: u64,
    /// Objects with a name that is a value, as an e-mail address or a number is. Such names are not kept.
    pub keyed: u64,
    pub fields: BTreeMap<String, NestedFacts>,
    pub item: Option<Box<NestedFacts>>,
}

#[derive(Debug, Clone)]
pub struct Referred {
    pub dataset: DatasetName,
    pub column: String,
    /// Different values of the column that were looked for.
    pub found: u64,
    /// Keys that the dataset has.
    pub keys: u64,
}

impl ColumnFacts {
    /// The different values; `None`: too many to say.
    pub(super) fn different(&self) -> Option<u64> {
        match &self.known {
            Known::All(values) => Some(values.len() as u64),
            Known::Many => None,
        }
    }
}
