//! Why a folder could not be looked at. What is wrong with one file is no error but a refusal.

use alluvium_model::{Fault, RetryClass};
use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("`{glob}` is no pattern for file names")]
    Glob { glob: String, source: globset::Error },
    #[error("the thread that reads the landing folder ended early")]
    Worker(#[from] tokio::task::JoinError),
    #[error("the system gives no notices of files that arrive")]
    Watch(#[source] notify::Error),
    #[error("events that were pushed cannot be laid down in {}", folder.display())]
    LayDown { folder: PathBuf, source: io::Error },
    #[error("only bronze datasets take events")]
    NotBronze,
}

impl Fault for FilesError {
    fn code(&self) -> &'static str {
        match self {
            Self::Glob { .. } => "G0101",
            Self::Worker(_) => "G0102",
            Self::Watch(_) => "G0103",
            Self::LayDown { .. } => "G0104",
            Self::NotBronze => "G0105",
        }
    }

    fn class(&self) -> RetryClass {
        match self {
            Self::Glob { .. } => RetryClass::Schema,
            Self::Worker(_) => RetryClass::Internal,
            Self::Watch(_) => RetryClass::Transient,
            Self::LayDown { source, .. } => RetryClass::of_io(source.kind()),
            Self::NotBronze => RetryClass::Internal,
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Glob { .. } => "correct `glob` of the dataset's source, as in \"*.csv\" or \"**/*.csv\"",
            Self::LayDown { .. } => "check the lake's folder, its permissions and the space on its disk",
            Self::NotBronze => "report it with the log of the run",
            Self::Watch(_) => "raise the limits fs.inotify.max_user_instances and fs.inotify.max_user_watches",
            Self::Worker(_) => "run again; if it stays, report it with the log of the run",
        }
    }
}
