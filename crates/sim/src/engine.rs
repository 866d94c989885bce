//! An engine whose tables are lists of records, and whose commits are fenced as those of the lake are: by the step's key, by the
//! version that was read where the work rests on it, and by a fence around steps that were superseded.
//!
//! A commit is on its way for a while, and arrives whether or not the process that sent it still lives.

use crate::{
    executor::Sim,
    fault::{Late, Odds, Rejected, ReplyLost, way},
};
use alluvium_flow::{Engine, Increment, Job, Maintained, Outcome, Report, StepError};
use alluvium_model::{Balance, DatasetName, EventId, StepKey};
use alluvium_spec::{Dataset, Kind, Silver};
use alluvium_store::{StepDone, StepKind, StepRecord};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::oneshot;

/// What a lake looks at before it takes a commit in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    /// Whether its step has committed already, or is closed to this attempt, or another commit came since it read the table.
    Up,
    /// As one that holds superseded steps to be over: the simulation has to find what comes of it.
    Ajar,
    /// As one that trusts its workers: the simulation has to find what comes of this, too.
    Down,
}

/// A version of a table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Commit {
    /// `None`: a fence, which changes nothing.
    pub(crate) step: Option<StepKey>,
    pub(crate) rows: Vec<String>,
    /// The table holds only this commit's rows from now on.
    pub(crate) anew: bool,
    pub(crate) quarantine: Vec<String>,
    outcome: Outcome,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) commits: Vec<Commit>,
    /// Attempts up to this one commit no more.
    closed: BTreeMap<StepKey, u32>,
}

/// An attempt that wants to commit.
struct Asks {
    step: StepKey,
    attempt: u32,
    /// The version that its work rests on.
    read: Option<i64>,
}

impl Table {
    pub(crate) fn of(&self, step: &StepKey) -> impl Iterator<Item = &Commit> {
        self.commits.iter().filter(move |c| c.step.as_ref() == Some(step))
    }

    fn refuses(&self, asks: &Asks) -> bool {
        let closed = self.closed.get(&asks.step).is_some_and(|upto| *upto >= asks.attempt);
        closed || self.of(&asks.step).next().is_some() || asks.read.is_some_and(|v| v != self.head())
    }

    /// Rows of the versions `(after, upto]`.
    fn between(&self, after: i64, upto: i64) -> Vec<String> {
        let versions = self.commits.iter().zip(1..).filter(|(_, v)| *v > after && *v <= upto);
        versions.flat_map(|(c, _)| c.rows.iter().cloned()).collect()
    }

    /// Rows at a version.
    pub(crate) fn at(&self, version: i64) -> Vec<String> {
        let mut rows = Vec::new();
        for (commit, _) in self.commits.iter().zip(1..).filter(|(_, v)| *v <= version) {
            if commit.anew {
                rows.clear();
            }
            rows.extend(commit.rows.iter().cloned());
        }
        rows
    }

    pub(crate) fn head(&self) -> i64 {
        i64::try_from(self.commits.len()).expect("a few versions")
    }
}

/// The lake, for all processes.
pub(crate) struct Tables {
    all: Mutex<BTreeMap<DatasetName, Table>>,
    fence: Fence,
    wrong: Mutex<Vec<String>>,
}

impl Tables {
    pub(crate) fn new(fence: Fence) -> Self {
        let (all, wrong) = Default::default();
        Self { all, fence, wrong }
    }

    pub(crate) fn all(&self) -> MutexGuard<'_, BTreeMap<DatasetName, Table>> {
        self.all.lock().expect("no holder of this lock panics")
    }

    /// Somebody says that these are done: what they committed has to be visible by then.
    pub(crate) fn announced(&self, done: &[StepDone]) {
        let all = self.all();
        for step in done.iter().filter(|d| d.committed.is_some()) {
            if !all.values().any(|t| t.of(&step.key).next().is_some()) {
                self.wrong().push(format!("step {} was announced before it was visible", step.key));
            }
        }
    }

    pub(crate) fn wrong(&self) -> MutexGuard<'_, Vec<String>> {
        self.wrong.lock().expect("no holder of this lock panics")
    }

    fn commit(&self, dataset: &DatasetName, asks: &Asks, mut commit: Commit) -> Result<Outcome, Late> {
        let mut all = self.all();
        let table = all.entry(dataset.clone()).or_default();
        if self.fence != Fence::Down && table.refuses(asks) {
            return Err(Late);
        }
        commit.outcome.committed = Some(table.head() + 1);
        let outcome = commit.outcome.clone();
        table.commits.push(commit);
        Ok(outcome)
    }

    /// `false`: the step has committed.
    fn close(&self, dataset: &DatasetName, step: &StepKey, attempt: u32) -> bool {
        let mut all = self.all();
        let table = all.entry(dataset.clone()).or_default();
        if table.of(step).next().is_some() {
            return false;
        }
        if self.fence == Fence::Up {
            let closed = table.closed.entry(step.clone()).or_default();
            *closed = attempt.max(*closed);
            table.commits.push(Commit::default());
        }
        true
    }
}

pub(crate) struct SimEngine {
    pub(crate) tables: Arc<Tables>,
    pub(crate) sim: Sim,
    pub(crate) process: u32,
    pub(crate) odds: Option<Odds>,
}

impl SimEngine {
    fn table(&self, dataset: &DatasetName) -> Option<Table> {
        self.tables.all().get(dataset).cloned()
    }

    async fn look(&self) -> Result<(), StepError> {
        way(&self.sim, None).await;
        if self.odds.is_some_and(|o| self.sim.once_in(o.reject * 10)) {
            return Err(StepError::new(Rejected));
        }
        Ok(())
    }

    /// What the step would commit.
    fn compute(&self, job: &Job<'_>) -> (Commit, Asks) {
        let anew = matches!(job.dataset.kind, Kind::Gold(_));
        // What is appended rests on nothing that the table holds.
        let read = anew.then(|| self.table(&job.dataset.name).map_or(0, |t| t.head()));
        let asks = Asks { step: job.step.key.clone(), attempt: job.step.attempts, read };
        let input = |name: &DatasetName| self.table(name).unwrap_or_default();
        let (mut rows, mut quarantine, mut dead, mut received) = (Vec::new(), Vec::new(), Vec::new(), 0);
        match job.step.kind {
            StepKind::Ingest => {
                for event in job.events {
                    received += event.bytes;
                    if event.content.as_str().starts_with("bad") {
                        dead.push((event.event.clone(), "SIM9: it cannot be read".to_owned()));
                    } else {
                        rows.extend((0..event.bytes).map(|n| record(&event.event, n)));
                    }
                }
            }
            StepKind::Refine | StepKind::Rebuild | StepKind::ReplayQuarantine => {
                for (name, range) in &job.step.inputs {
                    let from = input(name).between(range.after, range.upto);
                    received += from.len() as u64;
                    let (bad, good): (Vec<_>, Vec<_>) = from.into_iter().partition(|r| r.ends_with('3'));
                    rows.extend(good);
                    quarantine.extend(bad);
                }
            }
            StepKind::Backfill | StepKind::Swap => unreachable!("no process of the simulation asks for a backfill"),
            StepKind::Curate => {
                for (name, range) in &job.step.inputs {
                    let from = input(name).at(range.upto);
                    received += 1;
                    rows.push(format!("{name}: {}", from.len()));
                }
            }
        }
        let dead_records: u64 =
            job.events.iter().filter(|e| dead.iter().any(|(d, _)| *d == e.event)).map(|e| e.bytes).sum();
        let balance = Balance {
            received,
            loaded: rows.len() as u64,
            quarantined: quarantine.len() as u64,
            dead: dead_records,
            ..Balance::default()
        };
        let outcome = Outcome { balance, dead, ..Outcome::default() };
        (Commit { step: Some(job.step.key.clone()), rows, anew, quarantine, outcome }, asks)
    }
}

fn record(event: &EventId, n: u64) -> String {
    format!("{event}#{n}")
}

#[async_trait]
impl Engine for SimEngine {
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

    async fn rows(&self, dataset: &DatasetName) -> Result<u64, StepError> {
        Ok(self.table(dataset).map_or(0, |t| t.at(t.head()).len() as u64))
    }

    async fn quarantine(&self, _: &DatasetName) -> Result<Option<(i64, u64)>, StepError> {
        Ok(None)
    }

    fn rows_per_step(&self, _: &Silver) -> u64 {
        20
    }

    async fn execute(&self, job: &Job<'_>, _: &dyn Report) -> Result<Outcome, StepError> {
        let (name, key) = (job.dataset.name.clone(), job.step.key.as_str()[..8].to_owned());
        let (commit, asks) = self.compute(job);
        way(&self.sim, self.odds).await;
        if self.odds.is_some_and(|o| self.sim.once_in(o.reject)) {
            self.sim.note(format_args!("p{} {name} {key}: refused", self.process));
            return Err(StepError::new(Rejected));
        }
        // On its own: it arrives even if this process is gone by then.
        let (arrived, answer) = oneshot::channel();
        let (tables, sim, odds, process) = (self.tables.clone(), self.sim.clone(), self.odds, self.process);
        self.sim.spawn(async move {
            way(&sim, odds).await;
            let done = tables.commit(&name, &asks, commit);
            let word = if done.is_ok() { "committed" } else { "came late" };
            sim.note(format_args!("p{process} {name} {key}: {word}"));
            // Who waits for it may be gone.
            let _ = arrived.send(done);
        });
        let done = answer.await.map_err(|_| StepError::new(ReplyLost))?;
        way(&self.sim, self.odds).await;
        if self.odds.is_some_and(|o| self.sim.once_in(o.lose)) {
            return Err(StepError::new(ReplyLost));
        }
        done.map_err(StepError::new)
    }

    async fn recover(&self, dataset: &Dataset, step: &StepRecord) -> Result<Option<Outcome>, StepError> {
        self.look().await?;
        let table = self.table(&dataset.name).unwrap_or_default();
        Ok(table.of(&step.key).next().map(|c| c.outcome.clone()))
    }

    async fn fence(&self, dataset: &Dataset, step: &StepRecord, attempt: u32) -> Result<bool, StepError> {
        self.look().await?;
        let is_off = self.tables.close(&dataset.name, &step.key, attempt);
        let (key, word) = (&step.key.as_str()[..8], if is_off { "is fenced off" } else { "has committed" });
        self.sim.note(format_args!("p{} {} {key}: {word} up to attempt {attempt}", self.process, dataset.name));
        way(&self.sim, self.odds).await;
        if self.odds.is_some_and(|o| self.sim.once_in(o.lose)) {
            return Err(StepError::new(ReplyLost));
        }
        Ok(is_off)
    }

    async fn maintain(&self, _: &Dataset, _: i64, _: i64) -> Result<Maintained, StepError> {
        Ok(Maintained::default())
    }
}
