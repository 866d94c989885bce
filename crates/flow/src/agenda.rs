//! What a service has to do and when: a pure value that is told what happens and says which datasets are due.
//!
//! Called by the server's loop. It knows no files and no clock; whatever it forgets at a crash, the first turn of the
//! next process looks for.

use crate::{Summary, Turn, drain::needs, retry::after};
use alluvium_model::{DatasetName, Entropy};
use alluvium_spec::{CatchUp, Kind, Project};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// A file's arrival is several notices; and files that arrive together belong together.
const LEAST_QUIET: Duration = Duration::from_millis(20);
/// A folder that is never quiet is looked at after this many times its quiet time.
const MOST_QUIETS: u32 = 5;
const FIRST_RETRY: Duration = Duration::from_secs(2);
const LAST_RETRY: Duration = Duration::from_secs(300);

/// What waits to be collected goes when it has come to this, however much time is left: larger batches make no larger
/// files, and who pushes has to find room.
const MOST_COLLECTED: Arrived = Arrived { objects: 10_000, bytes: 32 << 20 };
/// At least this part of a dataset's freshness is kept for the work.
const WORK_PART: u32 = 10;

/// Datasets and when they are due. Holds at most one entry of each kind for each dataset.
#[derive(Debug)]
pub struct Agenda<'a> {
    project: &'a Project,
    bursts: BTreeMap<DatasetName, Burst>,
    /// Files that settle, and failures that are tried again.
    timers: BTreeMap<DatasetName, Timestamp>,
    /// The next time of each dataset that has a schedule.
    ticks: BTreeMap<DatasetName, Timestamp>,
    /// How long the last turn of each took that collects its arrivals.
    took: BTreeMap<DatasetName, Duration>,
    /// When the turn began that goes on with each of these.
    began: BTreeMap<DatasetName, Timestamp>,
    /// Failures in a row.
    failing: BTreeMap<DatasetName, u32>,
    /// Of whole turns, as when the state cannot be reached.
    failed_turns: u32,
}

/// What a notice tells of. It may tell of the same thing twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Files, or events that were pushed.
    pub objects: u64,
    pub bytes: u64,
}

impl Arrived {
    pub fn add(&mut self, more: Self) {
        self.objects = self.objects.saturating_add(more.objects);
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}

/// Notices of one dataset that came close to each other.
#[derive(Debug, Clone, Copy)]
struct Burst {
    first: Timestamp,
    size: Arrived,
    due: Timestamp,
}

impl<'a> Agenda<'a> {
    /// Everything is due at once: nobody knows what happened before. Except what is to wait for its next time.
    pub fn new(project: &'a Project, now: Timestamp) -> Self {
        let (mut timers, mut ticks) = (BTreeMap::new(), BTreeMap::new());
        for (name, dataset) in &project.datasets {
            let schedule = dataset.schedule();
            if schedule.is_none_or(|s| s.catch_up == CatchUp::Latest) {
                timers.insert(name.clone(), now);
            }
            ticks.extend(schedule.and_then(|s| s.next(now)).map(|t| (name.clone(), t)));
        }
        Self {
            project,
            bursts: BTreeMap::new(),
            timers,
            ticks,
            took: BTreeMap::new(),
            began: BTreeMap::new(),
            failing: BTreeMap::new(),
            failed_turns: 0,
        }
    }

    /// A notice came that something of the dataset arrived, not before `since`. It is due when no other follows for its quiet
    /// time. A dataset with a freshness collects until that asks for it, or until it is much.
    pub fn arrived(&mut self, name: &DatasetName, what: Arrived, since: Timestamp, now: Timestamp) {
        let quiet = self.quiet(name);
        let allowed = self.collects(name);
        let came = if allowed.is_some() { since } else { now };
        let mut burst =
            self.bursts.get(name).copied().unwrap_or(Burst { first: came, size: Arrived::default(), due: now });
        burst.size.add(what);
        let much = burst.size.objects >= MOST_COLLECTED.objects || burst.size.bytes >= MOST_COLLECTED.bytes;
        burst.due = match allowed.filter(|_| !much) {
            Some(allowed) => after(burst.first, allowed),
            None => after(now, quiet).min(after(burst.first, quiet * MOST_QUIETS)),
        };
        self.bursts.insert(name.clone(), burst);
    }

    /// How long what arrived may wait for more, so that it is taken in within the dataset's freshness.
    fn collects(&self, name: &DatasetName) -> Option<Duration> {
        let freshness = Duration::from(self.project.datasets.get(name)?.freshness()?);
        let last = self.took.get(name).copied().unwrap_or_default();
        let work = (last * 2).max(freshness / WORK_PART);
        Some(freshness.saturating_sub(work).max(self.quiet(name)))
    }

    /// How long what was received for the dataset may wait for more, if another process collects it. `None`: it waits for its next time.
    pub fn may_wait(&self, name: &DatasetName) -> Option<Duration> {
        let schedule = self.project.datasets.get(name)?.schedule();
        let waits = schedule.is_some_and(|s| s.catch_up == CatchUp::None);
        (!waits).then(|| self.collects(name).unwrap_or_default())
    }

    /// Whether the last attempt at the dataset failed, and nothing of it is tried by itself.
    pub fn is_failing(&self, name: &DatasetName) -> bool {
        self.failing.contains_key(name)
    }

    /// The dataset is due then, unless it is due earlier.
    pub fn at(&mut self, name: &DatasetName, time: Timestamp) {
        let timer = self.timers.entry(name.clone()).or_insert(time);
        *timer = (*timer).min(time);
    }

    /// Whether a notice of the dataset, or a timer, is on the agenda.
    pub fn is_waiting(&self, name: &DatasetName) -> bool {
        self.bursts.contains_key(name) || self.timers.contains_key(name)
    }

    /// Whether nothing is due, now or later, but for what a schedule asks for.
    pub fn is_empty(&self) -> bool {
        self.bursts.is_empty() && self.timers.is_empty()
    }

    /// When something is due next that can be done beside turns over `busy`.
    pub fn next(&self, busy: &BTreeSet<DatasetName>) -> Option<Timestamp> {
        let bursts = self.bursts.iter().map(|(n, b)| (n, b.due));
        let timers = self.timers.iter().chain(&self.ticks).map(|(n, t)| (n, *t));
        bursts.chain(timers).filter(|(n, _)| self.is_free(n, busy)).map(|(_, due)| due).min()
    }

    /// What is due, with all that is made from it; it is taken off the agenda. `busy` are the datasets of turns that go on:
    /// what has something in common with them waits, because what is made from both is made in order.
    pub fn take(&mut self, now: Timestamp, busy: &BTreeSet<DatasetName>) -> Option<Turn> {
        let due = |time: Timestamp| time <= now;
        let bursts = self.bursts.iter().filter(|(_, b)| due(b.due)).map(|(n, _)| n);
        let timers = self.timers.iter().chain(&self.ticks).filter(|(_, t)| due(**t)).map(|(n, _)| n);
        let free: BTreeSet<&DatasetName> = bursts.chain(timers).filter(|n| self.is_free(n, busy)).collect();
        let free: BTreeSet<DatasetName> = free.into_iter().cloned().collect();
        if free.is_empty() {
            return None;
        }
        self.bursts.retain(|n, b| !(due(b.due) && free.contains(n)));
        self.timers.retain(|n, t| !(due(*t) && free.contains(n)));
        for (name, tick) in self.ticks.extract_if(.., |n, t| due(*t) && free.contains(n)).collect::<Vec<_>>() {
            // Of several times that passed together one turn is made.
            let next = self.project.datasets[&name].schedule().and_then(|s| s.next(now.max(tick)));
            self.ticks.extend(next.map(|t| (name.clone(), t)));
        }
        let datasets = made_from(self.project, free);
        let project = self.project;
        let collecting = datasets.iter().filter(|n| project.datasets[*n].freshness().is_some());
        self.began.extend(collecting.map(|n| (n.clone(), now)));
        let failing = self.failing.keys().filter(|n| !datasets.contains(*n)).cloned().collect();
        Some(Turn { datasets, failing })
    }

    /// Whether a turn over `busy` does something with the dataset, or with what is made from it.
    pub fn is_busy_below(&self, name: &DatasetName, busy: &BTreeSet<DatasetName>) -> bool {
        !self.is_free(name, busy)
    }

    fn is_free(&self, name: &DatasetName, busy: &BTreeSet<DatasetName>) -> bool {
        busy.is_empty() || made_from(self.project, BTreeSet::from([name.clone()])).is_disjoint(busy)
    }

    /// What the turn left for later: files that settle, conditions that time may turn, and errors that may pass, each time after a longer wait. An error
    /// that stays is tried again when something new arrives.
    pub fn did(&mut self, turn: &Turn, summary: &Summary, now: Timestamp, entropy: &dyn Entropy) {
        self.failed_turns = 0;
        for name in &turn.datasets {
            if let Some(began) = self.began.remove(name) {
                let took = Duration::try_from(now.duration_since(began)).unwrap_or_default();
                self.took.insert(name.clone(), took);
            }
        }
        for (name, time) in &summary.settled_in {
            let old_enough = after(now, (*time).max(LEAST_QUIET));
            match self.collects(name) {
                // They came after those that were old enough, and wait for others as these did.
                Some(allowed) => {
                    let first = before(now, self.quiet(name));
                    let due = after(first, allowed).max(old_enough);
                    let size = Arrived::default();
                    self.bursts.entry(name.clone()).or_insert(Burst { first, size, due });
                }
                None => self.at(name, old_enough),
            }
        }
        for (name, left) in &summary.not_taken {
            if let Some(then) = left.again {
                self.at(name, then);
            }
        }
        for name in &turn.datasets {
            if !summary.failed.contains(name) {
                self.failing.remove(name);
                continue;
            }
            // What waits for another is done with that one.
            if needs(self.project, &self.project.datasets[name]).any(|n| summary.failed.contains(&n)) {
                continue;
            }
            let failures = self.failing.entry(name.clone()).or_default();
            *failures = failures.saturating_add(1);
            if let Some(then) = summary.waiting.get(name) {
                self.at(name, *then);
            } else if summary.passing.contains(name) {
                let wait = backoff(*failures, entropy);
                self.at(name, after(now, wait));
            }
        }
    }

    /// The turn came to nothing, as when the state cannot be reached: all of it is due again, later.
    pub fn undone(&mut self, turn: &Turn, now: Timestamp, entropy: &dyn Entropy) {
        self.failed_turns = self.failed_turns.saturating_add(1);
        let then = after(now, backoff(self.failed_turns, entropy));
        turn.datasets.iter().for_each(|n| self.at(n, then));
    }

    fn quiet(&self, name: &DatasetName) -> Duration {
        match self.project.datasets.get(name).map(|d| &d.kind) {
            Some(Kind::Bronze(bronze)) => Duration::from(bronze.files.settle).max(LEAST_QUIET),
            Some(Kind::Silver(_) | Kind::Gold(_)) | None => LEAST_QUIET,
        }
    }
}

/// These datasets, and all that is made from them.
pub fn made_from(project: &Project, mut datasets: BTreeSet<DatasetName>) -> BTreeSet<DatasetName> {
    for name in &project.order {
        if needs(project, &project.datasets[name]).any(|n| datasets.contains(&n)) {
            datasets.insert(name.clone());
        }
    }
    datasets
}

/// Doubles with each failure, and varies by half, so that many do not come back at once.
fn backoff(failures: u32, entropy: &dyn Entropy) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let most = (FIRST_RETRY * 2_u32.pow(doublings)).min(LAST_RETRY);
    let share = (entropy.next_u64() % 1_000) as u32;
    most / 2 + most / 2 * share / 1_000
}

fn before(time: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    time.checked_sub(wait).unwrap_or(Timestamp::MIN)
}
