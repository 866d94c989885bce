//! YAML with the place of every value.

mod build;
mod fields;
mod node;

pub(crate) use build::parse;
pub(crate) use fields::{Fields, Reader, Unknown};
pub(crate) use node::{Entry, Node, Scalar, ScalarKind, Value};
