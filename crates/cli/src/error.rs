//! Why a command could not be carried out, and the exit code that follows.

use alluvium_flow::FlowError;
use alluvium_lake::LakeError;
use alluvium_model::{DatasetName, Exit, Fault, RetryClass};
use alluvium_server::ServerError;
use alluvium_source::files::FilesError;
use alluvium_spec::{Diagnostics, Language};
use alluvium_store::StoreError;
use arrow::error::ArrowError;
use parquet::errors::ParquetError;
use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error("the project has mistakes")]
    Definitions(Diagnostics),
    #[error("two projects are named: {} and {}", first.display(), second.display())]
    TwoProjects { first: PathBuf, second: PathBuf },
    #[error("there is no template `{0}`")]
    UnknownTemplate(String),
    #[error("{} is not empty", .0.display())]
    NotEmpty(PathBuf),
    #[error("`{0}` is not a dataset of this project")]
    UnknownDataset(String),
    #[error("the state knows no run `{0}`")]
    UnknownRun(String),
    #[error("more than one run starts with `{0}`")]
    AmbiguousRun(String),
    #[error("the state knows no event `{0}`")]
    UnknownEvent(String),
    #[error("more than one event is meant by `{0}`")]
    AmbiguousEvent(String),
    #[error("`{0}` is not a sink of this project")]
    UnknownSink(String),
    /// What the engine said of it, and the error itself, whose wrapping says no more.
    #[error("the query is wrong: {said}")]
    Query { said: String, error: Box<LakeError> },
    #[error("{0} has no table yet")]
    NoTable(DatasetName),
    #[error("Parquet is not written to a terminal")]
    Terminal,
    #[error("`{0}` is not a contract of this project")]
    UnknownContract(String),
    #[error("there is no code `{code}`{}", suggested(.near))]
    UnknownCode { code: String, near: Vec<&'static str> },
    #[error("{} has several objects, and none is named like the file", .0.display())]
    NoObject(PathBuf),
    #[error("no file is meant by {}", .named.display())]
    NoFiles { named: PathBuf, source: Option<FilesError> },
    #[error("the files have no columns")]
    NoColumns,
    #[error("`{0}` is no name for a contract")]
    ContractName(String),
    #[error("{} is there already", .0.display())]
    ContractExists(PathBuf),
    #[error("{} is {}, and {} is {}", old.display(), old_language.words(), new.display(), new_language.words())]
    TwoLanguages { old: PathBuf, old_language: Language, new: PathBuf, new_language: Language },
    #[error("{} cannot be read or written", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("standard input cannot be read")]
    Input(#[source] io::Error),
    #[error("standard output cannot be written")]
    Output(#[source] io::Error),
    #[error("the rows cannot be written in this format")]
    Encode(#[from] ArrowError),
    #[error("the rows cannot be written as Parquet")]
    Parquet(#[from] ParquetError),
    #[error("the result cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    #[error("the threads of the process cannot be started")]
    Runtime(#[source] io::Error),
    #[error("stopped before the work was done")]
    Stopped,
    #[error(transparent)]
    Flow(#[from] FlowError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error(transparent)]
    Server(#[from] ServerError),
}

impl CliError {
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }

    pub fn exit(&self) -> Exit {
        match self {
            Self::Definitions(_)
            | Self::TwoProjects { .. }
            | Self::UnknownTemplate(_)
            | Self::NotEmpty(_)
            | Self::UnknownDataset(_)
            | Self::UnknownRun(_)
            | Self::AmbiguousRun(_)
            | Self::UnknownSink(_)
            | Self::UnknownEvent(_)
            | Self::AmbiguousEvent(_)
            | Self::Query { .. }
            | Self::NoTable(_)
            | Self::Terminal
            | Self::UnknownContract(_)
            | Self::UnknownCode { .. }
            | Self::TwoLanguages { .. }
            | Self::NoObject(_)
            | Self::NoFiles { .. }
            | Self::NoColumns
            | Self::ContractName(_)
            | Self::ContractExists(_)
            | Self::Server(
                ServerError::NoToken(_) | ServerError::WeakToken(_) | ServerError::NoKey(_) | ServerError::Tls { .. },
            )
            | Self::Flow(
                FlowError::UnknownDataset(_)
                | FlowError::NoQuarantine(_)
                | FlowError::NotSilver(_)
                | FlowError::NothingToDrop(_)
                | FlowError::NotTheirs { .. }
                | FlowError::UnknownLetter(_)
                | FlowError::NoWindow(_)
                | FlowError::Range { .. }
                | FlowError::NoInput(_)
                | FlowError::BackfillUnderWay { .. }
                | FlowError::NoBackfill(_)
                | FlowError::BackfillRedefined(_)
                | FlowError::NotBuilt(_)
                | FlowError::PartOfDefinition(_)
                | FlowError::AmbiguousLetter(_),
            ) => Exit::BadInput,
            Self::File { .. }
            | Self::Input(_)
            | Self::Output(_)
            | Self::Encode(_)
            | Self::Parquet(_)
            | Self::Json(_)
            | Self::Runtime(_)
            | Self::Stopped
            | Self::Flow(_)
            | Self::Store(_)
            | Self::Lake(_)
            | Self::Server(_) => Exit::FailedWork,
        }
    }
}

impl Fault for CliError {
    fn code(&self) -> &'static str {
        match self {
            Self::Definitions(_) => "C0001",
            Self::TwoProjects { .. } => "C0002",
            Self::UnknownTemplate(_) => "C0003",
            Self::NotEmpty(_) => "C0004",
            Self::UnknownDataset(_) => "C0005",
            Self::UnknownRun(_) => "C0006",
            Self::AmbiguousRun(_) => "C0007",
            Self::Terminal => "C0008",
            Self::NoTable(_) => "C0009",
            Self::UnknownContract(_) => "C0010",
            Self::UnknownSink(_) => "C0012",
            Self::UnknownEvent(_) => "C0013",
            Self::AmbiguousEvent(_) => "C0014",
            Self::UnknownCode { .. } => "C0015",
            Self::TwoLanguages { .. } => "C0016",
            Self::NoObject(_) => "C0017",
            Self::NoFiles { .. } => "C0060",
            Self::NoColumns => "C0061",
            Self::ContractName(_) => "C0062",
            Self::ContractExists(_) => "C0063",
            Self::File { .. } => "C0101",
            Self::Input(_) => "C0102",
            Self::Output(_) => "C0103",
            Self::Encode(_) => "C0104",
            Self::Parquet(_) => "C0105",
            Self::Json(_) => "C0106",
            Self::Runtime(_) => "C0107",
            Self::Stopped => "C0108",
            Self::Flow(e) => e.code(),
            Self::Store(e) => e.code(),
            Self::Query { error, .. } => error.code(),
            Self::Lake(e) => e.code(),
            Self::Server(e) => e.code(),
        }
    }

    fn class(&self) -> RetryClass {
        match self {
            Self::Definitions(_)
            | Self::TwoProjects { .. }
            | Self::UnknownTemplate(_)
            | Self::NotEmpty(_)
            | Self::UnknownDataset(_)
            | Self::UnknownRun(_)
            | Self::AmbiguousRun(_)
            | Self::UnknownSink(_)
            | Self::UnknownEvent(_)
            | Self::AmbiguousEvent(_)
            | Self::NoTable(_)
            | Self::UnknownContract(_)
            | Self::UnknownCode { .. }
            | Self::TwoLanguages { .. }
            | Self::NoObject(_)
            | Self::NoFiles { .. }
            | Self::NoColumns
            | Self::ContractName(_)
            | Self::ContractExists(_)
            | Self::Terminal => RetryClass::Schema,
            Self::File { source, .. } | Self::Input(source) | Self::Output(source) | Self::Runtime(source) => {
                RetryClass::of_io(source.kind())
            }
            Self::Stopped => RetryClass::Transient,
            Self::Encode(_) | Self::Parquet(_) | Self::Json(_) => RetryClass::Data,
            Self::Flow(e) => e.class(),
            Self::Store(e) => e.class(),
            Self::Query { error, .. } => error.class(),
            Self::Lake(e) => e.class(),
            Self::Server(e) => e.class(),
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Definitions(_) => "correct the mistakes above; `alluvium check` shows them again",
            Self::TwoProjects { .. } => "name the project once, as the argument or with --project",
            Self::UnknownTemplate(_) => "use `flights`, `orders` or `empty`",
            Self::NotEmpty(_) => "name a new or an empty folder",
            Self::UnknownDataset(_) => "`alluvium show datasets` lists the names",
            Self::UnknownRun(_) => "`alluvium show runs` lists the ids",
            Self::AmbiguousRun(_) => "write more of the id",
            Self::UnknownEvent(_) => {
                "`SELECT event, path FROM state.events` has the ids; rows have theirs in `_event_id`"
            }
            Self::AmbiguousEvent(_) => "write more of the id",
            Self::UnknownSink(_) => "`sinks` in alluvium.yaml has the names",
            Self::NoTable(_) => "`alluvium run` makes it, once there is something to load",
            Self::UnknownContract(_) => {
                "contracts are the files contracts/<name>.odcs.yaml; write the name or the path"
            }
            Self::UnknownCode { .. } => "`alluvium explain` lists all codes",
            Self::NoObject(_) => "name the file like one of its objects",
            Self::NoFiles { .. } => "name a file, a folder with files, or a pattern such as 'landing/*.csv' in quotes",
            Self::NoColumns => "name files with a header or with records",
            Self::ContractName(_) => "give another one with --name: lower case, up to 63 letters, digits or _",
            Self::ContractExists(_) => "choose another --name, or replace it with --force",
            Self::TwoLanguages { .. } => {
                "compare versions of one contract or schema; `contract export` turns a contract into a schema"
            }
            Self::Terminal => "send it to a file with `--to result.parquet`",
            Self::File { .. } => "check the path, its permissions and the space on its disk",
            Self::Input(_) => "give the query as an argument",
            Self::Output(_) => "check what standard output is connected to",
            Self::Encode(_) | Self::Parquet(_) | Self::Json(_) => {
                "cast the column in the query, or use another --output"
            }
            Self::Runtime(_) => "check the limit on processes and memory of this user",
            Self::Stopped => "run again: it goes on where it stopped",
            Self::Flow(e) => e.remedy(),
            Self::Store(e) => e.remedy(),
            Self::Query { .. } => {
                "write one SELECT over bronze.*, silver.*, gold.*, quarantine.<layer>_<name>, held.<layer>_<name> and state.*; \
                 `alluvium query \"SHOW TABLES\"` lists those that are there"
            }
            Self::Lake(e) => e.remedy(),
            Self::Server(e) => e.remedy(),
        }
    }
}

fn suggested(near: &[&str]) -> String {
    if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) }
}

/// An error's causes, outermost first, without those whose text the one before already ends with.
pub fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let mut last = error.to_string();
    let mut all = Vec::new();
    let mut next = error.source();
    while let Some(e) = next {
        let text = e.to_string();
        if !last.ends_with(&text) {
            last.clone_from(&text);
            all.push(text);
        }
        next = e.source();
    }
    all
}
