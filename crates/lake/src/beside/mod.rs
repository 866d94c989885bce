//! Tables beside live ones: a backfill's windows are made there, compared, and then put in place in one commit.
//!
//! Called by the engine, and by flow through [`alluvium_flow::Beside`].

mod compare;
mod port;
mod ranges;
mod survey;
mod swap;
mod window;

pub(crate) use swap::swap;
pub(crate) use window::window;
