//! What can go wrong between a job and its commit.

use crate::decode::DecodeError;
use crate::refine::RefineError;
use crate::remote::{self, StoreFault};
use alluvium_model::{Blame, DatasetName, Fault, RetryClass, Unbalanced};
use alluvium_store::QualityResult;
use datafusion::error::DataFusionError;
use std::{error::Error, io, path::PathBuf, sync::Arc};

#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    #[error("{path} could not be written or read")]
    Io { path: PathBuf, source: io::Error },
    #[error("the table in {path} could not be read or written")]
    Delta { path: PathBuf, source: Box<deltalake::DeltaTableError> },
    #[error("the query engine failed")]
    Query(#[source] Box<DataFusionError>),
    #[error("columns could not be processed")]
    Arrow(#[from] arrow::error::ArrowError),
    #[error("a Parquet file could not be processed")]
    Parquet(#[from] parquet::errors::ParquetError),
    #[error("{object} could not be read")]
    Decode { object: String, source: DecodeError },
    #[error("the rules of {dataset} could not be applied")]
    Refine { dataset: DatasetName, source: RefineError },
    #[error("{dataset} did not pass its gate: {}", breaches.join("; "))]
    Gate { dataset: DatasetName, breaches: Vec<String>, quality: Vec<QualityResult> },
    #[error("the step lost count of its records and was stopped before its commit")]
    Unbalanced(#[from] Unbalanced),
    #[error("another commit to {path} came in between")]
    Conflict { path: PathBuf },
    #[error("the commit log of {path} no longer holds version {version}")]
    LogGone { path: PathBuf, version: i64 },
    #[error("the log of {path} holds an entry that is not understood")]
    Log { path: PathBuf, source: serde_json::Error },
    #[error("the deletion vector {vector} of {path} is damaged or of an unknown kind")]
    Vector { path: PathBuf, vector: String },
    #[error("{lookup} has {rows} rows, too many to look up within the memory limit")]
    LookupTooLarge { lookup: DatasetName, rows: u64 },
    #[error("column `{column}` of the table {dataset} is {stored} and cannot become {declared}")]
    TypeChanged { dataset: DatasetName, column: String, stored: String, declared: String },
    #[error("the table {dataset} {}", if *history { "holds a row a key, and no versions" } else { "holds a row for each version of a key" })]
    StoredAs { dataset: DatasetName, history: bool },
    #[error("{dataset} has more than {most} truncates")]
    Truncates { dataset: DatasetName, most: usize },
    #[error("the window column `{column}` of {dataset} {reason}")]
    Window { dataset: DatasetName, column: String, reason: String },
    #[error("{dataset} was committed to after the backfill was compared with it")]
    Moved { dataset: DatasetName },
    #[error("{dataset} has no contract, and its rows cannot be typed without one")]
    NoContract { dataset: DatasetName },
    #[error("column `{column}` is {kind}, which a table cannot hold")]
    Unstorable { column: String, kind: String, source: arrow::error::ArrowError },
    #[error("the step could not be finished: {0}")]
    Worker(&'static str),
    #[error("{dataset} is over its memory limit")]
    Memory { dataset: DatasetName },
    #[error("{url} could not be read or written")]
    Store { url: String, source: Box<object_store::Error> },
    #[error("the object store of {url} cannot be used as the environment sets it")]
    StoreSettings { url: String, source: Box<object_store::Error> },
    #[error("{url} could not be read")]
    Bucket { url: String, source: Box<object_store::Error> },
    #[error("{url} has {found} bytes and should have {expected}")]
    StoreSize { url: String, expected: u64, found: u64 },
}

impl LakeError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    pub(crate) fn delta(path: impl Into<PathBuf>) -> impl FnOnce(deltalake::DeltaTableError) -> Self {
        let path = path.into();
        move |source| Self::Delta { path, source: Box::new(source) }
    }
}

impl From<DataFusionError> for LakeError {
    fn from(e: DataFusionError) -> Self {
        Self::Query(Box::new(e))
    }
}

/// What the operating system said, found below whatever wrapped it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    DiskFull,
    Denied,
    Memory,
    /// The system said it itself, and it may pass.
    Passing(RetryClass),
    Store(StoreFault),
    Other,
}

fn cause(error: &(dyn Error + 'static)) -> Cause {
    let mut next = Some(error);
    while let Some(e) = next {
        if let Some(io) = e.downcast_ref::<io::Error>() {
            match io.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    return Cause::DiskFull;
                }
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => return Cause::Denied,
                kind if io.raw_os_error().is_some() => match RetryClass::of_io(kind) {
                    class @ (RetryClass::Transient | RetryClass::Throttled | RetryClass::Timeout) => {
                        return Cause::Passing(class);
                    }
                    RetryClass::Auth | RetryClass::Schema | RetryClass::Data | RetryClass::Internal => {}
                },
                _ => {}
            }
        }
        // What several consumers of one stream are told is shared, and neither a shared nor a boxed error is a source of its own.
        let query = e.downcast_ref().or_else(|| e.downcast_ref::<Arc<DataFusionError>>().map(Arc::as_ref));
        let query = query.or_else(|| e.downcast_ref::<Box<DataFusionError>>().map(Box::as_ref));
        if query.is_some_and(|q| matches!(q.find_root(), DataFusionError::ResourcesExhausted(_))) {
            return Cause::Memory;
        }
        next = e.source();
    }
    Cause::Other
}

impl LakeError {
    /// Whether the memory limit is what failed it.
    pub(crate) fn is_memory(&self) -> bool {
        self.cause() == Cause::Memory
    }

    fn cause(&self) -> Cause {
        let found = cause(self);
        // Only what talks to an object store is asked for its words.
        let asked = matches!(
            self,
            Self::Store { .. } | Self::Bucket { .. } | Self::Delta { .. } | Self::Query(_) | Self::StoreSettings { .. }
        );
        match found {
            Cause::Other | Cause::Passing(_) if asked => remote::fault_of(self).map_or(found, Cause::Store),
            _ => found,
        }
    }
}

impl Fault for LakeError {
    fn code(&self) -> &'static str {
        match (self, self.cause()) {
            (_, Cause::DiskFull) => "L0001",
            (_, Cause::Denied) => "L0002",
            (_, Cause::Memory) | (Self::Memory { .. }, _) => "L0003",
            (_, Cause::Store(StoreFault::Denied)) => "L0501",
            (_, Cause::Store(StoreFault::Throttled)) => "L0502",
            (_, Cause::Store(StoreFault::Unreachable)) => "L0503",
            (_, Cause::Store(StoreFault::Late)) => "L0504",
            (_, Cause::Store(StoreFault::NoBucket)) => "L0505",
            (Self::StoreSettings { .. }, _) => "L0506",
            (Self::StoreSize { .. }, _) => "L0507",
            (Self::Store { .. }, _) => "L0508",
            (Self::Bucket { .. }, _) => "L0509",
            (Self::Io { .. }, _) => "L0101",
            (Self::Delta { .. }, _) => "L0102",
            (Self::Query(_), _) => "L0103",
            (Self::Arrow(_), _) => "L0104",
            (Self::Parquet(_), _) => "L0105",
            (Self::Decode { source, .. }, _) => source.code(),
            (Self::Refine { source, .. }, _) => source.code(),
            (Self::Gate { .. }, _) => "L0201",
            (Self::Unbalanced(_), _) => "L0202",
            (Self::Conflict { .. }, _) => "L0301",
            (Self::LogGone { .. }, _) => "L0302",
            (Self::Log { .. }, _) => "L0303",
            (Self::Vector { .. }, _) => "L0304",
            (Self::LookupTooLarge { .. }, _) => "L0401",
            (Self::TypeChanged { .. }, _) => "L0402",
            (Self::Window { .. }, _) => "L0403",
            (Self::NoContract { .. }, _) => "L0404",
            (Self::Unstorable { .. }, _) => "L0406",
            (Self::StoredAs { .. }, _) => "L0407",
            (Self::Truncates { .. }, _) => "L0408",
            (Self::Moved { .. }, _) => "L0305",
            (Self::Worker(_), _) => "L0901",
        }
    }

    fn class(&self) -> RetryClass {
        match self.cause() {
            Cause::DiskFull => return RetryClass::Transient,
            Cause::Denied => return RetryClass::Auth,
            Cause::Passing(class) => return class,
            Cause::Store(fault) => return fault.class(),
            Cause::Memory | Cause::Other => {}
        }
        match self {
            Self::Io { source, .. } => RetryClass::of_io(source.kind()),
            // An answer that is not understood is one of something on the way, as a rule.
            Self::Conflict { .. } | Self::Bucket { .. } => RetryClass::Transient,
            Self::Decode { source, .. } => source.class(),
            Self::Refine { source, .. } => source.class(),
            Self::Query(_) | Self::Gate { .. } | Self::Memory { .. } | Self::Truncates { .. } | Self::Moved { .. } => {
                RetryClass::Data
            }
            Self::TypeChanged { .. }
            | Self::StoredAs { .. }
            | Self::Window { .. }
            | Self::NoContract { .. }
            | Self::Unstorable { .. }
            | Self::StoreSettings { .. }
            | Self::LookupTooLarge { .. } => RetryClass::Schema,
            Self::Delta { .. }
            | Self::Arrow(_)
            | Self::Parquet(_)
            | Self::Unbalanced(_)
            | Self::LogGone { .. }
            | Self::Log { .. }
            | Self::Vector { .. }
            | Self::Store { .. }
            | Self::StoreSize { .. }
            | Self::Worker(_) => RetryClass::Internal,
        }
    }

    fn blames(&self) -> Blame {
        match self {
            Self::Decode { source: DecodeError::Fetch { source }, .. } => source.blames(),
            Self::Decode { .. } | Self::Bucket { .. } => Blame::Source,
            Self::Io { .. }
            | Self::Delta { .. }
            | Self::Query(_)
            | Self::Arrow(_)
            | Self::Parquet(_)
            | Self::LogGone { .. }
            | Self::Log { .. }
            | Self::Vector { .. }
            | Self::Store { .. }
            | Self::StoreSize { .. }
            | Self::StoreSettings { .. } => Blame::Lake,
            // The store of tables has answered.
            Self::Conflict { .. }
            | Self::Refine { .. }
            | Self::Gate { .. }
            | Self::Unbalanced(_)
            | Self::LookupTooLarge { .. }
            | Self::TypeChanged { .. }
            | Self::StoredAs { .. }
            | Self::Truncates { .. }
            | Self::Window { .. }
            | Self::NoContract { .. }
            | Self::Unstorable { .. }
            | Self::Moved { .. }
            | Self::Worker(_)
            | Self::Memory { .. } => Blame::Nothing,
        }
    }

    fn remedy(&self) -> &'static str {
        match self.cause() {
            Cause::DiskFull => return "free space on the lake's disk and run again; nothing was committed",
            Cause::Denied => return "give this user the right to write the lake and the project folder, and run again",
            Cause::Memory => return "raise `limits.memory` in alluvium.yaml, or make the query smaller",
            Cause::Store(StoreFault::Denied) => {
                return "set credentials for the bucket where alluvium runs (AWS_ACCESS_KEY_ID and \
                        AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME and \
                        AZURE_STORAGE_ACCOUNT_KEY), with the right to list and read in it, and to write and delete in the lake's";
            }
            Cause::Store(StoreFault::Throttled) => return "run again later; the object store asked for fewer requests",
            Cause::Store(StoreFault::Unreachable | StoreFault::Late) => {
                return "run again; if it stays so, check the network, and AWS_ENDPOINT_URL, GOOGLE_BASE_URL or \
                        AZURE_STORAGE_ENDPOINT where one is set";
            }
            Cause::Store(StoreFault::NoBucket) => return "make the bucket, or correct its name under `lake` or `files`",
            Cause::Passing(_) | Cause::Other => {}
        }
        match self {
            Self::StoreSettings { .. } => "set or correct the variables that start with AWS_, GOOGLE_ or AZURE_",
            Self::StoreSize { .. } | Self::Store { .. } => {
                "check that nothing but alluvium changed the lake's objects, and that the store keeps what it was given"
            }
            Self::Bucket { .. } => {
                "look at what answers in the place of the object store, as a proxy, and at AWS_ENDPOINT_URL and the like"
            }
            Self::Io { .. } if self.class() == RetryClass::Data => {
                "look at the path and the folders above it: one of them is gone, or something else stands in its place"
            }
            Self::Io { .. } | Self::Conflict { .. } => "run again",
            Self::Delta { .. } | Self::Log { .. } | Self::LogGone { .. } | Self::Vector { .. } => {
                "check that nothing but alluvium changed the table's folder"
            }
            Self::Query(_) => "check the SQL with `alluvium check`",
            Self::Decode { source, .. } => source.remedy(),
            Self::Refine { source, .. } => source.remedy(),
            Self::Gate { .. } => {
                "look at it with `alluvium show held`, then release or drop it, or change the acceptance criteria; \
                 nothing was published"
            }
            Self::LookupTooLarge { .. } | Self::Memory { .. } => "raise `limits.memory` in alluvium.yaml",
            Self::TypeChanged { .. } => "give the column another name, or rebuild the dataset into a new one",
            Self::StoredAs { .. } => {
                "rebuild the dataset with `alluvium run --rebuild <dataset>`, or undo the change of `stored_as`"
            }
            Self::Truncates { .. } => {
                "let `truncate_when` hold for fewer rows, then rebuild the dataset with `alluvium run --rebuild <dataset>`"
            }
            Self::Window { .. } => "let the window column be an expression over columns of one input",
            Self::Moved { .. } => "swap again: the windows that the commit touched are made anew first",
            Self::Unstorable { .. } => "cast it to text, a number, a date or a timestamp",
            Self::NoContract { .. } => "name the dataset's contract with `contract:`",
            Self::Arrow(_) | Self::Parquet(_) | Self::Unbalanced(_) | Self::Worker(_) => {
                "this is a defect: report it with the step's key; nothing was committed"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn io(kind: io::ErrorKind) -> LakeError {
        LakeError::Io { path: "lake".into(), source: kind.into() }
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        use io::ErrorKind as Kind;
        for kind in [Kind::NotFound, Kind::NotADirectory, Kind::IsADirectory, Kind::AlreadyExists] {
            let error = io(kind);
            assert_eq!((error.class(), error.code()), (RetryClass::Data, "L0101"));
            assert!(error.remedy().starts_with("look at the path"));
        }
        assert_eq!(io(Kind::PermissionDenied).class(), RetryClass::Auth);
        assert_eq!(io(Kind::TimedOut).class(), RetryClass::Timeout);
        assert_eq!(
            (io(Kind::ResourceBusy).class(), io(Kind::ResourceBusy).remedy()),
            (RetryClass::Transient, "run again")
        );
    }

    #[test]
    fn a_bucket_that_answers_nonsense_is_the_source_s_trouble_and_may_pass() {
        let source = object_store::Error::Generic { store: "S3", source: "a page of a proxy".into() };
        let bucket = LakeError::Bucket { url: "s3://bucket/in".to_owned(), source: Box::new(source) };
        let fetch = DecodeError::Fetch { source: Box::new(bucket) };
        let error = LakeError::Decode { object: "a.csv".to_owned(), source: fetch };
        assert_eq!((error.code(), error.class(), error.blames()), ("L0509", RetryClass::Transient, Blame::Source));
    }

    #[test]
    fn memory_that_did_not_do_is_told_as_that_also_where_the_error_is_shared() {
        let spent = DataFusionError::ResourcesExhausted("a sort".into());
        let shared = DataFusionError::External(Box::new(Arc::new(spent.context("while it merged"))));
        let alone = DataFusionError::ResourcesExhausted("a table of hashes".into());
        for error in [LakeError::from(shared.context("the plan")), alone.into()] {
            assert_eq!(
                (error.code(), error.remedy()),
                ("L0003", "raise `limits.memory` in alluvium.yaml, or make the query smaller")
            );
        }
    }

    #[test]
    fn the_systems_own_word_counts_below_whatever_wraps_it() {
        const ESTALE: i32 = 116;
        let wrap = |e: io::Error| LakeError::Parquet(parquet::errors::ParquetError::External(Box::new(e)));
        assert_eq!(wrap(io::Error::from_raw_os_error(ESTALE)).class(), RetryClass::Transient);
        assert_eq!(wrap(io::Error::other("a defect of a library")).class(), RetryClass::Internal);
        assert_eq!(wrap(io::ErrorKind::PermissionDenied.into()).class(), RetryClass::Auth);
    }
}
