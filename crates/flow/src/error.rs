//! What stops a step, and what stops a run.

use alluvium_model::{Blame, DatasetName, Fault, RetryClass, RunId};
use alluvium_spec::{Timeout, TimeoutSource};
use alluvium_store::{QualityResult, StoreError};

/// An error of an engine or a source, with its code, class and remedy.
#[derive(Debug)]
pub struct StepError {
    fault: Box<dyn Fault + Send + Sync>,
    /// What was measured before a gate refused what was staged.
    pub(crate) quality: Vec<QualityResult>,
}

impl std::fmt::Display for StepError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.fault.fmt(f)
    }
}

impl std::error::Error for StepError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.fault.source()
    }
}

impl StepError {
    pub fn new(fault: impl Fault + Send + Sync + 'static) -> Self {
        Self { fault: Box::new(fault), quality: Vec::new() }
    }

    /// The same, with what was measured.
    #[must_use]
    pub fn measured(self, quality: Vec<QualityResult>) -> Self {
        Self { quality, ..self }
    }

    pub fn code(&self) -> &'static str {
        self.fault.code()
    }

    pub fn class(&self) -> RetryClass {
        self.fault.class()
    }

    pub fn remedy(&self) -> &'static str {
        self.fault.remedy()
    }

    pub(crate) fn blames(&self) -> Blame {
        self.fault.blames()
    }
}

/// Why an attempt was ended from here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stopped {
    #[error("it took longer than {}, {}", .0.after, whose(.0.source))]
    TooLong(Timeout, Blame),
    #[error("the process ended in each of {attempts} attempts, without a word of theirs")]
    NeverEnded { attempts: u32 },
}

fn whose(source: TimeoutSource) -> &'static str {
    match source {
        TimeoutSource::Dataset => "the timeout of the dataset",
        TimeoutSource::Contract => "which its contract agrees on",
        TimeoutSource::Project => "the timeout of the project",
    }
}

impl Fault for Stopped {
    fn code(&self) -> &'static str {
        match self {
            Self::TooLong(..) => "F0202",
            Self::NeverEnded { .. } => "F0203",
        }
    }

    fn class(&self) -> RetryClass {
        match self {
            Self::TooLong(..) => RetryClass::Timeout,
            Self::NeverEnded { .. } => RetryClass::Internal,
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::TooLong(..) => "look at what it waited for, or set a longer `timeout`; nothing was committed",
            Self::NeverEnded { .. } => "look at what ended the process, as a lack of memory",
        }
    }

    fn blames(&self) -> Blame {
        match self {
            Self::TooLong(_, blame) => *blame,
            Self::NeverEnded { .. } => Blame::Nothing,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    #[error("the state store failed")]
    Store(#[from] StoreError),
    #[error("{dataset} could not be looked at")]
    Look { dataset: DatasetName, source: StepError },
    #[error("the state belongs to the lake `{known}`, and {}", names(.found.as_deref()))]
    OtherLake { known: String, found: Option<String> },
    #[error("{0} is not a dataset of this project")]
    UnknownDataset(DatasetName),
    #[error("{0} has no quarantine to replay: gold sets no row aside")]
    NoQuarantine(DatasetName),
    #[error("{0} has no input to drop: it is gold, and recomputed from its inputs")]
    NothingToDrop(DatasetName),
    #[error("`{by}` is none of those who decide about what is held of {dataset}: {may}")]
    NotTheirs { dataset: DatasetName, by: String, may: String },
    #[error("{0} is not silver: bronze keeps what it received, and gold is recomputed by itself")]
    NotSilver(DatasetName),
    #[error("another process kept planning over the same input of {0}")]
    Contended(DatasetName),
    #[error("there is no dead letter `{0}`")]
    UnknownLetter(String),
    #[error("several dead letters begin with `{0}`")]
    AmbiguousLetter(String),
    #[error("the replay {id} in the state is not understood")]
    ReplayNotUnderstood { id: RunId, source: serde_json::Error },
    #[error("{0} has no windows to make one by one: only a gold dataset with `window` has")]
    NoWindow(DatasetName),
    #[error("the range is not one for {dataset}: {reason}")]
    Range { dataset: DatasetName, reason: String },
    #[error("{0} has no table yet, and nothing can be made from it")]
    NoInput(DatasetName),
    #[error("{dataset} has a backfill already, {id}, that is neither swapped nor dropped")]
    BackfillUnderWay { dataset: DatasetName, id: RunId },
    #[error("{0} has no backfill under way")]
    NoBackfill(DatasetName),
    #[error("the definition of {0} changed after its backfill was begun")]
    BackfillRedefined(DatasetName),
    #[error("the backfill of {0} is not built yet")]
    NotBuilt(DatasetName),
    #[error("the definition of {0} changed, and the backfill does not hold all of its rows")]
    PartOfDefinition(DatasetName),
}

fn names(found: Option<&str>) -> String {
    found.map_or_else(|| "this one has no name".to_owned(), |id| format!("this one is `{id}`"))
}

impl Fault for FlowError {
    fn code(&self) -> &'static str {
        match self {
            Self::Store(e) => e.code(),
            Self::Look { source, .. } => source.code(),
            Self::OtherLake { .. } => "F0118",
            Self::UnknownDataset(_) => "F0101",
            Self::NoQuarantine(_) => "F0102",
            Self::Contended(_) => "F0103",
            Self::NotSilver(_) => "F0104",
            Self::UnknownLetter(_) => "F0105",
            Self::AmbiguousLetter(_) => "F0106",
            Self::NoWindow(_) => "F0107",
            Self::Range { .. } => "F0108",
            Self::NoInput(_) => "F0109",
            Self::BackfillUnderWay { .. } => "F0110",
            Self::NoBackfill(_) => "F0111",
            Self::BackfillRedefined(_) => "F0112",
            Self::NotBuilt(_) => "F0113",
            Self::PartOfDefinition(_) => "F0114",
            Self::ReplayNotUnderstood { .. } => "F0116",
            Self::NothingToDrop(_) => "F0170",
            Self::NotTheirs { .. } => "F0188",
        }
    }

    fn class(&self) -> RetryClass {
        match self {
            Self::Store(e) => e.class(),
            Self::Look { source, .. } => source.class(),
            Self::UnknownDataset(_)
            | Self::NoQuarantine(_)
            | Self::NotSilver(_)
            | Self::NothingToDrop(_)
            | Self::UnknownLetter(_)
            | Self::AmbiguousLetter(_)
            | Self::NoWindow(_)
            | Self::Range { .. }
            | Self::NoInput(_)
            | Self::BackfillUnderWay { .. }
            | Self::NoBackfill(_)
            | Self::BackfillRedefined(_)
            | Self::NotBuilt(_)
            | Self::PartOfDefinition(_) => RetryClass::Schema,
            Self::NotTheirs { .. } | Self::OtherLake { .. } => RetryClass::Auth,
            Self::ReplayNotUnderstood { .. } => RetryClass::Internal,
            Self::Contended(_) => RetryClass::Transient,
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Store(e) => e.remedy(),
            Self::Look { source, .. } => source.remedy(),
            Self::OtherLake { .. } => {
                "mount the disk of the lake, or name the lake that was used before; nothing was read or written"
            }
            Self::UnknownDataset(_) => "name a dataset that `alluvium show datasets` lists",
            Self::NoQuarantine(_) => "name a bronze or silver dataset",
            Self::NotSilver(_) => "name a silver dataset",
            Self::NothingToDrop(_) => {
                "release it, or correct its inputs or its definition and run again: that computes it anew"
            }
            Self::NotTheirs { .. } => {
                "ask one of them, or over HTTP with the token of one; `accept.decided_by` of the dataset names them"
            }
            Self::Contended(_) => "run again when the other process has finished",
            Self::UnknownLetter(_) => "name one that `alluvium show dead-letters` lists",
            Self::AmbiguousLetter(_) => "write more of its id",
            Self::NoWindow(_) => {
                "name a gold dataset with a window; a silver one is made anew with `alluvium run --rebuild <dataset>`"
            }
            Self::Range { .. } => {
                "choose --from, --to and --window so that each window holds whole windows of the table"
            }
            Self::NoInput(_) => "`alluvium run` makes it, once there is something to load",
            Self::BackfillUnderWay { .. } => "go on with it by --resume or --swap, or throw it away with --drop",
            Self::NoBackfill(_) => "begin one with --from, --to and --window; `alluvium show backfills` lists them",
            Self::BackfillRedefined(_) => "throw it away with --drop and begin another, or undo the change",
            Self::NotBuilt(_) => "make what is missing with --resume",
            Self::PartOfDefinition(_) => {
                "backfill a range that holds all rows, or let `alluvium run` make the table anew; --drop throws this one away"
            }
            Self::ReplayNotUnderstood { .. } => "it was asked for by way of another version of alluvium, which does it",
        }
    }
}
