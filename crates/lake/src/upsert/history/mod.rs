//! A row for each version of a key, whatever the order of arrival and the split into batches.
//!
//! Called by the silver step of a dataset that is `stored_as: scd2`. Each event that stands, one a key and sequence, is
//! kept once: in the table when it shows, which is the last of those in a row that say the same; else, as a deletion or as
//! one that the next repeats, in the table beside it. So what a late event splits is found again. Of a key's events only
//! those around the new ones are read; versions that do not change are not written again. What is beside is never taken
//! away: an event that shows again stands in both, and the table's counts.

mod arrivals;
mod compared;
mod decide;
mod needed;
mod past;
mod replay;
mod shape;
mod tracker;
mod truncated;
mod write;

pub(crate) use arrivals::{ArrivalLane, ArrivalPart, Arrivals};
pub(crate) use compared::{Compared, Comparing};
pub(crate) use decide::{Chunk, Decided, Deciding};
pub(crate) use past::Past;
pub(crate) use shape::{Shape, version_fields};
pub(crate) use truncated::deletions;
pub(crate) use write::{Fates, Stagers, Writer, Written};
