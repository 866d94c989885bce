//! `cargo xtask test`: everything that has to be green, in one command.

mod azurite;
mod installed;
mod options;
mod python;
mod run;
mod totals;

pub use options::Options;
pub use run::run;
