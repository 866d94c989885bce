//! What every error kind tells beside its message: a stable code, whether trying again can help, and the remedy.

use serde::{Deserialize, Serialize};
use std::{fmt, io};

/// Whether, and how, an attempt may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryClass {
    /// A passing disturbance: try again.
    Transient,
    /// The other side asked to slow down: try again later.
    Throttled,
    /// Access was refused: a person has to grant it.
    Auth,
    /// The shape of the data is not the declared one.
    Schema,
    /// The data breaks its contract, or cannot be read.
    Data,
    /// It took longer than allowed.
    Timeout,
    /// A defect of the product.
    Internal,
}

impl RetryClass {
    /// Whether trying again can help without anybody's doing.
    pub fn may_pass(self) -> bool {
        match self {
            Self::Transient | Self::Throttled | Self::Timeout => true,
            Self::Auth | Self::Schema | Self::Data | Self::Internal => false,
        }
    }

    /// What the operating system's word for an error says of another attempt. What lies in the way stays there: a path
    /// that leads nowhere, or through something that is no folder, leads nowhere the next time too.
    pub fn of_io(kind: io::ErrorKind) -> Self {
        use io::ErrorKind as Kind;
        match kind {
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Self::Auth,
            Kind::TimedOut => Self::Timeout,
            Kind::NotFound
            | Kind::AlreadyExists
            | Kind::NotADirectory
            | Kind::IsADirectory
            | Kind::DirectoryNotEmpty
            | Kind::InvalidFilename
            | Kind::InvalidInput
            | Kind::InvalidData
            | Kind::UnexpectedEof
            | Kind::NotSeekable
            | Kind::TooManyLinks
            | Kind::CrossesDevices
            | Kind::ArgumentListTooLong
            | Kind::Unsupported => Self::Data,
            Kind::Interrupted
            | Kind::WouldBlock
            | Kind::ResourceBusy
            | Kind::ExecutableFileBusy
            | Kind::Deadlock
            | Kind::StaleNetworkFileHandle
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::NotConnected
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown
            | Kind::AddrInUse
            | Kind::AddrNotAvailable
            | Kind::BrokenPipe
            | Kind::WriteZero
            | Kind::StorageFull
            | Kind::QuotaExceeded
            | Kind::FileTooLarge
            | Kind::OutOfMemory
            | Kind::Other => Self::Transient,
            // Without a name in the standard library, as a failing device or too many open files: it may pass.
            _ => Self::Transient,
        }
    }
}

impl fmt::Display for RetryClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Auth => "auth",
            Self::Schema => "schema",
            Self::Data => "data",
            Self::Timeout => "timeout",
            Self::Internal => "internal",
        })
    }
}

/// Which of the things that many steps share an error speaks against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The store of tables.
    Lake,
    /// Where the landing objects lie.
    Source,
    /// Neither: the step alone, or another process.
    Nothing,
}

/// An error that can say what it is to a machine and what to do to a person.
pub trait Fault: std::error::Error {
    /// Stable across releases, as in `L0301`; each has a page in the runbook.
    fn code(&self) -> &'static str;
    fn class(&self) -> RetryClass;
    /// One sentence: what the reader can do now.
    fn remedy(&self) -> &'static str;

    /// What else would meet it too.
    fn blames(&self) -> Blame {
        Blame::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_lies_in_the_way_stays_there() {
        let of = |e: io::Error| RetryClass::of_io(e.kind());
        let exe = std::env::current_exe().expect("a path");
        assert_eq!(of(fs::read_dir(exe.join("below")).expect_err("a file is no folder")), RetryClass::Data);
        assert_eq!(of(fs::read("/").expect_err("a folder is no file")), RetryClass::Data);
        assert_eq!(of(fs::read(exe.with_file_name("nowhere")).expect_err("nothing is there")), RetryClass::Data);
        assert_eq!(of(io::ErrorKind::PermissionDenied.into()), RetryClass::Auth);
        assert_eq!(of(io::ErrorKind::StorageFull.into()), RetryClass::Transient);
        const EIO: i32 = 5;
        assert_eq!(of(io::Error::from_raw_os_error(EIO)), RetryClass::Transient);
    }
}
