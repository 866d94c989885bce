//! One simulated project from its first file to its last step, and many of them.

use crate::{
    check::{Held, held, misplaced, untold, wrong},
    days,
    executor::{Executor, Sim},
    landing::Folders,
    process::{Common, Process, Role},
    tables::{Fence, Tables},
};
use alluvium_flow::{Breakers, FlowError};
use alluvium_model::{Clock, DatasetName, DefinitionVersion, Span, StepKey};
use alluvium_spec::{Environment, Project, load};
use alluvium_store::{BackfillRecord, Owner, SqliteStore, StepRecord, Store, Topic, Value, Watch};
use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Two sources, cleaned each for itself, a table of both, and one with windows; three datasets share two slots.
const FILES: [(&str, &str); 9] = [
    (
        "alluvium.yaml",
        "name: simulated\nlimits: { lease: 10s, step_input: 20 KiB }\nsinks: { out: { files: out/ } }\npublish: out\n",
    ),
    ("datasets/bronze/a.yaml", "source: { files: landing/a/ }\nconcurrency: [ { key: disk, limit: 2 } ]\n"),
    ("datasets/bronze/b.yaml", "source: { files: landing/b/ }\nconcurrency: [ { key: disk, limit: 2 } ]\n"),
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
    ("contracts/a.odcs.yaml", CONTRACT),
    ("contracts/b.odcs.yaml", CONTRACT),
];
/// Defined in another way at first. What was received, and what is computed as a whole, follows a new definition by itself.
const CHANGED: [&str; 4] = ["bronze.a", "bronze.b", "gold.both", "gold.days"];
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

const SECOND: i64 = 1_000_000;
/// So long things go wrong; then they are only finished.
const TROUBLE: i64 = 200 * SECOND;
/// Far beyond what anything here takes, a clock that was set back included.
const END: i64 = 6 * 3_600 * SECOND;
/// More than the clock is set back, and a lease.
const MOST_BACK: i64 = 1_300 * SECOND;
/// A delay lasts for a quarter of an hour at most.
const MOST_LAST_RUNS: u32 = 50;

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

/// A file of so many records, and when it comes.
struct File {
    at: i64,
    dataset: DatasetName,
    path: String,
    content: String,
    records: u64,
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
enum Alone {
    #[error("does not end")]
    Endless,
    #[error("failed: {0}")]
    Failed(FlowError),
}

struct World {
    common: Common,
    _folder: TempDir,
}

/// Simulates one seed to its end. What happened is told in the order in which it did; the same seed gives the same.
///
/// # Errors
/// What does not hold.
pub fn simulate(seed: u64, fence: Fence) -> Result<Vec<String>, Box<Found>> {
    let world = World::new(seed, fence);
    let files = files(&world.common.sim);
    let calm = calm(&files);
    let mut executor = Executor::new(world.common.sim.clone());
    world.trouble(&mut executor, &files);
    let mut wrong_things = world.settle(&mut executor);
    wrong_things.extend(wrong(&world.common.tables, &world.steps(), &calm));
    wrong_things.extend(untold(&world.told(&Topic::Runs), &world.steps()));
    let told = world.told(&Topic::Dataset(days::dataset()));
    wrong_things.extend(misplaced(&world.common.tables, &world.backfills(), &told));
    let trace = world.common.sim.trace();
    if wrong_things.is_empty() { Ok(trace) } else { Err(Box::new(Found { seed, wrong: wrong_things, trace })) }
}

/// Simulates seeds until something is found.
///
/// # Errors
/// The first seed under which something does not hold.
pub fn explore(seeds: impl IntoIterator<Item = u64>, fence: Fence) -> Result<(), Box<Found>> {
    seeds.into_iter().try_for_each(|seed| simulate(seed, fence).map(drop))
}

/// What the tables hold when one process did all of it, and nothing went wrong.
fn calm(files: &[File]) -> Held {
    let world = World::new(0, Fence::Up);
    files.iter().for_each(|f| world.put(f));
    let mut executor = Executor::new(world.common.sim.clone());
    let _ = world.settle(&mut executor);
    held(&world.common.tables)
}

fn files(sim: &Sim) -> Vec<File> {
    let file = |n: u64| {
        let dataset = if sim.once_in(2) { "bronze.a" } else { "bronze.b" };
        let records = 1 + sim.below(12);
        // Some come twice under two names, and some cannot be read.
        let content = if n % 5 == 4 { format!("c{}-3", n - 1) } else { format!("c{n}-{records}") };
        let content = if n % 7 == 6 { format!("bad{n}") } else { content };
        let records = content.rsplit_once('-').and_then(|(_, r)| r.parse().ok()).unwrap_or(1);
        File {
            at: i64::try_from(sim.below(150)).expect("small") * SECOND,
            dataset: dataset.parse().expect("a name"),
            path: format!("{n}.ndjson"),
            content,
            records,
        }
    };
    (0..14).map(file).collect()
}

impl World {
    fn new(seed: u64, fence: Fence) -> Self {
        // Memory, where there is such a folder: each transaction is synced.
        let below = Path::new("/dev/shm");
        let folder = if below.is_dir() { tempfile::tempdir_in(below) } else { tempfile::tempdir() };
        let folder = folder.expect("a folder");
        let now = project(folder.path());
        let mut before = now.clone();
        for name in CHANGED {
            let dataset = before.datasets.get_mut(&name.parse().expect("a name")).expect("it is defined");
            dataset.version = DefinitionVersion::of([dataset.version.as_str().as_bytes(), b"before"]);
        }
        let projects = [Arc::new(now), Arc::new(before)];
        let runtime = Arc::new(runtime());
        let state = runtime.block_on(SqliteStore::open(&folder.path().join("state.db"))).expect("a fresh state opens");
        let (folders, gone) = (Arc::<Folders>::default(), Arc::<Mutex<_>>::default());
        let (tables, sim) = (Arc::new(Tables::new(fence)), Sim::new(seed));
        let common = Common { projects, state: Arc::new(state), runtime, tables, folders, sim, gone };
        Self { common, _folder: folder }
    }

    fn put(&self, file: &File) {
        self.common.folders.put(&file.dataset, &file.path, &file.content, file.records);
    }

    /// Files come, processes are killed and others begin, the clock jumps.
    fn trouble(&self, executor: &mut Executor, files: &[File]) {
        enum Event<'a> {
            Comes(&'a File),
            Begins(Role, bool),
            Killed { known: bool },
            Jumps(i64),
        }
        let sim = &self.common.sim;
        let within = |seconds: u64| i64::try_from(sim.below(seconds * 1_000)).expect("small") * 1_000;
        let mut events: Vec<(i64, Event<'_>)> = files.iter().map(|f| (f.at, Event::Comes(f))).collect();
        // The definitions are being changed, and back: each process goes on with those that it began with.
        let begins = |at: i64, role: Role| {
            let is_old = sim.once_in(if role == Role::Backfiller { 8 } else { 2 });
            (at, Event::Begins(role, is_old))
        };
        for role in [Role::Planner, Role::Planner, Role::Worker, Role::Worker, Role::Backfiller, Role::Backfiller] {
            events.push(begins(within(5), role));
        }
        for _ in 0..4 + sim.below(8) {
            let at = within(200);
            let role = [Role::Planner, Role::Worker, Role::Backfiller][usize::try_from(sim.below(3)).expect("small")];
            events.push((at, Event::Killed { known: sim.once_in(2) }));
            events.push(begins(at + within(15), role));
        }
        for _ in 0..sim.below(3) {
            let seconds = i64::try_from(sim.below(1_200)).expect("small") - 600;
            events.push((within(200), Event::Jumps(seconds * SECOND)));
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
                Event::Jumps(micros) => {
                    sim.note(format_args!("the clock jumps by {} s", micros / SECOND));
                    sim.jump(micros);
                }
            }
        }
        executor.run(TROUBLE, None);
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

    /// One process after the other finishes what is left, while commits of killed ones still arrive: a backfill that somebody
    /// began, and then runs until two in a row have nothing to wait for. The second one finds what arrived after the first one looked.
    fn settle(&self, executor: &mut Executor) -> Vec<String> {
        let (sim, mut quiet, mut is_over) = (&self.common.sim, 0, false);
        let swap = sim.once_in(2);
        for number in 1_000..1_000 + MOST_LAST_RUNS {
            if !is_over {
                match self.alone(executor, number, async move |p| p.end_backfill(swap).await) {
                    Ok(ended) => is_over = ended,
                    // Commits of killed processes may come in between.
                    Err(Alone::Failed(e)) => sim.note(format_args!("p{number} cannot end the backfill: {e}")),
                    Err(e) => return vec![format!("the end of the backfill {e}")],
                }
            }
            match self.alone(executor, number, async |p| p.run().await) {
                Ok(summary) if summary.failed_steps == 0 && summary.waiting.is_empty() && is_over => quiet += 1,
                // A step that lost its commit to a killed process's, or failed before, has a time for its next attempt.
                Ok(_) => quiet = 0,
                Err(e) => return vec![format!("the last run {e}")],
            }
            executor.run(sim.elapsed() + 300 * SECOND, None);
            if quiet == 2 {
                // A killed run holds its lease for as long as the clock was set back. It is told by the first that looks after that.
                executor.run(sim.elapsed() + MOST_BACK, None);
                let told = self.alone(executor, number + 1, async |p| p.look().await);
                return told.err().map(|e| format!("the last look {e}")).into_iter().collect();
            }
        }
        vec!["there is always something that waits".to_owned()]
    }

    /// What a process does to which nothing happens.
    fn alone<T: 'static>(
        &self,
        executor: &mut Executor,
        number: u32,
        work: impl AsyncFnOnce(&Process) -> Result<T, FlowError> + 'static,
    ) -> Result<T, Alone> {
        let (ended, breakers, common) = (Arc::new(Mutex::new(None)), Breakers::default(), self.common.clone());
        let process = Process { common, number, faults: false, is_old: false, breakers };
        let told = ended.clone();
        let task = executor.begin(async move {
            let done = work(&process).await;
            *told.lock().expect("no holder of this lock panics") = Some(done);
        });
        if !executor.run(self.common.sim.elapsed() + END, Some(task)) {
            return Err(Alone::Endless);
        }
        let done = ended.lock().expect("no holder of this lock panics").take();
        done.ok_or(Alone::Endless)?.map_err(Alone::Failed)
    }

    fn backfills(&self) -> Vec<BackfillRecord> {
        let Common { state, runtime, .. } = &self.common;
        runtime.block_on(state.backfills()).expect("the state can be read")
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

fn project(folder: &Path) -> Project {
    for (path, text) in FILES {
        let at = folder.join(path);
        fs::create_dir_all(at.parent().expect("a parent")).expect("a folder");
        fs::write(at, text.replace("name: c\n", &format!("name: {}\n", stem(path)))).expect("a file");
    }
    for landing in ["landing/a", "landing/b"] {
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
