//! One run: looks, plans and executes, dataset by dataset in the order of their inputs, until nothing is pending.

use crate::{
    Breakers, Engine, FlowError, Hands, Judged, Landing, Look, Report, Signal, Summary, Timer, Waiting,
    elsewhere::Elsewhere,
    plan::{Round, versions_mix},
    step::{Worked, chain},
};
use alluvium_model::{Clock, DatasetName, DefinitionVersion, Entropy, Fault, RunId, StepKey, crash_point};
use alluvium_spec::{Dataset, FROZEN, Gold, Kind, Project};
use alluvium_store::{Claimed, NewStep, Owner, Planned, StepKind, StepRecord, StepState, Store, Watch};
use futures::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;

/// How often a round of planning may lose to another process before it gives up.
const PLAN_ATTEMPTS: u32 = 16;

/// Everything a run works with. Holds no state of its own.
pub struct Flow<'a> {
    pub project: &'a Project,
    pub store: &'a dyn Store,
    pub engine: &'a dyn Engine,
    pub landing: &'a dyn Landing,
    pub clock: &'a dyn Clock,
    pub entropy: &'a dyn Entropy,
    pub timer: &'a dyn Timer,
    pub report: &'a dyn Report,
    /// What this process leaves alone for a while, over all its runs.
    pub breakers: &'a Breakers,
    /// This process, as the holder of leases.
    pub owner: Owner,
    /// Whether a lease's holder still lives; a dead one's lease is free at once.
    pub alive: &'a (dyn Fn(&Owner) -> bool + Sync),
    /// What this process executes at once. Any number of steps may be planned meanwhile, for others.
    pub hands: &'a Hands,
}

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// As it is recorded with the run.
    pub command: String,
    /// Silver datasets whose changed definition applies to new rows from now on, beside the older rows.
    pub adopt: BTreeSet<DatasetName>,
    /// Silver datasets to make anew from all of their input.
    pub rebuild: BTreeSet<DatasetName>,
    /// `None`: all datasets, waiting for young files, up to the first folder or table that cannot be read. Otherwise one
    /// turn of a service, which comes again: it waits for no file, and one dataset does not stop another.
    pub turn: Option<Turn>,
    /// Told of each dataset of the turn when it is done.
    pub left: Option<Arc<Left>>,
}

/// What a turn has still to do, for whoever begins another one beside it.
#[derive(Debug)]
pub struct Left {
    datasets: Mutex<BTreeSet<DatasetName>>,
    /// Told when it becomes less.
    told: Arc<Notify>,
}

impl Left {
    pub fn of(turn: &Turn, told: Arc<Notify>) -> Self {
        Self { datasets: Mutex::new(turn.datasets.clone()), told }
    }

    pub fn datasets(&self) -> BTreeSet<DatasetName> {
        self.datasets.lock().expect("no holder of this lock panics").clone()
    }

    fn without(&self, name: &DatasetName) {
        if self.datasets.lock().expect("no holder of this lock panics").remove(name) {
            self.told.notify_one();
        }
    }
}

/// What a service does next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Turn {
    pub datasets: BTreeSet<DatasetName>,
    /// Others, whose last attempt failed: what needs them waits.
    pub failing: BTreeSet<DatasetName>,
}

impl Options {
    fn takes(&self, name: &DatasetName) -> bool {
        self.turn.as_ref().is_none_or(|t| t.datasets.contains(name))
    }
}

impl Flow<'_> {
    /// Processes what is pending and returns. When `stop` ends first, what is not committed by then is left to the next
    /// run, and this one is recorded as interrupted.
    ///
    /// # Errors
    /// When the state store fails or a landing zone cannot be read. A failing step is not an error here: it is counted
    /// in the summary, and stays open until it is tried again, or is a dead letter.
    pub async fn run(&self, options: &Options, stop: impl Future<Output = ()>) -> Result<Summary, FlowError> {
        for name in options.adopt.iter().chain(&options.rebuild) {
            match self.project.datasets.get(name) {
                None => return Err(FlowError::UnknownDataset(name.clone())),
                Some(d) if d.silver().is_none() => return Err(FlowError::NotSilver(name.clone())),
                Some(_) => {}
            }
        }
        let work = async |run: &RunId, summary: &mut Summary| {
            if let Some(turn) = &options.turn {
                summary.failed.extend(turn.failing.iter().cloned());
                // A service comes back by itself, and others wait for this turn.
                summary.patience = Duration::ZERO;
            }
            loop {
                let before = summary.objects_new;
                self.all(run, options, summary).await?;
                // What arrived while this round ran is looked for once more; one that found nothing new ends the run. A service
                // is told of arrivals, and may have begun another turn over what this one is done with.
                if options.turn.is_some() || summary.objects_new == before {
                    return Ok(());
                }
            }
        };
        // A service looks at the rest by itself.
        let judged = if options.turn.is_some() { Judged::Steps } else { Judged::All };
        self.live(&options.command, judged, stop, work).await
    }

    /// Every dataset once, each as soon as all that it needs is done. So what can be planned is planned, and other processes
    /// find work while this one's hands are full. What cannot be gone on from lets no other begin; those that have begun end.
    async fn all(&self, run: &RunId, options: &Options, summary: &mut Summary) -> Result<(), FlowError> {
        let order = self.project.order.iter().filter(|n| options.takes(n));
        let mut waiting: Vec<&Dataset> = order.map(|n| &self.project.datasets[n]).collect();
        let mut unfinished: BTreeSet<DatasetName> = waiting.iter().map(|d| d.name.clone()).collect();
        let mut working = FuturesUnordered::new();
        let mut done_so_far = Ok(());
        loop {
            let ready = |d: &&Dataset| !needs(self.project, d).any(|n| unfinished.contains(&n));
            let (begin, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(ready);
            waiting = later;
            for dataset in begin {
                let mut part = summary.part(&dataset.name);
                working.push(async move {
                    let done = self.dataset(run, dataset, options, &mut part).await;
                    (&dataset.name, done, part)
                });
            }
            let Some((name, done, part)) = working.next().await else { return done_so_far };
            unfinished.remove(name);
            summary.absorb(part);
            if let Err(error) = self.go_on(name, done, options, summary) {
                waiting.clear();
                done_so_far = done_so_far.and(Err(error));
            }
            if let Some(left) = &options.left {
                left.without(name);
            }
        }
    }

    /// What a landing zone holds now of this dataset that no run has recorded, or the first part of that. Records nothing.
    ///
    /// # Errors
    /// When the state store fails or the landing zone cannot be read.
    pub async fn look(&self, dataset: &Dataset) -> Result<Look, FlowError> {
        let known = self.store.known_files(&dataset.name).await?;
        let mut after: Option<String> = None;
        loop {
            let look = self.landing.look(dataset, &known, after.as_deref()).await;
            let look = look.map_err(|e| look_error(&dataset.name, e))?;
            // Behind what nobody can read, and what is gone, there may be what arrived.
            if look.upto.is_none() || !look.arrivals.is_empty() || look.unsettled > 0 {
                return Ok(look);
            }
            after = look.upto;
        }
    }

    /// In a service's turn a folder or table that cannot be read is the trouble of its dataset alone.
    fn go_on(
        &self,
        name: &DatasetName,
        done: Result<(), FlowError>,
        options: &Options,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        match done {
            Err(error @ (FlowError::Look { .. } | FlowError::Contended(_))) if options.turn.is_some() => {
                summary.failed.insert(name.clone());
                if error.class().may_pass() {
                    summary.passing.insert(name.clone());
                }
                self.report.signal(Signal::NotLooked {
                    dataset: name.clone(),
                    code: error.code(),
                    message: chain(&error),
                    remedy: error.remedy(),
                });
                Ok(())
            }
            done => done,
        }
    }

    /// What time it is, and who lives.
    pub fn watch(&self) -> Watch<'_> {
        Watch { now: self.clock.now(), alive: self.alive }
    }

    /// Everything for one dataset: left-over steps, arrivals, planning, execution.
    pub(crate) async fn dataset(
        &self,
        run: &RunId,
        dataset: &Dataset,
        options: &Options,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        if summary.failed.contains(&dataset.name) {
            return Ok(());
        }
        // What a failed dataset would have given is missing: rows would be judged against tables that are not there yet.
        if needs(self.project, dataset).any(|n| summary.failed.contains(&n)) {
            summary.failed.insert(dataset.name.clone());
            return Ok(());
        }
        if matches!(dataset.kind, Kind::Bronze(_)) && !dataset.is_pushed() {
            self.receive(run, dataset, options, summary).await?;
        }
        if options.rebuild.contains(&dataset.name) {
            self.give_up_failed(run, dataset, summary).await?;
        }
        if !self.work_open_steps(run, dataset, summary).await? {
            return Ok(());
        }
        // After the open steps: what cannot be loaded now waits in the inbox, which has a bound.
        if dataset.is_pushed() {
            self.lay_down(run, dataset, summary).await?;
        }
        for _ in 0..PLAN_ATTEMPTS {
            let steps = self.new_steps(run, dataset, options, summary).await?;
            if steps.is_empty() {
                // Nothing is left to plan, but another process may be at work on what it planned: what comes after this
                // dataset has to see its rows.
                self.work_open_steps(run, dataset, summary).await?;
                return Ok(());
            }
            if self.plan(dataset, steps).await? {
                self.work_open_steps(run, dataset, summary).await?;
                return Ok(());
            }
        }
        Err(FlowError::Contended(dataset.name.clone()))
    }

    async fn new_steps(
        &self,
        run: &RunId,
        dataset: &Dataset,
        options: &Options,
        summary: &mut Summary,
    ) -> Result<Vec<NewStep>, FlowError> {
        let name = &dataset.name;
        let round = self.round(run, dataset).await?;
        match &dataset.kind {
            Kind::Bronze(bronze) => {
                let pending = self.store.pending_events(name).await?;
                if !pending.is_empty() {
                    self.announce_version(dataset, false).await?;
                }
                Ok(round.ingest(&pending, bronze.mode, self.project.limits.step_input.0))
            }
            Kind::Silver(silver) => {
                let position = self.store.positions(name).await?.get(&silver.from).copied().unwrap_or(-1);
                let active = self.active_version(name).await?;
                if options.rebuild.contains(name) && !summary.datasets.contains_key(name) {
                    let Some(head) = self.engine.head(&silver.from).await.map_err(|e| look_error(name, e))? else {
                        return Ok(Vec::new());
                    };
                    let own = self.engine.head(name).await.map_err(|e| look_error(name, e))?.unwrap_or(-1);
                    return Ok(vec![round.rebuild(&silver.from, head, own)]);
                }
                let mut increments =
                    self.engine.increments(&silver.from, position).await.map_err(|e| look_error(name, e))?;
                if options.adopt.contains(name) {
                    self.adopt(dataset).await?;
                } else if !versions_mix(active.as_ref(), &dataset.version) {
                    let waiting = if increments.is_empty() { Waiting::Nothing } else { Waiting::Input };
                    self.hold(dataset, active, waiting, summary).await?;
                    return Ok(Vec::new());
                }
                let newest = increments.last().map(|i| Claimed { after: position, upto: i.version });
                let waiting = newest.into_iter().map(|range| (silver.from.clone(), range)).collect();
                let Some(taken) = self.taken(run, dataset, &waiting, summary).await? else { return Ok(Vec::new()) };
                increments.retain(|i| taken.get(&silver.from).is_some_and(|upto| i.version <= *upto));
                Ok(round.refine(&silver.from, position, &increments, self.engine.rows_per_step(silver)))
            }
            Kind::Gold(gold) => self.gold_steps(run, dataset, gold, &round, summary).await,
        }
    }

    async fn gold_steps(
        &self,
        run: &RunId,
        dataset: &Dataset,
        gold: &Gold,
        round: &Round<'_>,
        summary: &mut Summary,
    ) -> Result<Vec<NewStep>, FlowError> {
        let name = &dataset.name;
        let positions = self.store.positions(name).await?;
        let anew = self.active_version(name).await?.as_ref().is_some_and(|a| *a != dataset.version);
        let (mut inputs, mut waiting) = (BTreeMap::new(), BTreeMap::new());
        for input in &gold.inputs {
            let Some(upto) = self.engine.head(input).await.map_err(|e| look_error(input, e))? else {
                // An input that has no table yet: there is nothing to compute from.
                return Ok(Vec::new());
            };
            let range = Claimed { after: positions.get(input).copied().unwrap_or(-1), upto };
            if range.after < upto {
                let increments = self.engine.increments(input, range.after).await.map_err(|e| look_error(input, e))?;
                if !increments.is_empty() {
                    waiting.insert(input.clone(), range);
                }
            }
            inputs.insert(input.clone(), range);
        }
        if waiting.is_empty() && !anew {
            return Ok(Vec::new());
        }
        // A table that is made anew asks as well, if it would take something new.
        let Some(taken) = self.taken(run, dataset, &waiting, summary).await? else { return Ok(Vec::new()) };
        for (input, range) in &waiting {
            let upto = taken.get(input).copied().unwrap_or(range.after);
            if upto < 0 {
                return Ok(Vec::new());
            }
            inputs.insert(input.clone(), Claimed { upto, ..*range });
        }
        let mut replaced = None;
        if anew {
            inputs.values_mut().for_each(|range| range.after = -1);
            self.announce_version(dataset, true).await?;
            replaced = self.engine.head(name).await.map_err(|e| look_error(name, e))?;
        }
        Ok(vec![round.curate(&inputs, replaced)])
    }

    /// Says, once a run, that the dataset's definition changed and what therefore waits.
    pub(crate) async fn hold(
        &self,
        dataset: &Dataset,
        active: Option<DefinitionVersion>,
        waiting: Waiting,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        let name = &dataset.name;
        let told = match waiting {
            Waiting::Nothing => &mut summary.changed,
            Waiting::Input | Waiting::Quarantine => &mut summary.held,
        };
        if let Some(active) = active
            && told.insert(name.clone())
        {
            let rows = self.engine.rows(name).await.map_err(|e| look_error(name, e))?;
            let (dataset, now) = (name.clone(), dataset.version.clone());
            self.report.signal(Signal::Held { dataset, active, now, rows, waiting });
        }
        Ok(())
    }

    /// Rows from now on are made under the present definition, because a person said so.
    pub(crate) async fn adopt(&self, dataset: &Dataset) -> Result<(), FlowError> {
        if versions_mix(self.active_version(&dataset.name).await?.as_ref(), &dataset.version) {
            return Ok(());
        }
        self.announce_version(dataset, false).await?;
        Ok(self.store.activate(&dataset.name, &dataset.version, self.clock.now()).await?)
    }

    async fn announce_version(&self, dataset: &Dataset, recomputed: bool) -> Result<(), FlowError> {
        if let Some(active) = self.active_version(&dataset.name).await?
            && active != dataset.version
        {
            let (name, now) = (dataset.name.clone(), dataset.version.clone());
            self.report.signal(Signal::Adopted { dataset: name, active, now, recomputed });
        }
        Ok(())
    }

    pub(crate) async fn active_version(&self, name: &DatasetName) -> Result<Option<DefinitionVersion>, FlowError> {
        let versions = self.store.versions().await?;
        Ok(versions.into_iter().find(|v| v.active && v.dataset == *name).map(|v| v.version))
    }

    pub(crate) async fn round<'b>(&self, run: &'b RunId, dataset: &'b Dataset) -> Result<Round<'b>, FlowError> {
        let mut lookups = BTreeMap::new();
        for name in self.project.lookups_of(dataset) {
            // -1: a lookup whose table is not there yet holds no rows.
            let head = self.engine.head(&name).await.map_err(|e| look_error(&name, e))?;
            lookups.insert(name, head.unwrap_or(-1));
        }
        let watermark = match dataset.silver().and_then(|s| s.watermark.as_ref()) {
            Some(watermark) => self.watermark(&dataset.name, &watermark.column).await?,
            None => None,
        };
        Ok(Round { run, dataset, now: self.clock.now(), lookups, watermark })
    }

    async fn watermark(&self, name: &DatasetName, event_time: &str) -> Result<Option<Timestamp>, FlowError> {
        let all = self.store.watermarks().await?;
        Ok(all.into_iter().find(|w| w.dataset == *name && w.event_time == event_time).map(|w| w.watermark))
    }

    /// `false`: another process planned over the same input; look again.
    pub(crate) async fn plan(&self, dataset: &Dataset, steps: Vec<NewStep>) -> Result<bool, FlowError> {
        tracing::debug!(dataset = %dataset.name, steps = steps.len(), "planning");
        crash_point("plan.before_record");
        let planned = self.store.plan_many(&steps).await?;
        crash_point("plan.after_record");
        Ok(!planned.contains(&Planned::Conflict))
    }

    /// Executes the dataset's open steps, oldest first. `false`: one failed, and what follows it has to wait.
    pub(crate) async fn work_open_steps(
        &self,
        run: &RunId,
        dataset: &Dataset,
        summary: &mut Summary,
    ) -> Result<bool, FlowError> {
        let mut open: Vec<StepRecord> =
            self.store.open_steps().await?.into_iter().filter(|s| is_live(s) && s.dataset == dataset.name).collect();
        let originals = self.originals(dataset, &open).await?;
        // The newest first: while an older one may still be executed elsewhere, what was planned after it goes.
        for at in (0..open.len()).rev() {
            let is_outdated = open[at].version != dataset.version && originals.of(&open[at]).is_none();
            if is_outdated && self.replaced(run, dataset, &open[at], summary).await? {
                open.remove(at);
            }
        }
        for step in open {
            let (kind, key) = (step.kind, step.key.clone());
            let worked = match step.state {
                StepState::Dead => self.left_dead(run, dataset, step, summary).await?,
                // Landing objects do not depend on each other: others go on.
                _ if self.is_left(dataset, &step, summary).await? => continue,
                _ => match originals.of(&step) {
                    Some(project) => {
                        let flow = self.over(project);
                        flow.work(run, &project.datasets[&dataset.name], step, None, summary).await?
                    }
                    None => self.work(run, dataset, step, None, summary).await?,
                },
            };
            if !self.goes_on(run, dataset, (kind, &key), worked, summary).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the step loads what only another machine has.
    async fn is_left(&self, dataset: &Dataset, step: &StepRecord, summary: &mut Summary) -> Result<bool, FlowError> {
        let Some(Elsewhere { path, host }) = self.elsewhere(dataset, step).await? else { return Ok(false) };
        if summary.elsewhere.insert(step.key.clone(), dataset.name.clone()).is_none() {
            self.report.signal(Signal::Elsewhere { dataset: dataset.name.clone(), path, host });
        }
        Ok(true)
    }

    /// Whether what follows the step in its dataset can be done now.
    pub(crate) async fn goes_on(
        &self,
        run: &RunId,
        dataset: &Dataset,
        step: (StepKind, &StepKey),
        worked: Worked,
        summary: &mut Summary,
    ) -> Result<bool, FlowError> {
        let (kind, key) = step;
        match (worked, kind) {
            (Worked::Done, _) => return Ok(true),
            // A window is none of the live work, and a swap is asked for by a person.
            (Worked::Waits | Worked::Dead, StepKind::Swap | StepKind::Backfill) => {
                self.give_up_swap(run, dataset, key, summary).await?;
                summary.waiting.remove(&dataset.name);
                return Ok(true);
            }
            // It took no input: what waits, waits on, and new input need not wait for it.
            (Worked::Waits | Worked::Dead, StepKind::ReplayQuarantine | StepKind::Discard) => {
                if let Some(step) = self.store.step(key).await? {
                    self.replaced(run, dataset, &step, summary).await?;
                }
                summary.waiting.remove(&dataset.name);
            }
            // Landing objects do not depend on each other: those of the step wait, others go on. Unless it froze the dataset: then
            // all that comes waits, and what is loaded is gone on from.
            (Worked::Dead, StepKind::Ingest) => {
                summary.dead.insert(key.clone());
                return Ok(!self.store.step(key).await?.is_some_and(|s| is_frozen(dataset, &s)));
            }
            (Worked::Dead, StepKind::Refine | StepKind::Curate | StepKind::Rebuild) => {
                summary.dead.insert(key.clone());
            }
            (Worked::Waits, _) => {}
        }
        summary.failed.insert(dataset.name.clone());
        Ok(false)
    }
}

/// What has to be there before the dataset can be done.
pub(crate) fn needs(project: &Project, dataset: &Dataset) -> impl Iterator<Item = DatasetName> {
    dataset.consumes().into_iter().chain(project.lookups_of(dataset))
}

pub(crate) fn look_error(dataset: &DatasetName, source: crate::StepError) -> FlowError {
    FlowError::Look { dataset: dataset.clone(), source }
}

/// Windows of a backfill are none of the live work.
pub(crate) fn is_live(step: &StepRecord) -> bool {
    step.kind != StepKind::Backfill
}

/// Whether the step keeps all that comes out of the dataset, until its definition changes.
pub(crate) fn is_frozen(dataset: &Dataset, step: &StepRecord) -> bool {
    let said = step.error.as_deref().and_then(|e| e.strip_prefix(FROZEN)).is_some_and(|rest| rest.starts_with(':'));
    said && step.state == StepState::Dead && step.dataset == dataset.name && step.version == dataset.version
}
