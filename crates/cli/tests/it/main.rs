//! The command as its users meet it: real processes over real folders.

mod backfill;
mod bad_input;
mod branch;
mod check;
mod concurrent;
mod contract;
mod crash;
mod day;
mod dead_letters;
mod edges;
mod examples;
mod exits;
mod fixtures;
mod harness;
mod history;
mod hooks;
mod http;
mod init;
mod input;
mod late;
mod maintain;
mod market;
mod memory;
mod order;
mod parquet;
mod postgres;
mod query;
mod remote;
mod run;
mod s3;
mod serve;
#[path = "../../../../tests/postgres.rs"]
mod server;
mod serving;
mod show;
mod workers;
