//! Versions of contracts and schemas, as values.

use jiff::Timestamp;
use std::collections::BTreeMap;

/// What is registered: of one subject or of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    /// Goes up with each change of any subject. Who decides by what it read here writes under this number.
    pub revision: u64,
    /// Of all subjects that have no mode of their own.
    pub default_mode: Option<String>,
    /// By subject.
    pub modes: BTreeMap<String, String>,
    /// By subject, then by number; those that were deleted, too, unless for good.
    pub versions: Vec<SchemaVersion>,
    /// By subject, then by time. Ranges of one subject do not overlap.
    pub in_force: Vec<InForce>,
}

/// One text under one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaVersion {
    pub subject: String,
    /// From 1; never given again within the subject.
    pub number: u32,
    /// The same for one content under every subject.
    pub id: u32,
    pub language: String,
    pub identity: String,
    pub fingerprint: String,
    pub text: String,
    pub registered_at: Timestamp,
    /// It breaks the mode of its subject, and was taken all the same because a person said so.
    pub accepted: bool,
    pub deleted_at: Option<Timestamp>,
}

/// When a version was the one that is used; half open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    pub subject: String,
    pub number: u32,
    pub from: Timestamp,
    /// `None`: still.
    pub until: Option<Timestamp>,
}

/// A text to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchema {
    pub subject: String,
    pub language: String,
    /// By which the same content is known again.
    pub identity: String,
    pub fingerprint: String,
    pub text: String,
    pub accepted: bool,
}

/// What became of texts that were to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// Number and id of each, in order.
    Done(Vec<(u32, u32)>),
    /// Somebody changed the registry meanwhile: nothing was written.
    Moved,
}

impl Registry {
    /// Of a subject, those that are not deleted, oldest first.
    pub fn of<'a>(&'a self, subject: &'a str) -> impl DoubleEndedIterator<Item = &'a SchemaVersion> {
        self.versions.iter().filter(move |v| v.subject == subject && v.deleted_at.is_none())
    }

    /// The number of the version of the subject that is used now.
    pub fn current(&self, subject: &str) -> Option<u32> {
        self.in_force.iter().find(|f| f.subject == subject && f.until.is_none()).map(|f| f.number)
    }
}
