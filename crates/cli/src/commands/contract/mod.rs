//! `alluvium contract`: one subcommand a file.

mod diff;
mod export;
mod find;
mod lint;
mod subcommand;
mod test;

pub use subcommand::contract;
