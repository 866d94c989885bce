//! An engine whose tables are row counts, and a landing zone whose files are sizes.

use alluvium_flow::{
    Arrival, Engine, Flow, Increment, Job, Landing, Look, Options, Outcome, Report, Signal, StepError, Summary, Timer,
};
use alluvium_model::{
    Balance, Clock, ContentHash, DatasetName, DefinitionVersion, Fault, ManualClock, RetryClass, SeededEntropy, StepKey,
};
use alluvium_spec::{Dataset, Environment, Project, load};
use alluvium_store::{Owner, SqliteStore, StepKind, StepRecord};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
    time::Duration,
};

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
    done: Vec<(DatasetName, Stage)>,
    failing: BTreeSet<DatasetName>,
    losing: BTreeSet<DatasetName>,
}

#[derive(Default)]
pub struct StubEngine(Mutex<Tables>);

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

impl StubEngine {
    fn tables(&self) -> std::sync::MutexGuard<'_, Tables> {
        self.0.lock().expect("no holder panics")
    }

    pub fn executed(&self) -> Vec<(DatasetName, Stage)> {
        self.tables().done.clone()
    }

    pub fn fail_next(&self, dataset: &DatasetName) {
        self.tables().failing.insert(dataset.clone());
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

    async fn quarantine(&self, _: &DatasetName) -> Result<Option<(i64, u64)>, StepError> {
        Ok(None)
    }

    fn rows_per_step(&self) -> u64 {
        1_000
    }

    async fn execute(&self, job: &Job<'_>, _: &dyn Report) -> Result<Outcome, StepError> {
        let mut tables = self.tables();
        let name = job.dataset.name.clone();
        if tables.failing.remove(&name) {
            return Err(StepError::new(Told));
        }
        let rows = match job.step.kind {
            StepKind::Ingest => job.events.iter().map(|e| e.bytes).sum(),
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
            balance: Balance { received: rows, loaded: rows, ..Balance::default() },
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
}

#[derive(Default)]
struct StubLanding(Mutex<Vec<Arrival>>);

#[async_trait]
impl Landing for StubLanding {
    async fn look(&self, _: &Dataset, known: &BTreeMap<String, (u64, i64)>) -> Result<Look, StepError> {
        let all = self.0.lock().expect("no holder panics");
        let arrivals = all.iter().filter(|a| !known.contains_key(&a.path)).cloned().collect();
        Ok(Look { arrivals, ..Look::default() })
    }
}

struct NoWait;

#[async_trait]
impl Timer for NoWait {
    async fn wait(&self, time: Duration) {
        // The lease's heartbeat must not win against work that is done at once.
        if time > Duration::from_secs(5) {
            std::future::pending::<()>().await;
        }
    }
}

struct Silent;

impl Report for Silent {
    fn signal(&self, _: Signal) {}
}

pub struct World {
    _folder: tempfile::TempDir,
    project: Project,
    pub store: SqliteStore,
    pub engine: StubEngine,
    landing: StubLanding,
    clock: ManualClock,
    entropy: SeededEntropy,
}

impl World {
    /// `bronze.t` and `silver.t`, which reads it.
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |path: &str, text: &str| {
            let at = folder.path().join(path);
            std::fs::create_dir_all(at.parent().expect("a parent")).expect("a folder");
            std::fs::write(at, text).expect("a file");
        };
        put("alluvium.yaml", "name: stub\n");
        put("landing/keep", "");
        put("datasets/bronze/t.yaml", "source: { files: landing/, glob: \"*.csv\" }\n");
        put("datasets/silver/t.yaml", "from: bronze.t\ncontract: t\nwrite: append\n");
        put(
            "contracts/t.odcs.yaml",
            "apiVersion: v3.1.0\nkind: DataContract\nid: t\nname: t\nversion: 1.0.0\nstatus: active\nschema:\n  - name: t\n    properties:\n      - { name: id, logicalType: integer }\n",
        );
        let project = load(folder.path(), &Environment::default()).expect("a project without mistakes");
        let store = SqliteStore::open(&folder.path().join("state.db")).await.expect("a store");
        let clock = ManualClock::at(Timestamp::from_second(1_700_000_000).expect("an instant"));
        let entropy = SeededEntropy::new(7);
        let (engine, landing) = Default::default();
        Self { _folder: folder, project, store, engine, landing, clock, entropy }
    }

    pub fn arrive(&self, path: &str, bytes: u64) {
        self.arrive_as(path, path, bytes);
    }

    pub fn arrive_as(&self, path: &str, content: &str, bytes: u64) {
        let modified_nanos = self.clock.now().as_microsecond() * 1000;
        let content = ContentHash::from_stored(content);
        let arrival = Arrival { path: path.to_owned(), bytes, modified_nanos, content };
        self.landing.0.lock().expect("no holder panics").push(arrival);
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
        self.clock.advance_micros(1_000_000);
        let flow = Flow {
            project: &self.project,
            store: &self.store,
            engine: &self.engine,
            landing: &self.landing,
            clock: &self.clock,
            entropy: &self.entropy,
            timer: &NoWait,
            report: &Silent,
            owner: Owner { host: "here".into(), process: 1, started_ticks: 1 },
            alive: &|_| true,
        };
        flow.run(options).await.expect("the store works")
    }
}
