//! One simulated project from its first file to its last step, and many of them.

use crate::{
    check::{Held, held, misplaced, untold, wrong},
    days,
    executor::{Executor, Sim},
    files::{self, File},
    gate, history,
    landing::Folders,
    places,
    planted::Planted,
    process::{Common, Process, Role},
    pushed,
    tables::Tables,
    told,
};
use alluvium_flow::{Breakers, anomalies};
use alluvium_model::{Clock, DefinitionVersion, Span, StepKey};
use alluvium_spec::{Environment, Project, load};
use alluvium_store::{Alert, BackfillRecord, Owner, SqliteStore, StepRecord, Store, Topic, Value, VerdictKind, Watch};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{Arc, Mutex, OnceLock},
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Two sources, cleaned each for itself, a table of both, and one with windows; three datasets share two slots. Beside them a
/// third, of which people decide what is published, and a table that counts it, and one whose events are pushed.
const FILES: [(&str, &str); 14] = [
    (
        "alluvium.yaml",
        "name: simulated\nlimits: { lease: 10s, step_input: 20 KiB }\nsinks: { out: { files: out/ } }\npublish: out\nalerts: out\n",
    ),
    ("datasets/bronze/a.yaml", "source: { files: landing/a/ }\nconcurrency: [ { key: disk, limit: 2 } ]\n"),
    (
        "datasets/bronze/b.yaml",
        "source: { files: landing/b/, mode: per_object }\nconcurrency: [ { key: disk, limit: 2 } ]\n",
    ),
    (
        "datasets/silver/a.yaml",
        "from: bronze.a\ncontract: a\nconcurrency: [ { key: disk, limit: 2 } ]\nwrite: append\n",
    ),
    (
        "datasets/silver/b.yaml",
        "from: bronze.b\ncontract: b\nwhen: steps >= 1 AND received > 0\nthrottle: { limit: 30, period: 1m, burst: 3 }\nwrite: append\n",
    ),
    ("datasets/gold/both.sql", "SELECT a.id, b.id AS other FROM silver.a a JOIN silver.b b ON a.id = b.id\n"),
    (
        "datasets/gold/days.sql",
        "/*\npublish: out\nwindow: { column: day, size: 1 day }\n*/\nSELECT CAST(id AS DATE) AS day, count(*) AS n FROM silver.a GROUP BY 1\n",
    ),
    ("datasets/bronze/c.yaml", "source: { files: landing/c/ }\ndrift: { new: freeze }\n"),
    ("datasets/bronze/d.yaml", "source: { http: { types: [order] } }\n"),
    ("datasets/silver/c.yaml", "from: bronze.c\ncontract: c\npublish: out\nwrite: append\n"),
    ("datasets/gold/c.sql", "SELECT count(*) AS n FROM silver.c\n"),
    ("contracts/a.odcs.yaml", CONTRACT),
    ("contracts/b.odcs.yaml", CONTRACT),
    ("contracts/c.odcs.yaml", CONTRACT),
];
/// Defined in another way at first. What was received, and what is computed as a whole, follows a new definition by itself.
const CHANGED: [&str; 6] = ["bronze.a", "bronze.b", "bronze.c", "gold.both", "gold.c", "gold.days"];
const CONTRACT: &str = "apiVersion: v3.1.0
kind: DataContract
id: c
name: c
version: 1.0.0
status: active
schema:
  - name: c
    properties:
      - { name: id, logicalType: integer }
";
/// Of the first of them.
const AGREED: &str = "slaProperties: [ { property: frequency, value: 10, unit: m } ]\n";

pub(crate) const SECOND: i64 = 1_000_000;
/// So long things go wrong; then they are only finished.
const TROUBLE: i64 = 150 * SECOND;

/// A seed under which something does not hold.
#[derive(Debug)]
pub struct Found {
    pub seed: u64,
    pub wrong: Vec<String>,
    pub trace: Vec<String>,
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "seed {}: {} things do not hold", self.seed, self.wrong.len())?;
        self.wrong.iter().take(20).try_for_each(|w| writeln!(f, "  {w}"))?;
        write!(f, "again, with all that happened: cargo run -p alluvium-sim -- --seed {}", self.seed)
    }
}

impl std::error::Error for Found {}

/// Of all worlds: nothing reads the folder that they were loaded from.
static PROJECTS: OnceLock<[Arc<Project>; 2]> = OnceLock::new();

pub(crate) struct World {
    pub(crate) common: Common,
    _folder: TempDir,
}

/// Simulates one seed to its end. What happened is told in the order in which it did; the same seed gives the same.
///
/// # Errors
/// What does not hold.
pub fn simulate(seed: u64, planted: Planted) -> Result<Vec<String>, Box<Found>> {
    let world = World::new(seed, planted);
    let sim = &world.common.sim;
    let mut files = files::plain(sim);
    let calm = calm(&files);
    files.extend(files::judged(sim));
    let mut executor = Executor::new(sim.clone());
    world.trouble(&mut executor, &files);
    let mut found = world.settle(&mut executor);
    let (tables, steps) = (&world.common.tables, world.steps());
    found.extend(wrong(tables, &steps, &calm));
    found.extend(untold(&world.told(&Topic::Runs), &steps));
    found.extend(misplaced(tables, &world.backfills(), &world.told(&Topic::Dataset(days::dataset()))));
    found.extend(pushed::wrong(tables, &world.common.acknowledged));
    found.extend(places::wrong(tables, &files, &steps, &world.verdicts(&steps)));
    let cleaned = gate::cleaned();
    found.extend(told::of_commits(tables, &steps, &cleaned, &world.told(&Topic::Dataset(cleaned.clone()))));
    found.extend(told::of_alerts(&world.told(&Topic::Alerts), &world.alerts()));
    let trace = sim.trace();
    if found.is_empty() { Ok(trace) } else { Err(Box::new(Found { seed, wrong: found, trace })) }
}

/// Simulates seeds until something is found.
///
/// # Errors
/// The first seed under which something does not hold.
pub fn explore(seeds: impl IntoIterator<Item = u64>, planted: Planted) -> Result<(), Box<Found>> {
    seeds.into_iter().try_for_each(|seed| simulate(seed, planted).map(drop))
}

/// What the tables hold when one process did all of it, and nothing went wrong.
fn calm(files: &[File]) -> Held {
    let world = World::new(0, Planted::Nothing);
    files.iter().for_each(|f| world.put(f));
    let mut executor = Executor::new(world.common.sim.clone());
    let _ = world.settle(&mut executor);
    held(&world.common.tables)
}

impl World {
    fn new(seed: u64, planted: Planted) -> Self {
        // Memory, where there is such a folder: each transaction is synced.
        let below = Path::new("/dev/shm");
        let folder = if below.is_dir() { tempfile::tempdir_in(below) } else { tempfile::tempdir() };
        let folder = folder.expect("a folder");
        let projects = PROJECTS.get_or_init(projects).clone();
        let runtime = Arc::new(runtime());
        let state = runtime.block_on(SqliteStore::open(&folder.path().join("state.db"))).expect("a fresh state opens");
        let (folders, gone, witness) = (Arc::<Folders>::default(), Arc::<Mutex<_>>::default(), Arc::default());
        let acknowledged = Arc::default();
        let (tables, sim) = (Arc::new(Tables::new(planted)), Sim::new(seed));
        let state = Arc::new(state);
        let common = Common { projects, state, runtime, tables, folders, sim, gone, witness, acknowledged };
        Self { common, _folder: folder }
    }

    pub(crate) fn put(&self, file: &File) {
        self.common.folders.put(&file.dataset, &file.path, &file.content, file.records);
    }

    /// Files come, processes are killed and others begin, the clock jumps.
    fn trouble(&self, executor: &mut Executor, files: &[File]) {
        enum Event<'a> {
            Comes(&'a File),
            Begins(Role, bool),
            Killed { known: bool },
            Jumps(i64),
            Heals,
            Falls,
            Rises,
        }
        let sim = &self.common.sim;
        let within = |seconds: u64| i64::try_from(sim.below(seconds * 1_000)).expect("small") * 1_000;
        let mut events: Vec<(i64, Event<'_>)> = files.iter().map(|f| (f.at, Event::Comes(f))).collect();
        // The definitions are being changed, and back: each process goes on with those that it began with.
        let begins = |at: i64, role: Role| {
            let is_old = sim.once_in(if role == Role::Backfiller { 8 } else { 2 });
            (at, Event::Begins(role, is_old))
        };
        for role in Role::ALL {
            events.extend([begins(within(5), role), begins(within(5), role)]);
        }
        events.push((within(150), Event::Heals));
        if sim.once_in(2) {
            let at = within(120);
            events.extend([(at, Event::Falls), (at + within(40), Event::Rises)]);
        }
        for _ in 0..4 + sim.below(8) {
            let at = within(150);
            let role = Role::ALL[usize::try_from(sim.below(Role::ALL.len() as u64)).expect("small")];
            events.push((at, Event::Killed { known: sim.once_in(2) }));
            events.push(begins(at + within(15), role));
        }
        for _ in 0..sim.below(3) {
            let seconds = i64::try_from(sim.below(1_200)).expect("small") - 600;
            events.push((within(150), Event::Jumps(seconds * SECOND)));
        }
        events.sort_by_key(|(at, _)| *at);
        let (mut living, mut number): (Vec<(u64, u32)>, u32) = (Vec::new(), 0);
        for (at, event) in events {
            executor.run(at, None);
            match event {
                Event::Comes(file) => {
                    sim.note(format_args!("{} comes into {}", file.path, file.dataset));
                    self.put(file);
                }
                Event::Begins(role, is_old) => {
                    number += 1;
                    let word = if is_old { "old" } else { "new" };
                    sim.note(format_args!("p{number} begins as {role:?}, with {word} definitions"));
                    let (common, breakers) = (self.common.clone(), Breakers::default());
                    let process = Process { common, number, faults: true, is_old, breakers };
                    living.push((executor.begin(process.live(role)), number));
                }
                Event::Killed { known } if !living.is_empty() => {
                    let nth = usize::try_from(sim.below(living.len() as u64)).expect("small");
                    let (task, number) = living.remove(nth);
                    self.kill(executor, task, number, known);
                }
                Event::Killed { .. } => {}
                Event::Heals => {
                    sim.note("what could not be read can be");
                    self.common.folders.heal();
                }
                Event::Falls => {
                    sim.note("the lake takes nothing in");
                    self.common.tables.fall();
                }
                Event::Rises => {
                    sim.note("the lake takes in again");
                    self.common.tables.rise();
                }
                Event::Jumps(micros) => {
                    sim.note(format_args!("the clock jumps by {} s", micros / SECOND));
                    sim.jump(micros);
                }
            }
        }
        executor.run(TROUBLE, None);
        self.common.tables.rise();
        for (task, number) in living {
            self.kill(executor, task, number, sim.once_in(2));
        }
    }

    fn kill(&self, executor: &mut Executor, task: u64, number: u32, known: bool) {
        self.common.sim.note(format_args!("p{number} is killed"));
        executor.kill(task);
        if known {
            self.common.gone.lock().expect("no holder of this lock panics").insert(number);
        }
    }

    fn backfills(&self) -> Vec<BackfillRecord> {
        let Common { state, runtime, .. } = &self.common;
        runtime.block_on(state.backfills()).expect("the state can be read")
    }

    pub(crate) fn alerts(&self) -> Vec<Alert> {
        let Common { state, runtime, .. } = &self.common;
        runtime.block_on(state.alerts(Timestamp::MIN)).expect("the state can be read").alerts
    }

    /// The keys of all that is wrong now.
    pub(crate) fn holding(&self) -> BTreeSet<String> {
        let Common { state, runtime, projects, sim, .. } = &self.common;
        let troubles = runtime.block_on(state.troubles(&projects[0].order)).expect("the state can be read");
        let past = runtime.block_on(state.past(Timestamp::MIN)).expect("the state can be read");
        let now = Clock::now(sim);
        told::holding(&troubles, &anomalies(&history::with(past), now), now)
    }

    /// What was said last of each step.
    fn verdicts(&self, steps: &[StepRecord]) -> BTreeMap<StepKey, VerdictKind> {
        let Common { state, runtime, .. } = &self.common;
        let said = |step: &StepRecord| {
            let verdict = runtime.block_on(state.verdict(&step.key)).expect("the state can be read")?;
            Some((step.key.clone(), verdict.kind))
        };
        steps.iter().filter(|s| gate::is_one(&s.dataset)).filter_map(said).collect()
    }

    /// What the sinks are told.
    fn told(&self, topic: &Topic) -> Vec<String> {
        let Common { state, runtime, sim, .. } = &self.common;
        let watch = Watch { now: Clock::now(sim), alive: &|_| true };
        let owner = Owner { host: "there".to_owned(), process: 0, started_ticks: 0 };
        let lane = (topic, "out");
        let part = state.take_lane(lane, "out", &owner, Span::from_secs(1), &watch, u32::MAX);
        let part = runtime.block_on(part).expect("the state can be read");
        part.into_iter().map(|p| p.event).collect()
    }

    /// All that were ever planned.
    fn steps(&self) -> Vec<StepRecord> {
        let Common { state, runtime, sim, .. } = &self.common;
        let watch = Watch { now: Clock::now(sim), alive: &|_| true };
        runtime.block_on(async {
            let mut steps = Vec::new();
            let tables = state.tables(&watch).await.expect("the state can be read");
            let shown = tables.iter().find(|t| t.name == "steps").expect("steps are shown");
            let column = shown.columns.iter().position(|(c, _)| *c == "step").expect("by their key");
            for row in &shown.rows {
                let Value::Text(key) = &row[column] else { continue };
                steps.extend(state.step(&StepKey::from_stored(key.clone())).await.expect("the state can be read"));
            }
            steps
        })
    }
}

/// As it is defined, and as it was before.
fn projects() -> [Arc<Project>; 2] {
    let folder = tempfile::tempdir().expect("a folder");
    let now = project(folder.path());
    let mut before = now.clone();
    for name in CHANGED {
        let dataset = before.datasets.get_mut(&name.parse().expect("a name")).expect("it is defined");
        dataset.version = DefinitionVersion::of([dataset.version.as_str().as_bytes(), b"before"]);
    }
    [Arc::new(now), Arc::new(before)]
}

fn project(folder: &Path) -> Project {
    for (path, text) in FILES {
        let at = folder.join(path);
        fs::create_dir_all(at.parent().expect("a parent")).expect("a folder");
        let mut text = text.replace("name: c\n", &format!("name: {}\n", stem(path)));
        if path == "contracts/a.odcs.yaml" {
            text.push_str(AGREED);
        }
        fs::write(at, text).expect("a file");
    }
    for landing in ["landing/a", "landing/b", "landing/c"] {
        fs::create_dir_all(folder.join(landing)).expect("a folder");
    }
    load(folder, &Environment::default()).expect("a project without mistakes")
}

fn stem(path: &str) -> &str {
    Path::new(path).file_name().and_then(|n| n.to_str()?.split('.').next()).expect("a file")
}

/// For the store alone: each of its calls ends within one moment of the simulated time.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}
