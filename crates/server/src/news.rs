//! What a service learns from the state alone: commits of other processes, replays that were asked for, and what others left.
//!
//! Called by the loop in `service.rs`, about once a second; then it costs one small question. Where files tell of what is written, nothing is
//! asked until they do. A commit is known by its dataset's newest version. It is forgotten only when everything that is made from the
//! dataset was looked at after it.

use crate::{
    abandoned::{Abandoned, Mark},
    resting::Resting,
};
use alluvium_flow::{Agenda, Flow, FlowError, Replay, Signal};
use alluvium_model::{DatasetName, Fault};
use alluvium_store::{ReplayRecord, Stamp};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What the service has seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Commits that nothing follows from any more.
    committed: BTreeMap<DatasetName, i64>,
    /// Replays that only another version of alluvium can do; told once.
    strange: BTreeSet<String>,
    /// What waits, and whether anybody does it.
    waits: Abandoned,
    pub(crate) rests: Resting,
}

/// What one look found.
pub(crate) struct News {
    /// Each dataset that somebody has committed to, its version, and what is made from it and has something to do.
    commits: Vec<(DatasetName, i64, Vec<DatasetName>)>,
    replays: Vec<ReplayRecord>,
    waits: Vec<Mark>,
    /// Something may follow without a word in the state.
    is_open: bool,
    /// Of the files, before they were asked.
    stamp: Option<Stamp>,
}

impl Seen {
    /// What is there before the first turn, which looks at everything.
    pub(crate) async fn at_start(flow: &Flow<'_>) -> Self {
        // A state that cannot be reached now is looked at later.
        let news = flow.store.news(&names(flow), &flow.watch()).await.unwrap_or_default();
        Self { committed: news.committed, ..Self::default() }
    }

    /// Replays that wait and that this version can do, for who looks only once.
    pub(crate) async fn asked(&mut self, flow: &Flow<'_>) -> Result<Vec<ReplayRecord>, FlowError> {
        let news = flow.store.news(&names(flow), &flow.watch()).await?;
        Ok(news.replays.into_iter().filter(|r| self.is_understood(r)).collect())
    }

    /// A question to the state, and one more for each dataset that was committed to. Runs that have ended are told on the way.
    pub(crate) fn look<'f>(&self, flow: &'f Flow<'f>) -> impl Future<Output = Result<News, FlowError>> + use<'f> {
        let known = self.committed.clone();
        async move {
            let stamp = Resting::stamp(flow);
            let news = flow.store.news(&names(flow), &flow.watch()).await?;
            let mut commits = Vec::new();
            for (name, version) in &news.committed {
                if known.get(name) != Some(version) {
                    commits.push((name.clone(), *version, flow.behind(name, &news.committed).await?));
                }
            }
            let is_untold = news.untold && flow.tells();
            if is_untold {
                flow.tell_ended_runs().await?;
            }
            let is_open = news.is_open() || is_untold;
            Ok(News { commits, waits: Mark::all(&news, flow.project), replays: news.replays, is_open, stamp })
        }
    }

    /// Puts on the agenda what follows from commits, and what others left, and tells which replays can be begun. What is made from a dataset is judged by
    /// a look beside which no turn went on over it: `busy` are the datasets of those that did.
    pub(crate) fn take(
        &mut self,
        news: News,
        flow: &Flow<'_>,
        agenda: &mut Agenda<'_>,
        busy: &BTreeSet<DatasetName>,
        now: Timestamp,
    ) -> Vec<ReplayRecord> {
        if !news.commits.is_empty() {
            // What was published with them may wait for its sinks.
            flow.report.signal(Signal::CommitsSeen);
        }
        // What waits or goes on may be let go without a word.
        self.rests = Resting::since(news.stamp.filter(|_| !news.is_open));
        for (name, version, behind) in news.commits {
            if agenda.is_busy_below(&name, busy) {
                self.rests = Resting::default();
                continue;
            }
            // Somebody else has mended it.
            if agenda.is_failing(&name) {
                agenda.at(&name, now);
            }
            behind.iter().for_each(|d| agenda.at(d, now));
            self.committed.insert(name, version);
        }
        for dataset in self.waits.left(news.waits, agenda, busy, now) {
            agenda.at(&dataset, now);
        }
        news.replays.into_iter().filter(|r| self.is_understood(r)).collect()
    }

    fn is_understood(&mut self, replay: &ReplayRecord) -> bool {
        match Replay::of(replay) {
            Ok(_) => true,
            Err(error) => {
                if self.strange.insert(replay.id.to_string()) {
                    tracing::warn!(code = error.code(), error = %error, remedy = error.remedy(), "a replay is left to others");
                }
                false
            }
        }
    }
}

fn names(flow: &Flow<'_>) -> Vec<DatasetName> {
    flow.project.datasets.keys().cloned().collect()
}
