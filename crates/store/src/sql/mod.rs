//! The state as tables, in the SQL that SQLite and PostgreSQL have in common.
//!
//! Called through [`crate::Store`]. One file per concern; nothing here reads a clock, decides what work is due, or
//! what becomes of a step: that says [`crate::machine`], of a row that is read under its lock, and it is written as it says. What
//! the two databases do not have in common is in [`session`], and in the folder of each.

mod alerts;
mod audit;
mod backfills;
mod codec;
mod dead_letters;
mod decisions;
mod definitions;
mod discards;
mod dump;
mod endings;
mod events;
mod finish;
mod inbox;
mod lake;
mod lanes;
mod leases;
mod measures;
mod plan;
mod quality;
mod registry;
mod replays;
mod retries;
mod runs;
mod session;
mod sets;
mod steps;
mod store;
mod terms;
mod verdicts;
mod versions;
mod watermarks;

pub(crate) use codec::number;
pub(crate) use session::{Arg, Row, Session};
pub(crate) use store::Access;
