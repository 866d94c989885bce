//! ODCS documents, v3.0 to v3.2: the whole standard is read, what decides rows is compiled.

mod common;
mod document;
mod draft;
mod lint;
mod names;
mod nested;
mod options;
mod parties;
mod quality;
mod relationship;
mod rules;
mod schema;
mod shape;
mod terms;
mod types;
mod variables;
mod vocabulary;

pub(crate) use document::read;
pub(crate) use draft::{CheckDraft, ContractDraft, ObjectDraft, RuleDraft, Target};
pub(crate) use lint::lint;
pub(crate) use names::{NO_NAME, RESERVED, can_name};
pub(crate) use rules::{compile, rule};
pub(crate) use shape::shape;
pub(crate) use terms::terms;
pub use terms::{Server, Terms};
