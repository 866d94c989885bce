//! `alluvium show`: one view a file. Views only read.

mod alerts;
mod anomalies;
mod backfills;
mod catalog;
mod contracts;
mod datasets;
mod dead_letters;
mod drift;
mod event;
mod gaps;
mod held;
mod ledger;
mod library;
mod listing;
mod publications;
mod quarantine;
mod replays;
mod retries;
mod run;
mod runs;
mod served;
mod versions;
mod view;
mod waiting;

pub use anomalies::recent as recent_anomalies;
pub use quarantine::no_match;
pub use served::Served;
pub use view::show;
