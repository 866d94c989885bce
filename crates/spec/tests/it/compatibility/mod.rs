//! The compatibility relation: against values, against what registries document, and inside of a project.

mod contracts;
mod property;
mod readers;
