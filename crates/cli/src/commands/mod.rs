//! One command a file. Each reads its arguments, calls the crates that do the work, and says how it ended.

mod backfill;
mod check;
mod contract;
mod dispatch;
mod explain;
mod init;
mod quarantine;
mod query;
mod replay;
mod resume;
mod run;
mod serve;
mod show;
mod worker;

pub use dispatch::dispatch;
