//! A contract proposed for files, from what was found in them.
//!
//! Called by cli for `contract infer`; lake looks at the files and gives the [`Facts`]. Pure: facts in, texts and steps out. What is
//! proposed has to hold on every record that was looked at, and the same facts give the same text.

mod advice;
mod column;
mod facts;
mod key;
mod kind;
mod names;
mod nested;
mod personal;
mod propose;
mod range;
mod yaml;

pub use facts::{ColumnFacts, Facts, Known, Misses, NestedFacts, Numbers, Referred, Texts, Times};
pub use propose::{Naming, Proposal, ProposedColumn, propose};

/// Texts that often stand for "no value". Whether they do is decided by what else their column holds.
pub const NULL_WORDS: [&str; 17] =
    ["", "NA", "N/A", "n/a", "na", "NULL", "null", "Null", "None", "none", "NaN", "nan", "-", "--", "\\N", "#N/A", "?"];

/// Forms of dates and times that are tried beside ISO 8601, with the type that they give.
pub const FORMATS: [(&str, crate::ColumnType); 22] = {
    use crate::ColumnType::{Date, Time, Timestamp};
    [
        ("%Y/%m/%d", Date),
        ("%d/%m/%Y", Date),
        ("%m/%d/%Y", Date),
        ("%d.%m.%Y", Date),
        ("%d-%m-%Y", Date),
        ("%m-%d-%Y", Date),
        ("%d %b %Y", Date),
        ("%d-%b-%Y", Date),
        ("%b %d, %Y", Date),
        ("%Y%m%d", Date),
        ("%H:%M", Time),
        ("%Y/%m/%d %H:%M:%S", Timestamp),
        ("%d/%m/%Y %H:%M:%S", Timestamp),
        ("%m/%d/%Y %H:%M:%S", Timestamp),
        ("%d.%m.%Y %H:%M:%S", Timestamp),
        ("%Y/%m/%d %H:%M", Timestamp),
        ("%d/%m/%Y %H:%M", Timestamp),
        ("%m/%d/%Y %H:%M", Timestamp),
        ("%d.%m.%Y %H:%M", Timestamp),
        ("%a, %d %b %Y %H:%M:%S %z", Timestamp),
        ("%d/%b/%Y:%H:%M:%S %z", Timestamp),
        ("%Y-%m-%d %H:%M:%S %z", Timestamp),
    ]
};
