//! What ends a service, or keeps it from starting.

use alluvium_flow::FlowError;
use alluvium_model::{Fault, RetryClass};
use alluvium_source::files::FilesError;

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Flow(#[from] FlowError),
    #[error(transparent)]
    Files(#[from] FilesError),
}

impl Fault for ServerError {
    fn code(&self) -> &'static str {
        match self {
            Self::Flow(e) => e.code(),
            Self::Files(e) => e.code(),
        }
    }

    fn class(&self) -> RetryClass {
        match self {
            Self::Flow(e) => e.class(),
            Self::Files(e) => e.class(),
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Flow(e) => e.remedy(),
            Self::Files(e) => e.remedy(),
        }
    }
}
