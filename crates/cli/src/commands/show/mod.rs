//! `alluvium show`: one view a file. Views only read.

mod datasets;
mod dead_letters;
mod ledger;
mod listing;
mod quarantine;
mod retries;
mod run;
mod runs;
mod served;
mod versions;
mod view;

pub use served::Served;
pub use view::show;
