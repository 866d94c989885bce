//! The lake's Delta tables: which there are (`place`), opening and making them (`tables`), what they hold (`handle`, `data_file`),
//! what their logs say (`log`, `said`), and committing to them (`commits`).

mod commits;
mod data_file;
mod handle;
mod log;
mod place;
mod said;
mod tables;

pub(crate) use commits::CHECKPOINT_EVERY;
pub(crate) use data_file::{DataFile, cardinality, loose};
pub(crate) use handle::{SNAPSHOT, TRUNCATES, Table, storable};
pub(crate) use log::{LOG, entry_name, version_of};
pub(crate) use place::{Place, TableKind};
pub(crate) use said::{Change, FileChange, INFO, Mark, Part, StepInfo};
pub(crate) use tables::Tables;
