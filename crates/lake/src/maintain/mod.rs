//! Keeps tables in good shape after their commits: few files, and no file that nothing needs.
//!
//! Called by flow when a run's work is done. Never changes a row, never makes a step wait, and gives way to any other
//! commit.

mod cluster;
mod compact;
mod dataset;
#[cfg(test)]
pub(crate) mod fixture;
mod pick;
mod vacuum;

#[cfg(test)]
pub(crate) use compact::compact;
pub(crate) use dataset::dataset;
