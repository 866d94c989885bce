//! Backfills: history recomputed beside the live table, compared with it, and put in its place in one commit.
//!
//! Called by cli, and by services and workers, which make windows too. Windows are steps as any others, with leases, retries and commits
//! of their own; they never wait in the way of live work, and live work goes first.

mod build;
mod outcome;
mod plan;
mod ports;
mod request;
mod share;
mod swap;

pub use build::parts;
pub use outcome::{Backfilled, Comparison, Difference, Part};
pub use ports::{Beside, Compared, Extent, Measure, Windowed};
pub use request::Backfill;
pub use share::Shared;
