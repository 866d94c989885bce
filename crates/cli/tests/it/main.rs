//! The command as its users meet it: real processes over real folders.

mod check;
mod examples;
mod exits;
mod harness;
mod init;
mod input;
mod query;
mod run;
mod show;
