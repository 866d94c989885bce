//! CSV and TSV to rows of text. Called by the decoder; the grammar is in `csv_scan`.
//!
//! An empty field is the empty text, quoted or not. Fields of the file outside the expected columns go to `_rescued`.

use super::{
    csv_scan::{Dialect, FieldAt, Flaw, RecordAt, Scan, Scanner, Skipper},
    decoder::{Decoded, Options},
    drift::Drift,
    error::DecodeError,
    json_text,
    malformed::{Defect, MalformedReason, RAW_LIMIT_BYTES},
    names::{self, COLUMNS_LIMIT},
    rows::{RECORD_LIMIT_BYTES, Rows},
    source::Source,
    window::Window,
};
use alluvium_spec::Format;
use arrow::datatypes::SchemaRef;
use hashbrown::HashMap;

pub(super) struct Csv {
    window: Window,
    scanner: Scanner,
    rows: Rows,
    record_limit_bytes: u64,
    /// What becomes of each field of the file.
    targets: Vec<Target>,
    /// Expected columns that the file lacks.
    absent: Vec<usize>,
    /// `targets` has a rescue.
    rescues: bool,
    /// How many names of rescued fields are beyond those that the drift lists.
    unlisted: u64,
    drift: Drift,
}

enum Target {
    Column(usize),
    /// The key in `_rescued` as JSON, colon included.
    Rescue(Vec<u8>),
}

impl Target {
    fn column(&self) -> Option<usize> {
        match self {
            Self::Column(column) => Some(*column),
            Self::Rescue(_) => None,
        }
    }
}

/// The names of the file's columns.
pub(super) fn discover(source: Source, o: &Options<'_>) -> Result<Vec<String>, DecodeError> {
    let mut window = Window::open(source)?;
    let mut scanner = Scanner::new(dialect(o)?, COLUMNS_LIMIT);
    Ok(names::unique(received_names(&mut window, &mut scanner, o)?).0)
}

impl Csv {
    pub(super) fn open(source: Source, o: &Options<'_>, columns: &SchemaRef) -> Result<Self, DecodeError> {
        let mut window = Window::open(source)?;
        let mut scanner = Scanner::new(dialect(o)?, COLUMNS_LIMIT);
        let (names, renamed) = names::unique(received_names(&mut window, &mut scanner, o)?);
        scanner.keep(names.len());
        let mut drift = Drift::default();
        drift.rename(renamed);
        let mut open: HashMap<&str, usize> =
            columns.fields().iter().enumerate().map(|(i, f)| (f.name().as_str(), i)).collect();
        let mut targets = Vec::with_capacity(names.len());
        for name in &names {
            targets.push(match open.remove(name.as_str()) {
                Some(column) => Target::Column(column),
                None => Target::Rescue(json_text::key(name)),
            });
        }
        if o.any_case {
            for (name, target) in names.iter().zip(&mut targets).filter(|(_, t)| matches!(t, Target::Rescue(_))) {
                let Some(column) = names::in_other_letters(name, open.keys().copied()) else { continue };
                drift.recase(name, column, 0);
                let column = open.remove(column).expect("it was among them");
                *target = Target::Column(column);
            }
        }
        drift.order(targets.iter().filter_map(Target::column), |c| columns.field(c).name().as_str());
        let mut absent: Vec<usize> = open.into_values().collect();
        absent.sort_unstable();
        if !names.is_empty() {
            drift.set_missing(absent.iter().map(|&i| columns.field(i).name().as_str()));
        }
        for (name, target) in names.iter().zip(&targets) {
            if let Target::Rescue(_) = target {
                drift.new_field(name, 0);
            }
        }
        let rescued = targets.iter().filter(|t| matches!(t, Target::Rescue(_))).count();
        let unlisted = (rescued - drift.new_fields.len()) as u64;
        let rows = Rows::new(columns, o.batch_rows)?;
        let record_limit_bytes = o.max_record_bytes.min(RECORD_LIMIT_BYTES);
        let rescues = rescued > 0;
        Ok(Self { window, scanner, rows, record_limit_bytes, targets, absent, rescues, unlisted, drift })
    }

    pub(super) fn drift(&self) -> &Drift {
        &self.drift
    }

    pub(super) fn next(&mut self) -> Result<Option<Decoded>, DecodeError> {
        while !self.rows.is_full() {
            match self.scanner.next(self.window.bytes(), self.window.at_end()) {
                Scan::Record(record) => self.take(record),
                Scan::End => break,
                Scan::More => {
                    self.window.consume(self.scanner.position());
                    self.scanner.restart();
                    if self.window.bytes().len() as u64 > self.record_limit_bytes {
                        self.skip_record()?;
                    } else {
                        self.window.fill()?;
                    }
                }
            }
        }
        let decoded = self.rows.finish()?;
        if let Some(d) = &decoded {
            let records = d.batch.num_rows() as u64;
            self.drift.recased.values_mut().for_each(|(_, n)| *n += records);
            if self.rescues {
                self.drift.every_record_had_new_fields(records, self.unlisted);
            }
        }
        Ok(decoded)
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.window.capacity()
    }

    fn take(&mut self, record: RecordAt) {
        let bytes = self.window.bytes();
        let raw = &bytes[record.start..record.end];
        if let Some(defect) = self.defect(record, raw) {
            self.rows.reject(defect, self.window.offset() + record.start as u64, raw.len() as u64, raw);
            return;
        }
        let quote = self.scanner.dialect.quote;
        for (target, field) in self.targets.iter().zip(&self.scanner.fields) {
            if let Target::Column(column) = target {
                let text = &bytes[field.start as usize..field.end as usize];
                let column = &mut self.rows.columns[*column];
                if field.doubled {
                    column.push_with(|values| undouble(text, quote, values));
                } else {
                    column.push(text);
                }
            }
        }
        for &column in &self.absent {
            self.rows.columns[column].push_null();
        }
        if self.rescues {
            let targets = self.targets.iter().zip(&self.scanner.fields);
            self.rows.rescued.push_with(|out| rescue(bytes, targets, quote, out));
        } else {
            self.rows.rescued.push_null();
        }
        self.rows.commit(raw.len());
    }

    fn defect(&self, record: RecordAt, raw: &[u8]) -> Option<Defect> {
        if raw.len() as u64 > self.record_limit_bytes {
            return Some(Defect::too_long(raw.len() as u64, self.record_limit_bytes));
        }
        match record.flaw {
            Some(Flaw::UnclosedQuote) => {
                return Some(Defect::new(MalformedReason::Syntax, "a quoted field is not closed before the end"));
            }
            Some(Flaw::TextAfterQuote) => {
                return Some(Defect::new(MalformedReason::Syntax, "text follows the closing quote of a field"));
            }
            None => {}
        }
        if record.fields != self.targets.len() {
            let message = format!("{} fields, where the header has {}", record.fields, self.targets.len());
            return Some(Defect::new(MalformedReason::Fields, message));
        }
        simdutf8::basic::from_utf8(raw)
            .is_err()
            .then(|| Defect::new(MalformedReason::Encoding, "the record is not valid UTF-8"))
    }

    /// Reads over the record at the window's start, which is too long to be held.
    fn skip_record(&mut self) -> Result<(), DecodeError> {
        let offset = self.window.offset();
        let mut skipper = Skipper::new(self.scanner.dialect);
        let mut head: Vec<u8> = Vec::new();
        let length = loop {
            let bytes = self.window.bytes();
            let end = skipper.feed(bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            head.extend_from_slice(&part[..part.len().min(RAW_LIMIT_BYTES - head.len())]);
            let taken = part.len();
            self.window.consume(taken);
            if end.is_some() || self.window.at_end() {
                break self.window.offset() - offset;
            }
            self.window.fill()?;
        };
        self.rows.reject(Defect::too_long(length, self.record_limit_bytes), offset, length, &head);
        Ok(())
    }
}

fn rescue<'t>(bytes: &[u8], fields: impl Iterator<Item = (&'t Target, &'t FieldAt)>, quote: u8, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut first = true;
    for (target, field) in fields {
        let Target::Rescue(key) = target else { continue };
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        out.extend_from_slice(key);
        let text = &bytes[field.start as usize..field.end as usize];
        if field.doubled {
            let mut plain = Vec::with_capacity(text.len());
            undouble(text, quote, &mut plain);
            json_text::string(&plain, out);
        } else {
            json_text::string(text, out);
        }
    }
    out.push(b'}');
}

/// Appends `text` with every doubled quote made one.
fn undouble(text: &[u8], quote: u8, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(quote, rest) {
        out.extend_from_slice(&rest[..=at]);
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

fn dialect(o: &Options<'_>) -> Result<Dialect, DecodeError> {
    let delimiter = o.csv.delimiter.unwrap_or(if o.format == Format::Tsv { b'\t' } else { b',' });
    let quote = o.csv.quote;
    let reason = if !delimiter.is_ascii() || !quote.is_ascii() {
        "the delimiter and the quote must be ASCII characters"
    } else if [delimiter, quote].iter().any(|b| matches!(b, b'\n' | b'\r')) {
        "a line break cannot be the delimiter or the quote"
    } else if delimiter == quote {
        "the delimiter and the quote must differ"
    } else {
        return Ok(Dialect { delimiter, quote });
    };
    Err(DecodeError::Options { reason })
}

/// The names as the options or the header give them, which this reads; none for an empty object.
fn received_names(window: &mut Window, scanner: &mut Scanner, o: &Options<'_>) -> Result<Vec<String>, DecodeError> {
    if let Some(names) = &o.csv.columns {
        return limited(names.len()).map(|()| names.clone());
    }
    let header = |reason| DecodeError::Header { reason };
    let limit = usize::try_from(o.max_record_bytes.min(RECORD_LIMIT_BYTES)).expect("below 2^32");
    let record = loop {
        match scanner.next(window.bytes(), window.at_end()) {
            Scan::Record(record) => break record,
            Scan::End => return Ok(Vec::new()),
            Scan::More => {
                window.consume(scanner.position());
                scanner.restart();
                if window.bytes().len() > limit {
                    return Err(header("it is longer than a record may be"));
                }
                window.fill()?;
            }
        }
    };
    if record.end - record.start > limit {
        return Err(header("it is longer than a record may be"));
    }
    match record.flaw {
        Some(Flaw::UnclosedQuote) => return Err(header("a quoted name is not closed")),
        Some(Flaw::TextAfterQuote) => return Err(header("text follows the closing quote of a name")),
        None => limited(record.fields)?,
    }
    let bytes = window.bytes();
    let mut names = Vec::with_capacity(scanner.fields.len());
    for field in &scanner.fields {
        let mut name = Vec::new();
        let text = &bytes[field.start as usize..field.end as usize];
        if field.doubled {
            undouble(text, scanner.dialect.quote, &mut name)
        } else {
            name.extend_from_slice(text)
        }
        names.push(String::from_utf8(name).map_err(|_| header("it is not valid UTF-8"))?);
    }
    Ok(names)
}

fn limited(columns: usize) -> Result<(), DecodeError> {
    if columns > COLUMNS_LIMIT { Err(DecodeError::TooWide { columns, limit: COLUMNS_LIMIT }) } else { Ok(()) }
}
