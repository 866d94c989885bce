//! `library/`: functions that several datasets and contracts share, and cases that show what each of them gives.

mod build;
mod cases;
mod function;

pub(crate) use build::build;
pub(crate) use cases::read_cases;
pub use function::{Case, Function, Library, Parameter};
