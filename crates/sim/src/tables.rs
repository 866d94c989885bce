//! The lake of all simulated processes: tables that are lists of commits, fenced as those of the lake are: by the step's key, by the
//! version that was read where the work rests on it, and by a fence around steps that were superseded.
//!
//! Called by the engine of each process, and by the checks at the end.

use crate::{
    aside::{Aside, Waiting},
    days,
    fault::Late,
    planted::Planted,
};
use alluvium_flow::Outcome;
use alluvium_model::{DatasetName, RunId, StepKey, Window};
use alluvium_store::StepDone;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

/// A version of a table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Commit {
    /// `None`: a fence, which changes nothing.
    pub(crate) step: Option<StepKey>,
    pub(crate) rows: Vec<String>,
    /// Of the rows before it.
    pub(crate) takes: Takes,
    /// Rows that its quarantine gets, and those that leave it. Both follow the commit.
    pub(crate) quarantine: Vec<String>,
    pub(crate) leaves: Vec<Waiting>,
    /// Rows that somebody said are never to come.
    pub(crate) dropped: Vec<String>,
    /// The backfill whose windows it puts in place.
    pub(crate) swaps: Option<RunId>,
    pub(crate) outcome: Outcome,
}

/// What goes when a commit comes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Takes {
    #[default]
    Nothing,
    Windows(Vec<Window>),
    Everything,
}

/// Where a table is: a dataset's own, or the one that a backfill makes beside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) dataset: DatasetName,
    pub(crate) beside: Option<RunId>,
}

impl Place {
    pub(crate) fn live(dataset: &DatasetName) -> Self {
        Self { dataset: dataset.clone(), beside: None }
    }

    pub(crate) fn beside(dataset: &DatasetName, backfill: &RunId) -> Self {
        Self { dataset: dataset.clone(), beside: Some(backfill.clone()) }
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    pub(crate) commits: Vec<Commit>,
    /// The quarantine beside it.
    pub(crate) aside: Aside,
    /// Attempts up to this one commit no more.
    closed: BTreeMap<StepKey, u32>,
}

/// An attempt that wants to commit.
pub(crate) struct Asks {
    pub(crate) place: Place,
    pub(crate) step: StepKey,
    pub(crate) attempt: u32,
    /// The version that its work rests on.
    pub(crate) read: Option<i64>,
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
    pub(crate) fn between(&self, after: i64, upto: i64) -> Vec<String> {
        let versions = self.commits.iter().zip(1..).filter(|(_, v)| *v > after && *v <= upto);
        versions.flat_map(|(c, _)| c.rows.iter().cloned()).collect()
    }

    /// Rows at a version.
    pub(crate) fn at(&self, version: i64) -> Vec<String> {
        let mut rows = Vec::<String>::new();
        for (commit, _) in self.commits.iter().zip(1..).filter(|(_, v)| *v <= version) {
            match &commit.takes {
                Takes::Nothing => {}
                Takes::Windows(windows) => rows.retain(|row| !days::is_within(row, windows)),
                Takes::Everything => rows.clear(),
            }
            rows.extend(commit.rows.iter().cloned());
        }
        rows
    }

    /// Rows of now that lie in these windows.
    pub(crate) fn within(&self, windows: &[Window]) -> Vec<String> {
        let mut rows = self.at(self.head());
        rows.retain(|row| days::is_within(row, windows));
        rows.sort();
        rows
    }

    /// Whether a step has committed after that version.
    pub(crate) fn has_moved(&self, since: i64) -> bool {
        self.commits.iter().zip(1..).any(|(c, v)| v > since && c.step.is_some())
    }

    pub(crate) fn head(&self) -> i64 {
        i64::try_from(self.commits.len()).expect("a few versions")
    }
}

/// The lake, for all processes.
pub(crate) struct Tables {
    all: Mutex<BTreeMap<Place, Table>>,
    /// Steps whose commits went with the table that a backfill made.
    removed: Mutex<BTreeSet<StepKey>>,
    pub(crate) planted: Planted,
    fallen: AtomicBool,
    wrong: Mutex<Vec<String>>,
}

impl Tables {
    pub(crate) fn new(planted: Planted) -> Self {
        let (all, removed, fallen, wrong) = Default::default();
        Self { all, removed, planted, fallen, wrong }
    }

    /// From now on nobody begins to commit, until it rises.
    pub(crate) fn fall(&self) {
        self.fallen.store(true, SeqCst);
    }

    pub(crate) fn rise(&self) {
        self.fallen.store(false, SeqCst);
    }

    pub(crate) fn is_fallen(&self) -> bool {
        self.fallen.load(SeqCst)
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Place, Table>> {
        self.all.lock().expect("no holder of this lock panics")
    }

    pub(crate) fn get(&self, place: &Place) -> Option<Table> {
        self.all().get(place).cloned()
    }

    /// The datasets' own.
    pub(crate) fn live(&self) -> BTreeMap<DatasetName, Table> {
        let all = self.all();
        let live = all.iter().filter(|(place, _)| place.beside.is_none());
        live.map(|(place, table)| (place.dataset.clone(), table.clone())).collect()
    }

    /// Backfills of the dataset that made something which is there.
    pub(crate) fn beside(&self, dataset: &DatasetName) -> Vec<RunId> {
        let all = self.all();
        all.keys().filter(|place| place.dataset == *dataset).filter_map(|place| place.beside.clone()).collect()
    }

    pub(crate) fn remove(&self, place: &Place) {
        let mut removed = self.removed.lock().expect("no holder of this lock panics");
        let gone = self.all().remove(place).unwrap_or_default();
        removed.extend(gone.commits.into_iter().filter_map(|c| c.step));
    }

    /// Somebody says that these are done: what they committed has to be visible by then.
    pub(crate) fn announced(&self, done: &[StepDone]) {
        let removed = self.removed.lock().expect("no holder of this lock panics");
        let all = self.all();
        for step in done.iter().filter(|d| d.committed.is_some() && !removed.contains(&d.key)) {
            if !all.values().any(|t| t.of(&step.key).next().is_some()) {
                self.wrong().push(format!("step {} was announced before it was visible", step.key));
            }
        }
    }

    pub(crate) fn wrong(&self) -> MutexGuard<'_, Vec<String>> {
        self.wrong.lock().expect("no holder of this lock panics")
    }

    pub(crate) fn commit(&self, asks: &Asks, mut commit: Commit) -> Result<Outcome, Late> {
        let mut all = self.all();
        let table = all.entry(asks.place.clone()).or_default();
        if self.planted != Planted::Down && table.refuses(asks) {
            return Err(Late);
        }
        commit.outcome.committed = Some(table.head() + 1);
        let outcome = commit.outcome.clone();
        table.commits.push(commit);
        Ok(outcome)
    }

    /// Carries out what the step's commit says of the quarantine, however often it is called.
    pub(crate) fn follow(&self, place: &Place, step: &StepKey) {
        let mut all = self.all();
        let Some(table) = all.get_mut(place) else { return };
        let Some(commit) = table.of(step).next().cloned() else { return };
        if self.planted != Planted::Careless && !(commit.quarantine.is_empty() && commit.leaves.is_empty()) {
            table.aside.change(step, commit.quarantine, commit.leaves);
        }
    }

    /// `false`: the step has committed.
    pub(crate) fn close(&self, place: &Place, step: &StepKey, attempt: u32) -> bool {
        let mut all = self.all();
        let table = all.entry(place.clone()).or_default();
        if table.of(step).next().is_some() {
            return false;
        }
        if !matches!(self.planted, Planted::Ajar | Planted::Down) {
            let closed = table.closed.entry(step.clone()).or_default();
            *closed = attempt.max(*closed);
            table.commits.push(Commit::default());
        }
        true
    }
}
