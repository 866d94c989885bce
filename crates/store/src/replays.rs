//! Replays that were asked for, and what else a service looks for in the state, as values.

use crate::StepRecord;
use alluvium_model::{DatasetName, EventId, RunId};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A replay that somebody wants. What `asked` and `request` say is the matter of whoever reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReplay {
    /// That of the run that will do it.
    pub id: RunId,
    /// Whoever asks again under the same key means the same replay.
    pub key: Option<String>,
    /// As it was asked for.
    pub asked: String,
    /// What is to be done: other than `asked`, it means the same at all times.
    pub request: String,
    /// As it is recorded with the run.
    pub command: String,
    pub asked_at: Timestamp,
}

/// What became of the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedReplay {
    /// It is durable.
    New,
    /// It is this one, which was asked for before.
    Known(RunId),
    /// Another one was asked for under this key.
    OtherUnderKey(RunId),
    /// Too many wait.
    Full,
}

/// A replay that was asked for. How far it has come says the run of the same id; one that has not ended and that no live process is
/// at is taken by the next service, from its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayRecord {
    pub id: RunId,
    pub key: Option<String>,
    pub asked: String,
    pub request: String,
    pub command: String,
    pub asked_at: Timestamp,
    /// `None`: it waits, or goes on.
    pub ended_at: Option<Timestamp>,
    /// How it ended, as JSON.
    pub outcome: Option<String>,
    /// It has not ended, and a live process is at it.
    pub is_live: bool,
}

/// What a service has to know of others.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct News {
    /// The newest version of each dataset's table that a step committed; none of a dataset without one. Windows of backfills are
    /// not counted, they are in no live table.
    pub committed: BTreeMap<DatasetName, i64>,
    /// Replays that wait for somebody, oldest first.
    pub replays: Vec<ReplayRecord>,
    /// The place of the oldest record in each dataset's inbox.
    pub pushed: BTreeMap<DatasetName, i64>,
    /// The oldest landing object of each dataset that is in no step.
    pub unplanned: BTreeMap<DatasetName, EventId>,
    /// As [`Store::ready_steps`](crate::Store::ready_steps).
    pub ready: Vec<StepRecord>,
    /// Some run that has not been told is to be told.
    pub untold: bool,
    /// Replays and steps go on elsewhere, or wait for their time. Their processes may die, and write no word of it.
    pub going: bool,
}

impl News {
    /// Whether something becomes of this without another word in the state.
    pub fn is_open(&self) -> bool {
        self.going || !self.replays.is_empty() || !self.pushed.is_empty() || !self.unplanned.is_empty()
    }
}

/// Size and time of change of the files of a state; `None`: the file is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(pub(crate) Vec<(PathBuf, Option<(u64, Timestamp)>)>);

/// Writes that are closer to each other may bear one time.
const GRAIN: SignedDuration = SignedDuration::from_secs(1);

impl Stamp {
    /// Whether the files tell every write that came after they bore this stamp at `now`.
    pub fn is_distinct(&self, now: Timestamp) -> bool {
        let last = self.0.iter().filter_map(|(_, found)| found.map(|(_, changed)| changed)).max();
        last.is_some_and(|last| now.duration_since(last) >= GRAIN)
    }

    /// The files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|(path, _)| path.as_path())
    }
}
