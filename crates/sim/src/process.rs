//! A process: everything that a real one puts together, over what all share.

use crate::{
    beside::SimBeside,
    days,
    engine::SimEngine,
    executor::Sim,
    fault::Odds,
    landing::{Folders, SimLanding},
    people,
    pushed::{self, Acknowledged},
    store::SimStore,
    tables::Tables,
    witness::Witness,
};
use alluvium_flow::{
    Backfill, Breakers, Flow, FlowError, Hands, Judged, Options, RefusedSteps, Report, SharedWindows, Signal, Summary,
};
use alluvium_model::Window;
use alluvium_spec::Project;
use alluvium_store::{BackfillState, Owner, SqliteStore, VerdictKind};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::runtime::Runtime;

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
    pub(crate) witness: Arc<Witness>,
    pub(crate) acknowledged: Arc<Acknowledged>,
}

/// What the process is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Plans and executes, again and again, as a service or a timer does, and does what was asked of services.
    Planner,
    /// Executes what others planned.
    Worker,
    /// Begins backfills, goes on with those of others, swaps them and drops them.
    Backfiller,
    /// Releases, drops, discards and replays.
    Person,
    /// Pushes events.
    Producer,
}

impl Role {
    pub(crate) const ALL: [Self; 5] = [Self::Planner, Self::Worker, Self::Backfiller, Self::Person, Self::Producer];
}

pub(crate) struct Process {
    pub(crate) common: Common,
    pub(crate) number: u32,
    pub(crate) faults: bool,
    /// It was begun under the earlier definitions.
    pub(crate) is_old: bool,
    pub(crate) breakers: Breakers,
}

/// Of live steps a run executes one a dataset.
const HANDS: usize = 2;

/// Of the dataset that has windows.
fn asked(range: Option<Window>, resume: bool, swap: bool) -> Backfill {
    let stride = "1d".parse().expect("a stride");
    let range = range.map(|range| (range, stride));
    Backfill { dataset: days::dataset(), range, max_active: Some(2), tolerated: Some(0), resume, swap }
}

struct Quiet;

impl Report for Quiet {
    fn signal(&self, _: Signal) {}
}

impl Process {
    /// Until it is killed. What it cannot do now, it tries again later.
    pub(crate) async fn live(self, role: Role) {
        let (mut refused, mut shared) = (RefusedSteps::default(), SharedWindows::default());
        loop {
            let done = self.with(async |flow| match role {
                Role::Planner => match people::serve(flow, &self.common.sim, self.number).await {
                    Ok(()) => flow.run(&Options::default(), std::future::pending()).await.map(drop),
                    failed => failed,
                },
                Role::Worker => match flow.is_asked(&mut refused).await {
                    Ok(true) => flow.assist(&mut refused, || false, std::future::pending()).await.map(drop),
                    // A real one has two lanes for both.
                    Ok(false) => match flow.asked_for_windows(&mut shared).await {
                        Ok((true, _)) => {
                            flow.make_windows(&mut shared, || false, std::future::pending()).await.map(drop)
                        }
                        other => other.map(drop),
                    },
                    Err(error) => Err(error),
                },
                Role::Backfiller => self.backfill(flow).await,
                Role::Person => people::act(flow, &self.common.sim, self.number).await,
                Role::Producer => {
                    let Common { sim, acknowledged, tables, .. } = &self.common;
                    pushed::push(flow, sim, acknowledged, tables.planted).await
                }
            });
            let done = done.await;
            self.common.sim.note(format_args!("p{} {role:?}: {}", self.number, word(&done)));
            let pause = match role {
                Role::Planner => 1_000 + self.common.sim.below(20_000),
                Role::Worker => 1_000,
                Role::Backfiller => 1_000 + self.common.sim.below(10_000),
                Role::Person | Role::Producer => 1_000 + self.common.sim.below(10_000),
            };
            alluvium_flow::Timer::wait(&self.common.sim, Duration::from_millis(pause)).await;
        }
    }

    /// One run, to its end.
    pub(crate) async fn run(&self) -> Result<Summary, FlowError> {
        self.with(async |flow| flow.run(&Options::default(), std::future::pending()).await).await
    }

    /// As a service or a worker does that has nothing to do.
    pub(crate) async fn look(&self) -> Result<(), FlowError> {
        self.with(async |flow| {
            flow.tell_ended_runs().await?;
            flow.tell_alerts(Judged::All).await
        })
        .await
    }

    /// What waits for somebody's word gets it, and what was asked for is done. `false`: there was something.
    pub(crate) async fn decide(&self, verdict: VerdictKind) -> Result<bool, FlowError> {
        self.with(async |flow| people::decide(flow, &self.common.sim, self.number, verdict).await).await
    }

    /// Whatever comes to the mind of somebody who does not know what others do.
    async fn backfill(&self, flow: &Flow<'_>) -> Result<(), FlowError> {
        let sim = &self.common.sim;
        let whole = Window { from: 0, to: days::DAYS * days::DAY };
        let from = i64::try_from(sim.below(days::DAYS as u64)).expect("a few days");
        let range = if sim.once_in(4) { Window { from: days::day(from).from, ..whole } } else { whole };
        let swap = !sim.once_in(4);
        let all = flow.store.backfills().await?;
        let is_open = all.iter().any(|b| b.state != BackfillState::Swapped);
        let (word, asked) = match sim.below(10) {
            0..8 if !is_open => ("begins", asked(Some(range), false, swap)),
            0..6 => ("goes on with", asked(None, true, swap)),
            6..8 => ("swaps", asked(None, false, true)),
            8 => ("begins", asked(Some(range), false, swap)),
            _ => {
                sim.note(format_args!("p{} drops a backfill", self.number));
                return flow.drop_backfill(&self.beside(), &days::dataset()).await;
            }
        };
        sim.note(format_args!("p{} {word} a backfill", self.number));
        let done = flow.backfill(&self.beside(), &asked, "backfill", std::future::pending()).await;
        match &done {
            Ok(done) => {
                let state = done.as_ref().map(|d| (d.record.state, d.committed));
                sim.note(format_args!("p{} backfill: {state:?}", self.number));
            }
            Err(e) => sim.note(format_args!("p{} backfill: {e}", self.number)),
        }
        done.map(drop)
    }

    /// What others left of a backfill comes to its end, swapped or dropped. `false`: not yet.
    pub(crate) async fn end_backfill(&self, swap: bool) -> Result<bool, FlowError> {
        let dataset = days::dataset();
        let end = async |flow: &Flow<'_>| {
            let all = flow.store.backfills().await?;
            let Some(open) = all.iter().find(|b| b.state != BackfillState::Swapped) else { return Ok(true) };
            // One of another definition, or of half a table under a changed one, cannot be swapped.
            let is_whole = open.range.from == 0 && open.version == flow.project.datasets[&dataset].version;
            if swap && is_whole {
                let asked = asked(None, true, true);
                flow.backfill(&self.beside(), &asked, "backfill", std::future::pending()).await?;
            } else {
                flow.drop_backfill(&self.beside(), &dataset).await?;
            }
            let all = flow.store.backfills().await?;
            Ok(all.iter().all(|b| b.state == BackfillState::Swapped))
        };
        self.with(end).await
    }

    fn beside(&self) -> SimBeside {
        let Common { tables, sim, .. } = &self.common;
        SimBeside { tables: tables.clone(), sim: sim.clone(), odds: self.faults.then_some(Odds::ENGINE) }
    }

    pub(crate) async fn with<T>(&self, work: impl AsyncFnOnce(&Flow<'_>) -> T) -> T {
        let Common { projects, state, runtime, tables, folders, sim, gone, witness, .. } = &self.common;
        let odds = |odds: Odds| self.faults.then_some(odds);
        let store = SimStore {
            inner: state.clone(),
            runtime: runtime.clone(),
            sim: sim.clone(),
            tables: tables.clone(),
            witness: witness.clone(),
            process: self.number,
            odds: odds(Odds::STORE),
        };
        let engine = SimEngine {
            tables: tables.clone(),
            sim: sim.clone(),
            folders: folders.clone(),
            process: self.number,
            is_old: self.is_old,
            odds: odds(Odds::ENGINE),
        };
        let landing = SimLanding { folders: folders.clone(), sim: sim.clone(), odds: odds(Odds::LANDING) };
        let alive = |o: &Owner| !gone.lock().expect("no holder of this lock panics").contains(&o.process);
        let hands = Hands::new(HANDS);
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
