//! `alluvium contract`: one subcommand a file.

mod diff;
mod export;
mod find;
mod infer;
mod lint;
mod show;
mod subcommand;
mod test;

pub use subcommand::contract;
