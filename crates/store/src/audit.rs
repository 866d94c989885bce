//! Calls that were refused, as values.

use jiff::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalKind {
    /// No valid signature.
    Forged,
    /// Signed, and too old or too far ahead.
    Stale,
    /// Signed, and known: acknowledged and not taken again.
    Replayed,
    TooLarge,
    TooFrequent,
    /// Signed, and not to be read.
    Malformed,
    /// The token is missing or wrong.
    Token,
    /// A cloud's notice of which no dataset is told.
    Unmatched,
    /// An event that breaks the schema of its type.
    Schema,
}

impl RefusalKind {
    pub(crate) const WORDS: &'static [(Self, &'static str)] = &[
        (Self::Forged, "forged"),
        (Self::Stale, "stale"),
        (Self::Replayed, "replayed"),
        (Self::TooLarge, "too_large"),
        (Self::TooFrequent, "too_frequent"),
        (Self::Malformed, "malformed"),
        (Self::Token, "token"),
        (Self::Unmatched, "unmatched"),
        (Self::Schema, "schema"),
    ];

    /// As the state's tables have it.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(k, _)| *k == self).expect("every kind has its word").1
    }
}

/// Refusals that are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Of the last one.
    pub at: Timestamp,
    pub kind: RefusalKind,
    pub path: String,
    /// Address of who called; `*`: of several.
    pub peer: String,
    pub reason: String,
    /// Of the call, as its sender names it.
    pub id: Option<String>,
    pub times: u64,
}
