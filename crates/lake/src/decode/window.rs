//! A sliding window over the decompressed bytes: the record being read is always contiguous in it. Its size follows the
//! longest record, which the readers on top of it limit.

use super::{error::DecodeError, source::Source};

const CHUNK_BYTES: usize = 256 * 1024;
/// A buffer that grew for one long record is given back when it is this many times larger than needed.
const SHRINK_FACTOR: usize = 8;

pub(super) struct Window {
    source: Source,
    buf: Vec<u8>,
    start: usize,
    end: usize,
    /// Offset of `buf[start]` in the decompressed object.
    offset: u64,
    at_end: bool,
}

impl Window {
    /// Skips a UTF-8 byte order mark and refuses any other.
    pub(super) fn open(source: Source) -> Result<Self, DecodeError> {
        let mut window = Self { source, buf: Vec::new(), start: 0, end: 0, offset: 0, at_end: false };
        window.fill()?;
        let bytes = window.bytes();
        // The longer marks first: the mark of UTF-32 begins with the one of UTF-16.
        let encoding = match bytes {
            [0xFF, 0xFE, 0, 0, ..] | [0, 0, 0xFE, 0xFF, ..] => Some("UTF-32"),
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => Some("UTF-16"),
            _ => None,
        };
        if let Some(encoding) = encoding {
            return Err(DecodeError::Encoding { encoding });
        }
        if bytes.starts_with(&[0xEF, 0xBB, 0xBF]) {
            window.consume(3);
        }
        Ok(window)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// Offset of the first byte of [`Self::bytes`] in the decompressed object.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether [`Self::bytes`] reaches to the end of the object.
    pub(super) fn at_end(&self) -> bool {
        self.at_end
    }

    pub(super) fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.end - self.start);
        self.start += n;
        self.offset += n as u64;
    }

    /// Reads until the window has at least doubled or the object ends, so that a reader which starts its record again
    /// after each call still takes time in proportion to the record.
    pub(super) fn fill(&mut self) -> Result<(), DecodeError> {
        let held = self.end - self.start;
        self.fill_to(held + held.max(CHUNK_BYTES))
    }

    /// Reads until the window has `wanted` bytes or the object ends.
    pub(super) fn fill_to(&mut self, wanted: usize) -> Result<(), DecodeError> {
        self.buf.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let wanted = wanted.max(self.end);
        if self.buf.len() > wanted * SHRINK_FACTOR {
            self.buf.truncate(wanted);
            self.buf.shrink_to_fit();
        } else if self.buf.len() < wanted {
            self.buf.reserve_exact(wanted - self.buf.len());
            self.buf.resize(wanted, 0);
        }
        while self.end < wanted && !self.at_end {
            let n = self.source.read(&mut self.buf[self.end..wanted])?;
            self.at_end = n == 0;
            self.end += n;
        }
        Ok(())
    }

    /// Holds these bytes, and no others after them, as those at `offset` of the object; gives its buffer in return.
    pub(super) fn load(&mut self, bytes: &mut Vec<u8>, offset: u64) {
        std::mem::swap(&mut self.buf, bytes);
        (self.start, self.end) = (0, self.buf.len());
        self.offset = offset;
        self.at_end = true;
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buf.capacity()
    }
}
