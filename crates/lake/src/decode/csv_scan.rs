//! Where CSV records and their fields begin and end: the grammar, without any meaning. Called by the CSV reader.
//!
//! A record ends at a line feed, a carriage return, or both; blank lines are no records. A field that begins with a
//! quote ends at the next quote that is not doubled; a quote elsewhere in a field is a character like any other.

use super::simd;

/// Bytes searched at a time; their marks stay in the nearest cache.
const BLOCK_BYTES: usize = 8 * 1024;

#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    pub(super) delimiter: u8,
    pub(super) quote: u8,
}

/// The content of one field as a range of the scanned bytes, quotes around it left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldAt {
    pub(super) start: u32,
    pub(super) end: u32,
    /// Has doubled quotes.
    pub(super) doubled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    UnclosedQuote,
    TextAfterQuote,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct RecordAt {
    pub(super) start: usize,
    /// Without the terminator.
    pub(super) end: usize,
    /// Fields found, including those beyond what is kept.
    pub(super) fields: usize,
    pub(super) flaw: Option<Flaw>,
}

pub(super) enum Scan {
    Record(RecordAt),
    /// The record beginning at [`Scanner::position`] needs more bytes.
    More,
    /// Nothing but blank lines up to the end of the object.
    End,
}

pub(super) struct Scanner {
    pub(super) dialect: Dialect,
    /// Of the last record, at most `keep` of them.
    pub(super) fields: Vec<FieldAt>,
    keep: usize,
    position: usize,
    marks: Vec<u32>,
    cursor: usize,
    marked_to: usize,
}

impl Scanner {
    pub(super) fn new(dialect: Dialect, keep: usize) -> Self {
        Self { dialect, fields: Vec::new(), keep, position: 0, marks: Vec::new(), cursor: 0, marked_to: 0 }
    }

    pub(super) fn keep(&mut self, fields: usize) {
        self.keep = fields;
    }

    /// Index of the first byte not yet taken.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Starts again at the first byte of what the next call is given.
    pub(super) fn restart(&mut self) {
        self.position = 0;
        self.marks.clear();
        self.cursor = 0;
        self.marked_to = 0;
    }

    /// The next record of `bytes`, which are those of the last call or, after [`Self::restart`], others.
    pub(super) fn next(&mut self, bytes: &[u8], at_end: bool) -> Scan {
        while let Some(b'\n' | b'\r') = bytes.get(self.position) {
            self.next_mark(bytes);
            self.position += 1;
        }
        if self.position == bytes.len() {
            return if at_end { Scan::End } else { Scan::More };
        }
        match self.record(bytes, at_end) {
            Some(record) => {
                // Past the terminator, if there is one.
                self.position = bytes.len().min(record.end + 1);
                Scan::Record(record)
            }
            None => Scan::More,
        }
    }

    fn record(&mut self, bytes: &[u8], at_end: bool) -> Option<RecordAt> {
        self.fields.clear();
        let Dialect { delimiter, quote } = self.dialect;
        let mut record = RecordAt { start: self.position, end: bytes.len(), fields: 0, flaw: None };
        let mut start = self.position;
        loop {
            let Some(at) = self.next_mark(bytes) else {
                if !at_end {
                    return None;
                }
                self.field(&mut record, start, bytes.len(), false);
                return Some(record);
            };
            let byte = bytes[at];
            if byte == delimiter {
                self.field(&mut record, start, at, false);
                start = at + 1;
            } else if byte != quote {
                self.field(&mut record, start, at, false);
                record.end = at;
                return Some(record);
            } else if at == start {
                let (close, doubled) = match self.closing_quote(bytes, at_end) {
                    Quoted::More => return None,
                    Quoted::Unclosed => {
                        record.flaw = Some(Flaw::UnclosedQuote);
                        self.field(&mut record, start, bytes.len(), false);
                        return Some(record);
                    }
                    Quoted::Closed { at, doubled } => (at, doubled),
                };
                let after = bytes.get(close + 1).copied();
                if after.is_some_and(|b| b != delimiter && b != b'\n' && b != b'\r') {
                    record.flaw = Some(Flaw::TextAfterQuote);
                    start += 1;
                    continue;
                }
                self.field(&mut record, start + 1, close, doubled);
                if after.is_some() {
                    self.next_mark(bytes);
                }
                if after != Some(delimiter) {
                    record.end = close + 1;
                    return Some(record);
                }
                start = close + 2;
            }
        }
    }

    /// The quote that ends the field whose opening quote was the last mark.
    fn closing_quote(&mut self, bytes: &[u8], at_end: bool) -> Quoted {
        let mut doubled = false;
        loop {
            let Some(at) = self.next_mark(bytes) else {
                return if at_end { Quoted::Unclosed } else { Quoted::More };
            };
            if bytes[at] != self.dialect.quote {
                continue;
            }
            match bytes.get(at + 1) {
                Some(&next) if next == self.dialect.quote => {
                    self.next_mark(bytes);
                    doubled = true;
                }
                None if !at_end => return Quoted::More,
                Some(_) | None => return Quoted::Closed { at, doubled },
            }
        }
    }

    #[inline(always)]
    fn field(&mut self, record: &mut RecordAt, start: usize, end: usize, doubled: bool) {
        record.fields += 1;
        if record.fields <= self.keep {
            self.fields.push(FieldAt { start: start as u32, end: end as u32, doubled });
        }
    }

    #[inline(always)]
    fn next_mark(&mut self, bytes: &[u8]) -> Option<usize> {
        loop {
            if let Some(&mark) = self.marks.get(self.cursor) {
                self.cursor += 1;
                return Some(mark as usize);
            }
            if self.marked_to == bytes.len() {
                return None;
            }
            self.mark_block(bytes);
        }
    }

    #[inline(never)]
    fn mark_block(&mut self, bytes: &[u8]) {
        self.marks.clear();
        self.cursor = 0;
        let to = bytes.len().min(self.marked_to + BLOCK_BYTES);
        let base = u32::try_from(self.marked_to).expect("a window is smaller than 4 GiB");
        simd::mark_csv(&bytes[self.marked_to..to], base, self.dialect.delimiter, self.dialect.quote, &mut self.marks);
        self.marked_to = to;
    }
}

enum Quoted {
    Closed { at: usize, doubled: bool },
    Unclosed,
    More,
}

/// Finds the end of one record byte by byte, keeping nothing: for records too long to be held.
pub(super) struct Skipper {
    dialect: Dialect,
    state: Skip,
}

#[derive(Clone, Copy)]
enum Skip {
    FieldStart,
    Plain,
    Quoted,
    QuoteInQuoted,
}

impl Skipper {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self { dialect, state: Skip::FieldStart }
    }

    /// Index of the record's terminator in `bytes`, the next of its bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let Dialect { delimiter, quote } = self.dialect;
        for (at, &b) in bytes.iter().enumerate() {
            self.state = match self.state {
                Skip::Quoted if b == quote => Skip::QuoteInQuoted,
                Skip::Quoted => Skip::Quoted,
                Skip::FieldStart | Skip::QuoteInQuoted if b == quote => Skip::Quoted,
                Skip::FieldStart | Skip::Plain | Skip::QuoteInQuoted if b == delimiter => Skip::FieldStart,
                Skip::FieldStart | Skip::Plain | Skip::QuoteInQuoted if b == b'\n' || b == b'\r' => return Some(at),
                Skip::FieldStart | Skip::Plain | Skip::QuoteInQuoted => Skip::Plain,
            };
        }
        None
    }
}
