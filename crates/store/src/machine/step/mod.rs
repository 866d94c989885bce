//! The life of a step: one file for what each state makes of every command, one for each command that counts or compares.

mod command;
mod commands;
mod state;
mod states;
#[cfg(test)]
mod tests;

pub(crate) use command::{Command, Refusal};
pub(crate) use state::Step;
