//! One step: take its lease, execute it or find that it committed earlier, record what it did.
//!
//! Called by `drain.rs`, `assist.rs` and backfills; the one way in which any process executes a step. How often a step failed and when it may be tried again is in the state, so that all processes agree;
//! a run only decides whether it waits for that.

use crate::{
    Dependency, Flow, FlowError, HELD, Job, Outcome, Reader, Signal, StepError, StepWait, Summary,
    drain::is_live,
    error::Stopped,
    hands::{Held, Size},
    plan::versions_mix,
    publication,
    retry::{after, delay, policy},
};
use alluvium_model::{Blame, Fault, RunId, Span, crash_point};
use alluvium_spec::{Dataset, Kind, Timeout};
use alluvium_store::{
    AfterFailure, Claim, Failure, LedgerEntry, NotYet, Rate, Slot, StepDone, StepKind, StepRecord, StepState,
    StoreError, Terms,
};
use jiff::Timestamp;
use std::{pin::pin, time::Duration};

/// Between two looks at a step that another process has, or that waits for a slot: the first, and the longest.
pub(crate) const FIRST_LOOK: Duration = Duration::from_millis(20);
pub(crate) const LAST_LOOK: Duration = Duration::from_millis(500);

/// One of the process's hands, with the lease that it holds.
pub(crate) struct Hand<'h> {
    _held: Held<'h>,
    /// As the state counts them, whoever else tried the step since it was read. The fence rests on that.
    attempt: u32,
    failures: u32,
}

/// How it went with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worked {
    /// By this process or another one.
    Done,
    /// It stays open, and is tried later.
    Waits,
    /// It is a dead letter.
    Dead,
}

/// Whether an attempt may begin.
pub(crate) enum Taken<'h> {
    Now(Hand<'h>),
    Later {
        until: Timestamp,
        why: StepWait,
    },
    /// Another process ended the step, in this way.
    Ended(StepState),
}

/// How an attempt ended, if not with an outcome.
enum Ended {
    Failed(StepError),
    /// Another process holds the step now, and does what is left.
    LeaseLost,
}

impl From<StepError> for Ended {
    fn from(error: StepError) -> Self {
        Self::Failed(error)
    }
}

impl Flow<'_> {
    /// `held`: its lease, if this process has it already.
    pub(crate) async fn work<'h>(
        &'h self,
        run: &RunId,
        dataset: &Dataset,
        mut step: StepRecord,
        mut held: Option<Hand<'h>>,
        summary: &mut Summary,
    ) -> Result<Worked, FlowError> {
        let uses = uses(dataset);
        loop {
            let taken = match held.take() {
                Some(hand) => Taken::Now(hand),
                None => self.take(run, dataset, &step, &uses).await?,
            };
            let hand = match taken {
                Taken::Ended(state) => {
                    // One that was superseded was done by nobody: its input is another step's.
                    if state == StepState::Done {
                        self.report.signal(Signal::StepDoneElsewhere { dataset: dataset.name.clone() });
                    }
                    return Ok(if state == StepState::Dead { Worked::Dead } else { Worked::Done });
                }
                Taken::Later { until, why } => {
                    if self.waits_for(until, summary).await {
                        continue;
                    }
                    summary.wait(&dataset.name, until);
                    let (step, dataset) = (step.key, dataset.name.clone());
                    self.report.signal(Signal::StepWaits { step, dataset, until, why });
                    return Ok(Worked::Waits);
                }
                Taken::Now(hand) => hand,
            };
            (step.attempts, step.failures) = (hand.attempt, hand.failures);
            self.report.signal(Signal::StepStarted {
                step: step.key.clone(),
                dataset: dataset.name.clone(),
                kind: step.kind,
                attempt: step.attempts,
            });
            let span = tracing::info_span!("step", run = %run, dataset = %dataset.name, step = %step.key);
            span.in_scope(|| step.events.iter().for_each(|event| tracing::info!(%event, "takes")));
            let attempt = self.attempt(dataset, &step);
            match tracing::Instrument::instrument(attempt, span).await {
                Ok((outcome, recovered)) => {
                    if !self.done(run, dataset, &step, outcome, recovered, summary).await? {
                        continue;
                    }
                    for dependency in self.breakers.succeeded(&uses, self.clock.now()) {
                        self.report.signal(Signal::BreakerClosed { dependency });
                    }
                    return Ok(Worked::Done);
                }
                Err(Ended::LeaseLost) => drop(hand),
                Err(Ended::Failed(error)) => {
                    step.failures = step.failures.saturating_add(1);
                    if let Some(worked) = self.failed(run, dataset, &step, &error, summary).await? {
                        return Ok(worked);
                    }
                    // Others may work while this step waits.
                    drop(hand);
                }
            }
        }
    }

    /// Waits for a hand of this process, and for the lease with a slot of each key, unless the step may not be tried now.
    async fn take(
        &self,
        run: &RunId,
        dataset: &Dataset,
        step: &StepRecord,
        uses: &[Dependency],
    ) -> Result<Taken<'_>, FlowError> {
        let (mut told, mut wait) = (false, FIRST_LOOK);
        let size = self.size(step).await;
        loop {
            let mut hand = pin!(self.hands.take(size));
            // Others may do the step while this process's hands are full.
            let hand = loop {
                tokio::select! {
                    biased;
                    hand = &mut hand => break hand,
                    () = self.timer.wait(wait) => {}
                }
                if let Some(state) = self.ended(step).await? {
                    return Ok(Taken::Ended(state));
                }
                wait = (wait * 2).min(LAST_LOOK);
            };
            // What the others of this process met while this one waited counts.
            if let Some(later) = self.left_alone(uses) {
                return Ok(later);
            }
            match self.claim(run, dataset, step, uses).await? {
                Claim::Taken { attempt, failures } => {
                    return Ok(Taken::Now(Hand { _held: hand, attempt, failures }));
                }
                Claim::Closed => {
                    let state = self.store.step_state(&step.key).await?;
                    return Ok(Taken::Ended(state.unwrap_or(StepState::Superseded)));
                }
                refused => {
                    if let Some((until, why)) = not_before(&refused) {
                        return Ok(Taken::Later { until, why });
                    }
                    // Of a backfill's windows others may make any.
                    if is_live(step) && !std::mem::replace(&mut told, true) {
                        self.tell(dataset, refused);
                    }
                }
            }
            drop(hand);
            self.timer.wait(wait).await;
            wait = (wait * 2).min(LAST_LOOK);
            if let Some(state) = self.ended(step).await? {
                return Ok(Taken::Ended(state));
            }
        }
    }

    /// As [`Flow::work`] takes it, without waiting for anybody. `None`: it cannot be taken at this moment.
    pub(crate) async fn take_now(
        &self,
        run: &RunId,
        dataset: &Dataset,
        step: &StepRecord,
    ) -> Result<Option<Taken<'_>>, FlowError> {
        let uses = uses(dataset);
        if let Some(later) = self.left_alone(&uses) {
            return Ok(Some(later));
        }
        let Some(hand) = self.hands.try_take(self.size(step).await) else { return Ok(None) };
        Ok(match self.claim(run, dataset, step, &uses).await? {
            Claim::Taken { attempt, failures } => Some(Taken::Now(Hand { _held: hand, attempt, failures })),
            refused => not_before(&refused).map(|(until, why)| Taken::Later { until, why }),
        })
    }

    /// What it takes of the process's hands. What reads all of an input is not small.
    async fn size(&self, step: &StepRecord) -> Size {
        let adds = step.kind == StepKind::Curate && step.inputs.values().all(|range| range.after >= 0);
        match step.kind {
            StepKind::Backfill => Size::Window,
            _ if adds && self.engine.is_small(step).await => Size::Small,
            _ => Size::Whole,
        }
    }

    /// Whether a breaker holds the step off.
    fn left_alone(&self, uses: &[Dependency]) -> Option<Taken<'_>> {
        let (dependency, until) = self.breakers.ask(uses, self.clock.now()).err()?;
        Some(Taken::Later { until, why: StepWait::Breaker(dependency) })
    }

    async fn claim(
        &self,
        run: &RunId,
        dataset: &Dataset,
        step: &StepRecord,
        uses: &[Dependency],
    ) -> Result<Claim, FlowError> {
        // What a backfill does at once it says by itself, and the state counts: it takes no slot from the live work.
        let terms = match step.kind {
            StepKind::Backfill => Terms { retries_per_day: dataset.effort.retries_per_day, ..Terms::default() },
            _ => terms(dataset),
        };
        let claim = self.store.claim(&step.key, run, &self.owner, self.lease(), &terms, &self.watch()).await?;
        if claim.is_taken() {
            crash_point("step.after_claim");
            self.breakers.begins(uses, self.clock.now());
        }
        Ok(claim)
    }

    pub(crate) fn tell(&self, dataset: &Dataset, refused: Claim) {
        let dataset = dataset.name.clone();
        match refused {
            Claim::Held { by, .. } => self.report.signal(Signal::StepHeldBy { dataset, process: by.process }),
            Claim::Full { key } => self.report.signal(Signal::StepWaitsForSlot { dataset, key }),
            Claim::Taken { .. } | Claim::Closed | Claim::NotYet { .. } | Claim::Throttled { .. } => {}
        }
    }

    /// After this time without a renewal another process may take over.
    pub(crate) fn lease(&self) -> Span {
        self.project.limits.lease
    }

    /// How another process ended it; `None`: it is open.
    async fn ended(&self, step: &StepRecord) -> Result<Option<StepState>, FlowError> {
        // One that is not there any more was superseded, and forgotten when it was planned again.
        let state = self.store.step_state(&step.key).await?.unwrap_or(StepState::Superseded);
        Ok(Some(state).filter(|s| !s.is_open()))
    }

    /// Waits, if the run has so much time left for that.
    async fn waits_for(&self, until: Timestamp, summary: &mut Summary) -> bool {
        let wait = Duration::try_from(until.duration_since(self.clock.now())).unwrap_or_default();
        let Some(left) = summary.patience.checked_sub(wait) else { return false };
        summary.patience = left;
        self.timer.wait(wait).await;
        true
    }

    /// Executes under a lease that is renewed; stops when the lease is lost, or when it takes too long.
    async fn attempt(&self, dataset: &Dataset, step: &StepRecord) -> Result<(Outcome, bool), Ended> {
        let work = async {
            if let Some(outcome) = self.engine.recover(dataset, step).await? {
                return Ok((outcome, true));
            }
            // Each failure is counted together with what follows from it. So these were attempts whose process was gone.
            let retry = &dataset.effort.retry;
            let most = [&retry.transient, &retry.throttled, &retry.timeout].map(|b| b.max_attempts);
            if most.iter().all(|most| step.failures >= *most) {
                return Err(StepError::new(Stopped::NeverEnded { attempts: step.failures }).into());
            }
            let events = self.store.events(&step.events).await.map_err(StepError::new)?;
            let readers = match step.kind {
                StepKind::Ingest => self.readers(dataset).await.map_err(StepError::new)?,
                _ => Vec::new(),
            };
            // Only what was tried before can have been held.
            let verdict = match step.attempts {
                ..2 => None,
                _ => self.store.verdict(&step.key).await.map_err(StepError::new)?,
            };
            let discard = match step.kind {
                StepKind::Discard => self.store.discard(&step.key).await.map_err(StepError::new)?,
                _ => None,
            };
            let job = Job {
                project: self.project,
                dataset,
                step,
                events: &events,
                readers: &readers,
                verdict: verdict.as_ref(),
                discard: discard.as_ref(),
            };
            let done = self.engine.execute(&job, self.report).await;
            self.last_word(dataset, step, done).await.map_err(Ended::from)
        };
        tokio::select! {
            biased;
            done = work => done,
            lost = self.keep_step(step) => Err(lost),
            late = self.too_late(dataset) => Err(late.into()),
        }
    }

    /// What an attempt did, and whether an earlier one had done it. Where it leaves the table as it is for good, an earlier one may still be
    /// on its way there: that is fenced off first, so that what is said of the step stays true. If it came before the fence, its
    /// commit is the step's.
    async fn last_word(
        &self,
        dataset: &Dataset,
        step: &StepRecord,
        done: Result<Outcome, StepError>,
    ) -> Result<(Outcome, bool), StepError> {
        // What is held keeps what the attempt itself has to show.
        let closed = match &done {
            Ok(outcome) if outcome.committed.is_none() => step.attempts,
            Err(error) if error.code() == HELD => step.attempts.saturating_sub(1),
            Ok(_) | Err(_) => 0,
        };
        // A window of a backfill is replaced as a whole, or thrown away.
        if step.attempts > 1
            && closed > 0
            && is_live(step)
            && !self.engine.fence(dataset, step, closed).await?
            && let Some(outcome) = self.engine.recover(dataset, step).await?
        {
            return Ok((outcome, true));
        }
        done.map(|outcome| (outcome, false))
    }

    /// Silver datasets that will read what comes into a bronze dataset.
    async fn readers(&self, dataset: &Dataset) -> Result<Vec<Reader>, FlowError> {
        let mut readers = Vec::new();
        let all = self.project.datasets.values();
        // Whether one with a condition takes it is not known yet.
        for reader in all.filter(|d| d.when.is_none() && d.silver().is_some_and(|s| s.from == dataset.name)) {
            if versions_mix(self.active_version(&reader.name).await?.as_ref(), &reader.version) {
                let position = self.store.positions(&reader.name).await?.get(&dataset.name).copied().unwrap_or(-1);
                readers.push(Reader { dataset: reader.name.clone(), position });
            }
        }
        Ok(readers)
    }

    /// Ends when the lease is another's. A state that cannot be reached stops no work that can still commit: the commit
    /// bears the step's key, whoever makes it.
    async fn keep_step(&self, step: &StepRecord) -> Ended {
        loop {
            self.timer.wait(Duration::from(self.lease()) / 3).await;
            match self.store.renew(&step.key, &self.owner, self.clock.now(), self.lease()).await {
                Ok(true) => {}
                Ok(false) => return Ended::LeaseLost,
                Err(error) if error.class().may_pass() => {
                    tracing::warn!(step = %step.key, error = %error, "the step's lease could not be renewed");
                }
                Err(error) => return Ended::Failed(StepError::new(error)),
            }
        }
    }

    /// Ends when the attempt has taken as long as it may.
    async fn too_late(&self, dataset: &Dataset) -> StepError {
        let Some(timeout @ Timeout { after, .. }) = dataset.effort.timeout else { return std::future::pending().await };
        self.timer.wait(Duration::from(after)).await;
        // What reads files most probably waits for them.
        let blame = if matches!(dataset.kind, Kind::Bronze(_)) { Blame::Source } else { Blame::Lake };
        StepError::new(Stopped::TooLong(timeout, blame))
    }

    /// `false`: it committed nothing, and somebody else tries it by now, or nobody wants it any more.
    pub(crate) async fn done(
        &self,
        run: &RunId,
        dataset: &Dataset,
        step: &StepRecord,
        outcome: Outcome,
        recovered: bool,
        summary: &mut Summary,
    ) -> Result<bool, FlowError> {
        let u = outcome.usage;
        let finished_at = self.clock.now();
        let done = StepDone {
            key: step.key.clone(),
            run: run.clone(),
            finished_at,
            committed: outcome.committed,
            balance: outcome.balance,
            dead: outcome.dead.clone(),
            quality: outcome.quality.clone(),
            reached: outcome.reached.clone(),
            ledger: LedgerEntry {
                attempt: step.attempts,
                wall_micros: u.wall_micros,
                cpu_micros: u.cpu_micros,
                peak_memory_bytes: u.peak_memory_bytes,
                bytes_read: u.bytes_read,
                bytes_written: u.bytes_written,
                store_reads: u.store_reads,
                store_writes: u.store_writes,
                store_lists: u.store_lists,
                retries: u64::from(step.attempts.saturating_sub(1)),
                rows_in: u.rows_in,
                rows_out: u.rows_out,
            },
            publish: publication::of(self.project, dataset, step, run, &outcome, recovered, finished_at),
        };
        crash_point("step.before_done");
        let ended = match self.store.finish(&done).await {
            // Its backfill is over, and with it what was made.
            Err(StoreError::Superseded { .. }) if !is_live(step) => false,
            ended => ended?,
        };
        crash_point("step.after_done");
        if !ended {
            return Ok(false);
        }
        summary.objects_dead += outcome.dead.len() as u64;
        summary.datasets.entry(dataset.name.clone()).or_default().add(&outcome);
        self.report.signal(Signal::StepDone {
            step: step.key.clone(),
            dataset: dataset.name.clone(),
            kind: step.kind,
            outcome: Box::new(outcome),
            recovered,
        });
        Ok(true)
    }

    /// Records the failure and what follows from it. `None`: it is tried again now.
    async fn failed(
        &self,
        run: &RunId,
        dataset: &Dataset,
        step: &StepRecord,
        error: &StepError,
        summary: &mut Summary,
    ) -> Result<Option<Worked>, FlowError> {
        let (now, message) = (self.clock.now(), chain(error));
        let policy = policy(&dataset.effort.retry, error.class());
        let at = policy.map(|p| after(now, delay(p, step.failures, self.entropy.next_u64())));
        let failure = Failure {
            key: step.key.clone(),
            run: run.clone(),
            attempt: step.attempts,
            error: format!("{}: {message}", error.code()),
            class: error.class(),
            at: now,
            retry_at: at,
            most: policy.map_or(1, |p| p.max_attempts),
            quality: error.quality.clone(),
        };
        crash_point("step.before_fail");
        let followed = self.store.fail(&failure).await?;
        crash_point("step.after_fail");
        if followed == AfterFailure::Closed {
            return Ok(None);
        }
        self.count_against(dataset, error, now);
        let retry_at = at.filter(|_| followed == AfterFailure::Open);
        let wait = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        let again = retry_at.is_some_and(|at| wait(at) <= summary.patience);
        self.report.signal(Signal::StepFailed {
            step: step.key.clone(),
            dataset: dataset.name.clone(),
            code: error.code(),
            message,
            remedy: error.remedy(),
            attempts: step.attempts,
            retry_at,
            again,
        });
        match retry_at {
            Some(_) if again => Ok(None),
            Some(at) => {
                summary.failed_steps += 1;
                summary.wait(&dataset.name, at);
                Ok(Some(Worked::Waits))
            }
            None => {
                summary.failed_steps += 1;
                Ok(Some(Worked::Dead))
            }
        }
    }

    fn count_against(&self, dataset: &Dataset, error: &StepError, now: Timestamp) {
        if !error.class().may_pass() {
            return;
        }
        let dependency = match (error.blames(), &dataset.kind) {
            (Blame::Lake, _) => Dependency::Lake,
            (Blame::Source, Kind::Bronze(bronze)) => Dependency::Folder(bronze.files.folder.clone()),
            (Blame::Source, Kind::Silver(_) | Kind::Gold(_)) | (Blame::Nothing, _) => return,
        };
        if let Some(until) = self.breakers.failed(&dependency, now) {
            self.report.signal(Signal::BreakerOpened { dependency, until });
        }
    }
}

/// What the dataset's steps need beside themselves.
pub(crate) fn uses(dataset: &Dataset) -> Vec<Dependency> {
    let folder = match &dataset.kind {
        Kind::Bronze(bronze) => Some(Dependency::Folder(bronze.files.folder.clone())),
        Kind::Silver(_) | Kind::Gold(_) => None,
    };
    std::iter::once(Dependency::Lake).chain(folder).collect()
}

/// What the dataset's definition asks beside the lease.
fn terms(dataset: &Dataset) -> Terms {
    let slots = dataset.concurrency.iter().map(|c| Slot { key: c.key.clone(), limit: c.limit }).collect();
    let rate = dataset.throttle.as_ref().map(|t| Rate {
        key: t.key.clone(),
        limit: t.limit,
        period: t.period,
        burst: t.burst,
    });
    Terms { slots, rate, retries_per_day: dataset.effort.retries_per_day }
}

/// When a refused claim may be made again, if that is known.
fn not_before(refused: &Claim) -> Option<(Timestamp, StepWait)> {
    match refused {
        Claim::NotYet { until, why } => {
            let why = match why {
                NotYet::Delay => StepWait::Delay,
                NotYet::Budget { retries_per_day } => StepWait::Budget { retries_per_day: *retries_per_day },
            };
            Some((*until, why))
        }
        Claim::Throttled { key, until } => Some((*until, StepWait::Throttle { key: key.clone() })),
        Claim::Taken { .. } | Claim::Held { .. } | Claim::Full { .. } | Claim::Closed => None,
    }
}

/// An error and all its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(e) = next {
        let t = e.to_string();
        if !text.ends_with(&t) {
            text.push_str(": ");
            text.push_str(&t);
        }
        next = e.source();
    }
    text
}
