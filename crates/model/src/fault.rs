//! What every error kind tells beside its message: a stable code, whether trying again can help, and the remedy.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Whether, and how, an attempt may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryClass {
    /// A passing disturbance: try again.
    Transient,
    /// The other side asked to slow down: try again later.
    Throttled,
    /// Access was refused: a person has to grant it.
    Auth,
    /// The shape of the data is not the declared one.
    Schema,
    /// The data breaks its contract, or cannot be read.
    Data,
    /// It took longer than allowed.
    Timeout,
    /// A defect of the product.
    Internal,
}

impl fmt::Display for RetryClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Auth => "auth",
            Self::Schema => "schema",
            Self::Data => "data",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
        })
    }
}

/// An error that can say what it is to a machine and what to do to a person.
pub trait Fault: std::error::Error {
    /// Stable across releases, as in `L0301`; each has a page in the runbook.
    fn code(&self) -> &'static str;
    fn class(&self) -> RetryClass;
    /// One sentence: what the reader can do now.
    fn remedy(&self) -> &'static str;
}
