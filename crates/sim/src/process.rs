//! A process: everything that a real one puts together, over what all share.

use crate::{
    engine::{SimEngine, Tables},
    executor::Sim,
    fault::Odds,
    landing::{Folders, SimLanding},
    store::SimStore,
};
use alluvium_flow::{Breakers, Flow, FlowError, Options, RefusedSteps, Report, Signal, Summary};
use alluvium_spec::Project;
use alluvium_store::{Owner, SqliteStore};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{runtime::Runtime, sync::Semaphore};

/// What all processes share.
#[derive(Clone)]
pub(crate) struct Common {
    /// As it is defined, and as it was before.
    pub(crate) projects: [Arc<Project>; 2],
    pub(crate) state: Arc<SqliteStore>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) folders: Arc<Folders>,
    pub(crate) sim: Sim,
    /// Processes that everybody knows to be gone. One that was killed elsewhere is not known to be.
    pub(crate) gone: Arc<Mutex<BTreeSet<u32>>>,
}

/// What the process is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Plans and executes, again and again, as a service or a timer does.
    Planner,
    /// Executes what others planned.
    Worker,
}

pub(crate) struct Process {
    pub(crate) common: Common,
    pub(crate) number: u32,
    pub(crate) faults: bool,
    /// It was begun under the earlier definitions.
    pub(crate) is_old: bool,
    pub(crate) breakers: Breakers,
}

struct Quiet;

impl Report for Quiet {
    fn signal(&self, _: Signal) {}
}

impl Process {
    /// Until it is killed. What it cannot do now, it tries again later.
    pub(crate) async fn live(self, role: Role) {
        let mut refused = RefusedSteps::default();
        loop {
            let done = self.with(async |flow| match role {
                Role::Planner => flow.run(&Options::default(), std::future::pending()).await.map(drop),
                Role::Worker => match flow.is_asked(&mut refused).await {
                    Ok(true) => flow.assist(&mut refused, || false, std::future::pending()).await.map(drop),
                    other => other.map(drop),
                },
            });
            let done = done.await;
            self.common.sim.note(format_args!("p{} {role:?}: {}", self.number, word(&done)));
            let pause = match role {
                Role::Planner => 1_000 + self.common.sim.below(20_000),
                Role::Worker => 1_000,
            };
            alluvium_flow::Timer::wait(&self.common.sim, Duration::from_millis(pause)).await;
        }
    }

    /// One run, to its end.
    pub(crate) async fn run(&self) -> Result<Summary, FlowError> {
        self.with(async |flow| flow.run(&Options::default(), std::future::pending()).await).await
    }

    async fn with<T>(&self, work: impl AsyncFnOnce(&Flow<'_>) -> T) -> T {
        let Common { projects, state, runtime, tables, folders, sim, gone } = &self.common;
        let odds = |odds: Odds| self.faults.then_some(odds);
        let store = SimStore {
            inner: state.clone(),
            runtime: runtime.clone(),
            sim: sim.clone(),
            tables: tables.clone(),
            process: self.number,
            odds: odds(Odds::STORE),
        };
        let engine =
            SimEngine { tables: tables.clone(), sim: sim.clone(), process: self.number, odds: odds(Odds::ENGINE) };
        let landing = SimLanding { folders: folders.clone(), sim: sim.clone(), odds: odds(Odds::ENGINE) };
        let alive = |o: &Owner| !gone.lock().expect("no holder of this lock panics").contains(&o.process);
        let hands = Semaphore::new(1);
        let flow = Flow {
            project: &projects[usize::from(self.is_old)],
            store: &store,
            engine: &engine,
            landing: &landing,
            clock: sim,
            entropy: sim,
            timer: sim,
            report: &Quiet,
            breakers: &self.breakers,
            owner: Owner { host: "simulated".into(), process: self.number, started_ticks: 1 },
            alive: &alive,
            hands: &hands,
        };
        work(&flow).await
    }
}

fn word<T>(done: &Result<T, FlowError>) -> &'static str {
    if done.is_ok() { "done" } else { "failed" }
}
