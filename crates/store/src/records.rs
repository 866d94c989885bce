//! What the state holds, as values.

use crate::NewPublication;
use alluvium_model::{
    Balance, ContentHash, DatasetName, DefinitionVersion, EventId, RetryClass, RunId, Span, StepKey, Window,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A landing object that a source saw for the first time under this path, size and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub event: EventId,
    pub dataset: DatasetName,
    /// Where the landing object is: relative to the source's folder, `/` between parts.
    pub path: String,
    pub content: ContentHash,
    pub bytes: u64,
    /// Modification time, nanoseconds since 1970; with `bytes` it tells a changed file without reading it.
    pub modified_nanos: i64,
    pub received_at: Timestamp,
}

/// What became of a [`NewEvent`], in the order given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    New,
    /// The same content arrived before under this path; no work follows.
    Duplicate {
        first_path: String,
    },
}

/// An event that was pushed to us, known by its source and id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedEvent {
    pub source: String,
    pub id: String,
    /// Those that take it.
    pub datasets: Vec<DatasetName>,
    /// One JSON object in one line, as it goes into each of them.
    pub record: String,
}

/// Events of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedList {
    pub events: Vec<PushedEvent>,
    /// Those that it needs a place in.
    pub rates: Vec<Rate>,
}

impl From<Vec<PushedEvent>> for PushedList {
    fn from(events: Vec<PushedEvent>) -> Self {
        Self { events, rates: Vec::new() }
    }
}

/// What the inbox holds at most of one dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxBound {
    pub events: u64,
    pub bytes: u64,
}

/// What became of events that were pushed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// All are durable. Duplicates had been pushed before, or twice at once.
    Accepted { new: u64, duplicates: u64 },
    /// None was taken: the inbox is full of what waits for this dataset.
    Full { dataset: DatasetName },
    /// None was taken: its rate has a place again at that time.
    TooFrequent { until: Timestamp },
}

/// What waits in the inbox for one dataset, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InboxPart {
    pub records: Vec<String>,
    /// The place of the last one.
    pub upto: i64,
}

/// What is in the inbox of a dataset and in no landing object yet, with its place: the higher, the newer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxRecord {
    pub dataset: DatasetName,
    pub place: i64,
    pub record: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    Pending,
    Planned,
    Done,
    /// A dead letter: it cannot proceed; the reason is kept.
    Dead,
    /// It was a dead letter, and another event has taken its place, or other content its path.
    Replayed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    pub event: EventId,
    pub dataset: DatasetName,
    pub path: String,
    pub content: ContentHash,
    pub bytes: u64,
    pub modified_nanos: i64,
    pub received_at: Timestamp,
    pub state: EventState,
    pub step: Option<StepKey>,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Landing objects into bronze.
    Ingest,
    /// New rows of one table into silver.
    Refine,
    /// Windows, or the whole, of a gold table.
    Curate,
    /// Rows that wait in quarantine, once more.
    ReplayQuarantine,
    /// Rows that wait in quarantine, and go for good.
    Discard,
    /// A silver table made anew from all of its input.
    Rebuild,
    /// One window of a gold table into the table of a backfill. It stands beside the live work: it takes no input, and its
    /// lease is its own.
    Backfill,
    /// What a backfill made takes the place of the live table's windows, or of the whole table.
    Swap,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    Planned,
    Running,
    Done,
    /// Open: it is tried again, not before its time.
    Failed,
    /// A dead letter: it is not tried again until somebody says so. What it took stays with it.
    Dead,
    /// Never committed; another step under a newer definition took its input.
    Superseded,
}

/// The half-open range of table versions `(after, upto]` that a step reads of each input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed {
    /// -1 stands before the first version.
    pub after: i64,
    pub upto: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStep {
    pub key: StepKey,
    pub run: RunId,
    pub kind: StepKind,
    pub dataset: DatasetName,
    pub version: DefinitionVersion,
    /// Ingest: the events that the step takes, in this order. Otherwise empty.
    pub events: Vec<EventId>,
    /// What the step consumes: the dataset's position for each of these inputs moves to `upto` when it is planned.
    pub inputs: BTreeMap<DatasetName, Claimed>,
    /// Versions of the tables it looks up (enrich, references): read, not consumed.
    pub lookups: BTreeMap<DatasetName, i64>,
    /// `None`: not by window, or the whole table.
    pub windows: Option<Vec<Window>>,
    /// By which its rows are judged, however often and by whomever it is executed; `None`: none is late.
    pub watermark: Option<Timestamp>,
    pub planned_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Planned {
    New,
    /// A step with this key is there already.
    Exists,
    /// Another process planned over one of its events or positions in between: plan again.
    Conflict,
}

#[derive(Debug, Clone, PartialEq)]
pub struct StepRecord {
    pub key: StepKey,
    /// The run that planned it.
    pub run: RunId,
    pub kind: StepKind,
    pub dataset: DatasetName,
    pub version: DefinitionVersion,
    pub events: Vec<EventId>,
    pub inputs: BTreeMap<DatasetName, Claimed>,
    pub lookups: BTreeMap<DatasetName, i64>,
    pub windows: Option<Vec<Window>>,
    pub watermark: Option<Timestamp>,
    pub state: StepState,
    pub attempts: u32,
    /// Attempts that failed or that nobody ended, since it was planned or replayed.
    pub failures: u32,
    /// Before then no attempt begins.
    pub retry_at: Option<Timestamp>,
    pub planned_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// The run that finished it, which need not be the one that planned it.
    pub finished_by: Option<RunId>,
    /// Version of the table that the step's commit made.
    pub committed: Option<i64>,
    pub balance: Balance,
    /// Code and message of the last failed attempt.
    pub error: Option<String>,
    /// A person wants it done under `version`, whatever the project holds.
    pub original: bool,
}

/// A step that a run had to do with: it planned it, tried it or finished it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunStep {
    pub step: StepRecord,
    /// How often this run tried it.
    pub attempts: u32,
    /// Code and message of this run's last attempt, if that failed.
    pub error: Option<String>,
}

/// A process that takes leases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The machine's name, and after a blank the space in which its process ids mean something.
    pub host: String,
    pub process: u32,
    /// Start of the process in clock ticks since boot, so that a reused process id is told apart.
    pub started_ticks: u64,
}

/// What time it is and who lives: all that decides whether a lease holds.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    pub now: Timestamp,
    /// `false` only when it is sure that the process is gone.
    pub alive: &'a (dyn Fn(&Owner) -> bool + Sync),
}

impl Watch<'_> {
    /// Whether a lease of `by` that ends at `until` still holds.
    pub fn holds(&self, by: &Owner, until: Timestamp) -> bool {
        self.now < until && (self.alive)(by)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// As the attempt of this number, and after so many failures.
    Taken { attempt: u32, failures: u32 },
    /// Another live process holds it until then.
    Held { by: Owner, until: Timestamp },
    /// Nothing was changed but that the step has its place among those that wait for this key.
    Full { key: String },
    /// As [`Claim::Full`]; not before then.
    Throttled { key: String, until: Timestamp },
    /// Another attempt may begin then.
    NotYet { until: Timestamp, why: NotYet },
    /// It is no longer open (done or superseded), or it is a dead letter.
    Closed,
}

impl Claim {
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Taken { .. })
    }
}

/// Whether the attempts that a step had are over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldOff {
    /// A live process executes it. Nothing was changed.
    Not { by: Owner },
    /// All up to this number are, as far as the state can say; 0: there was none. The table has to be told.
    Upto { attempt: u32 },
}

/// Why a step that failed has to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotYet {
    /// Its delay has not passed.
    Delay,
    /// The dataset's retries of this day are used up.
    Budget { retries_per_day: u32 },
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    pub key: StepKey,
    pub run: RunId,
    /// Which one.
    pub attempt: u32,
    /// `CODE: message`.
    pub error: String,
    pub class: RetryClass,
    pub at: Timestamp,
    /// When the next attempt may begin; `None`: the error stays, and the step is a dead letter at once.
    pub retry_at: Option<Timestamp>,
    /// With so many failures the step is a dead letter.
    pub most: u32,
    /// What a gate measured before it held the step back; kept if that makes it a dead letter, in place of what an earlier attempt left.
    pub quality: Vec<QualityResult>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// It is open, and its next attempt has its time.
    Open,
    /// It is a dead letter.
    Dead,
    /// It had ended before, or has a newer attempt by now; nothing was changed.
    Closed,
}

/// What a step needs beside its lease to begin. Keys are what the caller takes them for; those of slots and those of rates
/// do not meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// One of each, for as long as the lease.
    pub slots: Vec<Slot>,
    pub rate: Option<Rate>,
    /// Attempts of the dataset's steps that have failed before, which may begin on one day (UTC).
    pub retries_per_day: Option<u32>,
}

/// At most `limit` steps hold one at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    pub key: String,
    pub limit: u32,
}

/// `limit` attempts, or calls, begin in each `period`, evenly, and up to `burst` of them at once after a pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    pub key: String,
    pub limit: u32,
    pub period: Span,
    pub burst: u32,
}

/// Everything that one finished step changes in the state, in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct StepDone {
    pub key: StepKey,
    /// The run that finishes it.
    pub run: RunId,
    pub finished_at: Timestamp,
    pub committed: Option<i64>,
    pub balance: Balance,
    /// Events that became dead letters, with the reason; the step's other events are done.
    pub dead: Vec<(EventId, String)>,
    pub quality: Vec<QualityResult>,
    /// The dataset's watermark moves there, unless it lies further already.
    pub reached: Option<Reached>,
    pub ledger: LedgerEntry,
    /// What is told of the commit, one for each sink; none where nothing was committed.
    pub publish: Vec<NewPublication>,
}

/// How far the event time of a step's rows came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// The column that carries it.
    pub event_time: String,
    pub upto: Timestamp,
}

/// A dataset's watermark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatermarkRecord {
    pub dataset: DatasetName,
    /// The column that carries the event time.
    pub event_time: String,
    pub watermark: Timestamp,
    pub moved_at: Timestamp,
    /// The step that moved it.
    pub step: StepKey,
}

/// One rule's result over one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QualityResult {
    pub rule: String,
    pub action: String,
    pub severity: String,
    pub dimension: Option<String>,
    pub checked: u64,
    pub violations: u64,
    pub passed: bool,
    /// What was found, for a person.
    pub note: Option<String>,
    /// What was measured, if that is compared with what the dataset's other steps measured: a share, a sum or any finite number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figure: Option<f64>,
}

/// What one attempt used. Sums of these are the bill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerEntry {
    pub attempt: u32,
    pub wall_micros: u64,
    pub cpu_micros: u64,
    /// Peak resident memory of the process so far.
    pub peak_memory_bytes: u64,
    pub bytes_read: u64,
    pub bytes_written: u64,
    /// Requests to the store of tables.
    pub store_reads: u64,
    pub store_writes: u64,
    pub store_lists: u64,
    pub retries: u64,
    pub rows_in: u64,
    pub rows_out: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Its process holds it: it lives, and renews its lease.
    Running,
    Done,
    Failed,
    /// It was stopped by a signal, or its process is gone.
    Interrupted,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    pub run: RunId,
    pub command: String,
    pub state: RunState,
    pub started_at: Timestamp,
    /// `None` also for a run whose process was killed: nobody was there to tell.
    pub finished_at: Option<Timestamp>,
    /// Landing objects: new, duplicate by content, dead.
    pub objects_new: u64,
    pub objects_duplicate: u64,
    pub objects_dead: u64,
    /// That it has ended, with all of its steps, is still to be told.
    pub tells: bool,
}

/// A definition version that a dataset has had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRecord {
    pub dataset: DatasetName,
    pub version: DefinitionVersion,
    pub first_seen: Timestamp,
    /// The version under which the dataset's newest rows were made.
    pub active: bool,
}

/// One cell of a [`TableDump`].
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
}

/// An event or a step that cannot proceed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// `None`: the step as a whole.
    pub event: Option<EventId>,
    /// The step, or the one that gave the event up.
    pub step: StepKey,
    pub kind: StepKind,
    pub dataset: DatasetName,
    /// The definition under which it was tried.
    pub version: DefinitionVersion,
    /// Where an event's landing object is: relative to the source's folder.
    pub object: Option<String>,
    /// Of the landing objects; `None` where the input is tables.
    pub bytes: Option<u64>,
    /// Landing objects that wait with it.
    pub objects: u64,
    /// Versions of tables that wait with it.
    pub inputs: BTreeMap<DatasetName, Claimed>,
    /// `None` where the reason bears none.
    pub code: Option<String>,
    pub message: String,
    pub class: Option<RetryClass>,
    pub attempts: u32,
    /// The run that gave it up, and when.
    pub run: RunId,
    pub died_at: Timestamp,
}

/// One of the state's own tables, for `query`: `runs`, `steps`, `events`, `dead_letters`, `quality`, `ledger`,
/// `versions`, `watermarks`, `retries`, `backfills`, `decisions`, `replays`, `contracts`, `contracts_in_force`, `publications`, `lanes`, `audit`.
#[derive(Debug, Clone, PartialEq)]
pub struct TableDump {
    pub name: &'static str,
    /// Name and whether it is `integer`, `real`, `text` or `timestamp` (microseconds, UTC, in an integer).
    pub columns: Vec<(&'static str, &'static str)>,
    pub rows: Vec<Vec<Value>>,
}
