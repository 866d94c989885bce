//! Why a landing object cannot be decoded as a whole. The caller drops what it staged from the object and makes the
//! object a dead letter; a single bad record is a [`super::Malformed`] instead.

use crate::error::LakeError;
use alluvium_model::{Fault, RetryClass};
use arrow::error::ArrowError;
use std::{error::Error, io};

const CAUSE_CHARS: usize = 300;

/// What lies under an error, as the library that found it tells it.
pub type Cause = Box<dyn Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("the {what} ends before it is complete")]
    Truncated {
        what: &'static str,
        #[source]
        source: Option<Cause>,
    },
    #[error("the {what} is damaged")]
    Corrupt {
        what: &'static str,
        #[source]
        source: Option<Cause>,
    },
    #[error("the text is {encoding}; only UTF-8 is read")]
    Encoding { encoding: &'static str },
    #[error("it is not a regular file")]
    NotAFile,
    #[error("the object is {found}, where {expected} was declared")]
    WrongFormat { found: &'static str, expected: &'static str },
    #[error("the header cannot be used: {reason}")]
    Header { reason: &'static str },
    #[error("the object has {columns} columns; at most {limit} are read")]
    TooWide { columns: usize, limit: usize },
    /// Parquet's intervals have months, days and milliseconds, and the library keeps only a part of them.
    #[error("column `{column}` holds intervals, which cannot be read without loss")]
    Interval { column: String },
    #[error("these options cannot be used: {reason}")]
    Options { reason: &'static str },
    #[error("column `{column}` is not text, so a text format cannot be loaded into it")]
    ColumnType { column: String },
    #[error("its fields do not fit: {differences}")]
    Unfit { differences: String },
    #[error("its fields do not fit, and the dataset takes in nothing new until its definition changes: {differences}")]
    Frozen { differences: String },
    #[error("the object changed after it was seen; what it holds now is another event")]
    Changed,
    #[error("the object is gone")]
    Gone,
    #[error("the object could not be read")]
    Io {
        #[source]
        source: io::Error,
    },
    /// It is a file of the lake, which could not be asked for it.
    #[error(transparent)]
    Fetch { source: Box<LakeError> },
    #[error("a batch could not be built")]
    Batch {
        #[source]
        source: ArrowError,
    },
}

impl Fault for DecodeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "D0001",
            Self::Corrupt { .. } => "D0002",
            Self::Encoding { .. } => "D0003",
            Self::NotAFile => "D0004",
            Self::WrongFormat { .. } => "D0005",
            Self::Header { .. } => "D0006",
            Self::TooWide { .. } => "D0007",
            Self::Options { .. } => "D0008",
            Self::ColumnType { .. } => "D0009",
            Self::Io { .. } => "D0010",
            Self::Fetch { source } => source.code(),
            Self::Batch { .. } => "D0011",
            Self::Changed => "D0012",
            Self::Gone => "D0013",
            Self::Interval { .. } => "D0014",
            Self::Unfit { .. } => "D0040",
            Self::Frozen { .. } => "D0041",
        }
    }

    fn class(&self) -> RetryClass {
        match self {
            Self::Truncated { .. }
            | Self::Corrupt { .. }
            | Self::Encoding { .. }
            | Self::NotAFile
            | Self::WrongFormat { .. }
            | Self::Header { .. }
            | Self::Changed
            | Self::Gone
            | Self::Interval { .. }
            | Self::Unfit { .. }
            | Self::TooWide { .. } => RetryClass::Data,
            Self::Options { .. } | Self::ColumnType { .. } | Self::Frozen { .. } => RetryClass::Schema,
            Self::Fetch { source } => source.class(),
            Self::Io { source } => RetryClass::of_io(source.kind()),
            Self::Batch { .. } => RetryClass::Internal,
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Truncated { .. } => "Deliver the complete file again under another name.",
            Self::Corrupt { .. } => "Deliver an intact copy of the file under another name.",
            Self::Encoding { .. } => "Deliver the file as UTF-8.",
            Self::NotAFile => "Put a regular file in its place, or narrow the source's glob.",
            Self::WrongFormat { .. } => "Set the source's `format`, or narrow its glob to files of one format.",
            Self::Header { .. } => "Deliver the file with a readable header, or name the columns in the source.",
            Self::TooWide { .. } => "Deliver narrower files.",
            Self::Interval { .. } => "Deliver the file with these columns as text, or as a number of one unit.",
            Self::Options { .. } => "Correct the source's `csv` options.",
            Self::ColumnType { .. } => "Load one kind of format into a dataset: text formats or Parquet.",
            Self::Unfit { .. } => {
                "Name the fields in the contract, or choose another policy under `drift`, and `alluvium replay dead-letters`; or deliver the file corrected."
            }
            Self::Frozen { .. } => {
                "Change the contract or `drift` in the dataset's file: what waits is then loaded by itself. Or take the file out of the landing folder, and `alluvium replay dead-letters`."
            }
            Self::Changed => {
                "Nothing, if the file was still being written: its complete content is loaded by itself. Write files under a name that the glob does not match, then rename them."
            }
            Self::Gone => "Deliver the file again, and leave it in the landing zone until it is loaded.",
            Self::Io { .. } => "Check the disk that holds the landing zone, and that this user may read the file.",
            Self::Fetch { source } => source.remedy(),
            Self::Batch { .. } => "This is a defect: report it with the landing object.",
        }
    }
}

impl DecodeError {
    /// What the library that read the object had to say, cut to a sentence.
    pub fn cause(&self) -> Option<String> {
        self.source().map(|e| e.to_string().chars().take(CAUSE_CHARS).collect())
    }

    /// For opening an object and looking at it.
    pub fn from_io(source: io::Error) -> Self {
        match source.kind() {
            // Also when a folder above it made way for something else.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Gone,
            io::ErrorKind::IsADirectory => Self::NotAFile,
            _ => Self::Io { source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_cannot_be_there_is_gone() {
        let of = |kind: io::ErrorKind| DecodeError::from_io(kind.into());
        assert_eq!(of(io::ErrorKind::NotADirectory).code(), "D0013");
        assert_eq!(of(io::ErrorKind::IsADirectory).code(), "D0004");
        assert_eq!(of(io::ErrorKind::PermissionDenied).class(), RetryClass::Auth);
        assert_eq!(of(io::ErrorKind::Interrupted).class(), RetryClass::Transient);
    }
}
