//! One run: looks, plans and executes, dataset by dataset in the order of their inputs, until nothing is pending.

use crate::{
    Breakers, DatasetSummary, Engine, FlowError, Landing, Look, Report, Signal, Timer, Waiting,
    plan::{Round, versions_mix},
    step::{Worked, chain},
};
use alluvium_model::{
    Clock, DatasetName, DefinitionVersion, Entropy, EventId, Fault, RunId, Span, StepKey, crash_point,
};
use alluvium_spec::{Dataset, Kind, Project};
use alluvium_store::{
    Claimed, EventState, NewEvent, NewStep, Owner, Planned, StepKind, StepRecord, StepState, Store, Watch,
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How often a round of planning may lose to another process before it gives up.
const PLAN_ATTEMPTS: u32 = 16;
/// How often a landing zone is looked at while its files settle.
const SETTLE_LOOKS: u32 = 3;
/// Files that need longer are left for the next run.
const SETTLE_MOST: Duration = Duration::from_secs(30);
pub(crate) const LEASE: Span = Span::from_secs(60);

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

#[derive(Debug, Clone, Default)]
pub struct Summary {
    pub run: Option<RunId>,
    pub objects_new: u64,
    pub objects_duplicate: u64,
    pub objects_dead: u64,
    /// Paths that could be no landing objects. A run looks at a folder more than once, and counts each once.
    pub refused: BTreeSet<(DatasetName, String)>,
    /// Files that were too young when the run looked last.
    pub unsettled: BTreeMap<DatasetName, u64>,
    /// How long until those are old enough.
    pub settled_in: BTreeMap<DatasetName, Duration>,
    /// Steps whose last attempt in this run failed.
    pub failed_steps: u64,
    /// Datasets of the failed steps, and of those that wait or are dead letters; the run does not come back to them.
    pub failed: BTreeSet<DatasetName>,
    /// Of the failed ones, those whose folder or table could not be read, and whose error may pass by itself.
    pub passing: BTreeSet<DatasetName>,
    /// Of the failed ones, those with a step that is tried again, and when.
    pub waiting: BTreeMap<DatasetName, Timestamp>,
    /// Steps that are dead letters, as far as the run came upon them.
    pub dead: BTreeSet<StepKey>,
    /// Dead letters that a replay could not bring back.
    pub letters_left: u64,
    /// How long the run still waits for steps that are to be tried again.
    pub patience: Duration,
    /// Their definition changed, and something waits for a person's word.
    pub held: BTreeSet<DatasetName>,
    /// Their definition changed, and nothing waits.
    pub changed: BTreeSet<DatasetName>,
    /// It was asked to stop before it was done.
    pub stopped: bool,
    pub datasets: BTreeMap<DatasetName, DatasetSummary>,
}

impl Summary {
    /// Whether everything that could be done was done.
    pub fn complete(&self) -> bool {
        self.failed_steps == 0
            && self.waiting.is_empty()
            && self.dead.is_empty()
            && self.letters_left == 0
            && self.held.is_empty()
            && self.refused.is_empty()
            && self.objects_dead == 0
            && !self.stopped
    }

    /// A step of the dataset is tried then, and not earlier.
    pub(crate) fn wait(&mut self, name: &DatasetName, until: Timestamp) {
        let earliest = self.waiting.entry(name.clone()).or_insert(until);
        *earliest = until.min(*earliest);
    }

    pub fn objects_refused(&self) -> u64 {
        self.refused.len() as u64
    }

    pub fn objects_unsettled(&self) -> u64 {
        self.unsettled.values().sum()
    }

    pub fn did_nothing(&self) -> bool {
        self.datasets.is_empty() && self.failed_steps == 0
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
                for name in self.project.order.iter().filter(|n| options.takes(n)) {
                    let done = self.dataset(run, &self.project.datasets[name], options, summary).await;
                    self.go_on(name, done, options, summary)?;
                }
                // What arrived while this round ran is looked for once more; one that found nothing new ends the run.
                if summary.objects_new == before {
                    return Ok(());
                }
            }
        };
        self.live(&options.command, stop, work).await
    }

    /// What a landing zone holds now of this dataset that no run has recorded. Records nothing.
    ///
    /// # Errors
    /// When the state store fails or the landing zone cannot be read.
    pub async fn look(&self, dataset: &Dataset) -> Result<Look, FlowError> {
        let known = self.store.known_files(&dataset.name).await?;
        self.landing.look(dataset, &known).await.map_err(|e| look_error(&dataset.name, e))
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

    /// Executes once more what waits in the dataset's quarantine, and then what follows from it. Under a definition that
    /// changed since the dataset's newest rows were made it does so only if `options` adopt the dataset.
    ///
    /// # Errors
    /// As [`Flow::run`].
    pub async fn replay_quarantine(
        &self,
        name: &DatasetName,
        options: &Options,
        stop: impl Future<Output = ()>,
    ) -> Result<Summary, FlowError> {
        let dataset = self.project.datasets.get(name).ok_or_else(|| FlowError::UnknownDataset(name.clone()))?;
        if dataset.silver().is_none() {
            return Err(FlowError::NoQuarantine(name.clone()));
        }
        let work = async |run: &RunId, summary: &mut Summary| {
            self.work_open_steps(run, dataset, summary).await?;
            if options.adopt.contains(name) {
                self.adopt(dataset).await?;
            }
            let waiting = self.engine.quarantine(name).await.map_err(|e| look_error(name, e))?;
            if let Some((version, _)) = waiting.filter(|(_, rows)| *rows > 0) {
                let active = self.active_version(name).await?;
                if !versions_mix(active.as_ref(), &dataset.version) {
                    return self.hold(dataset, active, Waiting::Quarantine, summary).await;
                }
                let round = self.round(run, dataset).await?;
                self.plan(dataset, vec![round.replay(version)]).await?;
                self.work_open_steps(run, dataset, summary).await?;
            }
            self.follow(run, name, summary).await
        };
        self.live(&options.command, stop, work).await
    }

    /// What reads the dataset, and what reads that.
    async fn follow(&self, run: &RunId, name: &DatasetName, summary: &mut Summary) -> Result<(), FlowError> {
        let mut reached = BTreeSet::from([name.clone()]);
        for next in &self.project.order {
            let downstream = &self.project.datasets[next];
            if downstream.consumes().iter().any(|i| reached.contains(i)) {
                reached.insert(next.clone());
                self.dataset(run, downstream, &Options::default(), summary).await?;
            }
        }
        Ok(())
    }

    /// What time it is, and who lives.
    pub(crate) fn watch(&self) -> Watch<'_> {
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
        let needs = dataset.consumes().into_iter().chain(self.project.lookups_of(dataset));
        if summary.failed.contains(&dataset.name) {
            return Ok(());
        }
        // What a failed dataset would have given is missing: rows would be judged against tables that are not there yet.
        if needs.into_iter().any(|n| summary.failed.contains(&n)) {
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

    /// Looks at the landing zone and records what arrived.
    async fn receive(
        &self,
        run: &RunId,
        dataset: &Dataset,
        options: &Options,
        summary: &mut Summary,
    ) -> Result<(), FlowError> {
        let name = &dataset.name;
        let mut looks = if options.turn.is_some() { SETTLE_LOOKS } else { 0 };
        loop {
            let look = self.look(dataset).await?;
            let now = self.clock.now();
            let events: Vec<NewEvent> = look
                .arrivals
                .into_iter()
                .map(|a| NewEvent {
                    event: EventId::of(name, &a.content),
                    dataset: name.clone(),
                    path: a.path,
                    content: a.content,
                    bytes: a.bytes,
                    modified_nanos: a.modified_nanos,
                    received_at: now,
                })
                .collect();
            let (events, letters) = self.redelivered(events).await?;
            let (new, duplicates) = self.record(run, &events).await?;
            for letter in &letters {
                self.store.replay_event(run, letter, None).await?;
            }
            summary.objects_new += new;
            summary.objects_duplicate += duplicates;
            let unsettled = look.unsettled;
            self.report.signal(Signal::Looked { dataset: name.clone(), new, duplicates, unsettled });
            looks += 1;
            if unsettled == 0 || looks >= SETTLE_LOOKS || look.settled_in > SETTLE_MOST {
                summary.unsettled.insert(name.clone(), unsettled);
                if unsettled > 0 {
                    summary.settled_in.insert(name.clone(), look.settled_in);
                }
                for r in look.refused {
                    let dataset = name.clone();
                    if summary.refused.insert((dataset.clone(), r.path.clone())) {
                        self.report.signal(Signal::Refused { dataset, path: r.path, code: r.code, reason: r.reason });
                    }
                }
                return Ok(());
            }
            let time = look.settled_in;
            self.report.signal(Signal::Settling { dataset: name.clone(), files: unsettled, time });
            self.timer.wait(time).await;
        }
    }

    /// Content that arrives again after it became a dead letter is another event: whoever delivers it wants it tried. The
    /// letters are closed when that event is recorded.
    async fn redelivered(&self, mut events: Vec<NewEvent>) -> Result<(Vec<NewEvent>, BTreeSet<EventId>), FlowError> {
        let mut letters = BTreeSet::new();
        loop {
            let ids: Vec<EventId> = events.iter().map(|e| e.event.clone()).collect();
            let known = self.store.events(&ids).await?;
            let of = |state| known.iter().filter(move |e| e.state == state).map(|e| e.event.clone());
            let dead: BTreeSet<EventId> = of(EventState::Dead).collect();
            let replayed: BTreeSet<EventId> = of(EventState::Replayed).collect();
            if dead.is_empty() && replayed.is_empty() {
                return Ok((events, letters));
            }
            for e in events.iter_mut().filter(|e| dead.contains(&e.event) || replayed.contains(&e.event)) {
                e.event = e.event.again();
            }
            letters.extend(dead);
        }
    }

    async fn record(&self, run: &RunId, events: &[NewEvent]) -> Result<(u64, u64), FlowError> {
        use alluvium_store::Recorded;
        if events.is_empty() {
            return Ok((0, 0));
        }
        crash_point("events.before_record");
        let recorded = self.store.record_events(run, events).await?;
        crash_point("events.after_record");
        let (mut new, mut duplicates) = (0, 0);
        for (event, r) in events.iter().zip(recorded) {
            match r {
                Recorded::New => new += 1,
                Recorded::Duplicate { first_path } => {
                    duplicates += 1;
                    let (dataset, path) = (event.dataset.clone(), event.path.clone());
                    self.report.signal(Signal::Duplicate { dataset, path, first_path });
                }
            }
        }
        Ok((new, duplicates))
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
            Kind::Bronze(_) => {
                let pending = self.store.pending_events(name).await?;
                if !pending.is_empty() {
                    self.announce_version(dataset, false).await?;
                }
                Ok(round.ingest(&pending, self.project.limits.step_input.0))
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
                let increments =
                    self.engine.increments(&silver.from, position).await.map_err(|e| look_error(name, e))?;
                if options.adopt.contains(name) {
                    self.adopt(dataset).await?;
                } else if !versions_mix(active.as_ref(), &dataset.version) {
                    let waiting = if increments.is_empty() { Waiting::Nothing } else { Waiting::Input };
                    self.hold(dataset, active, waiting, summary).await?;
                    return Ok(Vec::new());
                }
                Ok(round.refine(&silver.from, position, &increments, self.engine.rows_per_step(silver)))
            }
            Kind::Gold(gold) => {
                let positions = self.store.positions(name).await?;
                let active = self.active_version(name).await?;
                let anew = active.as_ref().is_some_and(|a| *a != dataset.version);
                let mut inputs = BTreeMap::new();
                let mut changed = anew;
                for input in &gold.inputs {
                    let Some(upto) = self.engine.head(input).await.map_err(|e| look_error(input, e))? else {
                        // An input that has no table yet: there is nothing to compute from.
                        return Ok(Vec::new());
                    };
                    let position = positions.get(input).copied().unwrap_or(-1);
                    if position < upto {
                        let increments =
                            self.engine.increments(input, position).await.map_err(|e| look_error(input, e))?;
                        changed |= !increments.is_empty();
                    }
                    let after = if anew { -1 } else { position };
                    inputs.insert(input.clone(), Claimed { after, upto });
                }
                if !changed {
                    return Ok(Vec::new());
                }
                let mut replaced = None;
                if anew {
                    self.announce_version(dataset, true).await?;
                    replaced = self.engine.head(name).await.map_err(|e| look_error(name, e))?;
                }
                Ok(vec![round.curate(&inputs, replaced)])
            }
        }
    }

    /// Says, once a run, that the dataset's definition changed and what therefore waits.
    async fn hold(
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
    async fn adopt(&self, dataset: &Dataset) -> Result<(), FlowError> {
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

    async fn round<'b>(&self, run: &'b RunId, dataset: &'b Dataset) -> Result<Round<'b>, FlowError> {
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
    async fn plan(&self, dataset: &Dataset, steps: Vec<NewStep>) -> Result<bool, FlowError> {
        tracing::debug!(dataset = %dataset.name, steps = steps.len(), "planning");
        crash_point("plan.before_record");
        let planned = self.store.plan_many(&steps).await?;
        crash_point("plan.after_record");
        Ok(!planned.contains(&Planned::Conflict))
    }

    /// Executes the dataset's open steps, oldest first. `false`: one failed, and what follows it has to wait.
    async fn work_open_steps(&self, run: &RunId, dataset: &Dataset, summary: &mut Summary) -> Result<bool, FlowError> {
        let open: Vec<StepRecord> =
            self.store.open_steps().await?.into_iter().filter(|s| is_live(s) && s.dataset == dataset.name).collect();
        for step in open {
            if step.version != dataset.version && self.replaced(run, dataset, &step, summary).await? {
                continue;
            }
            let (kind, key) = (step.kind, step.key.clone());
            let worked = match step.state {
                StepState::Dead => self.left_dead(run, dataset, step, summary).await?,
                _ => self.work(run, dataset, step, summary).await?,
            };
            match (worked, kind) {
                (Worked::Done, _) => continue,
                // Windows of a backfill are none of the live work.
                (Worked::Waits | Worked::Dead, StepKind::Swap | StepKind::Backfill) => {
                    self.give_up_swap(run, dataset, &key, summary).await?;
                    summary.waiting.remove(&dataset.name);
                    continue;
                }
                // It took no input: what waits, waits on, and new input need not wait for it.
                (Worked::Waits | Worked::Dead, StepKind::ReplayQuarantine) => {
                    self.store.supersede(&key).await?;
                    summary.waiting.remove(&dataset.name);
                }
                // Landing objects do not depend on each other: those of the step wait, others go on.
                (Worked::Dead, StepKind::Ingest) => {
                    summary.dead.insert(key);
                    continue;
                }
                (Worked::Dead, StepKind::Refine | StepKind::Curate | StepKind::Rebuild) => {
                    summary.dead.insert(key);
                }
                (Worked::Waits, _) => {}
            }
            summary.failed.insert(dataset.name.clone());
            return Ok(false);
        }
        Ok(true)
    }

    /// A dead letter is not tried again as it is. Gold over other input than then is other work.
    async fn left_dead(
        &self,
        run: &RunId,
        dataset: &Dataset,
        step: StepRecord,
        summary: &mut Summary,
    ) -> Result<Worked, FlowError> {
        // The run has given it up itself, and told so.
        if summary.dead.contains(&step.key) {
            return Ok(Worked::Dead);
        }
        // Its commit happened, and only the word of it was lost.
        if matches!(self.engine.recover(dataset, &step).await, Ok(Some(_))) && self.store.revive_step(&step.key).await?
        {
            return self.work(run, dataset, step, summary).await;
        }
        let replace = step.kind == StepKind::Swap || step.kind == StepKind::Curate && self.has_moved(&step).await?;
        if replace && self.replaced(run, dataset, &step, summary).await? {
            return Ok(Worked::Done);
        }
        if step.kind != StepKind::ReplayQuarantine {
            let blocks = step.kind != StepKind::Ingest;
            let (dataset, error) = (dataset.name.clone(), step.error.unwrap_or_default());
            self.report.signal(Signal::StepDead { step: step.key, dataset, error, blocks });
        }
        Ok(Worked::Dead)
    }

    /// Whether an input of the step has rows that it does not know.
    async fn has_moved(&self, step: &StepRecord) -> Result<bool, FlowError> {
        for (input, claimed) in &step.inputs {
            let news = self.engine.increments(input, claimed.upto).await.map_err(|e| look_error(input, e))?;
            if !news.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A rebuild reads all input anew: steps that failed, or were given up, need not work before it.
    async fn give_up_failed(&self, run: &RunId, dataset: &Dataset, summary: &mut Summary) -> Result<(), FlowError> {
        let failed = |s: &StepRecord| {
            is_live(s) && s.dataset == dataset.name && matches!(s.state, StepState::Failed | StepState::Dead)
        };
        for step in self.store.open_steps().await?.into_iter().filter(failed) {
            self.replaced(run, dataset, &step, summary).await?;
        }
        Ok(())
    }

    /// A step planned under an older definition, or given up: if it never committed, its input is planned anew.
    pub(crate) async fn replaced(
        &self,
        run: &RunId,
        dataset: &Dataset,
        step: &StepRecord,
        summary: &mut Summary,
    ) -> Result<bool, FlowError> {
        match self.engine.recover(dataset, step).await {
            Ok(None) => {
                self.store.supersede(&step.key).await?;
                Ok(true)
            }
            Ok(Some(outcome)) => {
                self.done(run, dataset, step, outcome, true, summary).await?;
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }
}

pub(crate) fn look_error(dataset: &DatasetName, source: crate::StepError) -> FlowError {
    FlowError::Look { dataset: dataset.clone(), source }
}

/// Windows of a backfill are done by nobody else.
fn is_live(step: &StepRecord) -> bool {
    step.kind != StepKind::Backfill
}

pub(crate) fn is_open(state: StepState) -> bool {
    match state {
        StepState::Planned | StepState::Running | StepState::Failed => true,
        StepState::Done | StepState::Dead | StepState::Superseded => false,
    }
}
