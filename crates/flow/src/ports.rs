//! What flow needs of others, as traits.

use crate::{Report, StepError};
use alluvium_model::{Balance, ContentHash, DatasetName, EventId, LakeUrl};
use alluvium_spec::{Dataset, Freshness, Project, Silver};
use alluvium_store::{Discard, EventRecord, QualityResult, Reached, StepRecord, Verdict};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};

/// A landing object that a source had not reported before, or that changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Relative to the source's folder.
    pub path: String,
    pub bytes: u64,
    pub modified_nanos: i64,
    pub content: ContentHash,
}

/// Something in the landing zone that can be no landing object, as a folder whose name matches the pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub path: String,
    pub code: &'static str,
    pub reason: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Ordered by path.
    pub arrivals: Vec<Arrival>,
    pub refused: Vec<Refused>,
    /// Files younger than the source's settle time, and how long until the last of them is old enough.
    pub unsettled: u64,
    pub settled_in: Duration,
    /// It ended at this path because it has so many arrivals: what comes after that is looked at when they are recorded.
    pub upto: Option<String>,
}

/// Finds landing objects, and lays down what was pushed as such.
#[async_trait]
pub trait Landing: Send + Sync {
    /// Makes a landing object of these records, one a line. When this returns it is durable where every process of the lake finds it. It is
    /// named by its content: the same records give the same object, however often.
    async fn lay_down(&self, dataset: &Dataset, records: &[String]) -> Result<Arrival, StepError>;

    /// What lies at a path where a landing object was; `None`: nothing that could be one. Reads only.
    async fn find(&self, dataset: &Dataset, path: &str) -> Result<Option<Arrival>, StepError>;

    /// The first of these paths at which nothing lies that this process sees. Reads no content. Asked only of folders on a disk.
    async fn lacks(&self, dataset: &Dataset, paths: Vec<String>) -> Result<Option<String>, StepError>;

    /// Reads only; the same folder looked at twice gives the same answer.
    ///
    /// `known`: size and modification time by path, of what need not be reported again. `after`: where a look ended that this one goes on
    /// with.
    async fn look(
        &self,
        dataset: &Dataset,
        known: &BTreeMap<String, (u64, i64)>,
        after: Option<&str>,
    ) -> Result<Look, StepError>;
}

/// Between the files of a lake and their copies on this disk. Of a lake that is a folder there is nothing to do.
#[async_trait]
pub trait Copies: Send + Sync {
    /// Brings a file that was written here to the lake, unless it was brought before. Durable there on return.
    async fn bring(&self, file: &Path) -> Result<(), StepError>;

    /// Fetches the file unless it is here. One that is nowhere stays away.
    async fn fetch(&self, file: &Path) -> Result<(), StepError>;
}

/// An object of a landing folder that is in an object store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Below the folder.
    pub path: String,
    pub bytes: u64,
    /// When it came, to the second. What is below that stands for its tag: another object under the same name has another
    /// number, though it has the same size and came in the same second.
    pub modified_nanos: i64,
}

/// What an object was when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A copy is kept on this disk for the step that loads it.
    Content(ContentHash),
    /// It is another one since it was listed.
    Changed,
    Gone,
}

/// Landing folders in object stores. Nothing is ever written, moved or deleted there.
#[async_trait]
pub trait Buckets: Send + Sync {
    /// Tells each object below the folder, or of those the ones after a path, in the order of their names, until one is answered by `false`; and
    /// no more of them at once than a page of the store's list has. `Err`: the name of one that no request can ask for.
    async fn list(
        &self,
        folder: &LakeUrl,
        after: Option<&str>,
        tell: &mut (dyn FnMut(Result<Listed, String>) -> bool + Send),
    ) -> Result<(), StepError>;

    /// The object at a path; `None`: there is none.
    async fn find(&self, folder: &LakeUrl, path: &str) -> Result<Option<Listed>, StepError>;

    /// Reads objects, some at once, in their order. Ends with the first error of the store that may pass: the others would meet it as
    /// well.
    async fn receive(&self, folder: &LakeUrl, objects: Vec<Listed>) -> Vec<(Listed, Result<Received, StepError>)>;
}

/// A table version that changed rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Increment {
    pub version: i64,
    /// Rows in the files it added.
    pub rows: u64,
}

/// One step, with all that it needs.
#[derive(Debug)]
pub struct Job<'a> {
    pub project: &'a Project,
    pub dataset: &'a Dataset,
    pub step: &'a StepRecord,
    /// Ingest: the landing objects, in the step's order.
    pub events: &'a [EventRecord],
    /// Ingest: who goes on with what the step loads.
    pub readers: &'a [Reader],
    /// What a person said of it after its gate had held it back.
    pub verdict: Option<&'a Verdict>,
    /// Discard: what of its quarantine goes, and who said so.
    pub discard: Option<&'a Discard>,
}

/// A silver dataset under the definition that made its rows so far, and the version of its input up to which it has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    pub dataset: DatasetName,
    /// -1: nothing yet.
    pub position: i64,
}

/// What a committed step did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The version that the commit made; `None` when there was nothing to change.
    pub committed: Option<i64>,
    pub balance: Balance,
    pub dead: Vec<(EventId, String)>,
    pub quality: Vec<QualityResult>,
    /// How far the event time of the rows that it accepted came, where the dataset has a watermark.
    pub reached: Option<Reached>,
    pub usage: Usage,
    pub windows: u64,
    /// Remarks for the person who runs it, as new fields seen.
    pub notes: Vec<String>,
}

/// What was done to a dataset's tables so that they stay quick to read. No row changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Files whose rows were written again.
    pub merged: u64,
    /// Files that took their place.
    pub into: u64,
    /// Files that nothing needed any more.
    pub removed: u64,
    pub removed_bytes: u64,
}

impl Maintained {
    pub(crate) fn is_worth_telling(&self) -> bool {
        self.merged > 0 || self.removed > 0
    }
}

/// What an attempt used of the machine and the store of tables.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub wall_micros: u64,
    pub cpu_micros: u64,
    pub peak_memory_bytes: u64,
    pub bytes_read: u64,
    pub bytes_written: u64,
    pub store_reads: u64,
    pub store_writes: u64,
    pub store_lists: u64,
    pub rows_in: u64,
    pub rows_out: u64,
}

/// Executes steps. Every commit carries its step key, so that a step commits once however often it is executed.
#[async_trait]
pub trait Engine: Send + Sync {
    /// The name that lies in the lake, by which a state knows it; `first` becomes it where there is none.
    async fn name(&self, first: Option<&str>) -> Result<Option<String>, StepError>;

    /// Newest version of the dataset's table; `None` when there is no table yet.
    async fn head(&self, dataset: &DatasetName) -> Result<Option<i64>, StepError>;

    /// Versions after `after` that changed rows, ascending. A table that holds no row yet is told once, to who has not seen
    /// it (`after` below 0): the tables made from it are made, and are empty.
    async fn increments(&self, dataset: &DatasetName, after: i64) -> Result<Vec<Increment>, StepError>;

    /// Rows of the dataset's table now.
    async fn rows(&self, dataset: &DatasetName) -> Result<u64, StepError>;

    /// Version and rows of the dataset's quarantine; `None` when nothing waits there.
    async fn quarantine(&self, dataset: &DatasetName) -> Result<Option<(i64, u64)>, StepError>;

    /// Whether rows left the dataset's quarantine after that version of it. Those that were only written anew stayed. Reads only.
    async fn has_left(&self, dataset: &DatasetName, version: i64) -> Result<bool, StepError>;

    /// Which of the fields `wanted` the dataset's input has only among what it put aside, with the number of its rows. Reads only.
    async fn rescued(&self, silver: &Silver, wanted: &[String]) -> Result<BTreeMap<String, u64>, StepError>;

    /// The newest event time that the dataset's table holds; `None`: no row has one, or there is no table. Reads only, one column.
    async fn newest(&self, dataset: &DatasetName, of: &Freshness) -> Result<Option<Timestamp>, StepError>;

    /// At most about this many input rows belong into one refine step of such a dataset, given the memory limit.
    fn rows_per_step(&self, silver: &Silver) -> u64;

    /// Whether a gold step adds what changed to what is kept of its table, so that another one fits beside it. What cannot be told is not small.
    async fn is_small(&self, step: &StepRecord) -> bool;

    /// Stages, passes the gate and commits, as the attempt whose number is the step's `attempts`. Dropping the future leaves staged files that nothing refers to.
    async fn execute(&self, job: &Job<'_>, report: &dyn Report) -> Result<Outcome, StepError>;

    /// For a step whose main commit is in the table: completes what follows that commit and tells what it did;
    /// `None` when the step never committed. Idempotent.
    async fn recover(&self, dataset: &Dataset, step: &StepRecord) -> Result<Option<Outcome>, StepError>;

    /// No attempt of the step up to this number commits any more, wherever it goes on, and what they held back is held no more;
    /// `false`: one of them has committed. Idempotent.
    async fn fence(&self, dataset: &Dataset, step: &StepRecord, attempt: u32) -> Result<bool, StepError>;

    /// Whether the lake has the bytes of a landing object that became a dead letter.
    async fn keeps(&self, dataset: &DatasetName, content: &ContentHash) -> Result<bool, StepError>;

    /// Removes the bytes of the dataset's landing objects that are none of these, and tells of how many. Idempotent.
    async fn forget_payloads(&self, dataset: &DatasetName, needed: &BTreeSet<ContentHash>) -> Result<u64, StepError>;

    /// Merges files and removes those that nothing needs, as far as it pays. Changes no row and gives way to any commit;
    /// dropping the future leaves staged files that nothing refers to. `since`: the first version that this run made;
    /// `needed`: what later versions name is still to be read.
    async fn maintain(&self, dataset: &Dataset, since: i64, needed: i64) -> Result<Maintained, StepError>;
}

/// Waiting, so that a test can do without.
#[async_trait]
pub trait Timer: Send + Sync {
    async fn wait(&self, time: Duration);
}
