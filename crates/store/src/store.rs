//! What flow needs of the state. Every method is one transaction: it happened as a whole and is durable when it
//! returns `Ok`, or nothing of it happened. A future dropped half-way leaves one of the two.

use crate::{
    AfterFailure, AlertChange, Alerts, AskedReplay, BackfillRecord, Claim, Claimed, Commits, DeadLetter, Decision,
    Discard, EndedRun, Ending, EventRecord, Failure, Forgotten, HeldOff, InboxBound, InboxPart, InboxRecord, Lane,
    LaneEnd, Measures, NewEvent, NewReplay, NewSchema, NewStep, News, OpenWindows, Owner, Past, Planned, Publication,
    Pushed, PushedList, QuarantineNote, Rate, Recorded, Refusal, Registered, Registry, ReplayRecord, RunRecord,
    RunState, RunStep, SchemaVersion, Stamp, StepDone, StepRecord, StepState, StoreError, TableDump, Terms, Topic,
    Troubles, Verdict, VersionRecord, Watch, WatermarkRecord,
};
use alluvium_model::{ContentHash, DatasetName, DefinitionVersion, EventId, RunId, Span, StepKey};
use async_trait::async_trait;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

#[async_trait]
pub trait Store: Send + Sync {
    /// The name of the lake that the state belongs to, once it was used with one.
    async fn lake(&self) -> Result<Option<String>, StoreError>;

    /// From now on the state belongs to the lake of this name, unless it belongs to one. Tells which.
    async fn belong(&self, id: &str) -> Result<String, StoreError>;

    /// Size and modification time of every path recorded for the dataset, so that a known file is not read again.
    async fn known_files(&self, dataset: &DatasetName) -> Result<BTreeMap<String, (u64, i64)>, StoreError>;

    /// Idempotent: a path already recorded with the same content only has its size and time refreshed, and answers as
    /// it did the first time. Two new events of one content in one call: the first is new, the second a duplicate.
    async fn record_events(&self, run: &RunId, events: &[NewEvent]) -> Result<Vec<Recorded>, StoreError>;

    /// Takes events that were pushed, all lists in one transaction, each as a whole or not at all; one that would lead
    /// beyond the bound, or that its rate has no place for, does not hinder the next. Answers in order. An event that was pushed
    /// before changes nothing.
    async fn push(&self, lists: &[PushedList], bound: InboxBound, now: Timestamp) -> Result<Vec<Pushed>, StoreError>;

    /// The oldest records that wait for the dataset: up to about `bytes`, at least one if any waits.
    async fn inbox(&self, dataset: &DatasetName, bytes: u64) -> Result<InboxPart, StoreError>;

    /// The part lies in the event's landing object now: records the event and takes the part out of the inbox. `false`:
    /// another process landed some of it in between, and nothing was changed.
    async fn land(&self, run: &RunId, event: &NewEvent, part: &InboxPart) -> Result<bool, StoreError>;

    /// Accepted events that no step has taken, by `received_at`, then path.
    async fn pending_events(&self, dataset: &DatasetName) -> Result<Vec<EventRecord>, StoreError>;

    /// The newest landing objects that no step has loaded, of all datasets or of one.
    async fn waiting_events(&self, dataset: Option<&DatasetName>, limit: u32) -> Result<Vec<EventRecord>, StoreError>;

    /// The newest records of the dataset's inbox.
    async fn newest_in_inbox(&self, dataset: &DatasetName, limit: u32) -> Result<Vec<InboxRecord>, StoreError>;

    /// When an event of this source and id was pushed first.
    async fn pushed_at(&self, source: &str, id: &str) -> Result<Option<Timestamp>, StoreError>;

    async fn events(&self, ids: &[EventId]) -> Result<Vec<EventRecord>, StoreError>;

    /// The landing objects of an ingest step, each by its path and the host of the process that recorded it, in no order.
    async fn found_by(&self, step: &StepKey) -> Result<Vec<(String, String)>, StoreError>;

    /// Contents of the dataset's landing objects that are dead letters, or are not done with.
    async fn unfinished_contents(&self, dataset: &DatasetName) -> Result<BTreeSet<ContentHash>, StoreError>;

    /// Dead letters of all datasets, by dataset, oldest first.
    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, StoreError>;

    /// The step is open again, as if it had never failed; `original`: to be done under the definition that it was planned under. `false`: it
    /// is no dead letter, and nothing was changed.
    async fn revive_step(&self, key: &StepKey, original: bool) -> Result<bool, StoreError>;

    /// Of these definitions, those that are not kept.
    async fn undefined(
        &self,
        of: &[(DatasetName, DefinitionVersion)],
    ) -> Result<Vec<(DatasetName, DefinitionVersion)>, StoreError>;

    /// Keeps the definitions of these datasets for good, each made by `files`: texts by path. What is kept already stays as it is.
    async fn keep_definitions(
        &self,
        of: &[(DatasetName, DefinitionVersion)],
        files: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// The files that made the definition, as they were kept.
    async fn definition(
        &self,
        dataset: &DatasetName,
        version: &DefinitionVersion,
    ) -> Result<Option<BTreeMap<String, String>>, StoreError>;

    /// Writes the verdict down, and the step is open again as by [`Store::revive_step`], both or neither. `false`: the step is not held,
    /// or not as the verdict says, and nothing was changed.
    async fn pass_verdict(&self, verdict: &Verdict) -> Result<bool, StoreError>;

    /// The last verdict on the step.
    async fn verdict(&self, step: &StepKey) -> Result<Option<Verdict>, StoreError>;

    /// The event is a dead letter no more. `again` takes its place and is pending, unless it is known already.
    /// `original`: the step that takes it, to be done under the definition that it names; nobody plans `again` otherwise.
    /// `false`: the event is no dead letter, and nothing was changed.
    async fn replay_event(
        &self,
        run: &RunId,
        dead: &EventId,
        again: Option<&NewEvent>,
        original: Option<&NewStep>,
    ) -> Result<bool, StoreError>;

    /// Writes down that the replay is wanted, unless `most` of them wait. One that was asked for under the same key, or
    /// that waits and is the same, is told instead; nothing was changed then.
    async fn ask_replay(&self, new: &NewReplay, most: u32) -> Result<AskedReplay, StoreError>;

    async fn replay(&self, id: &RunId, watch: &Watch<'_>) -> Result<Option<ReplayRecord>, StoreError>;

    /// The one that was asked for under this key.
    async fn replay_under(&self, key: &str, watch: &Watch<'_>) -> Result<Option<ReplayRecord>, StoreError>;

    /// Newest first.
    async fn replays(&self, limit: u32, watch: &Watch<'_>) -> Result<Vec<ReplayRecord>, StoreError>;

    /// The replay's run starts under a lease of `owner`, or starts once more after an end that was none. `false`: it has
    /// ended, or a live process is at it; nothing was changed.
    async fn start_replay(
        &self,
        id: &RunId,
        owner: &Owner,
        ttl: Span,
        tells: bool,
        watch: &Watch<'_>,
    ) -> Result<bool, StoreError>;

    /// As [`Store::finish_run`], and the replay has ended with this outcome. Idempotent: the first outcome stays.
    async fn end_replay(&self, id: &RunId, state: RunState, at: Timestamp, outcome: &str) -> Result<(), StoreError>;

    /// What any process has committed, and what waits in the state: replays that nobody is at, what was received and is in no
    /// step, steps that nobody holds. Asked about once a second; it costs a few looks into indexes for each dataset.
    async fn news(&self, datasets: &[DatasetName], watch: &Watch<'_>) -> Result<News, StoreError>;

    /// Differs when any process has written since, if files tell that: a look at them costs much less than [`Store::news`]. `None`: it
    /// has to be asked.
    fn stamp(&self) -> Option<Stamp>;

    /// How many retries of each dataset began on the day of that time, in UTC.
    async fn retries(&self, day: Timestamp) -> Result<BTreeMap<DatasetName, u32>, StoreError>;

    /// How far the dataset's planned steps have consumed each input (the `upto` of the newest step that was not
    /// superseded); an input without an entry was never read.
    async fn positions(&self, dataset: &DatasetName) -> Result<BTreeMap<DatasetName, i64>, StoreError>;

    /// What the dataset's steps that are done did in this range of its table's versions. Windows of backfills are not among
    /// them: those commit to another table.
    async fn commits(&self, dataset: &DatasetName, range: Claimed) -> Result<Commits, StoreError>;

    /// Writes down what a run decided. The last word of the run on a dataset counts.
    async fn decide(&self, decision: &Decision) -> Result<(), StoreError>;

    /// What the run decided, in the order of time.
    async fn decisions(&self, run: &RunId) -> Result<Vec<Decision>, StoreError>;

    /// Creates the step, takes its events and moves the positions. A run that was told as ended plans nothing more, but for a
    /// backfill's steps; `Conflict` when an event is taken, when the backfill is swapped or forgotten, when a swap would
    /// replace a table for which a live step is open, or when a position
    /// is not at `after` any more (for `Rebuild` and whole-table `Curate` steps `after` may lie before it).
    async fn plan(&self, step: &NewStep) -> Result<Planned, StoreError>;

    /// Many steps in one transaction; answers in order. One conflict does not undo the others.
    async fn plan_many(&self, steps: &[NewStep]) -> Result<Vec<Planned>, StoreError>;

    /// As [`Store::plan`], and what the step takes is written down with it. Of a step that is there already nothing is written.
    async fn plan_discard(&self, step: &NewStep, discard: &Discard) -> Result<Planned, StoreError>;

    /// What the step takes out of its dataset's quarantine.
    async fn discard(&self, step: &StepKey) -> Result<Option<Discard>, StoreError>;

    /// Steps of the discards that the run wrote down.
    async fn discards_of(&self, run: &RunId) -> Result<Vec<StepKey>, StoreError>;

    async fn note_quarantine(&self, note: &QuarantineNote) -> Result<(), StoreError>;

    /// Oldest first.
    async fn quarantine_notes(&self, dataset: &DatasetName) -> Result<Vec<QuarantineNote>, StoreError>;

    /// Steps that are neither done nor superseded, dead letters among them, oldest first (by planning order).
    async fn open_steps(&self) -> Result<Vec<StepRecord>, StoreError>;

    /// The oldest open step of each dataset, where it waits for somebody to take it: if it has failed its next attempt is due,
    /// and nobody holds the dataset. Dead letters of ingestion are passed over; others hold up their dataset. Oldest first.
    async fn ready_steps(&self, watch: &Watch<'_>) -> Result<Vec<StepRecord>, StoreError>;

    /// What a process that has time may make of backfills.
    async fn open_windows(&self, watch: &Watch<'_>) -> Result<OpenWindows, StoreError>;

    async fn step(&self, key: &StepKey) -> Result<Option<StepRecord>, StoreError>;

    /// Of [`Store::step`] its state alone, for who looks often.
    async fn step_state(&self, key: &StepKey) -> Result<Option<StepState>, StoreError>;

    /// Takes the lease of a step and of its dataset (one step of a dataset runs at a time, beside windows of a backfill, each
    /// of which has a lease of its own) and counts the attempt as
    /// one of `run`. A lease that does not hold any more is free, and the attempt under it has failed. A step that failed
    /// is taken from its time on. Of the windows of a backfill as many have a lease at once as it says, whoever holds them. With the lease it
    /// takes what `terms` ask for, or nothing at all. Of steps that were refused a
    /// key, the one planned first gets what comes free, as long as it asks again within five seconds.
    async fn claim(
        &self,
        key: &StepKey,
        run: &RunId,
        owner: &Owner,
        ttl: Span,
        terms: &Terms,
        watch: &Watch<'_>,
    ) -> Result<Claim, StoreError>;

    /// Whether a live process executes a step, windows of backfills not counted.
    async fn is_busy(&self, watch: &Watch<'_>) -> Result<bool, StoreError>;

    /// `false`: the lease was lost to another process; the holder must stop. A lease past its end that nobody took is renewed,
    /// and its slots count again: a step that can still commit is not stopped for a slot that was given away meanwhile.
    async fn renew(&self, key: &StepKey, owner: &Owner, now: Timestamp, ttl: Span) -> Result<bool, StoreError>;

    /// The step is done; its lease ends, its events are done or dead, its version becomes the active one, the watermark
    /// moves and never back.
    /// Idempotent: a second call for a done step changes nothing.
    ///
    /// `false`: it committed nothing, and a newer attempt, which may do otherwise, has begun; nothing was changed.
    async fn finish(&self, done: &StepDone) -> Result<bool, StoreError>;

    /// As [`Store::finish`], many in one transaction. `false`: not all of them ended.
    async fn finish_many(&self, done: &[StepDone]) -> Result<bool, StoreError>;

    /// The attempt failed; the lease ends. The step stays open, or is a dead letter from now on. An attempt that is not the
    /// step's newest changes nothing.
    async fn fail(&self, failure: &Failure) -> Result<AfterFailure, StoreError>;

    /// Unless a live process executes the step, its lease ends, and any attempt that goes on somewhere all the same is not its newest
    /// from now on. The step stays open.
    async fn hold_off(&self, key: &StepKey, watch: &Watch<'_>) -> Result<HeldOff, StoreError>;

    /// The step will never run: its events are pending again and the positions return to where the newest remaining
    /// step left them. `false`: it has not so many attempts, because somebody took it meanwhile; nothing was changed.
    async fn supersede(&self, key: &StepKey, attempts: u32) -> Result<bool, StoreError>;

    /// The run starts under a lease of `owner`, as [`Store::claim`] gives one for a step. Runs whose lease does not hold
    /// any more are recorded as interrupted.
    async fn start_run(&self, run: &RunRecord, owner: &Owner, ttl: Span, watch: &Watch<'_>) -> Result<(), StoreError>;

    /// A run that was taken for interrupted runs again; one that finished stays finished.
    async fn renew_run(&self, run: &RunId, now: Timestamp, ttl: Span) -> Result<(), StoreError>;

    /// The leases of steps that the run still holds end, and those steps are open again.
    async fn finish_run(&self, run: &RunId, state: RunState, at: Timestamp) -> Result<(), StoreError>;

    /// Runs that are to be told, that do nothing any more, and of whose steps none is open; oldest first, some of them. A dead
    /// letter has ended.
    async fn ended_runs(&self, watch: &Watch<'_>) -> Result<Vec<EndedRun>, StoreError>;

    /// Tells once that the run has ended as it was found; from then on it plans nothing. `false`: it was told before, or its steps
    /// are not those any more that were found; nothing was changed.
    async fn tell_run(&self, ended: &EndedRun, ending: &Ending, at: Timestamp) -> Result<bool, StoreError>;

    /// Newest first. One whose lease does not hold any more reads as interrupted.
    async fn runs(&self, limit: u32, watch: &Watch<'_>) -> Result<Vec<RunRecord>, StoreError>;

    /// What the run planned, tried or finished, in planning order. A running step whose lease does not hold any more
    /// reads as planned.
    async fn run_steps(&self, run: &RunId, watch: &Watch<'_>) -> Result<Vec<RunStep>, StoreError>;

    /// By dataset; none of a dataset whose steps reached no time yet.
    async fn watermarks(&self) -> Result<Vec<WatermarkRecord>, StoreError>;

    async fn versions(&self) -> Result<Vec<VersionRecord>, StoreError>;

    /// Makes `version` the dataset's active one, remembering when it was first seen.
    async fn activate(
        &self,
        dataset: &DatasetName,
        version: &DefinitionVersion,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    /// Every topic and sink for which something was ever published, and what waits there.
    async fn lanes(&self) -> Result<Vec<Lane>, StoreError>;

    /// Takes the lease of a lane and gives its oldest waiting publications, up to `most`. None, and no lease: nothing
    /// waits, another live process is at it, it is not yet time, or the sink is off under this target. Whoever holds the
    /// lease may take it again; when it finds nothing, its lease has ended.
    async fn take_lane(
        &self,
        lane: (&Topic, &str),
        target: &str,
        owner: &Owner,
        ttl: Span,
        watch: &Watch<'_>,
        most: u32,
    ) -> Result<Vec<Publication>, StoreError>;

    /// Takes a place in a rate that all processes share. `Some`: none is free before that time, and nothing was taken.
    async fn pace(&self, rate: &Rate, now: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    /// The publication was delivered; the lane's failures are forgotten and its lease is renewed. `false`: the lease was
    /// lost to another process, and the holder must stop; that it was delivered is recorded all the same.
    async fn delivered(
        &self,
        publication: &Publication,
        owner: &Owner,
        now: Timestamp,
        ttl: Span,
    ) -> Result<bool, StoreError>;

    /// The lease ends. Changes nothing when it was lost.
    async fn end_lane(&self, lane: (&Topic, &str), owner: &Owner, end: &LaneEnd) -> Result<(), StoreError>;

    /// What waits for the sink is due at once, also if the sink is off. How many lanes it has.
    async fn reopen_sink(&self, sink: &str) -> Result<u64, StoreError>;

    /// The backfill begins, unless its dataset has another one that is not swapped: then nothing was changed, and that one is
    /// told. Idempotent.
    async fn start_backfill(&self, backfill: &BackfillRecord) -> Result<Option<RunId>, StoreError>;

    /// Oldest first.
    async fn backfills(&self) -> Result<Vec<BackfillRecord>, StoreError>;

    /// Writes down its state, summary, inputs and limits; what it was begun with stays. `false`: it is swapped, and stays so.
    async fn change_backfill(&self, backfill: &BackfillRecord) -> Result<bool, StoreError>;

    /// It took its place in the live table, and that is told, both once. Windows that somebody still wanted to make never run, and
    /// it plans nothing from then on. `false`: it was swapped before, and nothing was changed.
    async fn end_backfill(&self, backfill: &BackfillRecord, ending: &Ending) -> Result<bool, StoreError>;

    /// The backfill is forgotten, and its open windows never run; what the others used stays in the ledger. It plans nothing from
    /// then on.
    async fn forget_backfill(&self, id: &RunId) -> Result<Forgotten, StoreError>;

    /// Versions of contracts and schemas, of one subject or of all.
    async fn registry(&self, subject: Option<&str>) -> Result<Registry, StoreError>;

    /// All versions whose content has this id; empty if there is none.
    async fn schema(&self, id: u32) -> Result<Vec<SchemaVersion>, StoreError>;

    /// Each text is a version of its subject and in force from `now` on, all or none. One whose content the subject has
    /// keeps its number. `under`: the revision of the registry by which it was decided that they may be.
    async fn register(&self, new: &[NewSchema], under: u64, now: Timestamp) -> Result<Registered, StoreError>;

    /// The compatibility mode of a subject, or of all that have none. `false`: the registry is not at `under` any more;
    /// nothing was changed.
    async fn set_mode(&self, subject: Option<&str>, mode: Option<&str>, under: u64) -> Result<bool, StoreError>;

    /// Versions are out of use from now on, or gone for good. What is left of the subject is in force under its newest version.
    /// `false`: the registry is not at `under` any more; nothing was changed.
    async fn delete_schemas(
        &self,
        subject: &str,
        numbers: &[u32],
        for_good: bool,
        under: u64,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// What is wrong now: dead letters of all datasets, and of these what their newest run was beyond, and when they committed last.
    async fn troubles(&self, datasets: &[DatasetName]) -> Result<Troubles, StoreError>;

    /// Alerts that are open, and those that were resolved at that time or later.
    async fn alerts(&self, resolved_since: Timestamp) -> Result<Alerts, StoreError>;

    /// Alerts open and are resolved, each once and with the event that tells it. `false`: somebody changed one since revision `under`;
    /// nothing was changed.
    async fn change_alerts(&self, changes: &[AlertChange], under: u64, at: Timestamp) -> Result<bool, StoreError>;

    /// Writes refusals down, and forgets the oldest beyond `keep` rows.
    async fn audit(&self, refusals: &[Refusal], keep: u32) -> Result<(), StoreError>;

    /// What steps with new input took and measured, of those that ended at that time or later.
    async fn past(&self, since: Timestamp) -> Result<Past, StoreError>;

    /// Counts of everything; runs and steps as in [`Store::runs`] and [`Store::run_steps`].
    async fn measures(&self, watch: &Watch<'_>) -> Result<Measures, StoreError>;

    /// Runs and steps read as in [`Store::runs`] and [`Store::run_steps`].
    async fn tables(&self, watch: &Watch<'_>) -> Result<Vec<TableDump>, StoreError>;
}
