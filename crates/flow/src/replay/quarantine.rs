//! Rows that wait in a quarantine, once more.
//!
//! Called by `request.rs`. A replay that was planned before a crash is an open step as any other.

use super::discard::TRIES;
use crate::{Flow, FlowError, Options, Summary, Tried, Waiting, drain::look_error, plan::versions_mix};
use alluvium_model::{DatasetName, RunId};

impl Flow<'_> {
    /// Executes once more what waits in the dataset's quarantine, and then what follows from it. Under a definition that
    /// changed since the dataset's newest rows were made it does so only with `adopt`.
    pub(super) async fn replay_quarantine(
        &self,
        run: &RunId,
        name: &DatasetName,
        adopt: bool,
        tried: &mut Tried,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        let dataset = self.project.datasets.get(name).ok_or_else(|| FlowError::UnknownDataset(name.clone()))?;
        tried.datasets.insert(name.clone());
        self.work_open_steps(run, dataset, summary).await?;
        if adopt {
            self.adopt(dataset).await?;
        }
        for _ in 0..TRIES {
            let waiting = self.engine.quarantine(name).await.map_err(|e| look_error(name, e))?;
            let Some((version, 1..)) = waiting else { break };
            let active = self.active_version(name).await?;
            // Bronze only receives: it is never held.
            if dataset.silver().is_some() && !versions_mix(active.as_ref(), &dataset.version) {
                return self.hold(dataset, active, Waiting::Quarantine, summary).await;
            }
            let step = self.round(run, dataset).await?.replay(version);
            let key = step.key.clone();
            self.plan(dataset, vec![step]).await?;
            self.work_open_steps(run, dataset, summary).await?;
            if !self.was_overtaken(name, version, &key).await? {
                break;
            }
        }
        self.follow(run, tried, summary).await
    }

    /// What reads the datasets that were tried, and what reads that.
    pub(super) async fn follow(&self, run: &RunId, tried: &mut Tried, summary: &mut Summary) -> Result<(), FlowError> {
        for next in &self.project.order {
            let downstream = &self.project.datasets[next];
            if downstream.consumes().iter().any(|i| tried.datasets.contains(i)) {
                tried.datasets.insert(next.clone());
                self.dataset(run, downstream, &Options::default(), summary).await?;
            }
        }
        Ok(())
    }
}
