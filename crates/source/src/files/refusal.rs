//! What in a landing folder can be no landing object, with a stable code for each kind.

use alluvium_flow::Refused;
use std::{io, path::Path};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    IsFolder,
    NotAFile,
    Denied,
    NotUtf8,
    NoFolder,
    /// The system's own word for it follows in the reason.
    Unreadable(io::ErrorKind),
    LinkLeavesFolder,
    LinkToNothing,
    TooDeep,
    /// Of an object: an empty part, `.`, `..` or a control character.
    NoName,
}

impl Refusal {
    /// `None`: the file is gone, and there is nothing to refuse.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        match error.kind() {
            io::ErrorKind::NotFound => None,
            io::ErrorKind::PermissionDenied => Some(Self::Denied),
            kind => Some(Self::Unreadable(kind)),
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::IsFolder => "G0001",
            Self::NotAFile => "G0002",
            Self::Denied => "G0003",
            Self::NotUtf8 => "G0004",
            Self::NoFolder => "G0005",
            Self::Unreadable(_) => "G0006",
            Self::LinkLeavesFolder => "G0007",
            Self::LinkToNothing => "G0008",
            Self::TooDeep => "G0009",
            Self::NoName => "G0010",
        }
    }

    fn reason(self) -> String {
        match self {
            Self::IsFolder => "this is a folder, and its name matches the pattern for files".to_owned(),
            Self::NotAFile => "this is no regular file".to_owned(),
            Self::Denied => "this user may not read it".to_owned(),
            Self::NotUtf8 => "its name is not UTF-8; rename it".to_owned(),
            Self::NoFolder => "the landing folder is not there; create it or correct `files`".to_owned(),
            Self::Unreadable(kind) => format!("it cannot be read: {kind}"),
            Self::LinkLeavesFolder => "this link leads out of the landing folder".to_owned(),
            Self::LinkToNothing => "this link leads to nothing".to_owned(),
            Self::NoName => {
                "a part of its name is empty, `.` or `..`, or has a control character; copy it to another name"
                    .to_owned()
            }
            Self::TooDeep => format!("folders are read {} levels deep, not deeper", super::walk::MOST_LEVELS),
        }
    }

    pub(super) fn at(self, path: &Path) -> Refused {
        Refused { path: path.to_string_lossy().into_owned(), code: self.code(), reason: self.reason() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_gone_is_no_refusal() {
        assert_eq!(Refusal::of(&io::ErrorKind::NotFound.into()), None);
        let denied = Refusal::of(&io::ErrorKind::PermissionDenied.into()).expect("a refusal");
        assert_eq!(denied.at(Path::new("a.csv")).code, "G0003");
        let other = Refusal::of(&io::ErrorKind::InvalidData.into()).expect("a refusal");
        assert_eq!(other.at(Path::new("a.csv")).code, "G0006");
    }
}
