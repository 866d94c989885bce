//! The decompressed bytes of a landing object as a stream, whatever its compression. Used by the window; tells a
//! damaged stream from a failing disk.

use super::error::DecodeError;
use flate2::bufread::MultiGzDecoder;
use std::{
    fs::File,
    io::{self, BufReader, Read, Seek},
};

const FILE_BUFFER_BYTES: usize = 256 * 1024;

/// Magic bytes of containers which are never a text file, and what they are.
const FOREIGN: [(&[u8], &str); 5] = [
    (b"\xFD7zXZ\0", "xz-compressed"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x04\x22\x4D\x18", "lz4-compressed"),
    (b"PAR1\x15", "a Parquet file"),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive"),
];

pub(super) struct Source {
    read: Box<dyn Read + Send>,
    /// What the stream is, in errors about the stream itself; `None` where it is the plain file.
    compression: Option<&'static str>,
}

impl Source {
    /// Detects the compression by the first bytes.
    pub(super) fn open(mut file: File) -> Result<Self, DecodeError> {
        check_regular(&file)?;
        let mut magic = Vec::with_capacity(16);
        file.rewind().and_then(|()| (&file).take(16).read_to_end(&mut magic)).map_err(io_error)?;
        file.rewind().map_err(io_error)?;
        if let Some((_, found)) = FOREIGN.iter().find(|(m, _)| magic.starts_with(m)) {
            return Err(DecodeError::WrongFormat { found, expected: "text, plain or in gzip or zstd" });
        }
        let zstd_skippable = magic.len() >= 4 && magic[0] & 0xF0 == 0x50 && magic[1..4] == [0x2A, 0x4D, 0x18];
        Ok(if magic.starts_with(&[0x1F, 0x8B]) {
            let read = MultiGzDecoder::new(BufReader::with_capacity(FILE_BUFFER_BYTES, file));
            Self { read: Box::new(read), compression: Some("gzip stream") }
        } else if magic.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) || zstd_skippable {
            // The window of a frame is limited to 128 MiB by the library's default.
            let read =
                zstd::Decoder::with_buffer(BufReader::with_capacity(FILE_BUFFER_BYTES, file)).map_err(io_error)?;
            Self { read: Box::new(read), compression: Some("zstd stream") }
        } else {
            Self { read: Box::new(file), compression: None }
        })
    }

    pub(super) fn empty() -> Self {
        Self { read: Box::new(io::empty()), compression: None }
    }

    #[cfg(test)]
    pub(super) fn from_read(read: impl Read + Send + 'static) -> Self {
        Self { read: Box::new(read), compression: None }
    }

    /// Appends until there are `wanted` bytes; whether the stream ended before.
    pub(super) fn read_to(&mut self, wanted: usize, into: &mut Vec<u8>) -> Result<bool, DecodeError> {
        let missing = wanted - into.len();
        let read = (&mut self.read).take(missing as u64).read_to_end(into);
        read.map(|n| n < missing).map_err(|e| self.error(e))
    }

    fn error(&self, e: io::Error) -> DecodeError {
        match self.compression {
            // An error of the operating system comes from the disk, any other from the decompressor.
            Some(what) if e.raw_os_error().is_none() => {
                if e.kind() == io::ErrorKind::UnexpectedEof {
                    DecodeError::Truncated { what, source: Some(e.into()) }
                } else {
                    DecodeError::Corrupt { what, source: Some(e.into()) }
                }
            }
            Some(_) | None => io_error(e),
        }
    }
}

pub(super) fn io_error(source: io::Error) -> DecodeError {
    DecodeError::Io { source }
}

pub(super) fn check_regular(file: &File) -> Result<u64, DecodeError> {
    let meta = file.metadata().map_err(io_error)?;
    if meta.is_file() { Ok(meta.len()) } else { Err(DecodeError::NotAFile) }
}
