//! An engine whose tables are row counts, and a landing zone whose files are sizes.

use alluvium_flow::{
    Arrival, Breakers, Engine, Flow, Hands, Increment, Job, Landing, Letters, Look, Maintained, Options, Outcome,
    Refused, Replay, Report, Signal, StepError, Summary, Timer,
};
use alluvium_model::{
    Balance, Blame, Clock, ContentHash, DatasetName, DefinitionVersion, Fault, ManualClock, RetryClass, SeededEntropy,
    StepKey,
};
use alluvium_spec::{Dataset, Effort, Environment, FROZEN, Freshness, Project, Silver, load};
use alluvium_store::{Owner, SqliteStore, StepKind, StepRecord, Watch};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
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

#[derive(Debug, thiserror::Error)]
#[error("told to fail")]
struct Told;

impl Fault for Told {
    fn code(&self) -> &'static str {
        "T0001"
    }

    fn class(&self) -> RetryClass {
        RetryClass::Data
    }

    fn remedy(&self) -> &'static str {
        "none"
    }
}

#[derive(Debug, thiserror::Error)]
#[error("its fields do not fit")]
struct Frozen;

impl Fault for Frozen {
    fn code(&self) -> &'static str {
        FROZEN
    }

    fn class(&self) -> RetryClass {
        RetryClass::Schema
    }

    fn remedy(&self) -> &'static str {
        "none"
    }
}

#[derive(Debug, thiserror::Error)]
#[error("another commit came in between")]
struct Late;

impl Fault for Late {
    fn code(&self) -> &'static str {
        "T0003"
    }

    fn class(&self) -> RetryClass {
        RetryClass::Transient
    }

    fn remedy(&self) -> &'static str {
        "none"
    }
}

#[derive(Debug, thiserror::Error)]
#[error("rejected")]
struct Rejected(RetryClass, Blame);

impl Fault for Rejected {
    fn code(&self) -> &'static str {
        "T0004"
    }

    fn class(&self) -> RetryClass {
        self.0
    }

    fn remedy(&self) -> &'static str {
        "none"
    }

    fn blames(&self) -> Blame {
        self.1
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
        tokio::time::timeout(Duration::from_secs(30), met).await.expect("so many at once");
        tokio::task::yield_now().await;
        self.tables().at_once -= 1;
    }

    async fn window(&self, job: &Job<'_>) -> Result<Outcome, StepError> {
        let from = job.step.windows.as_ref().expect("a window")[0].from;
        self.tables().windows.push(from);
        self.meet().await;
        let mut tables = self.tables();
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
        let hangs = self.tables().hanging.remove(&name);
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
        if tables.fences.get(&job.step.key).is_some_and(|upto| *upto >= job.step.attempts) {
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

#[derive(Default)]
struct StubLanding {
    files: Mutex<Vec<Arrival>>,
    refused: Mutex<Vec<Refused>>,
    state: Mutex<Folder>,
}

#[derive(Debug, Clone, Copy, Default)]
pub enum Folder {
    #[default]
    Readable,
    Unreadable,
    /// Looking at it never ends.
    Hanging,
}

#[async_trait]
impl Landing for StubLanding {
    async fn lay_down(&self, _: &Dataset, _: &[String]) -> Result<Arrival, StepError> {
        unreachable!("the stub's datasets have files")
    }

    async fn find(&self, _: &Dataset, path: &str) -> Result<Option<Arrival>, StepError> {
        let all = self.files.lock().expect("no holder panics");
        Ok(all.iter().rev().find(|a| a.path == path).cloned())
    }

    async fn lacks(&self, _: &Dataset, paths: Vec<String>) -> Result<Option<String>, StepError> {
        let all = self.files.lock().expect("no holder panics");
        Ok(paths.into_iter().find(|path| !all.iter().any(|a| a.path == *path)))
    }

    async fn look(&self, _: &Dataset, known: &BTreeMap<String, (u64, i64)>) -> Result<Look, StepError> {
        let state = *self.state.lock().expect("no holder panics");
        match state {
            Folder::Readable => {}
            Folder::Unreadable => return Err(StepError::new(Told)),
            Folder::Hanging => std::future::pending().await,
        }
        let all = self.files.lock().expect("no holder panics");
        let arrivals = all.iter().filter(|a| !known.contains_key(&a.path)).cloned().collect();
        let refused = self.refused.lock().expect("no holder panics").clone();
        Ok(Look { arrivals, refused, ..Look::default() })
    }
}

/// Short waits pass at once. Long ones, those between two heartbeats, pass as often as they may; then they last.
pub struct Ticks {
    clock: Arc<ManualClock>,
    may: AtomicU32,
    pub over: Notify,
    /// A wait of this length is over when [`Ticks::gate`] is told.
    gated: Mutex<Option<Duration>>,
    pub gate: Notify,
}

impl Ticks {
    pub fn gate_at(&self, time: Duration) {
        *self.gated.lock().expect("no holder panics") = Some(time);
    }
}

#[async_trait]
impl Timer for Ticks {
    async fn wait(&self, time: Duration) {
        let pass = || self.clock.advance_micros(i64::try_from(time.as_micros()).expect("a short time"));
        if time < Duration::from_secs(5) {
            pass();
            return;
        }
        let gated = *self.gated.lock().expect("no holder panics");
        if gated == Some(time) {
            self.gate.notified().await;
            pass();
            return;
        }
        if self.may.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_err() {
            self.over.notify_one();
            std::future::pending::<()>().await;
        }
        pass();
        tokio::task::yield_now().await;
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<Signal>>);

impl Report for Heard {
    fn signal(&self, signal: Signal) {
        self.0.lock().expect("no holder panics").push(signal);
    }
}

pub struct World {
    _folder: tempfile::TempDir,
    project: Project,
    pub store: SqliteStore,
    pub engine: StubEngine,
    landing: StubLanding,
    heard: Heard,
    pub ticks: Ticks,
    pub breakers: Breakers,
    clock: Arc<ManualClock>,
    entropy: SeededEntropy,
    hands: Hands,
    other_hands: Hands,
}

impl World {
    /// `bronze.t` and `silver.t`, which reads it.
    pub async fn new() -> Self {
        Self::with(&[]).await
    }

    /// And these files.
    pub async fn with(more: &[(&str, &str)]) -> Self {
        Self::of(&["t"], more).await
    }

    /// And `bronze.u` and `silver.u`, which have nothing to do with the others.
    pub async fn wide() -> Self {
        Self::of(&["t", "u"], &[]).await
    }

    /// A bronze and a silver dataset of each name.
    pub async fn of(names: &[&str], more: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |path: &str, text: &str| {
            let at = folder.path().join(path);
            std::fs::create_dir_all(at.parent().expect("a parent")).expect("a folder");
            std::fs::write(at, text).expect("a file");
        };
        put("alluvium.yaml", "name: stub\n");
        for name in names {
            put(&format!("landing/{name}/keep"), "");
            put(
                &format!("datasets/bronze/{name}.yaml"),
                &format!("source: {{ files: landing/{name}/, glob: \"*.csv\" }}\n"),
            );
            put(
                &format!("datasets/silver/{name}.yaml"),
                &format!("from: bronze.{name}\ncontract: {name}\nwrite: append\n"),
            );
            put(
                &format!("contracts/{name}.odcs.yaml"),
                &format!(
                    "apiVersion: v3.1.0\nkind: DataContract\nid: {name}\nname: {name}\nversion: 1.0.0\nstatus: active\nschema:\n  - name: {name}\n    properties:\n      - {{ name: id, logicalType: integer }}\n"
                ),
            );
        }
        more.iter().for_each(|(path, text)| put(path, text));
        let project = load(folder.path(), &Environment::default()).expect("a project without mistakes");
        let store = SqliteStore::open(&folder.path().join("state.db")).await.expect("a store");
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_700_000_000).expect("an instant")));
        let ticks = Ticks {
            clock: clock.clone(),
            may: AtomicU32::new(0),
            over: Notify::new(),
            gated: Mutex::default(),
            gate: Notify::new(),
        };
        let entropy = SeededEntropy::new(7);
        let (engine, landing, heard, breakers) = Default::default();
        Self {
            _folder: folder,
            project,
            store,
            engine,
            landing,
            heard,
            ticks,
            breakers,
            clock,
            entropy,
            hands: Hands::new(1),
            other_hands: Hands::new(1),
        }
    }

    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The effort that the dataset's steps are worth, to be changed.
    pub fn effort(&mut self, dataset: &DatasetName) -> &mut Effort {
        &mut self.project.datasets.get_mut(dataset).expect("a dataset").effort
    }

    pub fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    pub fn pass(&self, time: Duration) {
        self.clock.advance_micros(i64::try_from(time.as_micros()).expect("a short time"));
    }

    /// The file is not there any more.
    pub fn remove(&self, path: &str) {
        self.landing.files.lock().expect("no holder panics").retain(|a| a.path != path);
    }

    pub async fn replay_letters(&self, letters: &Letters) -> Summary {
        let replayed = self.flow().replay(&Replay::DeadLetters(letters.clone()), std::future::pending()).await;
        replayed.expect("the store works")
    }

    pub fn arrive(&self, path: &str, bytes: u64) {
        self.arrive_as(path, path, bytes);
    }

    /// This machine has no such file any more, or never had one.
    pub fn lose(&self, path: &str) {
        self.landing.files.lock().expect("no holder panics").retain(|a| a.path != path);
    }

    pub fn arrive_as(&self, path: &str, content: &str, bytes: u64) {
        let modified_nanos = self.clock.now().as_microsecond() * 1000;
        let content = ContentHash::from_stored(content);
        let arrival = Arrival { path: path.to_owned(), bytes, modified_nanos, content };
        self.landing.files.lock().expect("no holder panics").push(arrival);
    }

    pub fn refuse(&self, path: &str) {
        let refused = Refused { path: path.to_owned(), code: "T0002", reason: "told to".to_owned() };
        self.landing.refused.lock().expect("no holder panics").push(refused);
    }

    /// Everything that was signalled since the last time.
    pub fn signals(&self) -> Vec<Signal> {
        std::mem::take(&mut self.heard.0.lock().expect("no holder panics"))
    }

    /// At this world's time; every process lives.
    pub fn watch(&self) -> Watch<'_> {
        Watch { now: self.clock.now(), alive: &|_| true }
    }

    /// So many heartbeats pass while the landing zone is looked at.
    pub fn let_pass(&self, heartbeats: u32) {
        self.ticks.may.store(heartbeats, SeqCst);
    }

    pub fn folder(&self, state: Folder) {
        *self.landing.state.lock().expect("no holder panics") = state;
    }

    /// The project has no such dataset any more.
    pub fn forget(&mut self, dataset: &DatasetName) {
        self.project.order.retain(|n| n != dataset);
        self.project.datasets.remove(dataset);
    }

    pub fn redefine(&mut self, dataset: &DatasetName) {
        let dataset = self.project.datasets.get_mut(dataset).expect("a dataset");
        dataset.version = DefinitionVersion::of([dataset.version.as_str().as_bytes(), b"changed"]);
    }

    pub fn version(&self, dataset: &DatasetName) -> DefinitionVersion {
        self.project.datasets[dataset].version.clone()
    }

    pub fn define(&mut self, dataset: &DatasetName, version: DefinitionVersion) {
        self.project.datasets.get_mut(dataset).expect("a dataset").version = version;
    }

    pub async fn run(&self, options: &Options) -> Summary {
        self.run_until(options, std::future::pending()).await
    }

    pub async fn run_until(&self, options: &Options, stop: impl Future<Output = ()>) -> Summary {
        self.flow().run(options, stop).await.expect("the store works")
    }

    pub async fn replay(&self, dataset: &DatasetName, options: &Options) -> Summary {
        let what = Replay::Quarantine { dataset: dataset.clone(), adopt: options.adopt.contains(dataset) };
        let replayed = self.flow().replay(&what, std::future::pending()).await;
        replayed.expect("the store works")
    }

    pub fn set_clock_back(&self, seconds: i64) {
        self.clock.advance_micros(-seconds * 1_000_000);
    }

    /// Another process over the same state and tables.
    pub fn worker(&self) -> Flow<'_> {
        let owner = Owner { host: "here".into(), process: 2, started_ticks: 1 };
        Flow { owner, hands: &self.other_hands, ..self.flow() }
    }

    /// Another process on another machine.
    pub fn far(&self) -> Flow<'_> {
        Flow { owner: Owner { host: "there".into(), process: 2, started_ticks: 1 }, ..self.worker() }
    }

    pub fn flow(&self) -> Flow<'_> {
        self.clock.advance_micros(1_000_000);
        Flow {
            project: &self.project,
            store: &self.store,
            engine: &self.engine,
            landing: &self.landing,
            clock: self.clock.as_ref(),
            entropy: &self.entropy,
            timer: &self.ticks,
            report: &self.heard,
            breakers: &self.breakers,
            owner: Owner { host: "here".into(), process: 1, started_ticks: 1 },
            alive: &|_| true,
            hands: &self.hands,
        }
    }
}
