//! The end of a backfill: it takes its place in the live table, or is held off until it shows what the table shows.
//!
//! Called by `request.rs`, and by `drain.rs` for a swap that another process had planned. What the live table consumed after the
//! backfill was begun is looked at first: windows that it touched are made anew. The step then names the version of the live
//! table that all this was checked against, and commits against no other.

use super::{
    Beside, Windowed,
    plan::{merged, swap_step},
};
use crate::{Flow, FlowError, Summary, drain::look_error, retire::Retired};
use alluvium_model::{DatasetName, RunId, StepKey, Window, crash_point};
use alluvium_spec::Dataset;
use alluvium_store::{BackfillRecord, BackfillState, Claimed, NewStep, Planned, StepKind, StepState};
use std::collections::BTreeMap;

/// How often a swap may be overtaken by commits of the live table.
const ATTEMPTS: u32 = 16;

impl Flow<'_> {
    /// `None`: it stays as it is, built or failed; what hindered it was told.
    pub(super) async fn put_in_place(
        &self,
        run: &RunId,
        of: Windowed<'_>,
        beside: &dyn Beside,
        record: &mut BackfillRecord,
        windows: &[Window],
        summary: &mut Summary,
    ) -> Result<Option<i64>, FlowError> {
        let name = &of.dataset.name;
        for _ in 0..ATTEMPTS {
            // One that a killed process had planned is first brought to its end.
            if let Some(version) = self.end_swaps(run, record, summary).await? {
                record.state = BackfillState::Swapped;
                self.change(record).await?;
                self.remove_beside(beside, name).await?;
                return Ok(Some(version));
            }
            // Before the positions: what is committed by then is of steps that these know of.
            let live = self.live_version(name).await?;
            if !self.follow_live(run, of, beside, record, windows).await? {
                return Ok(None);
            }
            let step = self.swap_of(of, beside, record, windows, live).await?;
            crash_point("plan.before_record");
            let planned = self.store.plan(&step).await?;
            crash_point("plan.after_record");
            if planned == Planned::Conflict {
                continue;
            }
            let mut own = Summary { patience: summary.patience, ..Summary::default() };
            if let Some(open) = self.store.step(&step.key).await? {
                self.work(run, of.dataset, open, None, &mut own).await?;
            }
            let overtaken = self.live_version(name).await? != live;
            let ended = self.end_swaps(run, record, &mut own).await?;
            summary.datasets.append(&mut own.datasets);
            if ended.is_none() && !overtaken {
                return Ok(None);
            }
        }
        Err(FlowError::Contended(name.clone()))
    }

    async fn live_version(&self, name: &DatasetName) -> Result<i64, FlowError> {
        Ok(self.engine.head(name).await.map_err(|e| look_error(name, e))?.unwrap_or(-1))
    }

    async fn swapped(&self, record: &BackfillRecord) -> Result<Option<i64>, FlowError> {
        let steps = self.steps_of(record).await?;
        let done = steps.iter().find(|s| s.kind == StepKind::Swap && s.state == StepState::Done);
        Ok(done.and_then(|s| s.committed))
    }

    /// Makes the windows anew that show less than the live table does. `false`: that failed.
    async fn follow_live(
        &self,
        run: &RunId,
        of: Windowed<'_>,
        beside: &dyn Beside,
        record: &mut BackfillRecord,
        windows: &[Window],
    ) -> Result<bool, FlowError> {
        let positions = self.store.positions(&record.dataset).await?;
        let behind = |(input, shown): (&DatasetName, &i64)| positions.get(input).is_some_and(|p| p > shown);
        if !record.inputs.iter().any(behind) {
            return Ok(true);
        }
        let heads = self.heads(of).await?;
        let changes: BTreeMap<DatasetName, Claimed> = heads
            .iter()
            .map(|(input, head)| {
                let after = record.inputs.get(input).copied().unwrap_or(-1);
                (input.clone(), Claimed { after, upto: (*head).max(after) })
            })
            .collect();
        let made = self.done_of(record, windows).await?;
        let touched = beside.touched(of, &changes, &made).await.map_err(|e| look_error(&record.dataset, e))?;
        let stale: Vec<Window> = made.iter().zip(touched).filter(|(_, t)| *t).map(|(w, _)| *w).collect();
        let none = BTreeMap::new();
        self.make(run, of, record, (&stale, windows.len()), &none, &heads).await?;
        if !stale.is_empty() {
            self.settle(of, beside, record, windows).await?;
            if record.state != BackfillState::Built {
                return Ok(false);
            }
        }
        record.inputs = heads;
        self.change(record).await?;
        Ok(true)
    }

    async fn swap_of(
        &self,
        of: Windowed<'_>,
        beside: &dyn Beside,
        record: &BackfillRecord,
        windows: &[Window],
        live: i64,
    ) -> Result<NewStep, FlowError> {
        let name = &record.dataset;
        let done = self.done_of(record, windows).await?;
        let active = self.active_version(name).await?;
        if active.is_none_or(|a| a == record.version) {
            return Ok(swap_step(record, Some(merged(done)), live, BTreeMap::new(), self.clock.now()));
        }
        // A table is made under one definition as a whole.
        let covers = beside.covers(of, &record.inputs, record.range).await.map_err(|e| look_error(name, e))?;
        if done.len() < windows.len() || !covers {
            return Err(FlowError::PartOfDefinition(name.clone()));
        }
        let positions = self.store.positions(name).await?;
        let consumed = record.inputs.iter().map(|(input, upto)| {
            let after = positions.get(input).copied().unwrap_or(-1);
            (input.clone(), Claimed { after, upto: *upto })
        });
        Ok(swap_step(record, None, live, consumed.collect(), self.clock.now()))
    }

    /// Swaps that are open never commit from then on, unless one has: then that one is done, and its version is told.
    ///
    /// # Errors
    /// When the live table cannot be asked or told: then one may still commit.
    pub(super) async fn end_swaps(
        &self,
        run: &RunId,
        record: &BackfillRecord,
        summary: &mut Summary,
    ) -> Result<Option<i64>, FlowError> {
        let dataset = &self.project.datasets[&record.dataset];
        for step in self.steps_of(record).await?.iter().filter(|s| s.kind == StepKind::Swap) {
            if !is_over(step.state)
                && let Retired::Failed(error) = self.retire(run, dataset, step, summary).await?
            {
                return Err(look_error(&record.dataset, error));
            }
        }
        self.swapped(record).await
    }

    /// A swap that did not commit is asked for again by a person, and holds up nothing until then.
    pub(crate) async fn give_up_swap(
        &self,
        run: &RunId,
        dataset: &Dataset,
        key: &StepKey,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        match self.store.step(key).await? {
            Some(step) if !is_over(step.state) => self.replaced(run, dataset, &step, summary).await.map(drop),
            _ => Ok(()),
        }
    }
}

fn is_over(state: StepState) -> bool {
    matches!(state, StepState::Done | StepState::Superseded)
}
