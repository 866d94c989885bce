//! The real store, reached over a way on which calls are slow, are held, are refused, or lose their answer.
//!
//! Each process has its own. What the store does is done at one moment of the simulated time.

use crate::{
    executor::Sim,
    fault::{Odds, Rejected, ReplyLost, way},
    history,
    planted::Planted,
    tables::Tables,
    witness::Witness,
};
use alluvium_model::{ContentHash, DatasetName, DefinitionVersion, EventId, RunId, Span, StepKey};
use alluvium_spec::FROZEN;
use alluvium_store::{
    AfterFailure, AlertChange, Alerts, AskedReplay, BackfillRecord, Claim, Claimed, Commits, DeadLetter, Decision,
    Discard, EndedRun, Ending, EventRecord, Failure, Forgotten, HeldOff, InboxBound, InboxPart, InboxRecord, Lane,
    LaneEnd, Measures, NewEvent, NewReplay, NewSchema, NewStep, News, OpenWindows, Owner, Past, Planned, Publication,
    Pushed, PushedList, QuarantineNote, Rate, Recorded, Refusal, Registered, Registry, ReplayRecord, RunRecord,
    RunState, RunStep, SchemaVersion, SqliteStore, Stamp, StepDone, StepRecord, StepState, Store, StoreError,
    TableDump, Terms, Topic, Troubles, Verdict, VersionRecord, Watch, WatermarkRecord,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use tokio::runtime::Runtime;

#[derive(Clone)]
pub(crate) struct SimStore {
    pub(crate) inner: Arc<SqliteStore>,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) sim: Sim,
    pub(crate) tables: Arc<Tables>,
    pub(crate) witness: Arc<Witness>,
    pub(crate) process: u32,
    /// `None`: nothing goes wrong.
    pub(crate) odds: Option<Odds>,
}

impl SimStore {
    async fn there(&self, call: &'static str) -> Result<(), StoreError> {
        way(&self.sim, self.odds).await;
        if self.odds.is_some_and(|o| self.sim.once_in(o.reject)) {
            self.sim.note(format_args!("p{} {call}: refused", self.process));
            return Err(StoreError::Busy { source: Box::new(Rejected) });
        }
        Ok(())
    }

    async fn back<T>(&self, call: &'static str, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        let lost = self.odds.is_some_and(|o| self.sim.once_in(o.lose));
        let word = match (&answer, lost) {
            (_, true) => "done, and its answer lost",
            (Ok(_), false) => "done",
            (Err(_), false) => "failed",
        };
        self.sim.note(format_args!("p{} {call}: {word}", self.process));
        way(&self.sim, self.odds).await;
        if lost { Err(StoreError::Lost { source: Box::new(ReplyLost) }) } else { answer }
    }
}

macro_rules! over_the_way {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Store for SimStore {
            $(async fn $name(&self, $($arg: $kind),*) -> Result<$answer, StoreError> {
                self.there(stringify!($name)).await?;
                let answer = self.runtime.block_on(self.inner.$name($($arg),*));
                self.back(stringify!($name), answer).await
            })*

            fn stamp(&self) -> Option<Stamp> {
                None
            }

            /// One landing zone is seen by all, so that nobody has to ask.
            async fn found_by(&self, _: &StepKey) -> Result<Vec<(String, String)>, StoreError> {
                Ok(Vec::new())
            }

            async fn plan_many(&self, steps: &[NewStep]) -> Result<Vec<Planned>, StoreError> {
                self.there("plan_many").await?;
                let answer = self.runtime.block_on(self.inner.plan_many(steps));
                let planned = steps.iter().zip(answer.iter().flatten()).filter(|(_, p)| **p == Planned::New);
                planned.for_each(|(step, _)| self.witness.planned(&step.key));
                self.back("plan_many", answer).await
            }

            async fn claim(
                &self,
                key: &StepKey,
                run: &RunId,
                owner: &Owner,
                ttl: Span,
                terms: &Terms,
                watch: &Watch<'_>,
            ) -> Result<Claim, StoreError> {
                self.there("claim").await?;
                let answer = self.runtime.block_on(self.inner.claim(key, run, owner, ttl, terms, watch));
                if answer.as_ref().is_ok_and(Claim::is_taken) {
                    let open = self.runtime.block_on(self.inner.open_steps())?;
                    self.tables.wrong().extend(self.witness.began(key, &open));
                }
                self.back("claim", answer).await
            }

            async fn fail(&self, failure: &Failure) -> Result<AfterFailure, StoreError> {
                self.there("fail").await?;
                let mut told = failure.clone();
                if self.tables.planted == Planted::Thawed && told.error.starts_with(FROZEN) {
                    told.error = format!("SIM10: {}", told.error);
                }
                let answer = self.runtime.block_on(self.inner.fail(&told));
                if matches!(answer, Ok(AfterFailure::Dead)) {
                    self.witness.gave_up(failure);
                }
                self.back("fail", answer).await
            }

            async fn change_alerts(
                &self,
                changes: &[AlertChange],
                under: u64,
                at: Timestamp,
            ) -> Result<bool, StoreError> {
                self.there("change_alerts").await?;
                let answer = match self.tables.planted {
                    Planted::Mute => Ok(true),
                    _ => self.runtime.block_on(self.inner.change_alerts(changes, under, at)),
                };
                self.back("change_alerts", answer).await
            }

            async fn troubles(&self, datasets: &[DatasetName]) -> Result<Troubles, StoreError> {
                self.there("troubles").await?;
                let mut answer = self.runtime.block_on(self.inner.troubles(datasets));
                if let (Ok(troubles), Planted::Timeless) = (&mut answer, self.tables.planted) {
                    troubles.committed.clear();
                }
                self.back("troubles", answer).await
            }

            async fn past(&self, since: Timestamp) -> Result<Past, StoreError> {
                self.there("past").await?;
                let answer = match self.tables.planted {
                    Planted::Amnesiac => Ok(Past::default()),
                    _ => self.runtime.block_on(self.inner.past(since)).map(history::with),
                };
                self.back("past", answer).await
            }

            async fn finish(&self, done: &StepDone) -> Result<bool, StoreError> {
                self.finish_many(std::slice::from_ref(done)).await
            }

            async fn finish_many(&self, done: &[StepDone]) -> Result<bool, StoreError> {
                self.there("finish").await?;
                self.tables.announced(done);
                let answer = self.runtime.block_on(self.inner.finish_many(done));
                self.back("finish", answer).await
            }
        }
    };
}

over_the_way! {
    lake() -> Option<String>;
    belong(id: &str) -> String;
    known_files(dataset: &DatasetName) -> BTreeMap<String, (u64, i64)>;
    record_events(run: &RunId, events: &[NewEvent]) -> Vec<Recorded>;
    push(lists: &[PushedList], bound: InboxBound, now: Timestamp) -> Vec<Pushed>;
    inbox(dataset: &DatasetName, bytes: u64) -> InboxPart;
    land(run: &RunId, event: &NewEvent, part: &InboxPart) -> bool;
    pending_events(dataset: &DatasetName) -> Vec<EventRecord>;
    waiting_events(dataset: Option<&DatasetName>, limit: u32) -> Vec<EventRecord>;
    newest_in_inbox(dataset: &DatasetName, limit: u32) -> Vec<InboxRecord>;
    pushed_at(source: &str, id: &str) -> Option<Timestamp>;
    events(ids: &[EventId]) -> Vec<EventRecord>;
    unfinished_contents(dataset: &DatasetName) -> BTreeSet<ContentHash>;
    dead_letters() -> Vec<DeadLetter>;
    positions(dataset: &DatasetName) -> BTreeMap<DatasetName, i64>;
    commits(dataset: &DatasetName, range: Claimed) -> Commits;
    decide(decision: &Decision) -> ();
    decisions(run: &RunId) -> Vec<Decision>;
    plan(step: &NewStep) -> Planned;
    plan_discard(step: &NewStep, discard: &Discard) -> Planned;
    discard(step: &StepKey) -> Option<Discard>;
    discards_of(run: &RunId) -> Vec<StepKey>;
    note_quarantine(note: &QuarantineNote) -> ();
    quarantine_notes(dataset: &DatasetName) -> Vec<QuarantineNote>;
    open_steps() -> Vec<StepRecord>;
    ready_steps(watch: &Watch<'_>) -> Vec<StepRecord>;
    open_windows(watch: &Watch<'_>) -> OpenWindows;
    step(key: &StepKey) -> Option<StepRecord>;
    step_state(key: &StepKey) -> Option<StepState>;
    is_busy(watch: &Watch<'_>) -> bool;
    renew(key: &StepKey, owner: &Owner, now: Timestamp, ttl: Span) -> bool;
    hold_off(key: &StepKey, watch: &Watch<'_>) -> HeldOff;
    supersede(key: &StepKey, attempts: u32) -> bool;
    revive_step(key: &StepKey, original: bool) -> bool;
    undefined(of: &[(DatasetName, DefinitionVersion)]) -> Vec<(DatasetName, DefinitionVersion)>;
    keep_definitions(
        of: &[(DatasetName, DefinitionVersion)],
        files: &BTreeMap<String, String>,
        now: Timestamp
    ) -> ();
    definition(dataset: &DatasetName, version: &DefinitionVersion) -> Option<BTreeMap<String, String>>;
    pass_verdict(verdict: &Verdict) -> bool;
    verdict(step: &StepKey) -> Option<Verdict>;
    replay_event(run: &RunId, dead: &EventId, again: Option<&NewEvent>, original: Option<&NewStep>) -> bool;
    ask_replay(new: &NewReplay, most: u32) -> AskedReplay;
    replay(id: &RunId, watch: &Watch<'_>) -> Option<ReplayRecord>;
    replay_under(key: &str, watch: &Watch<'_>) -> Option<ReplayRecord>;
    replays(limit: u32, watch: &Watch<'_>) -> Vec<ReplayRecord>;
    start_replay(id: &RunId, owner: &Owner, ttl: Span, tells: bool, watch: &Watch<'_>) -> bool;
    end_replay(id: &RunId, state: RunState, at: Timestamp, outcome: &str) -> ();
    news(datasets: &[DatasetName], watch: &Watch<'_>) -> News;
    retries(day: Timestamp) -> BTreeMap<DatasetName, u32>;
    start_run(run: &RunRecord, owner: &Owner, ttl: Span, watch: &Watch<'_>) -> ();
    renew_run(run: &RunId, now: Timestamp, ttl: Span) -> ();
    finish_run(run: &RunId, state: RunState, at: Timestamp) -> ();
    ended_runs(watch: &Watch<'_>) -> Vec<EndedRun>;
    tell_run(ended: &EndedRun, ending: &Ending, at: Timestamp) -> bool;
    runs(limit: u32, watch: &Watch<'_>) -> Vec<RunRecord>;
    run_steps(run: &RunId, watch: &Watch<'_>) -> Vec<RunStep>;
    watermarks() -> Vec<WatermarkRecord>;
    lanes() -> Vec<Lane>;
    take_lane(
        lane: (&Topic, &str),
        target: &str,
        owner: &Owner,
        ttl: Span,
        watch: &Watch<'_>,
        most: u32
    ) -> Vec<Publication>;
pace(rate: &Rate, now: Timestamp) -> Option<Timestamp>;
    delivered(publication: &Publication, owner: &Owner, now: Timestamp, ttl: Span) -> bool;
    end_lane(lane: (&Topic, &str), owner: &Owner, end: &LaneEnd) -> ();
    reopen_sink(sink: &str) -> u64;
    start_backfill(backfill: &BackfillRecord) -> Option<RunId>;
    backfills() -> Vec<BackfillRecord>;
    change_backfill(backfill: &BackfillRecord) -> bool;
    end_backfill(backfill: &BackfillRecord, ending: &Ending) -> bool;
    forget_backfill(id: &RunId) -> Forgotten;
    registry(subject: Option<&str>) -> Registry;
    schema(id: u32) -> Vec<SchemaVersion>;
    register(new: &[NewSchema], under: u64, now: Timestamp) -> Registered;
    set_mode(subject: Option<&str>, mode: Option<&str>, under: u64) -> bool;
    delete_schemas(subject: &str, numbers: &[u32], for_good: bool, under: u64, now: Timestamp) -> bool;
    alerts(resolved_since: Timestamp) -> Alerts;
    audit(refusals: &[Refusal], keep: u32) -> ();
    measures(watch: &Watch<'_>) -> Measures;
    versions() -> Vec<VersionRecord>;
    activate(dataset: &DatasetName, version: &DefinitionVersion, now: Timestamp) -> ();
    tables(watch: &Watch<'_>) -> Vec<TableDump>;
}
