//! Checks of the style that need no compiler.

mod check;
mod codes;
mod layers;
mod links;
mod problem;
mod reexports;
mod rust;
mod scan;
mod tree;
mod words;

pub use check::check;
pub use problem::Problem;
pub use tree::{TextFile, Tree};
