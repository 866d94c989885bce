//! One ordered stream of what happens, for every reporter: terminal, log, JSON.

use crate::{Dependency, Maintained, Outcome, Replayed};
use alluvium_model::{DatasetName, DefinitionVersion, RunId, Span, StepKey};
use alluvium_store::{Alert, StepKind, Topic};
use jiff::Timestamp;
use serde_json::Number;
use std::{collections::BTreeMap, time::Duration};

#[derive(Debug, Clone)]
pub enum Signal {
    RunStarted {
        run: RunId,
    },
    /// The landing zone of a bronze dataset was looked at.
    Looked {
        dataset: DatasetName,
        new: u64,
        duplicates: u64,
        unsettled: u64,
    },
    /// Events that were pushed have become a landing object.
    LaidDown {
        dataset: DatasetName,
        events: u64,
    },
    /// The same content arrived before under another name.
    Duplicate {
        dataset: DatasetName,
        path: String,
        first_path: String,
    },
    Refused {
        dataset: DatasetName,
        path: String,
        code: &'static str,
        reason: String,
    },
    Settling {
        dataset: DatasetName,
        files: u64,
        time: Duration,
    },
    /// The dataset's definition changed, and a person has to say how to go on. `rows` were made under `active`.
    Held {
        dataset: DatasetName,
        active: DefinitionVersion,
        now: DefinitionVersion,
        rows: u64,
        waiting: Waiting,
    },
    /// By its condition the dataset takes nothing of what waits for it now.
    NotTaken {
        dataset: DatasetName,
        left: NotTaken,
    },
    /// Rows from now on are made under another version than the table's older rows.
    Adopted {
        dataset: DatasetName,
        active: DefinitionVersion,
        now: DefinitionVersion,
        recomputed: bool,
    },
    StepStarted {
        step: StepKey,
        dataset: DatasetName,
        kind: StepKind,
        attempt: u32,
    },
    /// `done` of `total` in the unit of the stage: bytes while ingesting, rows otherwise; `total` 0: unknown.
    Progress {
        step: StepKey,
        stage: &'static str,
        done: u64,
        total: u64,
    },
    StepDone {
        step: StepKey,
        dataset: DatasetName,
        kind: StepKind,
        outcome: Box<Outcome>,
        recovered: bool,
    },
    StepFailed {
        step: StepKey,
        dataset: DatasetName,
        code: &'static str,
        message: String,
        remedy: &'static str,
        /// Attempts by now.
        attempts: u32,
        /// Before then no other attempt begins; `None`: it is a dead letter.
        retry_at: Option<Timestamp>,
        /// This run waits for it.
        again: bool,
    },
    /// A step that is not tried before that time; this run does not wait for it.
    StepWaits {
        step: StepKey,
        dataset: DatasetName,
        until: Timestamp,
        why: StepWait,
    },
    /// A step that became a dead letter before. `blocks`: later input of the dataset waits behind it.
    StepDead {
        step: StepKey,
        dataset: DatasetName,
        error: String,
        blocks: bool,
    },
    /// What many steps need failed several times in a row, and is left alone until then.
    BreakerOpened {
        dependency: Dependency,
        until: Timestamp,
    },
    /// It answers again.
    BreakerClosed {
        dependency: Dependency,
    },
    /// What a replay did to a dead letter; `letter` is the event's or the step's id.
    LetterReplayed {
        dataset: DatasetName,
        letter: String,
        done: Replayed,
    },
    /// What a replay of rescued values found: fields that the dataset's definition names and its table lacks, with the rows that have them.
    Rescued {
        dataset: DatasetName,
        fields: BTreeMap<String, u64>,
    },
    /// A folder or a table of the dataset could not be read; the service goes on with the others.
    NotLooked {
        dataset: DatasetName,
        code: &'static str,
        message: String,
        remedy: &'static str,
    },
    /// Files of which no notice came, found by a service's scan.
    Missed {
        dataset: DatasetName,
        files: u64,
    },
    /// Nothing newer has come to the dataset's table for longer than its freshness allows, found by a service.
    Stale {
        dataset: DatasetName,
        column: String,
        /// `None`: no row has a time.
        newest: Option<Timestamp>,
        /// The age that is passed.
        after: Span,
        is_error: bool,
    },
    /// It is no longer so.
    Fresh {
        dataset: DatasetName,
    },
    /// Some process has committed since a service looked last.
    CommitsSeen,
    StepHeldBy {
        dataset: DatasetName,
        process: u32,
    },
    /// Another process did a step that this one planned.
    StepDoneElsewhere {
        dataset: DatasetName,
    },
    /// A file that a step loads is not here, and was found on another host: the step is left to a process there.
    Elsewhere {
        dataset: DatasetName,
        path: String,
        host: String,
    },
    /// A backfill is made under another definition of its dataset than this process has: its windows are left to others.
    WindowsLeft {
        dataset: DatasetName,
    },
    /// The step waits for a slot of a concurrency key.
    StepWaitsForSlot {
        dataset: DatasetName,
        key: String,
    },
    /// Its tables were put in order after the run's work.
    Maintained {
        dataset: DatasetName,
        done: Maintained,
    },
    /// They could not be; the next run tries again.
    NotMaintained {
        dataset: DatasetName,
        code: &'static str,
        message: String,
    },
    /// Publications of the topic left for the sink, in order.
    Published {
        topic: Topic,
        sink: String,
        events: u64,
    },
    /// The sink did not take the topic's next one. It waits, and what follows it.
    NotPublished {
        topic: Topic,
        sink: String,
        code: &'static str,
        message: String,
        remedy: &'static str,
        /// `None`: the receiver wants no more.
        again_in: Option<Duration>,
    },
    RunFinished {
        run: RunId,
    },
    /// The sinks are to be told that something is wrong, or that it is over.
    AlertTold {
        alert: Box<Alert>,
    },
    /// The run has ended with all of its steps, and the sinks are to be told.
    RunTold {
        run: RunId,
    },
}

/// Why a step is not tried now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepWait {
    /// It failed, and its delay has not passed.
    Delay,
    /// The dataset's retries of this day are used up.
    Budget { retries_per_day: u32 },
    /// What it needs is left alone.
    Breaker(Dependency),
    /// Its turn in a throttle has not come.
    Throttle { key: String },
}

/// What waits for a dataset whose condition does not hold.
#[derive(Debug, Clone, PartialEq)]
pub struct NotTaken {
    /// As it is written.
    pub condition: String,
    /// What it names, and what that was.
    pub seen: BTreeMap<String, Number>,
    /// When time alone may make it another; `None`: only what comes can.
    pub again: Option<Timestamp>,
}

/// What a changed definition holds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    Nothing,
    /// New input of the dataset.
    Input,
    /// A replay of the dataset's quarantine.
    Quarantine,
}

/// Takes signals in the order they happen; must not block and must not fail.
pub trait Report: Send + Sync {
    fn signal(&self, signal: Signal);
}

/// What one run did to one dataset.
#[derive(Debug, Clone, Default)]
pub struct DatasetSummary {
    pub steps: u64,
    pub balance: alluvium_model::Balance,
    /// Rule to rows it sent to quarantine or dropped, or warned of.
    pub rules: BTreeMap<String, RuleSummary>,
    pub windows: u64,
    pub wall_micros: u64,
    pub rows_in: u64,
    pub notes: Vec<String>,
    /// The first version that it committed.
    pub committed: Option<i64>,
}

#[derive(Debug, Clone, Default)]
pub struct RuleSummary {
    pub action: String,
    pub violations: u64,
}

impl DatasetSummary {
    pub(crate) fn add(&mut self, o: &Outcome) {
        self.steps += 1;
        self.committed = self.committed.or(o.committed);
        self.balance += o.balance;
        self.windows += o.windows;
        self.wall_micros += o.usage.wall_micros;
        self.rows_in += o.usage.rows_in;
        self.notes.extend(o.notes.iter().cloned());
        for q in o.quality.iter().filter(|q| !q.passed) {
            let r = self.rules.entry(q.rule.clone()).or_default();
            r.action.clone_from(&q.action);
            r.violations += q.violations;
        }
    }
}
