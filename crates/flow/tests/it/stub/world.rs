//! A project over the real state store, and processes that work on it.

use super::{
    engine::StubEngine,
    landing::{Folder, StubLanding},
    ticks::Ticks,
};
use alluvium_flow::{Arrival, Breakers, Flow, Hands, Letters, Options, Refused, Replay, Report, Signal, Summary};
use alluvium_model::{Clock, ContentHash, DatasetName, DefinitionVersion, ManualClock, SeededEntropy};
use alluvium_spec::{Effort, Environment, IngestMode, Kind, Project, load};
use alluvium_store::{Owner, SqliteStore, Watch};
use jiff::Timestamp;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

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
        let ticks = Ticks::new(clock.clone());
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

    /// How its landing objects become steps.
    pub fn mode(&mut self, dataset: &DatasetName, mode: IngestMode) {
        if let Kind::Bronze(bronze) = &mut self.project.datasets.get_mut(dataset).expect("a dataset").kind {
            bronze.mode = mode;
        }
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
        self.ticks.let_pass(heartbeats);
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
