//! One row a key, the latest by sequence, in any order of arrival and any split into batches.
//!
//! Called by the silver step; `history` is for those that keep a row for each version. Accepted rows go straight into
//! staged files; only their keys stay in memory (48 bytes a candidate), and beyond a bound in scratch files. What does
//! not stand, staged or stored, is marked in deletion vectors: no file is written twice. A file
//! of keys beside each data file tells which rows a batch supersedes without reading the table.

mod candidates;
mod content;
mod feed;
mod history;
mod index;
mod keyed;
mod keys;
mod marks;
mod probe;
mod runs;
mod settle;
mod truncates;
mod winners;

pub(crate) use candidates::{CandidateLane, CandidatePart, Candidates};
pub(crate) use feed::{changes, feed_schema, write_feed};
pub(crate) use history::{
    ArrivalLane, ArrivalPart, Arrivals, Chunk, Compared, Comparing, Decided, Deciding, Fates, Past, Shape, Stagers,
    Writer, Written, deletions, version_fields,
};
pub(crate) use index::{make as make_keys, path_of as keys_of_file};
pub(crate) use keys::Keys;
pub(crate) use probe::Stored;
pub(crate) use runs::Room;
pub(crate) use settle::{Settled, Settling, mark};
pub(crate) use truncates::Truncates;
