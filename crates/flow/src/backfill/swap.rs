//! The end of a backfill: it takes its place in the live table, or is held off until it shows what the table shows.
//!
//! Called by `request.rs`, and by `drain.rs` for a swap that another process had planned. What the live table consumed after the
//! backfill was begun is looked at first: windows that it touched are made anew. The step then names the version of the live
//! table that all this was checked against, and commits against no other.

use super::{
    Beside, Windowed,
    plan::{merged, swap_step},
};
use crate::{
    Flow, FlowError, Summary,
    drain::{is_live, look_error},
    retire::Retired,
};
use alluvium_model::{DatasetName, RunId, StepKey, Window, crash_point};
use alluvium_spec::Dataset;
use alluvium_store::{BackfillRecord, BackfillState, Claimed, NewStep, Planned, StepKind, StepState};
use std::collections::BTreeMap;

/// How often a swap may be overtaken by commits of the live table.
pub(super) const ATTEMPTS: u32 = 16;

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
                return self.is_in_place(beside, record, windows, version).await.map(Some);
            }
            let known = self.swaps(record).await?;
            let whole = self.is_whole(record).await?;
            if whole {
                self.stands_for_all(of, beside, record, windows).await?;
                self.make_room(run, of.dataset, summary).await?;
            }
            // Before the positions: what is committed by then is of steps that these know of.
            let live = self.live_version(name).await?;
            // One that another process planned meanwhile may be in that version. One that is planned later overtakes this one.
            if self.swaps(record).await? != known {
                continue;
            }
            if !self.follow_live(run, of, beside, record, windows).await? {
                return Ok(None);
            }
            let step = self.swap_of(of, beside, record, windows, (live, whole)).await?;
            crash_point("plan.before_record");
            let planned = self.store.plan(&step).await?;
            crash_point("plan.after_record");
            if planned == Planned::Conflict {
                if self.under_way(name).await?.is_none_or(|b| b.id != record.id)
                    && self.swapped(record).await?.is_none()
                {
                    return Err(FlowError::NoBackfill(name.clone()));
                }
                continue;
            }
            let mut own = Summary { patience: summary.patience, ..Summary::default() };
            if let Some(open) = self.store.step(&step.key).await? {
                self.work(run, of.dataset, open, None, &mut own).await?;
            }
            let overtaken = self.live_version(name).await? != live;
            let ended = self.end_swaps(run, record, &mut own).await?;
            summary.datasets.append(&mut own.datasets);
            if let Some(version) = ended {
                return self.is_in_place(beside, record, windows, version).await.map(Some);
            }
            if !overtaken {
                return Ok(None);
            }
        }
        Err(FlowError::Contended(name.clone()))
    }

    /// It is written down and told, and what is beside it goes.
    pub(super) async fn is_in_place(
        &self,
        beside: &dyn Beside,
        record: &mut BackfillRecord,
        windows: &[Window],
        version: i64,
    ) -> Result<i64, FlowError> {
        self.complete(record, windows, version).await?;
        self.remove_beside(beside, &record.dataset).await?;
        Ok(version)
    }

    /// It is in the live table: that is written down and told, at once and once. Fan-in: what was expected, and what was made.
    async fn complete(&self, record: &mut BackfillRecord, windows: &[Window], version: i64) -> Result<(), FlowError> {
        let made = self.done_of(record, windows).await?.len();
        record.state = BackfillState::Swapped;
        record.changed_at = self.clock.now();
        let ending = self.of_backfill(record, windows, made, version, record.changed_at);
        crash_point("backfill.before_record");
        self.store.end_backfill(record, &ending).await?;
        crash_point("backfill.after_record");
        Ok(())
    }

    async fn live_version(&self, name: &DatasetName) -> Result<i64, FlowError> {
        Ok(self.engine.head(name).await.map_err(|e| look_error(name, e))?.unwrap_or(-1))
    }

    async fn swaps(&self, record: &BackfillRecord) -> Result<Vec<(StepKey, StepState)>, FlowError> {
        let steps = self.steps_of(record).await?.into_iter();
        Ok(steps.filter(|s| s.kind == StepKind::Swap).map(|s| (s.key, s.state)).collect())
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
        if !stale.is_empty() {
            record.state = BackfillState::Building;
            self.change(record).await?;
            self.make(run, of, record, (&stale, windows.len()), &BTreeMap::new(), &heads).await?;
            self.settle(of, beside, record, windows).await?;
            if record.state != BackfillState::Built {
                return Ok(false);
            }
        }
        record.inputs = heads;
        self.change(record).await?;
        Ok(true)
    }

    /// A table is made under one definition: under another one than its rows are of, the backfill is the whole of it.
    async fn is_whole(&self, record: &BackfillRecord) -> Result<bool, FlowError> {
        Ok(self.active_version(&record.dataset).await?.is_some_and(|active| active != record.version))
    }

    /// Whoever replaces the whole table stands for all that was planned before, which must not be executed after that. One that may
    /// still run keeps the swap from being planned.
    async fn make_room(&self, run: &RunId, dataset: &Dataset, summary: &mut Summary) -> Result<(), FlowError> {
        let open = self.store.open_steps().await?.into_iter();
        let live = open.filter(|s| s.dataset == dataset.name && is_live(s) && s.kind != StepKind::Swap);
        for step in live.rev() {
            if let Retired::Failed(error) = self.retire(run, dataset, &step, summary).await? {
                return Err(look_error(&dataset.name, error));
            }
        }
        Ok(())
    }

    /// # Errors
    /// When something would be missing from the table if the backfill were the whole of it.
    async fn stands_for_all(
        &self,
        of: Windowed<'_>,
        beside: &dyn Beside,
        record: &BackfillRecord,
        windows: &[Window],
    ) -> Result<(), FlowError> {
        let name = &record.dataset;
        let covers = beside.covers(of, &record.inputs, record.range).await.map_err(|e| look_error(name, e))?;
        if self.done_of(record, windows).await?.len() < windows.len() || !covers {
            return Err(FlowError::PartOfDefinition(name.clone()));
        }
        Ok(())
    }

    async fn swap_of(
        &self,
        of: Windowed<'_>,
        beside: &dyn Beside,
        record: &BackfillRecord,
        windows: &[Window],
        (live, whole): (i64, bool),
    ) -> Result<NewStep, FlowError> {
        let name = &record.dataset;
        if !whole {
            let done = self.done_of(record, windows).await?;
            return Ok(swap_step(record, Some(merged(done)), live, BTreeMap::new(), self.clock.now()));
        }
        // Its windows may have been made anew since, of later input.
        self.stands_for_all(of, beside, record, windows).await?;
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
            if !step.state.is_over()
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
            Some(step) if !step.state.is_over() => self.replaced(run, dataset, &step, summary).await.map(drop),
            _ => Ok(()),
        }
    }
}
