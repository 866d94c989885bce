//! An engine whose tables are row counts.

use super::faults::{Frozen, Held, Late, Rejected, Told};
use alluvium_flow::{Engine, Increment, Job, Maintained, Outcome, Report, StepError};
use alluvium_model::{Balance, Blame, ContentHash, DatasetName, RetryClass, StepKey};
use alluvium_spec::{Dataset, Freshness, Silver};
use alluvium_store::{StepKind, StepRecord};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};
use tokio::sync::Notify;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Executed,
    Recovered,
}

#[derive(Default)]
struct Tables {
    /// Rows added by each version, from version 1.
    rows: BTreeMap<DatasetName, Vec<u64>>,
    committed: BTreeMap<StepKey, Outcome>,
    /// Attempts up to this one commit no more.
    fences: BTreeMap<StepKey, u32>,
    done: Vec<(DatasetName, Stage)>,
    failing: BTreeSet<DatasetName>,
    freezing: BTreeSet<DatasetName>,
    losing: BTreeSet<DatasetName>,
    hanging: BTreeSet<DatasetName>,
    /// Commits of attempts that hung, on their way to the table whatever becomes of who sent them.
    under_way: BTreeMap<DatasetName, (StepKey, u32)>,
    /// Theirs arrives just before the next attempt has its own word.
    arriving: BTreeSet<DatasetName>,
    holding: BTreeSet<DatasetName>,
    idle: BTreeSet<DatasetName>,
    waiting: BTreeMap<DatasetName, u64>,
    /// Versions of quarantines, and those at which rows last left them.
    aside: BTreeMap<DatasetName, i64>,
    left: BTreeMap<DatasetName, i64>,
    /// Quarantines that cannot be looked at the next time.
    blind: BTreeSet<DatasetName>,
    late: BTreeSet<DatasetName>,
    /// So many of its swaps find that another commit came first.
    overtaking: BTreeMap<DatasetName, u32>,
    /// How often executing it is rejected, and with what.
    rejecting: BTreeMap<DatasetName, (RetryClass, Blame, u32)>,
    attempts: BTreeMap<DatasetName, u32>,
    /// Paths of landing objects that become dead letters.
    unreadable: BTreeSet<String>,
    maintained: Vec<(DatasetName, i64, i64)>,
    untidy: BTreeSet<DatasetName>,
    /// Putting them in order never ends.
    tidying: BTreeSet<DatasetName>,
    /// Beginnings of windows of backfills that fail, those that were executed, and how many at once.
    broken: BTreeSet<i64>,
    hanging_windows: BTreeSet<i64>,
    windows: Vec<i64>,
    at_once: usize,
    most_at_once: usize,
    meeting: usize,
    /// Gold whose steps take a whole hand.
    large: BTreeSet<DatasetName>,
}

#[derive(Default)]
pub struct StubEngine {
    tables: Mutex<Tables>,
    /// Told when an execution hangs.
    pub hangs: Notify,
}

impl Tables {
    fn is_fenced(&self, step: &StepKey, attempt: u32) -> bool {
        self.fences.get(step).is_some_and(|upto| *upto >= attempt)
    }

    fn land(&mut self, dataset: &DatasetName) -> bool {
        let (step, attempt) = self.under_way.remove(dataset).expect("an attempt hung");
        if self.is_fenced(&step, attempt) || self.committed.contains_key(&step) {
            return false;
        }
        let versions = self.rows.entry(dataset.clone()).or_default();
        versions.push(1);
        let balance = Balance { received: 1, loaded: 1, ..Balance::default() };
        let committed = Some(versions.len() as i64);
        self.committed.insert(step, Outcome { committed, balance, ..Outcome::default() });
        true
    }
}

impl StubEngine {
    fn tables(&self) -> std::sync::MutexGuard<'_, Tables> {
        self.tables.lock().expect("no holder panics")
    }

    pub fn executed(&self) -> Vec<(DatasetName, Stage)> {
        self.tables().done.clone()
    }

    pub fn fail_next(&self, dataset: &DatasetName) {
        self.tables().failing.insert(dataset.clone());
    }

    /// Its next step freezes it.
    pub fn freeze_next(&self, dataset: &DatasetName) {
        self.tables().freezing.insert(dataset.clone());
    }

    /// Its next executions, so many of them, are rejected.
    pub fn reject(&self, dataset: &DatasetName, class: RetryClass, blame: Blame, times: u32) {
        self.tables().rejecting.insert(dataset.clone(), (class, blame, times));
    }

    /// Whether the landing object at this path can be read.
    pub fn can_read(&self, path: &str, readable: bool) {
        let mut tables = self.tables();
        if readable {
            tables.unreadable.remove(path)
        } else {
            tables.unreadable.insert(path.to_owned())
        };
    }

    /// How often its steps were executed, with or without success.
    pub fn attempts(&self, dataset: &DatasetName) -> u32 {
        self.tables().attempts.get(dataset).copied().unwrap_or(0)
    }

    /// Its next execution loses its commit to another one.
    pub fn conflict_next(&self, dataset: &DatasetName) {
        self.tables().late.insert(dataset.clone());
    }

    /// Its next swaps, so many of them, are overtaken by a commit of somebody else.
    pub fn overtake(&self, dataset: &DatasetName, times: u32) {
        self.tables().overtaking.insert(dataset.clone(), times);
    }

    /// Its tables cannot be put in order the next time.
    pub fn untidy_next(&self, dataset: &DatasetName) {
        self.tables().untidy.insert(dataset.clone());
    }

    /// What was asked since the last time: the dataset, the first version of the run, the version that all have processed.
    pub fn maintained(&self) -> Vec<(DatasetName, i64, i64)> {
        std::mem::take(&mut self.tables().maintained)
    }

    /// Executing it never ends, until the run is stopped.
    pub fn hang(&self, dataset: &DatasetName) {
        self.tables().hanging.insert(dataset.clone());
    }

    /// What the attempt that hung had sent reaches the table. `false`: too late.
    pub fn land(&self, dataset: &DatasetName) -> bool {
        self.tables().land(dataset)
    }

    /// That, while the next attempt is made.
    pub fn land_meanwhile(&self, dataset: &DatasetName) {
        self.tables().arriving.insert(dataset.clone());
    }

    /// Its next step does not pass its gate.
    pub fn hold_next(&self, dataset: &DatasetName) {
        self.tables().holding.insert(dataset.clone());
    }

    /// Its next step finds nothing to commit.
    pub fn idle_next(&self, dataset: &DatasetName) {
        self.tables().idle.insert(dataset.clone());
    }

    /// So many rows wait in its quarantine.
    pub fn set_aside(&self, dataset: &DatasetName, rows: u64) {
        self.tables().waiting.insert(dataset.clone(), rows);
    }

    /// So many more rows come into its quarantine, which then has another version.
    pub fn set_more_aside(&self, dataset: &DatasetName, rows: u64) {
        let mut tables = self.tables();
        *tables.waiting.entry(dataset.clone()).or_default() += rows;
        *tables.aside.entry(dataset.clone()).or_insert(1) += 1;
    }

    /// Rows that wait in its quarantine.
    pub fn waiting(&self, dataset: &DatasetName) -> u64 {
        self.tables().waiting.get(dataset).copied().unwrap_or(0)
    }

    /// Its quarantine cannot be looked at the next time.
    pub fn blind_next(&self, dataset: &DatasetName) {
        self.tables().blind.insert(dataset.clone());
    }

    /// Putting its tables in order never ends the next time, until the run is stopped.
    pub fn hang_tidying(&self, dataset: &DatasetName) {
        self.tables().tidying.insert(dataset.clone());
    }

    /// Whether a window of a backfill that begins there fails.
    pub fn break_window(&self, from: i64, broken: bool) {
        let mut tables = self.tables();
        if broken {
            tables.broken.insert(from)
        } else {
            tables.broken.remove(&from)
        };
    }

    /// Making the window that begins there never ends, until who makes it is stopped.
    pub fn hang_window(&self, from: i64) {
        self.tables().hanging_windows.insert(from);
    }

    /// Beginnings of the windows that were executed since the last time, and how many of them, or of gold steps, at once.
    pub fn windows(&self) -> (Vec<i64>, usize) {
        let mut tables = self.tables();
        (std::mem::take(&mut tables.windows), std::mem::take(&mut tables.most_at_once))
    }

    /// A window or a gold step ends only when so many have been under way at once.
    pub fn let_them_meet(&self, meeting: usize) {
        self.tables().meeting = meeting;
    }

    pub fn take_a_whole_hand(&self, dataset: &DatasetName) {
        self.tables().large.insert(dataset.clone());
    }

    async fn meet(&self) {
        {
            let mut tables = self.tables();
            tables.at_once += 1;
            tables.most_at_once = tables.most_at_once.max(tables.at_once);
        }
        // How long the next takes to begin is the machine's, not the order's.
        let met = async {
            let apart = |tables: &Tables| tables.most_at_once < tables.meeting;
            while apart(&self.tables()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(300), met).await.expect("so many at once");
        tokio::task::yield_now().await;
        self.tables().at_once -= 1;
    }

    async fn window(&self, job: &Job<'_>) -> Result<Outcome, StepError> {
        let from = job.step.windows.as_ref().expect("a window")[0].from;
        self.tables().windows.push(from);
        let hangs = self.tables().hanging_windows.remove(&from);
        if hangs {
            self.hangs.notify_one();
            std::future::pending::<()>().await;
        }
        self.meet().await;
        let mut tables = self.tables();
        if tables.late.remove(&job.dataset.name) {
            return Err(StepError::new(Late));
        }
        if tables.broken.contains(&from) {
            return Err(StepError::new(Told));
        }
        let outcome = Outcome { committed: Some(1), windows: 1, ..Outcome::default() };
        let before = tables.committed.insert(job.step.key.clone(), outcome.clone());
        assert!(before.is_none(), "a step committed twice");
        Ok(outcome)
    }

    /// The next commit happens and its answer is lost.
    pub fn lose_next(&self, dataset: &DatasetName) {
        self.tables().losing.insert(dataset.clone());
    }
}

#[async_trait]
impl Engine for StubEngine {
    async fn name(&self, _: Option<&str>) -> Result<Option<String>, StepError> {
        Ok(Some("the lake".to_owned()))
    }

    async fn head(&self, dataset: &DatasetName) -> Result<Option<i64>, StepError> {
        Ok(self.tables().rows.get(dataset).map(|v| v.len() as i64))
    }

    async fn increments(&self, dataset: &DatasetName, after: i64) -> Result<Vec<Increment>, StepError> {
        let tables = self.tables();
        let versions = tables.rows.get(dataset).into_iter().flatten().zip(1..);
        Ok(versions.filter(|(_, v)| *v > after).map(|(rows, version)| Increment { version, rows: *rows }).collect())
    }

    async fn rows(&self, dataset: &DatasetName) -> Result<u64, StepError> {
        Ok(self.tables().rows.get(dataset).into_iter().flatten().sum())
    }

    async fn quarantine(&self, dataset: &DatasetName) -> Result<Option<(i64, u64)>, StepError> {
        let mut tables = self.tables();
        if tables.blind.remove(dataset) {
            return Err(StepError::new(Told));
        }
        let version = tables.aside.get(dataset).copied().unwrap_or(1);
        Ok(tables.waiting.get(dataset).map(|rows| (version, *rows)))
    }

    async fn has_left(&self, dataset: &DatasetName, version: i64) -> Result<bool, StepError> {
        Ok(self.tables().left.get(dataset).is_some_and(|left| *left > version))
    }

    async fn rescued(&self, _: &Silver, _: &[String]) -> Result<BTreeMap<String, u64>, StepError> {
        Ok(BTreeMap::new())
    }

    async fn newest(&self, _: &DatasetName, _: &Freshness) -> Result<Option<Timestamp>, StepError> {
        Ok(None)
    }

    async fn is_small(&self, step: &StepRecord) -> bool {
        !self.tables().large.contains(&step.dataset)
    }

    fn rows_per_step(&self, _: &Silver) -> u64 {
        1_000
    }

    async fn execute(&self, job: &Job<'_>, _: &dyn Report) -> Result<Outcome, StepError> {
        if job.step.kind == StepKind::Backfill {
            return self.window(job).await;
        }
        let name = job.dataset.name.clone();
        let hangs = {
            let mut tables = self.tables();
            let hangs = tables.hanging.remove(&name);
            if hangs {
                tables.under_way.insert(name.clone(), (job.step.key.clone(), job.step.attempts));
            }
            hangs
        };
        if hangs {
            self.hangs.notify_one();
            std::future::pending::<()>().await;
        }
        if job.step.kind == StepKind::Curate {
            self.meet().await;
        }
        let mut tables = self.tables();
        *tables.attempts.entry(name.clone()).or_default() += 1;
        if let Some((class, blame, left)) = tables.rejecting.get_mut(&name)
            && let Some(fewer) = left.checked_sub(1)
        {
            *left = fewer;
            return Err(StepError::new(Rejected(*class, *blame)));
        }
        if job.step.kind == StepKind::Swap
            && let Some(left) = tables.overtaking.get_mut(&name)
            && let Some(fewer) = left.checked_sub(1)
        {
            *left = fewer;
            tables.rows.entry(name).or_default().push(0);
            return Err(StepError::new(Told));
        }
        if tables.late.remove(&name) {
            return Err(StepError::new(Late));
        }
        if tables.failing.remove(&name) {
            return Err(StepError::new(Told));
        }
        if tables.freezing.remove(&name) {
            return Err(StepError::new(Frozen));
        }
        if tables.arriving.remove(&name) {
            assert!(tables.land(&name), "nobody fenced it off before");
        }
        if tables.holding.remove(&name) {
            return Err(StepError::new(Held));
        }
        if tables.idle.remove(&name) {
            return Ok(Outcome::default());
        }
        if tables.is_fenced(&job.step.key, job.step.attempts) {
            return Err(StepError::new(Late));
        }
        let selection = job.discard.map(|d| &d.selection);
        if selection.is_some_and(|s| s.rule.as_deref() == Some("none")) {
            // Nothing that waits broke this one, and meanwhile more comes.
            *tables.waiting.entry(name.clone()).or_default() += 1;
            *tables.aside.entry(name).or_insert(1) += 1;
            return Ok(Outcome::default());
        }
        let unreadable: Vec<_> = job.events.iter().filter(|e| tables.unreadable.contains(&e.path)).collect();
        let dead: Vec<_> = unreadable.iter().map(|e| (e.event.clone(), "T0005: unreadable".to_owned())).collect();
        let rows = match job.step.kind {
            StepKind::Ingest => {
                job.events.iter().filter(|e| !tables.unreadable.contains(&e.path)).map(|e| e.bytes).sum()
            }
            StepKind::Swap => 0,
            StepKind::ReplayQuarantine => tables.waiting.remove(&name).unwrap_or(0),
            StepKind::Discard => {
                let aside = tables.aside.entry(name.clone()).or_insert(1);
                *aside += 1;
                let aside = *aside;
                tables.left.insert(name.clone(), aside);
                tables.waiting.remove(&name).unwrap_or(0)
            }
            _ => {
                let (input, range) = job.step.inputs.iter().next().expect("an input");
                let versions = tables.rows.get(input).into_iter().flatten().zip(1..);
                versions.filter(|(_, v)| *v > range.after && *v <= range.upto).map(|(r, _)| *r).sum()
            }
        };
        let versions = tables.rows.entry(name.clone()).or_default();
        versions.push(rows);
        let outcome = Outcome {
            committed: Some(versions.len() as i64),
            balance: Balance {
                received: rows + dead.len() as u64,
                loaded: rows,
                dead: dead.len() as u64,
                ..Balance::default()
            },
            dead,
            ..Outcome::default()
        };
        let before = tables.committed.insert(job.step.key.clone(), outcome.clone());
        assert!(before.is_none(), "a step committed twice");
        tables.done.push((name.clone(), Stage::Executed));
        if tables.losing.remove(&name) { Err(StepError::new(Told)) } else { Ok(outcome) }
    }

    async fn recover(&self, dataset: &Dataset, step: &StepRecord) -> Result<Option<Outcome>, StepError> {
        let mut tables = self.tables();
        let found = tables.committed.get(&step.key).cloned();
        if found.is_some() {
            tables.done.push((dataset.name.clone(), Stage::Recovered));
        }
        Ok(found)
    }

    async fn fence(&self, _: &Dataset, step: &StepRecord, attempt: u32) -> Result<bool, StepError> {
        let mut tables = self.tables();
        let fence = tables.fences.entry(step.key.clone()).or_default();
        *fence = attempt.max(*fence);
        Ok(!tables.committed.contains_key(&step.key))
    }

    async fn keeps(&self, _: &DatasetName, _: &ContentHash) -> Result<bool, StepError> {
        Ok(false)
    }

    async fn forget_payloads(&self, _: &DatasetName, _: &BTreeSet<ContentHash>) -> Result<u64, StepError> {
        Ok(0)
    }

    async fn maintain(&self, dataset: &Dataset, since: i64, needed: i64) -> Result<Maintained, StepError> {
        let hangs = self.tables().tidying.remove(&dataset.name);
        if hangs {
            self.hangs.notify_one();
            std::future::pending::<()>().await;
        }
        let mut tables = self.tables();
        tables.maintained.push((dataset.name.clone(), since, needed));
        if tables.untidy.remove(&dataset.name) {
            return Err(StepError::new(Told));
        }
        Ok(Maintained { merged: 10, into: 1, ..Maintained::default() })
    }
}
