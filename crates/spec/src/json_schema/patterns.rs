//! The patterns of one document, each compiled once.

use regex::Regex;
use std::{cell::RefCell, collections::BTreeMap};

/// Different patterns of a document that are compiled; those after them count as ones that cannot be.
const MOST_PATTERNS: usize = 1_000;
const MOST_BYTES: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Patterns(RefCell<BTreeMap<String, Option<Regex>>>);

impl Patterns {
    /// Patterns of JSON Schema match anywhere in a text. `None`: this one cannot be compiled, so nobody knows.
    pub(super) fn matches(&self, pattern: &str, text: &str) -> Option<bool> {
        let mut known = self.0.borrow_mut();
        if !known.contains_key(pattern) {
            let compile = || regex::RegexBuilder::new(pattern).size_limit(MOST_BYTES).build().ok();
            let compiled = if known.len() < MOST_PATTERNS { compile() } else { return None };
            known.insert(pattern.to_owned(), compiled);
        }
        known.get(pattern)?.as_ref().map(|r| r.is_match(text))
    }
}
