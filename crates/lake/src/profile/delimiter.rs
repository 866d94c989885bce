//! What stands between the fields of text files, where their names do not say it. One dataset reads with one delimiter.

use std::collections::BTreeMap;

/// Those that a file can have without its name saying so.
const DELIMITERS: [u8; 3] = [b';', b'\t', b'|'];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delimited {
    /// It has one column at most, or is no such text: any delimiter is right.
    Unknown,
    /// As its name says.
    AsNamed(u8),
    /// Otherwise than its name says.
    By(u8),
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OfAll {
    /// Has to be named, and reads all of them.
    pub one: Option<u8>,
    /// How many files have which, if there is none for all; else empty.
    pub differ: BTreeMap<u8, usize>,
}

/// The order of the files makes no difference.
pub(super) fn of_all(files: impl Iterator<Item = Delimited>) -> OfAll {
    let mut all: BTreeMap<u8, usize> = BTreeMap::new();
    let mut unnamed = false;
    for file in files {
        match file {
            Delimited::Unknown => continue,
            Delimited::AsNamed(d) => *all.entry(d).or_default() += 1,
            Delimited::By(d) => {
                unnamed = true;
                *all.entry(d).or_default() += 1;
            }
        }
    }
    match (unnamed, all.len()) {
        (false, _) => OfAll::default(),
        (true, 1) => OfAll { one: all.into_keys().next(), differ: BTreeMap::new() },
        (true, _) => OfAll { one: None, differ: all },
    }
}

/// Those that could divide the only column of a file, by its name.
pub(super) fn in_name(name: &str) -> impl Iterator<Item = u8> {
    // A tab in a name is shown as `_`.
    DELIMITERS.into_iter().filter(move |d| name.as_bytes().contains(d) || *d == b'\t')
}

#[cfg(test)]
mod tests {
    use super::{Delimited::*, *};

    #[test]
    fn one_for_all_or_each_with_its_files() {
        let of = |files: &[Delimited]| of_all(files.iter().copied());
        assert_eq!(of(&[AsNamed(b','), AsNamed(b'\t'), Unknown]), OfAll::default());
        assert_eq!(of(&[Unknown, By(b';')]).one, Some(b';'));
        assert_eq!(of(&[AsNamed(b'\t'), By(b'\t')]).one, Some(b'\t'));
        let differ = BTreeMap::from([(b',', 2), (b';', 1)]);
        assert_eq!(of(&[AsNamed(b','), By(b';'), AsNamed(b',')]), OfAll { one: None, differ });
    }
}
