//! What is asked of a backfill, and from its beginning to its end what follows from that.

use super::{Backfilled, Beside, Extent, Windowed, build::parts, plan, swap::ATTEMPTS};
use crate::{Flow, FlowError, Judged, Summary, drain::look_error};
use alluvium_model::{DatasetName, RunId, Stride, Window, crash_point};
use alluvium_spec::Kind;
use alluvium_store::{BackfillRecord, BackfillState, Forgotten, StoreError};
use std::collections::BTreeMap;

/// What is asked of a backfill.
#[derive(Debug, Clone)]
pub struct Backfill {
    pub dataset: DatasetName,
    /// A new one, of this range; otherwise the one that is under way.
    pub range: Option<(Window, Stride)>,
    /// Windows made at once; `None`: as it was begun with.
    pub max_active: Option<u32>,
    /// Hundredths of a percent of the windows that may fail; `None`: as it was begun with.
    pub tolerated: Option<u32>,
    /// Makes what is not made yet.
    pub resume: bool,
    /// Puts it in place when it is built.
    pub swap: bool,
}

const MAX_ACTIVE: u32 = 2;

impl Flow<'_> {
    /// Does what is asked as one run. When `stop` ends first, what is made by then stays, and `None` is answered.
    ///
    /// # Errors
    /// When the dataset, the range or the backfill does not allow it, or the state store or the lake cannot be read. A failing
    /// window is not an error here: it is told in the answer.
    pub async fn backfill(
        &self,
        beside: &dyn Beside,
        asked: &Backfill,
        command: &str,
        stop: impl Future<Output = ()>,
    ) -> Result<Option<Backfilled>, FlowError> {
        let of = self.windowed(&asked.dataset)?;
        let under_way = self.under_way(&asked.dataset).await?;
        // Before there is a run: what cannot be is no work.
        match (&asked.range, &under_way) {
            (Some((range, stride)), None) => {
                plan::windows(of, *range, *stride)?;
                self.heads(of).await?;
            }
            (Some(_), Some(old)) => {
                return Err(FlowError::BackfillUnderWay { dataset: old.dataset.clone(), id: old.id.clone() });
            }
            (None, None) => return Err(FlowError::NoBackfill(asked.dataset.clone())),
            (None, Some(old)) if old.version != of.dataset.version => {
                return Err(FlowError::BackfillRedefined(asked.dataset.clone()));
            }
            (None, Some(old)) if !asked.resume && old.state != BackfillState::Built => {
                return Err(FlowError::NotBuilt(asked.dataset.clone()));
            }
            (None, Some(_)) => {}
        }
        let mut answer = None;
        let work = async |run: &RunId, summary: &mut Summary| {
            let mut record = match (&asked.range, under_way) {
                (None, Some(record)) => record,
                (range, _) => self.begin(run, of, beside, range.expect("a new one has a range"), asked).await?,
            };
            self.take_up(&mut record, asked).await?;
            let windows = plan::windows(of, record.range, record.stride)?;
            if asked.range.is_some() || asked.resume {
                self.build(run, of, beside, &mut record, &windows).await?;
            }
            let mut committed = None;
            if asked.swap && record.state == BackfillState::Built {
                committed = self.put_in_place(run, of, beside, &mut record, &windows, summary).await?;
                summary.failed_steps += u64::from(committed.is_none());
            }
            let parts = parts(self.store, &record, &self.watch()).await?;
            if record.state == BackfillState::Failed {
                summary.failed_steps += parts.iter().filter(|p| !p.is_made()).count() as u64;
            }
            answer = Some(Backfilled::new(record, parts, committed));
            Ok(())
        };
        self.live(command, Judged::All, stop, work).await?;
        Ok(answer)
    }

    /// The windows that a backfill would have, and what of the input lies in each. Changes nothing.
    ///
    /// # Errors
    /// As [`Flow::backfill`].
    pub async fn survey_backfill(
        &self,
        beside: &dyn Beside,
        dataset: &DatasetName,
        range: Window,
        stride: Stride,
    ) -> Result<Vec<(Window, Extent)>, FlowError> {
        let of = self.windowed(dataset)?;
        let windows = plan::windows(of, range, stride)?;
        let inputs = self.heads(of).await?;
        let extents = beside.survey(of, &inputs, &windows).await.map_err(|e| look_error(dataset, e))?;
        Ok(windows.into_iter().zip(extents).collect())
    }

    /// Throws away what a backfill made that is under way, and forgets it.
    ///
    /// # Errors
    /// When there is none, or the state store or the lake cannot be written.
    pub async fn drop_backfill(&self, beside: &dyn Beside, dataset: &DatasetName) -> Result<(), FlowError> {
        self.windowed(dataset)?;
        let mut under_way = self.under_way(dataset).await?;
        if let Some(record) = &mut under_way {
            self.forget(beside, record).await?;
        }
        // Also what a process left behind that was killed between the two.
        let removed = self.remove_beside(beside, dataset).await?;
        if under_way.is_none() && !removed {
            return Err(FlowError::NoBackfill(dataset.clone()));
        }
        Ok(())
    }

    fn windowed(&self, name: &DatasetName) -> Result<Windowed<'_>, FlowError> {
        let dataset = self.project.datasets.get(name).ok_or_else(|| FlowError::UnknownDataset(name.clone()))?;
        match &dataset.kind {
            Kind::Gold(gold) if gold.window.is_some() => Ok(Windowed { dataset, gold }),
            Kind::Gold(_) | Kind::Bronze(_) | Kind::Silver(_) => Err(FlowError::NoWindow(name.clone())),
        }
    }

    pub(super) async fn under_way(&self, name: &DatasetName) -> Result<Option<BackfillRecord>, FlowError> {
        let all = self.store.backfills().await?;
        Ok(all.into_iter().find(|b| b.dataset == *name && b.state != BackfillState::Swapped))
    }

    /// The newest version of each input.
    pub(super) async fn heads(&self, of: Windowed<'_>) -> Result<BTreeMap<DatasetName, i64>, FlowError> {
        let mut heads = BTreeMap::new();
        for input in &of.gold.inputs {
            let head = self.engine.head(input).await.map_err(|e| look_error(input, e))?;
            heads.insert(input.clone(), head.ok_or_else(|| FlowError::NoInput(input.clone()))?);
        }
        Ok(heads)
    }

    async fn begin(
        &self,
        run: &RunId,
        of: Windowed<'_>,
        beside: &dyn Beside,
        (range, stride): (Window, Stride),
        asked: &Backfill,
    ) -> Result<BackfillRecord, FlowError> {
        let now = self.clock.now();
        let record = BackfillRecord {
            id: run.clone(),
            dataset: of.dataset.name.clone(),
            version: of.dataset.version.clone(),
            range,
            stride,
            inputs: self.heads(of).await?,
            max_active: asked.max_active.unwrap_or(MAX_ACTIVE),
            tolerated: asked.tolerated.unwrap_or(0),
            state: BackfillState::Building,
            summary: None,
            started_at: now,
            changed_at: now,
        };
        crash_point("backfill.before_record");
        let other = self.store.start_backfill(&record).await?;
        crash_point("backfill.after_record");
        if let Some(id) = other {
            return Err(FlowError::BackfillUnderWay { dataset: record.dataset, id });
        }
        // What an earlier one left behind, whose process was killed at its end.
        self.remove_beside(beside, &record.dataset).await?;
        Ok(record)
    }

    /// As it is asked for now, where other processes read it.
    async fn take_up(&self, record: &mut BackfillRecord, asked: &Backfill) -> Result<(), FlowError> {
        let before = record.clone();
        record.max_active = asked.max_active.unwrap_or(record.max_active);
        record.tolerated = asked.tolerated.unwrap_or(record.tolerated);
        if asked.resume {
            record.state = BackfillState::Building;
        }
        if *record == before { Ok(()) } else { self.change(record).await }
    }

    pub(super) async fn change(&self, record: &mut BackfillRecord) -> Result<(), FlowError> {
        record.changed_at = self.clock.now();
        crash_point("backfill.before_record");
        let changed = self.store.change_backfill(record).await;
        crash_point("backfill.after_record");
        match changed {
            Ok(true) => Ok(()),
            // Another process brought it to its end.
            Ok(false) | Err(StoreError::Unknown { .. }) => Err(FlowError::NoBackfill(record.dataset.clone())),
            Err(error) => Err(error.into()),
        }
    }

    /// It never takes its place from then on, unless it has: then it is no more to be dropped.
    async fn forget(&self, beside: &dyn Beside, record: &mut BackfillRecord) -> Result<(), FlowError> {
        for _ in 0..ATTEMPTS {
            if let Some(version) = self.end_swaps(&record.id, record, &mut Summary::default()).await? {
                let windows = plan::cut(record);
                self.is_in_place(beside, record, &windows, version).await?;
                return Err(FlowError::NoBackfill(record.dataset.clone()));
            }
            crash_point("backfill.before_record");
            let forgotten = self.store.forget_backfill(&record.id).await?;
            crash_point("backfill.after_record");
            match forgotten {
                Forgotten::Now | Forgotten::NotThere => return Ok(()),
                // Another process wants to put it in place, since its swaps were ended.
                Forgotten::Swapping => {}
            }
        }
        Err(FlowError::Contended(record.dataset.clone()))
    }

    /// What backfills made that are over goes. `false`: there is nothing.
    pub(super) async fn remove_beside(&self, beside: &dyn Beside, dataset: &DatasetName) -> Result<bool, FlowError> {
        let failed = |e| look_error(dataset, e);
        let made = beside.made(dataset).await.map_err(failed)?;
        // After that: another process may begin one meanwhile, and what that makes is not among these.
        let kept = self.under_way(dataset).await?.map(|record| record.id);
        let over: Vec<RunId> = made.into_iter().filter(|id| kept.as_ref() != Some(id)).collect();
        for id in &over {
            crash_point("backfill.before_removal");
            beside.remove(dataset, id).await.map_err(failed)?;
            crash_point("backfill.after_removal");
        }
        Ok(!over.is_empty())
    }
}
