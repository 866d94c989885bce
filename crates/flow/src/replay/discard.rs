//! Rows that wait in a quarantine and are never to come into the table.
//!
//! Called by `request.rs`. What is asked is written down with the step that does it; a step that was planned before a crash is an open
//! step as any other. Rows that were replayed or discarded meanwhile are not there to be discarded again, and those that came after it was
//! asked are nobody's rubbish yet.

use super::Tried;
use crate::{Flow, FlowError, Summary, drain::look_error};
use alluvium_model::{DatasetName, RunId, StepKey, crash_point};
use alluvium_store::{Planned, Selection, StepState};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Whoever is overtaken so often gives up.
pub(super) const TRIES: u32 = 3;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discard {
    pub dataset: DatasetName,
    /// Nothing said in it: all that waits.
    pub selection: Selection,
    /// Who says so, and why.
    pub by: String,
    pub reason: String,
}

impl Discard {
    pub(super) fn command(&self) -> String {
        let mut command = format!("discard {}", self.dataset);
        let Selection { rule, column, object } = &self.selection;
        for (option, value) in [("rule", rule), ("column", column), ("object", object)] {
            value.iter().for_each(|v| command.push_str(&format!(" --{option} {v}")));
        }
        command
    }
}

impl Flow<'_> {
    pub(super) async fn discard(
        &self,
        run: &RunId,
        (what, asked_at): (&Discard, Timestamp),
        tried: &mut Tried,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        let name = &what.dataset;
        let dataset = self.project.datasets.get(name).ok_or_else(|| FlowError::UnknownDataset(name.clone()))?;
        tried.datasets.insert(name.clone());
        for _ in 0..TRIES {
            self.work_open_steps(run, dataset, summary).await?;
            if self.has_discarded(run, name).await? {
                return Ok(());
            }
            let waiting = self.engine.quarantine(name).await.map_err(|e| look_error(name, e))?;
            let Some((version, 1..)) = waiting else { return Ok(()) };
            let step = self.round(run, dataset).await?.discard(version, &what.selection, asked_at);
            let said = alluvium_store::Discard {
                step: step.key.clone(),
                dataset: name.clone(),
                selection: what.selection.clone(),
                by: what.by.clone(),
                reason: what.reason.clone(),
                run: run.clone(),
                asked_at,
            };
            crash_point("discard.before_record");
            let planned = self.store.plan_discard(&step, &said).await?;
            crash_point("discard.after_record");
            if planned == Planned::Conflict {
                continue;
            }
            self.work_open_steps(run, dataset, summary).await?;
            if !self.was_overtaken(name, version, &step.key).await? {
                return Ok(());
            }
        }
        Err(FlowError::Contended(name.clone()))
    }

    /// Whether the run did so before it was killed and taken up again. What waits since then nobody has asked about.
    async fn has_discarded(&self, run: &RunId, name: &DatasetName) -> Result<bool, FlowError> {
        for key in self.store.discards_of(run).await? {
            let Some(step) = self.store.step(&key).await? else { continue };
            let version = step.lookups.get(name).copied().unwrap_or(-1);
            if step.state == StepState::Done && !self.was_overtaken(name, version, &key).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the step found that rows had left the quarantine since its version, and so did nothing. One to which nothing that
    /// waited applied did nothing either, and has done what was asked.
    pub(super) async fn was_overtaken(
        &self,
        name: &DatasetName,
        version: i64,
        step: &StepKey,
    ) -> Result<bool, FlowError> {
        let Some(step) = self.store.step(step).await? else { return Ok(false) };
        let idle = step.state == StepState::Done && step.committed.is_none() && step.balance.received == 0;
        Ok(idle && self.engine.has_left(name, version).await.map_err(|e| look_error(name, e))?)
    }
}
