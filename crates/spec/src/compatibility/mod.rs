//! Whether data written under one version of a contract can be read under another, and what to change where it cannot.
//!
//! Called by cli for `contract diff`. Everything here is pure: shapes in, named changes out; no file is opened.

mod change;
mod domain;
mod fix;
mod mode;
mod pairs;
mod readers;
mod relation;
pub(crate) mod scalar;
mod shape;
mod table;
mod tolerance;

pub use change::{Change, Comparison, Language, Path, What};
pub use mode::{InvalidMode, Mode};
pub(crate) use pairs::{Look, Pairs};
pub use readers::{Reader, readers};
pub use relation::compare;
pub use shape::{About, Field, Kind, Limits, ObjectShape, Scalar, Shape, Sizes, TableRule};
