//! What a checked project says, ready to plan and execute. Built by [`crate::load`], read by flow, lake and cli.

use crate::{
    acceptance::Accept,
    compatibility::{Language, Mode},
    condition::Condition,
    contract::{Check, Contract},
    diagnostic::Diagnostics,
    drift::{DriftPolicies, Inside},
    json_schema::Validator,
    library::Library,
    project_file::COPIES,
    schedule::Schedule,
    secret::Secret,
    sinks::Sink,
    source_file::Place,
    sql::Origins,
};
use alluvium_model::{ByteSize, DatasetName, DefinitionVersion, LakeUrl, Span, StatePlace};
use jiff::Timestamp;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// A folder of definitions in which no mistake was found.
#[derive(Debug, Clone)]
pub struct Project {
    pub root: PathBuf,
    pub name: String,
    pub environment: String,
    /// Root of the lake's tables for this environment: `<lake>/<environment>`, absolute. Of a lake in an object store it is
    /// the folder where copies of its files are read and new ones written.
    pub lake: PathBuf,
    /// The object store that the lake is in, with the environment; `None`: the folder is the lake.
    pub remote: Option<LakeUrl>,
    /// What holds the state of this environment; a file is absolute.
    pub state: StatePlace,
    pub limits: Limits,
    /// Where publications go, by name.
    pub sinks: BTreeMap<String, Sink>,
    /// Names of the sinks that are told of each run, when all of it has ended.
    pub publish: Vec<String>,
    /// Names of the sinks that are told what somebody has to know while it lasts.
    pub alerts: Vec<String>,
    pub datasets: BTreeMap<DatasetName, Dataset>,
    /// By the contract's file stem.
    pub contracts: BTreeMap<String, Contract>,
    /// Functions that SQL can call.
    pub library: Library,
    /// The text of each file that decides what a dataset is, by path below the root.
    pub files: BTreeMap<String, String>,
    /// Every dataset after all that it reads, ties by name.
    pub order: Vec<DatasetName>,
    /// What is written and has no effect; warnings only.
    pub notes: Diagnostics,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub struct Limits {
    /// Peak memory of the process.
    pub memory: ByteSize,
    /// The longest single record (a CSV row, an NDJSON line) that is accepted.
    pub record: ByteSize,
    /// At most this many input bytes go into one bronze step.
    pub step_input: ByteSize,
    /// After this time without a word of the process that executes a step, another one may.
    pub lease: Span,
    /// Copies of files of a lake in an object store that stay on this disk.
    pub cache: ByteSize,
}

#[derive(Debug, Clone)]
pub struct Dataset {
    pub name: DatasetName,
    /// The defining file, relative to the project's root.
    pub file: PathBuf,
    /// Hash of everything that decides this dataset's rows: definition, SQL, contract.
    pub version: DefinitionVersion,
    pub description: Option<String>,
    /// Key into [`Project::contracts`].
    pub contract: Option<String>,
    pub accept: Accept,
    /// What its steps take beside their lease; decides when they run, and nothing about rows.
    pub concurrency: Vec<Concurrency>,
    pub throttle: Option<Throttle>,
    pub effort: Effort,
    /// When the next commit is overdue, as the contract agrees.
    pub due: Option<Due>,
    /// How often its contract agrees on new data.
    pub frequency: Option<Span>,
    /// Names of the sinks that are told of each commit.
    pub publish: Vec<String>,
    /// Under which it takes what waits; `None`: whatever waits. Decides when its steps are planned, and nothing about rows.
    pub when: Option<Condition>,
    pub kind: Kind,
}

/// At most `limit` steps that name the key run at once, in all processes over one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Concurrency {
    /// A name, the same for all that share it. A key of the dataset alone is left out: its steps run one after the other.
    pub key: String,
    pub limit: u32,
}

/// `limit` attempts begin in each `period`, evenly, and up to `burst` at once after a pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Throttle {
    /// A name, the same for all that share it; the dataset's own name for a rate of its own.
    pub key: String,
    pub limit: u32,
    pub period: Span,
    pub burst: u32,
}

#[derive(Debug, Clone)]
pub enum Kind {
    Bronze(Bronze),
    Silver(Silver),
    Gold(Gold),
}

#[derive(Debug, Clone, Serialize)]
pub struct Bronze {
    pub files: FileSource,
    /// Events that are pushed over HTTP; `files` is then where they are laid down, and no place to look for others.
    pub push: Option<Push>,
    /// Signed calls over HTTP; `files` is then as with `push`.
    #[serde(skip)]
    pub webhook: Option<Box<WebhookSource>>,
    /// The bucket that is the landing folder, or is mounted there: its notices make the dataset due.
    #[serde(skip)]
    pub notified: Option<Notified>,
    /// When a service looks into the landing folder; `None`: whenever something arrives.
    #[serde(skip)]
    pub schedule: Option<Schedule>,
    /// So long after its arrival at most a service leaves something uncollected; `None`: it takes in what arrives.
    #[serde(skip)]
    pub freshness: Option<Span>,
    /// What is collected goes when it has come to this, however much time is left.
    #[serde(skip)]
    pub batch: Batch,
    #[serde(skip)]
    pub mode: IngestMode,
    /// In which pushed events come into a landing object.
    #[serde(skip)]
    pub order_by: OrderBy,
    /// Columns that the contracts of the silver datasets reading this one expect, under the source's own names.
    pub expected: Vec<String>,
    /// What those contracts say of the values of a column, where the source's value reaches the contract as it is.
    pub inside: BTreeMap<String, Inside>,
    pub drift: DriftPolicies,
    /// By silver dataset reading this one, the columns without which it takes no row. Empty where a reader takes rows without
    /// any one column, and where `drift` says what becomes of missing ones.
    pub required: BTreeMap<DatasetName, BTreeSet<String>>,
}

/// How much of what arrived is taken in together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// Files, or events that were pushed.
    pub objects: u64,
    pub size: ByteSize,
}

/// Larger batches make no larger files, and who pushes has to find room.
impl Default for Batch {
    fn default() -> Self {
        Self { objects: 10_000, size: ByteSize::mib(32) }
    }
}

/// How landing objects become steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IngestMode {
    PerObject,
    /// As many as there are, up to [`Limits::step_input`].
    #[default]
    Batch,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OrderBy {
    #[default]
    Arrival,
    /// By the events' attribute `time`.
    Time,
}

impl Bronze {
    /// Whether its events come over HTTP.
    pub fn is_pushed(&self) -> bool {
        self.push.is_some() || self.webhook.is_some()
    }
}

/// The events that a bronze dataset takes.
#[derive(Debug, Clone, Serialize)]
pub struct Push {
    /// CloudEvents types; `*` at the end stands for any rest.
    pub types: Vec<String>,
    /// By type; none, or of every type.
    #[serde(skip)]
    pub schemas: BTreeMap<String, Arc<EventSchema>>,
    /// Of the requests that bring them; `None`, or of signed calls: no other bound than the inbox.
    #[serde(skip)]
    pub rate: Option<Rate>,
}

/// What the data of all events of a type is. It is held to its earlier versions, and an event that breaks it is refused.
#[derive(Debug)]
pub struct EventSchema {
    /// Below the project's root, where it is in it.
    pub file: PathBuf,
    pub text: String,
    /// A JSON Schema, or Avro.
    pub language: Language,
    pub mode: Mode,
    pub validator: Validator,
    /// Where the dataset names it.
    pub(crate) place: Place,
}

impl Push {
    pub fn takes(&self, event_type: &str) -> bool {
        self.types.iter().any(|t| match t.strip_suffix('*') {
            Some(start) => event_type.starts_with(start),
            None => event_type == t,
        })
    }
}

/// Calls that a bronze dataset takes, each signed as Standard Webhooks says.
#[derive(Debug, Clone)]
pub struct WebhookSource {
    pub path: String,
    /// Of the calls that are taken; `None`: whatever is signed.
    pub types: Option<Push>,
    /// A call that one of them signed is taken.
    pub secrets: Vec<Secret>,
    /// How far the time of a call may lie from ours.
    pub tolerance: Span,
    pub max_bytes: ByteSize,
    pub rate: Rate,
}

impl WebhookSource {
    /// The type of calls that name none, as `hooks.payments` for `/hooks/payments`.
    pub fn own_type(&self) -> String {
        self.path.trim_start_matches('/').replace('/', ".")
    }
}

/// `limit` calls in each `period`, evenly, and up to `burst` at once after a pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// A name, the same for all that share it; `None`: it is not shared.
    pub key: Option<String>,
    pub limit: u32,
    pub period: Span,
    pub burst: u32,
}

/// A bucket (S3, GCS) or container (Azure) of which a cloud sends notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notified {
    pub bucket: String,
    /// The storage account of a container; `None`: any.
    pub account: Option<String>,
    /// What the names of the objects start with.
    pub prefix: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct FileSource {
    /// Absolute folder of the landing zone, inside the project unless the environment allows another; where it is in an object
    /// store, its URL.
    pub folder: PathBuf,
    /// The same, as a place in an object store.
    #[serde(skip)]
    pub remote: Option<LakeUrl>,
    /// Matched against the path relative to `folder`.
    pub glob: String,
    /// A file younger than this is left for the next look.
    pub settle: Span,
    /// Decides over the file name's ending.
    pub format: Option<Format>,
    pub csv: CsvOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Csv,
    Tsv,
    Ndjson,
    Parquet,
}

#[derive(Debug, Clone, Serialize)]
pub struct CsvOptions {
    /// `None`: comma for CSV, tab for TSV.
    pub delimiter: Option<u8>,
    pub quote: u8,
    /// `None`: the first record names the columns.
    pub columns: Option<Vec<String>>,
}

#[derive(Debug, Clone)]
pub struct Silver {
    pub from: DatasetName,
    pub steps: Vec<Step>,
    pub write: Write,
    pub watermark: Option<Watermark>,
    /// Columns by which merged rows are ordered; none: they lie as they came.
    pub cluster_by: Vec<String>,
}

/// When new data is agreed.
#[derive(Debug, Clone)]
pub enum Due {
    /// So long after a commit.
    After(Span),
    /// So long after the next of these times.
    At { times: Schedule, latency: Span },
}

impl Due {
    /// When the commit that follows on one at that time is overdue; `None`: never, as far as the calendar goes.
    pub fn next(&self, last: Timestamp) -> Option<Timestamp> {
        let (from, allowed) = match self {
            Self::After(allowed) => (last, allowed),
            Self::At { times, latency } => (times.next(last)?, latency),
        };
        Timestamp::from_microsecond(from.as_microsecond().checked_add(allowed.micros())?).ok()
    }
}

/// How far a dataset's event time has come, and what becomes of rows that lie further back than is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Watermark {
    /// A column of the contract of type date (its midnight, UTC) or timestamp: the row's event time.
    pub column: String,
    /// A row is late when it lies before the watermark by more than this.
    pub allowed_lateness: Span,
    pub late: Late,
    /// So long after it moved last it goes on with the clock, for who asks which windows are closed. It decides no row.
    #[serde(skip)]
    pub idle_timeout: Option<Span>,
}

/// What becomes of a late row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Late {
    /// It is loaded as any other, and what is made from it is computed again.
    Recompute,
    Quarantine,
    /// It is left out and counted.
    Drop,
    /// The step stops before anything is visible.
    Fail,
}

impl Late {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Recompute => "recompute",
            Self::Quarantine => "quarantine",
            Self::Drop => "drop",
            Self::Fail => "fail",
        }
    }
}

impl Watermark {
    /// The rule that late rows break, as results and reasons name it.
    pub fn rule(&self) -> String {
        format!("late:{}", self.column)
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Normalize(Normalize),
    Validate,
    Enrich(Enrich),
    /// A `SELECT` of expressions with an optional `WHERE` over `input`: row by row, no aggregate, no join.
    Sql {
        query: String,
        line: usize,
    },
}

/// Applied in the order of the fields. Columns are named as the source names them until `rename` is done, and by their
/// new name afterwards.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Normalize {
    /// Old name to new name.
    pub rename: BTreeMap<String, String>,
    pub trim: Columns,
    /// A text equal to one of these becomes null, in every column or in those named.
    pub null_if: Vec<NullIf>,
    pub lower: Columns,
    pub upper: Columns,
    /// Column to (text as received → text to use).
    pub map: BTreeMap<String, BTreeMap<String, String>>,
    /// Column to the strftime format (chrono's) of its dates or timestamps.
    pub parse: BTreeMap<String, String>,
    /// Column to the text used in place of null.
    pub default: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct NullIf {
    pub columns: Columns,
    pub values: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Columns {
    #[default]
    None,
    All,
    Named(Vec<String>),
}

impl Columns {
    pub fn include(&self, column: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Named(n) => n.iter().any(|c| c == column),
        }
    }
}

/// A lookup join: at most one row of `lookup` for each row, null where there is none.
#[derive(Debug, Clone, Serialize)]
pub struct Enrich {
    pub lookup: DatasetName,
    /// Column here to column there.
    pub on: Vec<(String, String)>,
    /// New column here to column there.
    pub take: Vec<(String, String)>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case", tag = "mode")]
pub enum Write {
    /// Every accepted row is added. With the dataset's own `keys` use upsert.
    Append,
    /// One row a key: the latest by `sequence_by`.
    Upsert {
        keys: Vec<String>,
        /// Compared left to right; empty: the tie rule alone decides.
        sequence_by: Vec<String>,
        /// `sequence_by` names snapshots: rows with the same value are all that there was.
        snapshots: bool,
        /// A SQL boolean over the row: the key is deleted rather than stored.
        delete_when: Option<String>,
        /// A SQL boolean over the row: whatever has a sequence up to the row's is ended, and the row itself is not stored. There is a
        /// `sequence_by` then.
        truncate_when: Option<String>,
        /// Whether each commit also writes its changed rows, before and after, as Delta's change data feed.
        change_feed: bool,
        /// `stored_as: scd2`: a row for each version of a key; `sequence_by` is then one column. `None`: a row a key.
        history: Option<Tracked>,
    },
}

/// Which columns make a new version of a key when they change. Keys never do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tracked {
    Only(Vec<String>),
    /// All but these and the sequence, which differs in every event.
    Except(Vec<String>),
}

/// What a history adds to the contract's columns: the half-open range of its sequence in which a version holds.
pub const VERSION_COLUMNS: [&str; 2] = ["_start_at", "_end_at"];

impl Write {
    pub fn history(&self) -> Option<&Tracked> {
        match self {
            Self::Append => None,
            Self::Upsert { history, .. } => history.as_ref(),
        }
    }

    /// Whether what comes are snapshots, to be compared with what is known.
    pub fn compares(&self) -> bool {
        matches!(self, Self::Upsert { snapshots: true, .. })
    }

    /// Columns of the contract that make a new version when they change, in its order; none without a history.
    pub fn tracked(&self, contract: &Contract) -> Vec<String> {
        let Self::Upsert { keys, sequence_by, history: Some(tracked), .. } = self else { return Vec::new() };
        let makes = |c: &String| match tracked {
            Tracked::Only(names) => names.contains(c),
            Tracked::Except(names) => !names.contains(c) && !sequence_by.contains(c),
        };
        contract.columns.iter().map(|c| &c.name).filter(|c| !keys.contains(c) && makes(c)).cloned().collect()
    }
}

#[derive(Debug, Clone)]
pub struct Gold {
    /// The statement without its front matter. Calls of library functions are written out.
    pub sql: String,
    /// Line of the file (1 is the first) on which `sql` starts.
    pub sql_line: usize,
    /// From places in `sql` to those in the statement as it is written.
    pub origins: Origins,
    /// Datasets that the SQL reads, found in the SQL itself.
    pub inputs: Vec<DatasetName>,
    pub window: Option<WindowSpec>,
}

#[derive(Debug, Clone, Serialize)]
pub struct WindowSpec {
    /// An output column of type date or timestamp.
    pub column: String,
    pub size: Span,
}

/// How long a step may take, and how it is tried again. It decides no row.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Effort {
    pub retry: Retry,
    /// `None`: an attempt may take as long as it takes.
    pub timeout: Option<Timeout>,
    /// Attempts of the dataset's steps, beside their first ones, that may begin on one day (UTC).
    pub retries_per_day: Option<u32>,
}

/// By the class of the error. The other classes stay until somebody mends their cause.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Retry {
    pub transient: Backoff,
    pub throttled: Backoff,
    pub timeout: Backoff,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Backoff {
    /// All attempts of a step, the first one included.
    pub max_attempts: u32,
    /// The first delay.
    pub interval: Span,
    /// Each delay is the one before times this.
    pub backoff_rate: f64,
    pub max_delay: Span,
    pub jitter: Jitter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Jitter {
    /// Anywhere between no delay and the delay.
    Full,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Timeout {
    pub after: Span,
    pub source: TimeoutSource,
}

/// Who says how long a step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeoutSource {
    Dataset,
    /// The service-level agreement of the dataset's contract.
    Contract,
    Project,
}

impl Dataset {
    pub fn silver(&self) -> Option<&Silver> {
        match &self.kind {
            Kind::Silver(s) => Some(s),
            Kind::Bronze(_) | Kind::Gold(_) => None,
        }
    }

    /// The datasets that this one is computed from: a commit there makes work here.
    pub fn consumes(&self) -> Vec<DatasetName> {
        match &self.kind {
            Kind::Bronze(_) => Vec::new(),
            Kind::Silver(s) => vec![s.from.clone()],
            Kind::Gold(g) => g.inputs.clone(),
        }
    }

    /// Whether its events come over HTTP.
    pub fn is_pushed(&self) -> bool {
        matches!(&self.kind, Kind::Bronze(bronze) if bronze.is_pushed())
    }

    /// Its landing folder on a disk, which another machine may not see.
    pub fn folder(&self) -> Option<&Path> {
        match &self.kind {
            Kind::Bronze(bronze) if !bronze.is_pushed() && bronze.files.remote.is_none() => Some(&bronze.files.folder),
            Kind::Bronze(_) | Kind::Silver(_) | Kind::Gold(_) => None,
        }
    }

    /// When a service looks for its files, if not whenever something arrives.
    pub fn schedule(&self) -> Option<&Schedule> {
        match &self.kind {
            Kind::Bronze(bronze) => bronze.schedule.as_ref(),
            Kind::Silver(_) | Kind::Gold(_) => None,
        }
    }

    /// How long something that arrived may wait for others to come with it.
    pub fn freshness(&self) -> Option<Span> {
        self.bronze()?.freshness
    }

    pub fn bronze(&self) -> Option<&Bronze> {
        match &self.kind {
            Kind::Bronze(bronze) => Some(bronze),
            Kind::Silver(_) | Kind::Gold(_) => None,
        }
    }

    /// The signed calls that it takes over HTTP.
    pub fn webhook(&self) -> Option<&WebhookSource> {
        match &self.kind {
            Kind::Bronze(bronze) => bronze.webhook.as_deref(),
            Kind::Silver(_) | Kind::Gold(_) => None,
        }
    }

    /// The bucket whose notices make it due.
    pub fn notified(&self) -> Option<&Notified> {
        match &self.kind {
            Kind::Bronze(bronze) => bronze.notified.as_ref(),
            Kind::Silver(_) | Kind::Gold(_) => None,
        }
    }

    /// The events that it takes over HTTP.
    pub fn push(&self) -> Option<&Push> {
        match &self.kind {
            Kind::Bronze(bronze) => bronze.push.as_ref(),
            Kind::Silver(_) | Kind::Gold(_) => None,
        }
    }

    /// What it says of the types of the events that come to it, pushed or as signed calls.
    pub fn event_types(&self) -> Option<&Push> {
        self.push().or_else(|| self.webhook()?.types.as_ref())
    }
}

impl Project {
    /// Where copies of landing objects are that lie in object stores.
    pub fn landing_copies(&self) -> PathBuf {
        self.root.join(COPIES).join("landing")
    }

    pub fn contract_of(&self, dataset: &Dataset) -> Option<&Contract> {
        self.contracts.get(dataset.contract.as_deref()?)
    }

    /// By type, each once.
    pub fn event_schemas(&self) -> BTreeMap<&str, &EventSchema> {
        let all = self.datasets.values().filter_map(Dataset::event_types).flat_map(|types| &types.schemas);
        all.map(|(name, schema)| (name.as_str(), &**schema)).collect()
    }

    /// Whether the dataset keeps a row for each version of a key.
    pub fn is_history(&self, dataset: &DatasetName) -> bool {
        let silver = self.datasets.get(dataset).and_then(Dataset::silver);
        silver.is_some_and(|s| s.write.history().is_some())
    }

    /// The datasets that this one looks into without consuming them: lookups of `enrich`, references and queries of
    /// the contract. They have to be up to date before it is computed. Each once, by name.
    pub fn lookups_of(&self, dataset: &Dataset) -> Vec<DatasetName> {
        let steps = dataset.silver().map_or(&[][..], |s| &s.steps);
        let lookups = steps.iter().filter_map(|s| match s {
            Step::Enrich(e) => Some(&e.lookup),
            Step::Normalize(_) | Step::Validate | Step::Sql { .. } => None,
        });
        let rules = self.contract_of(dataset).map_or(&[][..], |c| &c.rules);
        let read = rules.iter().flat_map(|r| match r.check.of_value() {
            Check::Reference { dataset, .. } => std::slice::from_ref(dataset),
            Check::Query { inputs, .. } => inputs.as_slice(),
            _ => &[],
        });
        let all: BTreeSet<&DatasetName> = lookups.chain(read).collect();
        all.into_iter().cloned().collect()
    }
}
