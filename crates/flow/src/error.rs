//! What stops a step, and what stops a run.

use alluvium_model::{DatasetName, Fault, RetryClass};
use alluvium_store::StoreError;

/// An error of an engine or a source, with its code, class and remedy.
#[derive(Debug)]
pub struct StepError(Box<dyn Fault + Send + Sync>);

impl std::fmt::Display for StepError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for StepError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl StepError {
    pub fn new(fault: impl Fault + Send + Sync + 'static) -> Self {
        Self(Box::new(fault))
    }

    pub fn code(&self) -> &'static str {
        self.0.code()
    }

    pub fn class(&self) -> RetryClass {
        self.0.class()
    }

    pub fn remedy(&self) -> &'static str {
        self.0.remedy()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    #[error("the state store failed")]
    Store(#[from] StoreError),
    #[error("{dataset} could not be looked at")]
    Look { dataset: DatasetName, source: StepError },
    #[error("{0} is not a dataset of this project")]
    UnknownDataset(DatasetName),
    #[error("{0} has no quarantine to replay: only silver datasets validate rows")]
    NoQuarantine(DatasetName),
    #[error("{0} is not silver: bronze keeps what it received, and gold is recomputed by itself")]
    NotSilver(DatasetName),
    #[error("another process kept planning over the same input of {0}")]
    Contended(DatasetName),
}

impl Fault for FlowError {
    fn code(&self) -> &'static str {
        match self {
            Self::Store(e) => e.code(),
            Self::Look { source, .. } => source.code(),
            Self::UnknownDataset(_) => "F0101",
            Self::NoQuarantine(_) => "F0102",
            Self::Contended(_) => "F0103",
            Self::NotSilver(_) => "F0104",
        }
    }

    fn class(&self) -> RetryClass {
        match self {
            Self::Store(e) => e.class(),
            Self::Look { source, .. } => source.class(),
            Self::UnknownDataset(_) | Self::NoQuarantine(_) | Self::NotSilver(_) => RetryClass::Schema,
            Self::Contended(_) => RetryClass::Transient,
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Store(e) => e.remedy(),
            Self::Look { source, .. } => source.remedy(),
            Self::UnknownDataset(_) => "name a dataset that `alluvium show datasets` lists",
            Self::NoQuarantine(_) | Self::NotSilver(_) => "name a silver dataset",
            Self::Contended(_) => "run again when the other process has finished",
        }
    }
}
