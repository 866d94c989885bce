//! The lines of a text object, each contiguous, in bounded memory. Called by the NDJSON reader.

use super::{error::DecodeError, malformed::RAW_LIMIT_BYTES, window::Window};

pub(super) struct Lines {
    window: Window,
    /// Bytes of the window already given out.
    taken: usize,
    limit_bytes: u64,
}

pub(super) enum Line<'w> {
    /// Without its terminator, a line feed with or without a carriage return before it.
    Whole {
        offset: u64,
        bytes: &'w [u8],
    },
    /// Longer than the limit, read over.
    TooLong(LongLine),
    End,
}

/// A line that is no record for its length. `head` is its beginning.
pub(super) struct LongLine {
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) head: Vec<u8>,
}

impl Lines {
    pub(super) fn new(window: Window, limit_bytes: u64) -> Self {
        Self { window, taken: 0, limit_bytes }
    }

    pub(super) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<Line<'_>, DecodeError> {
        let (start, end) = loop {
            let rest = &self.window.bytes()[self.taken..];
            if let Some(at) = memchr::memchr(b'\n', rest) {
                let start = self.taken;
                self.taken += at + 1;
                break (start, start + at);
            }
            if self.window.at_end() {
                if rest.is_empty() {
                    return Ok(Line::End);
                }
                let start = self.taken;
                self.taken += rest.len();
                break (start, self.taken);
            }
            // One byte more may be the carriage return of the terminator.
            if rest.len() as u64 > self.limit_bytes + 1 {
                return self.skip().map(Line::TooLong);
            }
            self.window.consume(self.taken);
            self.taken = 0;
            self.window.fill()?;
        };
        let line = &self.window.bytes()[start..end];
        let bytes = line.strip_suffix(b"\r").unwrap_or(line);
        let offset = self.window.offset() + start as u64;
        let length = bytes.len() as u64;
        if length > self.limit_bytes {
            let head = bytes[..bytes.len().min(RAW_LIMIT_BYTES)].to_vec();
            return Ok(Line::TooLong(LongLine { offset, length, head }));
        }
        Ok(Line::Whole { offset, bytes })
    }

    /// The next lines, as many as make about `wanted` bytes and at least one, and the offset of the first.
    /// There are none at the end of the object. `None` where the next line is too long to be held: it has to be
    /// skipped.
    pub(super) fn take_whole(&mut self, wanted: usize, into: &mut Vec<u8>) -> Result<Option<u64>, DecodeError> {
        self.window.consume(self.taken);
        self.taken = 0;
        self.window.fill_to(wanted)?;
        loop {
            let (bytes, at_end) = (self.window.bytes(), self.window.at_end());
            let near = bytes.len().min(wanted);
            let last = || memchr::memrchr(b'\n', &bytes[..near]);
            let next = || memchr::memchr(b'\n', &bytes[near..]).map(|at| near + at);
            let whole = match last().or_else(next) {
                Some(at) if !at_end || bytes.len() > wanted => Some(at + 1),
                Some(_) | None => at_end.then_some(bytes.len()),
            };
            if let Some(whole) = whole {
                let offset = self.window.offset();
                self.window.give(whole, into);
                return Ok(Some(offset));
            }
            if bytes.len() as u64 > self.limit_bytes + 1 {
                return Ok(None);
            }
            self.window.fill()?;
        }
    }

    /// Gives out these lines next, as those at `offset` of the object, and its own buffer in return.
    pub(super) fn load(&mut self, bytes: &mut Vec<u8>, offset: u64) {
        self.taken = 0;
        self.window.load(bytes, offset);
    }

    /// Reads over the line at `taken`, which is not complete in the window and already too long.
    pub(super) fn skip(&mut self) -> Result<LongLine, DecodeError> {
        self.window.consume(self.taken);
        self.taken = 0;
        let offset = self.window.offset();
        let mut head: Vec<u8> = Vec::new();
        let mut last = None;
        loop {
            let bytes = self.window.bytes();
            let end = memchr::memchr(b'\n', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            head.extend_from_slice(&part[..part.len().min(RAW_LIMIT_BYTES - head.len())]);
            last = part.last().copied().or(last);
            let taken = part.len();
            self.window.consume(taken);
            if end.is_some() || self.window.at_end() {
                break;
            }
            self.window.fill()?;
        }
        let length = self.window.offset() - offset - u64::from(last == Some(b'\r'));
        // The terminator itself.
        self.taken = self.window.bytes().len().min(1);
        head.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(LongLine { offset, length, head })
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.window.capacity()
    }
}
