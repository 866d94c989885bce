//! Where landing objects come from. Each source finds what arrived and names it by content; none reads records.
//!
//! Called by flow through its [`alluvium_flow::Landing`] trait, built by cli.

pub mod files;
