//! Whether a commit that stands in a log is the one that was tried.

use crate::table::{INFO, StepInfo};
use alluvium_model::StepKey;
use deltalake::kernel::{Action, DeletionVectorDescriptor};
use serde_json::Value;
use std::collections::BTreeSet;

/// What tells a commit from any other: files of an attempt have names that no other attempt gives, and a commit without
/// files has its step's key and memory.
#[derive(Debug, PartialEq)]
pub(crate) struct Identity {
    /// Kind, name, and vector.
    files: BTreeSet<(&'static str, String, Option<String>)>,
    /// Key and version of the transaction.
    step: Option<(String, i64)>,
    memory: Option<Value>,
}

impl Identity {
    pub(crate) fn of(actions: &[Action]) -> Self {
        let mut found = Self { files: BTreeSet::new(), step: None, memory: None };
        let vector = |v: &Option<DeletionVectorDescriptor>| v.as_ref().map(|v| v.path_or_inline_dv.clone());
        for action in actions {
            let file = match action {
                Action::Add(a) => ("add", a.path.clone(), vector(&a.deletion_vector)),
                Action::Remove(r) => ("remove", r.path.clone(), vector(&r.deletion_vector)),
                Action::Cdc(c) => ("cdc", c.path.clone(), None),
                Action::Txn(t) => {
                    found.step = Some((t.app_id.clone(), t.version));
                    continue;
                }
                Action::CommitInfo(i) => {
                    found.memory = i.info.get(INFO).cloned();
                    continue;
                }
                Action::Metadata(_) | Action::Protocol(_) | Action::DomainMetadata(_) => continue,
            };
            found.files.insert(file);
        }
        found
    }

    #[must_use]
    pub(crate) fn with(self, step: &StepKey, version: i64, info: Option<&StepInfo>) -> Self {
        // As it is read back from the log's text.
        let read_back = |i| serde_json::to_string(i).and_then(|text| serde_json::from_str(&text));
        let memory = info.map(|i| read_back(i).expect("a step's memory is plain data"));
        Self { step: Some((step.as_str().to_owned(), version)), memory, ..self }
    }
}
