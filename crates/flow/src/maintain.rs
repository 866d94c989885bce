//! After a run's work: what its commits left behind is put in order, dataset by dataset.
//!
//! Called by `life.rs` when nothing is pending. Nothing of it can fail a run, and it takes no lease: a commit of another
//! process that comes in between wins.

use crate::{Flow, FlowError, Signal, Summary};
use alluvium_model::DatasetName;
use alluvium_store::{BackfillState, StepKind};

impl Flow<'_> {
    pub(crate) async fn maintain(&self, summary: &Summary) -> Result<(), FlowError> {
        for name in &self.project.order {
            let Some(since) = summary.datasets.get(name).and_then(|d| d.committed) else { continue };
            let Some(needed) = self.needed(name).await? else { continue };
            let dataset = name.clone();
            match self.engine.maintain(&self.project.datasets[name], since, needed).await {
                Ok(done) if done.is_worth_telling() => self.report.signal(Signal::Maintained { dataset, done }),
                Ok(_) => {}
                Err(error) => self.report.signal(Signal::NotMaintained {
                    dataset,
                    code: error.code(),
                    message: crate::step::chain(&error),
                }),
            }
        }
        Ok(())
    }

    /// Up to this version everybody who reads the dataset has processed it, as far as the state knows, backfills among them. `None`: a step of
    /// the dataset itself is open, and the table is left alone.
    async fn needed(&self, name: &DatasetName) -> Result<Option<i64>, FlowError> {
        let mut needed = i64::MAX;
        for dataset in self.project.datasets.values().filter(|d| d.consumes().contains(name)) {
            // A reader that has seen nothing begins with what is there then.
            if let Some(position) = self.store.positions(&dataset.name).await?.get(name).filter(|p| **p >= 0) {
                needed = needed.min(*position);
            }
        }
        for step in self.store.open_steps().await? {
            if step.dataset == *name && step.kind != StepKind::Backfill {
                return Ok(None);
            }
            if let Some(range) = step.inputs.get(name) {
                needed = needed.min(if range.after < 0 { range.upto } else { range.after });
            }
            if let Some(version) = step.lookups.get(name).filter(|v| **v >= 0) {
                needed = needed.min(*version);
            }
        }
        // A backfill that is not in place yet may still make windows over what it was begun with.
        for backfill in self.store.backfills().await?.iter().filter(|b| b.state != BackfillState::Swapped) {
            if let Some(shown) = backfill.inputs.get(name) {
                needed = needed.min(*shown);
            }
        }
        Ok(Some(needed))
    }
}
