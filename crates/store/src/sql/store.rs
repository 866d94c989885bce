//! [`Store`] over either database: each method is one transaction around the functions of its concern.
//!
//! Called by flow and cli through the trait. A future that is dropped rolls its transaction back, unless the commit
//! was already on its way.

use super::{
    alerts, audit, backfills, dead_letters, decisions, definitions, discards, dump, endings, events, finish, inbox,
    lake, lanes, leases, measures, plan, registry, replays, retries, runs, steps, terms, verdicts,
    versions::{self, Activation},
    watermarks,
};
use crate::{
    AfterFailure, AlertChange, Alerts, AskedReplay, BackfillRecord, Claim, Claimed, Commits, DeadLetter, Decision,
    Discard, EndedRun, Ending, EventRecord, Failure, Forgotten, HeldOff, InboxBound, InboxPart, InboxRecord, Lane,
    LaneEnd, Measures, NewEvent, NewReplay, NewSchema, NewStep, News, OpenWindows, Owner, Past, Planned, Publication,
    Pushed, PushedList, QuarantineNote, Rate, Recorded, Refusal, Registered, Registry, ReplayRecord, RunRecord,
    RunState, RunStep, SchemaVersion, Stamp, StepDone, StepRecord, StepState, Store, StoreError, TableDump, Terms,
    Topic, Troubles, Verdict, VersionRecord, Watch, WatermarkRecord, postgres::PostgresStore, sqlite::SqliteStore,
};
use alluvium_model::{ContentHash, DatasetName, DefinitionVersion, EventId, RunId, Span, StepKey};
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// All that it reads is of one moment.
    Read,
    Write,
}

/// Runs `$call` inside a transaction; nothing of it stays when it fails. A store that lost its connection says whether
/// to begin again.
macro_rules! within {
    ($access:ident, $store:ident, |$tx:ident| $call:expr) => {{
        let mut lost = 0;
        loop {
            let attempt = async {
                let mut held = $store.lock().await?;
                let mut open = held.begin(Access::$access).await?;
                let $tx = &mut open.session();
                let answer = $call.await?;
                open.commit().await?;
                Ok(answer)
            };
            match attempt.await {
                Err(error) if $store.again(&error, &mut lost).await => {}
                end => break end,
            }
        }
    }};
}

macro_rules! store_over {
    ($store:ty) => {
        #[async_trait]
        impl Store for $store {
            async fn lake(&self) -> Result<Option<String>, StoreError> {
                within!(Read, self, |tx| lake::lake(tx))
            }

            async fn belong(&self, id: &str) -> Result<String, StoreError> {
                within!(Write, self, |tx| lake::belong(tx, id))
            }

            async fn known_files(&self, dataset: &DatasetName) -> Result<BTreeMap<String, (u64, i64)>, StoreError> {
                within!(Read, self, |tx| events::known_files(tx, dataset))
            }

            async fn record_events(&self, run: &RunId, events: &[NewEvent]) -> Result<Vec<Recorded>, StoreError> {
                within!(Write, self, |tx| events::record(tx, run, events))
            }

            async fn push(
                &self,
                lists: &[PushedList],
                bound: InboxBound,
                now: Timestamp,
            ) -> Result<Vec<Pushed>, StoreError> {
                within!(Write, self, |tx| inbox::push(tx, lists, bound, now))
            }

            async fn inbox(&self, dataset: &DatasetName, bytes: u64) -> Result<InboxPart, StoreError> {
                within!(Read, self, |tx| inbox::part(tx, dataset, bytes))
            }

            async fn land(&self, run: &RunId, event: &NewEvent, part: &InboxPart) -> Result<bool, StoreError> {
                within!(Write, self, |tx| inbox::land(tx, run, event, part))
            }

            async fn pending_events(&self, dataset: &DatasetName) -> Result<Vec<EventRecord>, StoreError> {
                within!(Read, self, |tx| events::pending(tx, dataset))
            }

            async fn waiting_events(
                &self,
                dataset: Option<&DatasetName>,
                limit: u32,
            ) -> Result<Vec<EventRecord>, StoreError> {
                within!(Read, self, |tx| events::waiting(tx, dataset, limit))
            }

            async fn newest_in_inbox(&self, dataset: &DatasetName, limit: u32) -> Result<Vec<InboxRecord>, StoreError> {
                within!(Read, self, |tx| inbox::newest(tx, dataset, limit))
            }

            async fn pushed_at(&self, source: &str, id: &str) -> Result<Option<Timestamp>, StoreError> {
                within!(Read, self, |tx| inbox::pushed_at(tx, source, id))
            }

            async fn found_by(&self, step: &StepKey) -> Result<Vec<(String, String)>, StoreError> {
                within!(Read, self, |tx| events::found_by(tx, step))
            }

            async fn events(&self, ids: &[EventId]) -> Result<Vec<EventRecord>, StoreError> {
                within!(Read, self, |tx| events::by_id(tx, ids))
            }

            async fn unfinished_contents(&self, dataset: &DatasetName) -> Result<BTreeSet<ContentHash>, StoreError> {
                within!(Read, self, |tx| events::unfinished(tx, dataset))
            }

            async fn dead_letters(&self) -> Result<Vec<DeadLetter>, StoreError> {
                within!(Read, self, |tx| dead_letters::all(tx))
            }

            async fn revive_step(&self, key: &StepKey, original: bool) -> Result<bool, StoreError> {
                within!(Write, self, |tx| dead_letters::revive_step(tx, key, original))
            }

            async fn undefined(
                &self,
                of: &[(DatasetName, DefinitionVersion)],
            ) -> Result<Vec<(DatasetName, DefinitionVersion)>, StoreError> {
                within!(Read, self, |tx| definitions::missing(tx, of))
            }

            async fn keep_definitions(
                &self,
                of: &[(DatasetName, DefinitionVersion)],
                files: &BTreeMap<String, String>,
                now: Timestamp,
            ) -> Result<(), StoreError> {
                within!(Write, self, |tx| definitions::keep(tx, of, files, now))
            }

            async fn definition(
                &self,
                dataset: &DatasetName,
                version: &DefinitionVersion,
            ) -> Result<Option<BTreeMap<String, String>>, StoreError> {
                within!(Read, self, |tx| definitions::read(tx, dataset, version))
            }

            async fn pass_verdict(&self, verdict: &Verdict) -> Result<bool, StoreError> {
                within!(Write, self, |tx| verdicts::pass(tx, verdict))
            }

            async fn verdict(&self, step: &StepKey) -> Result<Option<Verdict>, StoreError> {
                within!(Read, self, |tx| verdicts::on(tx, step))
            }

            async fn replay_event(
                &self,
                run: &RunId,
                dead: &EventId,
                again: Option<&NewEvent>,
                original: Option<&NewStep>,
            ) -> Result<bool, StoreError> {
                within!(Write, self, |tx| dead_letters::replay_event(tx, run, dead, again, original))
            }

            async fn ask_replay(&self, new: &NewReplay, most: u32) -> Result<AskedReplay, StoreError> {
                within!(Write, self, |tx| replays::ask(tx, new, most))
            }

            async fn replay(&self, id: &RunId, watch: &Watch<'_>) -> Result<Option<ReplayRecord>, StoreError> {
                within!(Read, self, |tx| replays::by_id(tx, id, watch))
            }

            async fn replay_under(&self, key: &str, watch: &Watch<'_>) -> Result<Option<ReplayRecord>, StoreError> {
                within!(Read, self, |tx| replays::under(tx, key, watch))
            }

            async fn replays(&self, limit: u32, watch: &Watch<'_>) -> Result<Vec<ReplayRecord>, StoreError> {
                within!(Read, self, |tx| replays::newest(tx, limit, watch))
            }

            async fn start_replay(
                &self,
                id: &RunId,
                owner: &Owner,
                ttl: Span,
                tells: bool,
                watch: &Watch<'_>,
            ) -> Result<bool, StoreError> {
                within!(Write, self, |tx| replays::start(tx, id, owner, ttl, tells, watch))
            }

            async fn end_replay(
                &self,
                id: &RunId,
                state: RunState,
                at: Timestamp,
                outcome: &str,
            ) -> Result<(), StoreError> {
                within!(Write, self, |tx| replays::end(tx, id, state, at, outcome))
            }

            async fn news(&self, datasets: &[DatasetName], watch: &Watch<'_>) -> Result<News, StoreError> {
                within!(Read, self, |tx| replays::news(tx, datasets, watch))
            }

            fn stamp(&self) -> Option<Stamp> {
                self.files_stamp()
            }

            async fn retries(&self, day: Timestamp) -> Result<BTreeMap<DatasetName, u32>, StoreError> {
                within!(Read, self, |tx| retries::on(tx, day))
            }

            async fn positions(&self, dataset: &DatasetName) -> Result<BTreeMap<DatasetName, i64>, StoreError> {
                within!(Read, self, |tx| steps::positions(tx, dataset))
            }

            async fn commits(&self, dataset: &DatasetName, range: Claimed) -> Result<Commits, StoreError> {
                within!(Read, self, |tx| decisions::commits(tx, dataset, range))
            }

            async fn decide(&self, decision: &Decision) -> Result<(), StoreError> {
                within!(Write, self, |tx| decisions::decide(tx, decision))
            }

            async fn decisions(&self, run: &RunId) -> Result<Vec<Decision>, StoreError> {
                within!(Read, self, |tx| decisions::of_run(tx, run))
            }

            async fn plan(&self, step: &NewStep) -> Result<Planned, StoreError> {
                let mut answers = self.plan_many(std::slice::from_ref(step)).await?;
                Ok(answers.pop().expect("one answer a step"))
            }

            async fn plan_many(&self, steps: &[NewStep]) -> Result<Vec<Planned>, StoreError> {
                within!(Write, self, |tx| plan::plan(tx, steps))
            }

            async fn plan_discard(&self, step: &NewStep, discard: &Discard) -> Result<Planned, StoreError> {
                within!(Write, self, |tx| discards::plan(tx, step, discard))
            }

            async fn discard(&self, step: &StepKey) -> Result<Option<Discard>, StoreError> {
                within!(Read, self, |tx| discards::of_step(tx, step))
            }

            async fn discards_of(&self, run: &RunId) -> Result<Vec<StepKey>, StoreError> {
                within!(Read, self, |tx| discards::of_run(tx, run))
            }

            async fn note_quarantine(&self, note: &QuarantineNote) -> Result<(), StoreError> {
                within!(Write, self, |tx| discards::note(tx, note))
            }

            async fn quarantine_notes(&self, dataset: &DatasetName) -> Result<Vec<QuarantineNote>, StoreError> {
                within!(Read, self, |tx| discards::notes(tx, dataset))
            }

            async fn open_steps(&self) -> Result<Vec<StepRecord>, StoreError> {
                within!(Read, self, |tx| steps::open(tx))
            }

            async fn open_windows(&self, watch: &Watch<'_>) -> Result<OpenWindows, StoreError> {
                within!(Read, self, |tx| backfills::open(tx, watch))
            }

            async fn ready_steps(&self, watch: &Watch<'_>) -> Result<Vec<StepRecord>, StoreError> {
                within!(Read, self, |tx| steps::ready(tx, watch))
            }

            async fn step(&self, key: &StepKey) -> Result<Option<StepRecord>, StoreError> {
                within!(Read, self, |tx| steps::by_key(tx, key))
            }

            async fn step_state(&self, key: &StepKey) -> Result<Option<StepState>, StoreError> {
                within!(Read, self, |tx| steps::state(tx, key))
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
                within!(Write, self, |tx| leases::claim(tx, key, run, owner, ttl, terms, watch))
            }

            async fn is_busy(&self, watch: &Watch<'_>) -> Result<bool, StoreError> {
                within!(Read, self, |tx| leases::is_busy(tx, watch))
            }

            async fn renew(&self, key: &StepKey, owner: &Owner, now: Timestamp, ttl: Span) -> Result<bool, StoreError> {
                within!(Write, self, |tx| leases::renew(tx, key, owner, now, ttl))
            }

            async fn finish(&self, done: &StepDone) -> Result<bool, StoreError> {
                self.finish_many(std::slice::from_ref(done)).await
            }

            async fn finish_many(&self, done: &[StepDone]) -> Result<bool, StoreError> {
                within!(Write, self, |tx| finish::finish(tx, done))
            }

            async fn fail(&self, failure: &Failure) -> Result<AfterFailure, StoreError> {
                within!(Write, self, |tx| steps::fail(tx, failure))
            }

            async fn hold_off(&self, key: &StepKey, watch: &Watch<'_>) -> Result<HeldOff, StoreError> {
                within!(Write, self, |tx| steps::hold_off(tx, key, watch))
            }

            async fn supersede(&self, key: &StepKey, attempts: u32) -> Result<bool, StoreError> {
                within!(Write, self, |tx| steps::supersede(tx, key, attempts))
            }

            async fn start_run(
                &self,
                run: &RunRecord,
                owner: &Owner,
                ttl: Span,
                watch: &Watch<'_>,
            ) -> Result<(), StoreError> {
                within!(Write, self, |tx| runs::start(tx, run, owner, ttl, watch))
            }

            async fn renew_run(&self, run: &RunId, now: Timestamp, ttl: Span) -> Result<(), StoreError> {
                within!(Write, self, |tx| runs::renew(tx, run, now, ttl))
            }

            async fn finish_run(&self, run: &RunId, state: RunState, at: Timestamp) -> Result<(), StoreError> {
                within!(Write, self, |tx| runs::finish(tx, run, state, at))
            }

            async fn ended_runs(&self, watch: &Watch<'_>) -> Result<Vec<EndedRun>, StoreError> {
                within!(Read, self, |tx| endings::runs(tx, watch))
            }

            async fn tell_run(&self, ended: &EndedRun, ending: &Ending, at: Timestamp) -> Result<bool, StoreError> {
                within!(Write, self, |tx| endings::tell_run(tx, ended, ending, at))
            }

            async fn runs(&self, limit: u32, watch: &Watch<'_>) -> Result<Vec<RunRecord>, StoreError> {
                within!(Read, self, |tx| runs::newest(tx, limit, watch))
            }

            async fn run_steps(&self, run: &RunId, watch: &Watch<'_>) -> Result<Vec<RunStep>, StoreError> {
                within!(Read, self, |tx| steps::of_run(tx, run, watch))
            }

            async fn watermarks(&self) -> Result<Vec<WatermarkRecord>, StoreError> {
                within!(Read, self, |tx| watermarks::all(tx))
            }

            async fn versions(&self) -> Result<Vec<VersionRecord>, StoreError> {
                within!(Read, self, |tx| versions::all(tx))
            }

            async fn activate(
                &self,
                dataset: &DatasetName,
                version: &DefinitionVersion,
                now: Timestamp,
            ) -> Result<(), StoreError> {
                let activation = Activation::new(dataset, version, now);
                within!(Write, self, |tx| versions::activate_one(tx, activation.clone()))
            }

            async fn lanes(&self) -> Result<Vec<Lane>, StoreError> {
                within!(Read, self, |tx| lanes::all(tx))
            }

            async fn take_lane(
                &self,
                lane: (&Topic, &str),
                target: &str,
                owner: &Owner,
                ttl: Span,
                watch: &Watch<'_>,
                most: u32,
            ) -> Result<Vec<Publication>, StoreError> {
                within!(Write, self, |tx| lanes::take(tx, lane, target, owner, ttl, watch, most))
            }

            async fn pace(&self, rate: &Rate, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
                within!(Write, self, |tx| terms::pace(tx, rate, now))
            }

            async fn delivered(
                &self,
                publication: &Publication,
                owner: &Owner,
                now: Timestamp,
                ttl: Span,
            ) -> Result<bool, StoreError> {
                within!(Write, self, |tx| lanes::delivered(tx, publication, owner, now, ttl))
            }

            async fn end_lane(&self, lane: (&Topic, &str), owner: &Owner, end: &LaneEnd) -> Result<(), StoreError> {
                within!(Write, self, |tx| lanes::end(tx, lane, owner, end))
            }

            async fn reopen_sink(&self, sink: &str) -> Result<u64, StoreError> {
                within!(Write, self, |tx| lanes::reopen(tx, sink))
            }

            async fn start_backfill(&self, backfill: &BackfillRecord) -> Result<Option<RunId>, StoreError> {
                within!(Write, self, |tx| backfills::start(tx, backfill))
            }

            async fn backfills(&self) -> Result<Vec<BackfillRecord>, StoreError> {
                within!(Read, self, |tx| backfills::all(tx))
            }

            async fn change_backfill(&self, backfill: &BackfillRecord) -> Result<bool, StoreError> {
                within!(Write, self, |tx| backfills::change(tx, backfill))
            }

            async fn end_backfill(&self, backfill: &BackfillRecord, ending: &Ending) -> Result<bool, StoreError> {
                within!(Write, self, |tx| backfills::end(tx, backfill, ending))
            }

            async fn forget_backfill(&self, id: &RunId) -> Result<Forgotten, StoreError> {
                within!(Write, self, |tx| backfills::forget(tx, id))
            }

            async fn registry(&self, subject: Option<&str>) -> Result<Registry, StoreError> {
                within!(Read, self, |tx| registry::read(tx, subject))
            }

            async fn schema(&self, id: u32) -> Result<Vec<SchemaVersion>, StoreError> {
                within!(Read, self, |tx| registry::by_id(tx, id))
            }

            async fn register(&self, new: &[NewSchema], under: u64, now: Timestamp) -> Result<Registered, StoreError> {
                within!(Write, self, |tx| registry::register(tx, new, under, now))
            }

            async fn set_mode(
                &self,
                subject: Option<&str>,
                mode: Option<&str>,
                under: u64,
            ) -> Result<bool, StoreError> {
                within!(Write, self, |tx| registry::set_mode(tx, subject, mode, under))
            }

            async fn delete_schemas(
                &self,
                subject: &str,
                numbers: &[u32],
                for_good: bool,
                under: u64,
                now: Timestamp,
            ) -> Result<bool, StoreError> {
                within!(Write, self, |tx| registry::delete(tx, subject, numbers, for_good, under, now))
            }

            async fn troubles(&self, datasets: &[DatasetName]) -> Result<Troubles, StoreError> {
                within!(Read, self, |tx| alerts::troubles(tx, datasets))
            }

            async fn alerts(&self, resolved_since: Timestamp) -> Result<Alerts, StoreError> {
                within!(Read, self, |tx| alerts::since(tx, resolved_since))
            }

            async fn change_alerts(
                &self,
                changes: &[AlertChange],
                under: u64,
                at: Timestamp,
            ) -> Result<bool, StoreError> {
                within!(Write, self, |tx| alerts::change(tx, changes, under, at))
            }

            async fn audit(&self, refusals: &[Refusal], keep: u32) -> Result<(), StoreError> {
                within!(Write, self, |tx| audit::write(tx, refusals, keep))
            }

            async fn past(&self, since: Timestamp) -> Result<Past, StoreError> {
                within!(Read, self, |tx| measures::past(tx, since))
            }

            async fn measures(&self, watch: &Watch<'_>) -> Result<Measures, StoreError> {
                within!(Read, self, |tx| measures::all(tx, watch))
            }

            async fn tables(&self, watch: &Watch<'_>) -> Result<Vec<TableDump>, StoreError> {
                within!(Read, self, |tx| dump::tables(tx, watch))
            }
        }
    };
}

store_over!(SqliteStore);
store_over!(PostgresStore);
