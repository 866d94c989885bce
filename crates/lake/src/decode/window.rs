//! A sliding window over the decompressed bytes: the record being read is always contiguous in it. Its size follows the
//! longest record, which the readers on top of it limit.

use super::{error::DecodeError, source::Source};

const CHUNK_BYTES: usize = 256 * 1024;
/// A buffer that grew for one long record is given back when it is this many times larger than needed.
const SHRINK_FACTOR: usize = 8;

pub(super) struct Window {
    source: Source,
    /// What was read; the first `start` bytes of it are consumed.
    buf: Vec<u8>,
    start: usize,
    /// Offset of `buf[start]` in the decompressed object.
    offset: u64,
    at_end: bool,
}

impl Window {
    /// Skips a UTF-8 byte order mark and refuses any other.
    pub(super) fn open(source: Source) -> Result<Self, DecodeError> {
        let mut window = Self { source, buf: Vec::new(), start: 0, offset: 0, at_end: false };
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
        &self.buf[self.start..]
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
        debug_assert!(n <= self.bytes().len());
        self.start += n;
        self.offset += n as u64;
    }

    /// Reads until the window has at least doubled or the object ends, so that a reader which starts its record again
    /// after each call still takes time in proportion to the record.
    pub(super) fn fill(&mut self) -> Result<(), DecodeError> {
        let held = self.bytes().len();
        self.fill_to(held + held.max(CHUNK_BYTES))
    }

    /// Reads until the window has `wanted` bytes or the object ends.
    pub(super) fn fill_to(&mut self, wanted: usize) -> Result<(), DecodeError> {
        self.buf.drain(..self.start);
        self.start = 0;
        let wanted = wanted.max(self.buf.len());
        if self.buf.capacity() > wanted * SHRINK_FACTOR {
            self.buf.shrink_to(wanted);
        }
        self.buf.reserve_exact(wanted - self.buf.len());
        self.at_end |= self.source.read_to(wanted, &mut self.buf)?;
        Ok(())
    }

    /// Gives out its first `n` bytes in its own buffer, and goes on in the other one.
    pub(super) fn give(&mut self, n: usize, into: &mut Vec<u8>) {
        self.buf.drain(..self.start);
        self.start = 0;
        into.clear();
        into.extend_from_slice(&self.buf[n..]);
        self.buf.truncate(n);
        self.offset += n as u64;
        std::mem::swap(&mut self.buf, into);
    }

    /// Holds these bytes, and no others after them, as those at `offset` of the object; gives its buffer in return.
    pub(super) fn load(&mut self, bytes: &mut Vec<u8>, offset: u64) {
        std::mem::swap(&mut self.buf, bytes);
        self.start = 0;
        self.offset = offset;
        self.at_end = true;
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buf.capacity()
    }
}
