//! A record that cannot become a row, with the bytes received. The bronze step makes dead letters of them.

/// At most this much of a malformed record is kept beside its place; the landing object has the rest.
pub(super) const RAW_LIMIT_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Zero-based record number in the object, rows and malformed records counted alike.
    pub position: u64,
    /// Of the record's first byte in the decompressed object.
    pub offset: u64,
    /// In bytes, without the record's terminator.
    pub length: u64,
    /// The record as received, at most its first 64 KiB.
    pub raw: Vec<u8>,
    pub reason: MalformedReason,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MalformedReason {
    /// More or fewer fields than the header names.
    Fields,
    /// Not UTF-8, or an escape that is no character.
    Encoding,
    /// Longer than a record may be.
    TooLong,
    /// JSON, but not an object.
    NotAnObject,
    /// Breaks the grammar of its format.
    Syntax,
}

impl MalformedReason {
    /// Stable across releases.
    pub fn code(self) -> &'static str {
        match self {
            Self::Fields => "fields",
            Self::Encoding => "encoding",
            Self::TooLong => "too_long",
            Self::NotAnObject => "not_an_object",
            Self::Syntax => "syntax",
        }
    }
}

/// Why a record is malformed, before it is known where it lies.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Defect {
    pub(super) reason: MalformedReason,
    pub(super) message: String,
}

impl Defect {
    pub(super) fn new(reason: MalformedReason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }

    pub(super) fn too_long(length: u64, limit: u64) -> Self {
        Self::new(MalformedReason::TooLong, format!("the record has {length} bytes; at most {limit} are accepted"))
    }

    pub(super) fn at(self, position: u64, offset: u64, length: u64, head: &[u8]) -> Malformed {
        let raw = head[..head.len().min(RAW_LIMIT_BYTES)].to_vec();
        Malformed { position, offset, length, raw, reason: self.reason, message: self.message }
    }
}
