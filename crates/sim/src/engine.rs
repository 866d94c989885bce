//! An engine over the simulated lake: what it computes from records is simple, and how it commits is as the real one does it.
//!
//! A commit is on its way for a while, and arrives whether or not the process that sent it still lives.

use crate::{
    aside::Waiting,
    days,
    executor::Sim,
    fault::{Fallen, Gone, Moved, Odds, Rejected, ReplyLost, way},
    gate::{self, Ground},
    landing::Folders,
    planted::Planted,
    pushed,
    tables::{Asks, Commit, Place, Table, Tables, Takes},
};
use alluvium_flow::{Engine, Increment, Job, Maintained, Outcome, Report, StepError};
use alluvium_model::{Balance, ContentHash, DatasetName, EventId};
use alluvium_spec::{Dataset, Freshness, Kind, Silver};
use alluvium_store::{QualityResult, StepKind, StepRecord};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::sync::oneshot;

pub(crate) struct SimEngine {
    pub(crate) tables: Arc<Tables>,
    pub(crate) sim: Sim,
    pub(crate) folders: Arc<Folders>,
    pub(crate) process: u32,
    /// It has the earlier definitions.
    pub(crate) is_old: bool,
    pub(crate) odds: Option<Odds>,
}

/// How a step comes to its end.
pub(crate) enum Computed<T> {
    By(T),
    /// There is nothing to commit.
    Idle(Box<Outcome>),
}

impl SimEngine {
    fn table(&self, dataset: &DatasetName) -> Option<Table> {
        self.tables.get(&Place::live(dataset))
    }

    /// Where the step's rows go.
    fn place(dataset: &Dataset, step: &StepRecord) -> Place {
        match step.kind {
            StepKind::Backfill => Place::beside(&dataset.name, &step.run),
            _ => Place::live(&dataset.name),
        }
    }

    async fn look(&self) -> Result<(), StepError> {
        way(&self.sim, None).await;
        if self.odds.is_some_and(|o| self.sim.once_in(o.reject * 10)) {
            return Err(StepError::new(Rejected));
        }
        Ok(())
    }

    fn compute(&self, job: &Job<'_>) -> Result<Computed<(Commit, Asks)>, StepError> {
        let step = job.step;
        let place = Self::place(job.dataset, step);
        let own = self.tables.get(&place).unwrap_or_default();
        let planted = self.tables.planted;
        let computed = if gate::is_one(&job.dataset.name) {
            let (healed, is_old) = (self.folders.are_healed(), self.is_old);
            let ground = Ground { own: &own, healed, is_old, planted };
            gate::compute(job, &ground, |name| self.table(name).unwrap_or_default())?
        } else {
            Computed::By(self.compute_plain(job, &own)?)
        };
        // What is appended, or stands beside, rests on nothing that the table holds.
        let read = matches!(step.kind, StepKind::Curate | StepKind::Swap).then(|| own.head());
        let asks = Asks { place, step: step.key.clone(), attempt: step.attempts, read };
        Ok(match computed {
            Computed::By(made) => Computed::By((made.commit(step, planted), asks)),
            Computed::Idle(outcome) => Computed::Idle(outcome),
        })
    }

    /// Where nothing is held back, and nothing that waits is tried again.
    fn compute_plain(&self, job: &Job<'_>, own: &Table) -> Result<Made, StepError> {
        let step = job.step;
        let input = |name: &DatasetName| self.table(name).unwrap_or_default();
        let mut made = Made::default();
        match step.kind {
            StepKind::Ingest => {
                for event in job.events {
                    made.received += event.bytes;
                    if let Some(records) = pushed::records(&event.content) {
                        made.rows.extend(records);
                    } else if event.content.as_str().starts_with("bad") {
                        made.dead.push((event.event.clone(), "SIM9: it cannot be read".to_owned()));
                        made.dead_records += event.bytes;
                    } else {
                        made.rows.extend((0..event.bytes).map(|n| record(&event.event, n)));
                    }
                }
            }
            StepKind::Refine => {
                for (name, range) in &step.inputs {
                    let from = input(name).between(range.after, range.upto);
                    made.received += from.len() as u64;
                    let (bad, good): (Vec<_>, Vec<_>) = from.into_iter().partition(|r| r.ends_with('3'));
                    made.rows.extend(good);
                    made.quarantine.extend(bad);
                }
            }
            kind @ (StepKind::Rebuild | StepKind::ReplayQuarantine | StepKind::Discard) => {
                unreachable!("nobody asks for a step of the kind {kind:?} here")
            }
            StepKind::Curate if matches!(&job.dataset.kind, Kind::Gold(gold) if gold.window.is_some()) => {
                made.takes = Takes::Everything;
                for (name, range) in &step.inputs {
                    made.rows.extend(days::rows(&input(name).at(range.upto), &step.version));
                    if range.after >= 0 {
                        let changed = input(name).between(range.after, range.upto);
                        let windows: Vec<_> = changed.iter().map(|r| days::of_record(r)).collect();
                        made.rows.retain(|row| days::is_within(row, &windows));
                        made.takes = Takes::Windows(windows);
                    }
                }
                made.received = made.rows.len() as u64;
            }
            StepKind::Curate => {
                made.takes = Takes::Everything;
                for (name, range) in &step.inputs {
                    made.rows.push(format!("{name}: {}", input(name).at(range.upto).len()));
                }
                made.received = made.rows.len() as u64;
            }
            StepKind::Backfill => {
                let windows = step.windows.clone().unwrap_or_default();
                for (name, version) in &step.lookups {
                    made.rows.extend(days::rows(&input(name).at(*version), &step.version));
                }
                made.rows.retain(|row| days::is_within(row, &windows));
                made.received = made.rows.len() as u64;
                made.takes = Takes::Windows(windows);
            }
            StepKind::Swap => {
                let checked = step.lookups.get(&job.dataset.name).copied().unwrap_or(-1);
                if own.has_moved(checked) {
                    return Err(StepError::new(Moved));
                }
                let side = self.tables.get(&Place::beside(&job.dataset.name, &step.run));
                let side = side.ok_or_else(|| StepError::new(Gone))?;
                (made.rows, made.takes) = match &step.windows {
                    Some(windows) => (side.within(windows), Takes::Windows(windows.clone())),
                    None => (side.at(side.head()), Takes::Everything),
                };
                made.received = made.rows.len() as u64;
            }
        }
        Ok(made)
    }
}

/// By one step.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) rows: Vec<String>,
    pub(crate) takes: Takes,
    pub(crate) quarantine: Vec<String>,
    /// What comes into the quarantine was in it before.
    pub(crate) stays: bool,
    pub(crate) leaves: Vec<Waiting>,
    pub(crate) dropped: Vec<String>,
    pub(crate) quality: Vec<QualityResult>,
    pub(crate) dead: Vec<(EventId, String)>,
    pub(crate) received: u64,
    pub(crate) dead_records: u64,
}

impl Made {
    fn commit(self, step: &StepRecord, planted: Planted) -> Commit {
        let Self { rows, takes, quarantine, stays, leaves, dropped, quality, dead, received, dead_records } = self;
        let mut balance = Balance {
            received,
            loaded: rows.len() as u64,
            quarantined: if stays { 0 } else { quarantine.len() as u64 },
            dropped: dropped.len() as u64,
            dead: dead_records,
            ..Balance::default()
        };
        if planted == Planted::Uncounted {
            balance.received -= std::mem::take(&mut balance.dropped);
        }
        let outcome = Outcome { balance, dead, quality, ..Outcome::default() };
        let swaps = (step.kind == StepKind::Swap).then(|| step.run.clone());
        Commit { step: Some(step.key.clone()), rows, takes, quarantine, leaves, dropped, swaps, outcome }
    }
}

fn record(event: &EventId, n: u64) -> String {
    format!("{event}#{n}")
}

#[async_trait]
impl Engine for SimEngine {
    async fn name(&self, _: Option<&str>) -> Result<Option<String>, StepError> {
        Ok(Some("the lake".to_owned()))
    }

    async fn head(&self, dataset: &DatasetName) -> Result<Option<i64>, StepError> {
        self.look().await?;
        Ok(self.table(dataset).map(|t| t.head()))
    }

    async fn increments(&self, dataset: &DatasetName, after: i64) -> Result<Vec<Increment>, StepError> {
        self.look().await?;
        let table = self.table(dataset).unwrap_or_default();
        let versions = table.commits.iter().zip(1..).filter(|(c, v)| *v > after && c.step.is_some());
        Ok(versions.map(|(c, version)| Increment { version, rows: c.rows.len() as u64 }).collect())
    }

    async fn is_small(&self, _: &StepRecord) -> bool {
        true
    }

    async fn rows(&self, dataset: &DatasetName) -> Result<u64, StepError> {
        Ok(self.table(dataset).map_or(0, |t| t.at(t.head()).len() as u64))
    }

    async fn quarantine(&self, dataset: &DatasetName) -> Result<Option<(i64, u64)>, StepError> {
        self.look().await?;
        let aside = self.table(dataset).unwrap_or_default().aside;
        Ok((aside.head() > 0).then(|| (aside.head(), aside.rows().len() as u64)))
    }

    async fn has_left(&self, dataset: &DatasetName, version: i64) -> Result<bool, StepError> {
        self.look().await?;
        Ok(self.table(dataset).is_some_and(|t| t.aside.has_left(version)))
    }

    async fn rescued(&self, _: &Silver, _: &[String]) -> Result<BTreeMap<String, u64>, StepError> {
        Ok(BTreeMap::new())
    }

    async fn newest(&self, _: &DatasetName, _: &Freshness) -> Result<Option<Timestamp>, StepError> {
        Ok(None)
    }

    fn rows_per_step(&self, _: &Silver) -> u64 {
        20
    }

    async fn execute(&self, job: &Job<'_>, _: &dyn Report) -> Result<Outcome, StepError> {
        let (name, key) = (job.dataset.name.clone(), job.step.key.as_str()[..8].to_owned());
        let computed = self.compute(job).inspect_err(|e| {
            self.sim.note(format_args!("p{} {name} {key}: {e}", self.process));
        })?;
        let (commit, asks) = match computed {
            Computed::By(computed) => computed,
            Computed::Idle(outcome) => {
                self.sim.note(format_args!("p{} {name} {:?} {key}: nothing to commit", self.process, job.step.kind));
                way(&self.sim, self.odds).await;
                return Ok(*outcome);
            }
        };
        way(&self.sim, self.odds).await;
        let is_fallen = self.tables.is_fallen();
        if is_fallen || self.odds.is_some_and(|o| self.sim.once_in(o.reject)) {
            self.sim.note(format_args!("p{} {name} {key}: refused", self.process));
            let blames = is_fallen && self.tables.planted != Planted::Blameless;
            return Err(if blames { StepError::new(Fallen) } else { StepError::new(Rejected) });
        }
        // On its own: it arrives even if this process is gone by then.
        let (arrived, answer) = oneshot::channel();
        let (tables, sim, odds, process) = (self.tables.clone(), self.sim.clone(), self.odds, self.process);
        let (kind, place) = (job.step.kind, asks.place.clone());
        self.sim.spawn(async move {
            way(&sim, odds).await;
            let done = tables.commit(&asks, commit);
            let word = if done.is_ok() { "committed" } else { "came late" };
            sim.note(format_args!("p{process} {name} {kind:?} {key}: {word}"));
            // Who waits for it may be gone.
            let _ = arrived.send(done);
        });
        let done = answer.await.map_err(|_| StepError::new(ReplyLost))?;
        way(&self.sim, self.odds).await;
        if self.odds.is_some_and(|o| self.sim.once_in(o.lose)) {
            return Err(StepError::new(ReplyLost));
        }
        if done.is_ok() {
            self.tables.follow(&place, &job.step.key);
        }
        done.map_err(StepError::new)
    }

    async fn recover(&self, dataset: &Dataset, step: &StepRecord) -> Result<Option<Outcome>, StepError> {
        self.look().await?;
        let place = Self::place(dataset, step);
        self.tables.follow(&place, &step.key);
        let table = self.tables.get(&place).unwrap_or_default();
        Ok(table.of(&step.key).next().map(|c| c.outcome.clone()))
    }

    async fn fence(&self, dataset: &Dataset, step: &StepRecord, attempt: u32) -> Result<bool, StepError> {
        self.look().await?;
        let is_off = self.tables.close(&Self::place(dataset, step), &step.key, attempt);
        let (key, word) = (&step.key.as_str()[..8], if is_off { "is fenced off" } else { "has committed" });
        self.sim.note(format_args!("p{} {} {key}: {word} up to attempt {attempt}", self.process, dataset.name));
        way(&self.sim, self.odds).await;
        if self.odds.is_some_and(|o| self.sim.once_in(o.lose)) {
            return Err(StepError::new(ReplyLost));
        }
        Ok(is_off)
    }

    async fn keeps(&self, _: &DatasetName, _: &ContentHash) -> Result<bool, StepError> {
        Ok(false)
    }

    async fn forget_payloads(&self, _: &DatasetName, _: &BTreeSet<ContentHash>) -> Result<u64, StepError> {
        Ok(0)
    }

    async fn maintain(&self, _: &Dataset, _: i64, _: i64) -> Result<Maintained, StepError> {
        Ok(Maintained::default())
    }
}
