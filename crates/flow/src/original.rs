//! Steps that a person wants done under the definition that they were planned under, though the project holds another.
//!
//! Called by `drain.rs` and by replays. Definitions are kept before the first step is planned under them; what is older than that
//! cannot be had.

use crate::{Flow, FlowError};
use alluvium_model::{DatasetName, DefinitionVersion};
use alluvium_spec::{Dataset, Project};
use alluvium_store::{StepRecord, StepState};
use std::collections::BTreeMap;

/// Projects that hold an earlier definition of one dataset, by its version.
#[derive(Debug, Default)]
pub(crate) struct Originals(BTreeMap<DefinitionVersion, Project>);

impl Originals {
    /// In which the step is to be done, where that is not the present project.
    pub(crate) fn of(&self, step: &StepRecord) -> Option<&Project> {
        // One that was given up is asked for anew.
        self.0.get(&step.version).filter(|_| step.original && step.state != StepState::Dead)
    }
}

/// Why there is no earlier definition to go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotKept {
    /// It was last used by a release that kept none.
    Never,
    /// It is kept, and this release does not read the same out of it.
    ReadOtherwise,
}

impl Flow<'_> {
    /// The project as it is, but for the definition of one dataset.
    pub(crate) async fn original(
        &self,
        dataset: &DatasetName,
        version: &DefinitionVersion,
    ) -> Result<Result<Project, NotKept>, FlowError> {
        let Some(files) = self.store.definition(dataset, version).await? else { return Ok(Err(NotKept::Never)) };
        Ok(self.project.with_kept(dataset, version, &files).ok_or(NotKept::ReadOtherwise))
    }

    /// For those of these steps of the dataset that are to be done under another definition than the present one.
    pub(crate) async fn originals(&self, dataset: &Dataset, open: &[StepRecord]) -> Result<Originals, FlowError> {
        let mut all = Originals::default();
        for step in open.iter().filter(|s| s.original && s.version != dataset.version) {
            if all.0.contains_key(&step.version) {
                continue;
            }
            match self.original(&dataset.name, &step.version).await? {
                Ok(project) => drop(all.0.insert(step.version.clone(), project)),
                // Another release asked for it. As any step of another definition it makes room.
                Err(_) => tracing::warn!(step = %step.key, "the definition of the step cannot be read"),
            }
        }
        Ok(all)
    }

    /// The same work over another project.
    pub(crate) fn over<'b>(&'b self, project: &'b Project) -> Flow<'b> {
        Flow { project, owner: self.owner.clone(), ..*self }
    }
}
