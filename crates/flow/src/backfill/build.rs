//! Fan-out over the windows, and fan-in: what was expected against what was made, and the comparison with the live table.
//!
//! Called by `request.rs`. What is planned and made is in the state: any process takes windows meanwhile, as `share.rs` does, and goes on
//! where another one ended.

use super::{
    Beside, Comparison, Part, Windowed,
    plan::{cut, too_many, window_step},
};
use crate::{
    Flow, FlowError, Summary,
    drain::look_error,
    step::{FIRST_LOOK, LAST_LOOK, Worked},
};
use alluvium_model::{DatasetName, RunId, StepKey, Window};
use alluvium_store::{
    BackfillRecord, BackfillState, NewStep, Planned, StepKind, StepRecord, StepState, Store, StoreError, Watch,
};
use futures::{StreamExt, stream::FuturesUnordered};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// Windows planned ahead of those that are made: everybody who looks for work reads what is open.
const AHEAD: usize = 128;
/// A window waits so long, all in all, for its retries.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// A window begins after this time, whatever else goes on: a backfill comes to its end.
const MOST_WAIT: Duration = Duration::from_secs(10);

impl Flow<'_> {
    /// Makes the windows that are not made yet, and compares.
    pub(super) async fn build(
        &self,
        run: &RunId,
        of: Windowed<'_>,
        beside: &dyn Beside,
        record: &mut BackfillRecord,
        windows: &[Window],
    ) -> Result<(), FlowError> {
        let made = self.reopened(record).await?;
        let missing = windows.iter().filter(|w| made.get(w).is_none_or(|s| s.state != StepState::Done));
        let missing: Vec<Window> = missing.copied().collect();
        let inputs = record.inputs.clone();
        self.make(run, of, record, (&missing, windows.len()), &made, &inputs).await?;
        self.settle(of, beside, record, windows).await
    }

    /// The newest step of each window, of which those that were given up are open again. What is not made and would show other versions of
    /// the inputs than the backfill does by now is planned anew.
    async fn reopened(&self, record: &BackfillRecord) -> Result<BTreeMap<Window, StepRecord>, FlowError> {
        let made = self.made(record).await?;
        for step in made.values().filter(|s| s.state != StepState::Done) {
            if step.lookups != record.inputs {
                self.store.supersede(&step.key, step.attempts).await?;
            } else if step.state == StepState::Dead {
                self.store.revive_step(&step.key, false).await?;
            }
        }
        self.made(record).await
    }

    /// Makes these windows, at most so many at once as the backfill may, and ends early when too many of all failed.
    pub(super) async fn make(
        &self,
        run: &RunId,
        of: Windowed<'_>,
        record: &BackfillRecord,
        (missing, all): (&[Window], usize),
        open: &BTreeMap<Window, StepRecord>,
        inputs: &BTreeMap<DatasetName, i64>,
    ) -> Result<(), FlowError> {
        let mut failed = 0;
        for chunk in missing.chunks(AHEAD) {
            let mut steps: VecDeque<StepRecord> = self.planned(record, chunk, open, inputs).await?;
            let mut working = FuturesUnordered::new();
            loop {
                while working.len() < record.max_active.max(1) as usize
                    && !too_many(failed, all, record.tolerated)
                    && let Some(step) = steps.pop_front()
                {
                    working.push(self.make_one(run, of, step));
                }
                let Some(worked) = working.next().await else { break };
                failed += usize::from(worked? != Worked::Done);
            }
            if too_many(failed, all, record.tolerated) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The steps of these windows, planned if they were not yet.
    async fn planned(
        &self,
        record: &BackfillRecord,
        windows: &[Window],
        open: &BTreeMap<Window, StepRecord>,
        inputs: &BTreeMap<DatasetName, i64>,
    ) -> Result<VecDeque<StepRecord>, FlowError> {
        let now = self.clock.now();
        let is_open = |w: &Window| open.get(w).is_some_and(|s| s.state != StepState::Done);
        let new = windows.iter().filter(|w| !is_open(w)).map(|w| window_step(record, *w, inputs, now));
        let new: Vec<NewStep> = new.collect();
        alluvium_model::crash_point("plan.before_record");
        let planned = self.store.plan_many(&new).await?;
        alluvium_model::crash_point("plan.after_record");
        // It takes no input of its own: another process brought the backfill to its end.
        if planned.contains(&Planned::Conflict) {
            return Err(FlowError::NoBackfill(record.dataset.clone()));
        }
        let keys = windows.iter().filter(|w| is_open(w)).map(|w| open[w].key.clone());
        let keys: Vec<_> = keys.chain(new.into_iter().map(|s| s.key)).collect();
        let mut steps = Vec::with_capacity(keys.len());
        for key in keys {
            // Another process may have ended it meanwhile.
            steps.extend(self.store.step(&key).await?.filter(|s| s.state.is_open()));
        }
        steps.sort_by(|a, b| a.windows.cmp(&b.windows));
        Ok(steps.into())
    }

    async fn make_one(&self, run: &RunId, of: Windowed<'_>, step: StepRecord) -> Result<Worked, FlowError> {
        let mut own = Summary { patience: PATIENCE, ..Summary::default() };
        loop {
            self.give_way(|| false).await?;
            let worked = self.work(run, of.dataset, step.clone(), None, &mut own).await?;
            if worked != Worked::Waits || self.is_given_up(&step.key).await? {
                return Ok(worked);
            }
        }
    }

    /// Live work goes first, for a time, or until `enough`.
    pub(super) async fn give_way(&self, enough: impl Fn() -> bool) -> Result<(), FlowError> {
        let (mut waited, mut wait) = (Duration::ZERO, FIRST_LOOK);
        while waited < MOST_WAIT && !enough() && self.store.is_busy(&self.watch()).await? {
            self.timer.wait(wait).await;
            waited += wait;
            wait = (wait * 2).min(LAST_LOOK);
        }
        Ok(())
    }

    /// Nobody makes the window later, when what was made is compared already. `false`: another process is at it.
    async fn is_given_up(&self, key: &StepKey) -> Result<bool, FlowError> {
        match self.store.step(key).await? {
            Some(step) if step.state == StepState::Running => Ok(false),
            Some(step) if step.state.is_open() => Ok(self.store.supersede(key, step.attempts).await?),
            _ => Ok(true),
        }
    }

    /// Fan-in: all windows are made, but for those that are tolerated, and what they hold is compared with the live table.
    pub(super) async fn settle(
        &self,
        of: Windowed<'_>,
        beside: &dyn Beside,
        record: &mut BackfillRecord,
        windows: &[Window],
    ) -> Result<(), FlowError> {
        let made = self.done_of(record, windows).await?;
        if too_many(windows.len() - made.len(), windows.len(), record.tolerated) || made.is_empty() {
            record.state = BackfillState::Failed;
            return self.change(record).await;
        }
        let compared = beside.compare(of, &record.id, &made).await;
        let compared = compared.map_err(|e| look_error(&record.dataset, e))?;
        record.summary = Some(Comparison::of(&made, compared).text());
        record.state = BackfillState::Built;
        self.change(record).await
    }

    /// Windows that are made, in their order.
    pub(super) async fn done_of(&self, record: &BackfillRecord, windows: &[Window]) -> Result<Vec<Window>, FlowError> {
        let made = self.made(record).await?;
        let done = |w: &&Window| made.get(w).is_some_and(|s| s.state == StepState::Done);
        Ok(windows.iter().filter(done).copied().collect())
    }

    pub(super) async fn made(&self, record: &BackfillRecord) -> Result<BTreeMap<Window, StepRecord>, FlowError> {
        Ok(made(self.steps_of(record).await?))
    }

    /// In planning order, without those that will never run.
    pub(super) async fn steps_of(&self, record: &BackfillRecord) -> Result<Vec<StepRecord>, FlowError> {
        let own = self.store.run_steps(&record.id, &self.watch()).await?.into_iter().map(|s| s.step);
        Ok(own.filter(|s| s.run == record.id && s.state != StepState::Superseded).collect())
    }
}

/// The windows of a backfill, each with what became of it so far.
///
/// # Errors
/// When the state store fails.
pub async fn parts(store: &dyn Store, record: &BackfillRecord, watch: &Watch<'_>) -> Result<Vec<Part>, StoreError> {
    let all = store.run_steps(&record.id, watch).await?.into_iter().map(|s| s.step).filter(|s| s.run == record.id);
    let (given_up, steps): (Vec<_>, Vec<_>) = all.partition(|s| s.state == StepState::Superseded);
    let (given_up, made) = (made(given_up), made(steps));
    let part = |window: Window| match (made.get(&window), given_up.get(&window).and_then(|s| s.error.clone())) {
        (Some(step), _) => Part { window, state: step.state, error: step.error.clone() },
        (None, Some(error)) => Part { window, state: StepState::Failed, error: Some(error) },
        (None, None) => Part { window, state: StepState::Planned, error: None },
    };
    Ok(cut(record).into_iter().map(part).collect())
}

/// The newest step of each window.
fn made(steps: Vec<StepRecord>) -> BTreeMap<Window, StepRecord> {
    let mut made = BTreeMap::new();
    for step in steps.into_iter().filter(|s| s.kind == StepKind::Backfill) {
        if let Some([window]) = step.windows.as_deref() {
            made.insert(*window, step);
        }
    }
    made
}
