//! NDJSON to rows of text: one object a line, its members matched to the expected columns. Called by the decoder. What a
//! text column cannot represent without doubt is kept in `_rescued`, by the rules in the module's documentation.

use super::{
    decoder::{Decoded, Options},
    drift::{Drift, Rescues},
    error::DecodeError,
    json_scan::{self, DEPTH_LIMIT, Flaw, Key, Kind, Members, Value},
    json_text,
    lines::{Line, Lines, LongLine},
    malformed::{Defect, MalformedReason},
    names,
    pieces::Piece,
    rows::{RECORD_LIMIT_BYTES, Rows},
    source::Source,
    window::Window,
};
use arrow::{
    array::{Array, RecordBatch},
    datatypes::SchemaRef,
};
use hashbrown::{HashMap, HashSet};
use std::{borrow::Cow, ops::Range};

/// How far names are looked for.
const DISCOVER_RECORDS: usize = 1_000;
const DISCOVER_BYTES: u64 = 1024 * 1024;
const DISCOVER_NAMES: usize = 1_000;
/// More members than this outside the columns of one object are no record.
const MEMBERS_LIMIT: usize = 100_000;

/// The keys of the first records that can be columns, in the order of their first appearance.
pub(super) fn discover(source: Source, o: &Options<'_>) -> Result<Vec<String>, DecodeError> {
    let mut lines = lines(source, o)?;
    let mut taken: HashSet<String> = HashSet::new();
    let mut names = Vec::new();
    for _ in 0..DISCOVER_RECORDS {
        match lines.next()? {
            Line::Whole { offset, bytes } if offset <= DISCOVER_BYTES => {
                for name in keys(bytes).unwrap_or_default() {
                    if names.len() < DISCOVER_NAMES && names::holdable(&name) && taken.insert(name.to_lowercase()) {
                        names.push(name);
                    }
                }
            }
            Line::Whole { .. } | Line::TooLong(_) | Line::End => break,
        }
    }
    Ok(names)
}

pub(super) fn lines(source: Source, o: &Options<'_>) -> Result<Lines, DecodeError> {
    Ok(Lines::new(Window::open(source)?, o.max_record_bytes.min(RECORD_LIMIT_BYTES)))
}

/// Records in these whole lines, malformed ones counted too, as the reader counts them.
pub(super) fn records(lines: &[u8], limit_bytes: u64) -> u64 {
    let (mut count, mut start) = (0, 0);
    while start < lines.len() {
        let end = memchr::memchr(b'\n', &lines[start..]).map_or(lines.len(), |at| start + at);
        let line = &lines[start..end];
        // The first byte tells of nearly every line.
        let blank = || is_blank(line) && line.strip_suffix(b"\r").unwrap_or(line).len() as u64 <= limit_bytes;
        count += u64::from(line.first() == Some(&b'{') || !blank());
        start = end + 1;
    }
    count
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|b| b" \t\r".contains(b))
}

/// The keys of a line; `None` where it is no good record.
fn keys(line: &[u8]) -> Option<Vec<String>> {
    simdutf8::basic::from_utf8(line).ok()?;
    let mut keys = Vec::new();
    let mut members = Members::open(line)?;
    while let Key::Other { content, .. } = members.key(b"").ok()? {
        members.value().ok()?;
        keys.push(String::from_utf8(json_scan::unescape(&line[content]).into_owned()).ok()?);
    }
    members.close().ok()?;
    Some(keys)
}

pub(super) struct Ndjson {
    lines: Lines,
    reader: Reader,
}

impl Ndjson {
    pub(super) fn open(source: Source, o: &Options<'_>, columns: &SchemaRef) -> Result<Self, DecodeError> {
        Ok(Self { lines: lines(source, o)?, reader: Reader::new(columns, o)? })
    }

    pub(super) fn drift(&self) -> &Drift {
        &self.reader.drift
    }

    /// Goes on with this piece of the object, after the last record of another.
    pub(super) fn load(&mut self, piece: &mut Piece) {
        self.reader.rows.seek(piece.position);
        self.lines.load(&mut piece.bytes, piece.offset);
        if let Some(line) = piece.too_long.take() {
            self.reader.too_long(&line, self.lines.limit_bytes());
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Decoded>, DecodeError> {
        while !self.reader.rows.is_full() {
            let limit = self.lines.limit_bytes();
            match self.lines.next()? {
                Line::End => break,
                Line::TooLong(line) => self.reader.too_long(&line, limit),
                Line::Whole { offset, bytes } => {
                    if let Err(defect) = self.reader.line(bytes) {
                        self.reader.rows.rollback();
                        self.reader.rows.reject(defect, offset, bytes.len() as u64, bytes);
                    }
                }
            }
        }
        let decoded = self.reader.rows.finish()?;
        if let Some(d) = &decoded {
            self.reader.count_drift(&d.batch);
        }
        Ok(decoded)
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.lines.capacity()
    }
}

struct Reader {
    rows: Rows,
    columns: Vec<ColumnKey>,
    by_name: HashMap<String, usize>,
    /// By the name in lower case, where other letters name the same column.
    by_lower: HashMap<String, usize>,
    /// Fields of the current line that were taken for columns in other letters.
    recased: Vec<(String, usize)>,
    /// For each column, and for the object's start in the last place: the column that followed it last time.
    follows: Vec<Option<usize>>,
    /// Stamps a line, so that a column met in it can be told.
    stamp: u64,
    /// Members of the current line for `_rescued`.
    rescue: Vec<Rescue>,
    drift: Drift,
}

struct ColumnKey {
    name: String,
    /// The name as it stands in a line, empty where that can differ.
    guess: Vec<u8>,
    met: u64,
    /// Some row of the object had it.
    found: bool,
    rescues: Rescues,
}

struct Rescue {
    key: RescueKey,
    value: Value,
}

enum RescueKey {
    Column(usize),
    /// Place of the key's content.
    Unknown {
        content: Range<usize>,
        escaped: bool,
    },
}

#[derive(PartialEq, Eq)]
enum Keys {
    Unique,
    Repeated,
}

impl Reader {
    fn new(columns: &SchemaRef, o: &Options<'_>) -> Result<Self, DecodeError> {
        let plain = |name: &str| !name.bytes().any(|b| b == b'"' || b == b'\\' || b < 0x20);
        let column = |name: &str| ColumnKey {
            name: name.to_owned(),
            guess: if plain(name) { name.as_bytes().to_vec() } else { Vec::new() },
            met: 0,
            found: false,
            rescues: Rescues::default(),
        };
        Ok(Self {
            rows: Rows::new(columns, o.batch_rows)?,
            columns: columns.fields().iter().map(|f| column(f.name())).collect(),
            by_name: columns.fields().iter().enumerate().map(|(i, f)| (f.name().clone(), i)).collect(),
            by_lower: match o.any_case {
                true => columns.fields().iter().enumerate().map(|(i, f)| (f.name().to_lowercase(), i)).collect(),
                false => HashMap::new(),
            },
            recased: Vec::new(),
            follows: vec![None; columns.fields().len() + 1],
            stamp: 0,
            rescue: Vec::new(),
            drift: Drift::default(),
        })
    }

    fn too_long(&mut self, line: &LongLine, limit: u64) {
        self.rows.reject(Defect::too_long(line.length, limit), line.offset, line.length, &line.head);
    }

    /// A line becomes a row, or nothing where it is blank. After an error the row may be half written.
    fn line(&mut self, line: &[u8]) -> Result<(), Defect> {
        if simdutf8::basic::from_utf8(line).is_err() {
            return Err(Defect::new(MalformedReason::Encoding, "the line is not valid UTF-8"));
        }
        let Some(members) = Members::open(line) else {
            return if is_blank(line) { Ok(()) } else { Err(no_object(line)) };
        };
        if self.members(members, line).map_err(defect)? == Keys::Repeated {
            self.rows.rollback();
            self.repeated_members(line).map_err(defect)?;
        }
        self.rows.commit(line.len());
        Ok(())
    }

    /// The usual line, in one pass. Gives up where a key is repeated.
    #[inline(always)]
    fn members(&mut self, mut members: Members<'_>, line: &[u8]) -> Result<Keys, Flaw> {
        self.stamp += 1;
        self.rescue.clear();
        self.recased.clear();
        let (mut previous, mut met) = (self.columns.len(), 0);
        loop {
            let guess = self.follows[previous];
            let column = match members.key(guess.map_or(&[], |c| self.columns[c].guess.as_slice()))? {
                Key::End => break,
                Key::Guessed => guess.expect("a key is only guessed where there is a guess"),
                Key::Other { content, escaped } => {
                    let name = text(line, content.clone(), escaped);
                    let Some(column) = self.lookup(&name).or_else(|| self.lookup_in_other_letters(&name)) else {
                        let value = members.value()?;
                        self.rescue.push(Rescue { key: RescueKey::Unknown { content, escaped }, value });
                        if self.rescue.len() > MEMBERS_LIMIT {
                            return Err(Flaw::TooManyMembers);
                        }
                        continue;
                    };
                    self.follows[previous] = Some(column);
                    column
                }
            };
            let value = members.value()?;
            if self.columns[column].met == self.stamp {
                return Ok(Keys::Repeated);
            }
            met += 1;
            previous = column;
            self.column_value(column, value, line);
        }
        members.close()?;
        if self.rescue.len() > 1 && self.unknown_repeated(line) {
            return Ok(Keys::Repeated);
        }
        if met < self.columns.len() {
            self.fill_unmet();
        }
        self.write_rescued(line, &[]);
        self.count_recased();
        Ok(Keys::Unique)
    }

    fn lookup(&self, name: &[u8]) -> Option<usize> {
        self.by_name.get(std::str::from_utf8(name).ok()?).copied()
    }

    fn lookup_in_other_letters(&mut self, name: &[u8]) -> Option<usize> {
        if self.by_lower.is_empty() {
            return None;
        }
        let name = std::str::from_utf8(name).ok()?;
        let column = self.by_lower.get(&name.to_lowercase()).copied()?;
        self.recased.push((name.to_owned(), column));
        Some(column)
    }

    /// Counts the fields of the line that were taken for columns in other letters.
    fn count_recased(&mut self) {
        for (name, column) in self.recased.drain(..) {
            self.drift.recase(&name, &self.columns[column].name, 1);
        }
    }

    #[inline(always)]
    fn column_value(&mut self, column: usize, value: Value, line: &[u8]) {
        self.columns[column].met = self.stamp;
        let values = &mut self.rows.columns[column];
        let rescue = match value.kind {
            Kind::Other => {
                values.push(value.raw(line));
                false
            }
            Kind::String { escaped: false } => {
                values.push(value.content(line));
                json_scan::reads_as_other_value(value.content(line))
            }
            Kind::String { escaped: true } => {
                let text = json_scan::unescape(value.content(line));
                values.push(&text);
                json_scan::reads_as_other_value(&text)
            }
            Kind::Null => {
                values.push_null();
                true
            }
        };
        if rescue {
            self.rescue.push(Rescue { key: RescueKey::Column(column), value });
        }
    }

    fn unknown_repeated(&self, line: &[u8]) -> bool {
        let mut keys: Vec<Cow<'_, [u8]>> = Vec::with_capacity(self.rescue.len());
        for rescue in &self.rescue {
            if let RescueKey::Unknown { content, escaped } = &rescue.key {
                keys.push(text(line, content.clone(), *escaped));
            }
        }
        keys.sort_unstable();
        keys.windows(2).any(|pair| pair[0] == pair[1])
    }

    fn fill_unmet(&mut self) {
        for (key, values) in self.columns.iter().zip(&mut self.rows.columns) {
            if key.met != self.stamp {
                values.push_null();
            }
        }
    }

    /// A line in which a key is repeated: the last value counts, the earlier ones are rescued.
    #[cold]
    fn repeated_members(&mut self, line: &[u8]) -> Result<(), Flaw> {
        self.stamp += 1;
        self.rescue.clear();
        let mut members = Members::open(line).expect("the line was opened before");
        let mut found: Vec<(RescueKey, Value)> = Vec::new();
        let mut last: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut earlier: Vec<(usize, Vec<Value>)> = Vec::new();
        let mut earlier_of: HashMap<usize, usize> = HashMap::new();
        let mut count = 0;
        while let Key::Other { content, escaped } = members.key(&[])? {
            let value = members.value()?;
            count += 1;
            if count > MEMBERS_LIMIT {
                return Err(Flaw::TooManyMembers);
            }
            let name = text(line, content.clone(), escaped).into_owned();
            if let Some(&i) = last.get(&name) {
                let list = *earlier_of.entry(i).or_insert(earlier.len());
                if list == earlier.len() {
                    earlier.push((i, Vec::new()));
                }
                earlier[list].1.push(std::mem::replace(&mut found[i].1, value));
                continue;
            }
            let key = match self.lookup(&name) {
                Some(column) => RescueKey::Column(column),
                None => RescueKey::Unknown { content, escaped },
            };
            last.insert(name, found.len());
            found.push((key, value));
        }
        members.close()?;
        self.take_other_letters(&mut found, line);
        let mut duplicates = Vec::with_capacity(earlier.len());
        for (i, values) in earlier {
            if let RescueKey::Column(column) = found[i].0 {
                self.columns[column].rescues.duplicates += 1;
            }
            duplicates.push((self.json_key(&found[i].0, line, false), values));
        }
        for (key, value) in found {
            match key {
                RescueKey::Column(column) => self.column_value(column, value, line),
                RescueKey::Unknown { .. } => self.rescue.push(Rescue { key, value }),
            }
        }
        self.fill_unmet();
        self.write_rescued(line, &duplicates);
        self.count_recased();
        Ok(())
    }

    /// Of the members of a line, those that name a column in other letters, unless the line has the column itself.
    fn take_other_letters(&mut self, found: &mut [(RescueKey, Value)], line: &[u8]) {
        if self.by_lower.is_empty() {
            return;
        }
        let own = found.iter().filter_map(|(key, _)| if let RescueKey::Column(c) = key { Some(*c) } else { None });
        let mut taken: HashSet<usize> = own.collect();
        self.recased.clear();
        for (key, _) in found {
            let RescueKey::Unknown { content, escaped } = key else { continue };
            let name = String::from_utf8_lossy(&text(line, content.clone(), *escaped)).into_owned();
            if let Some(column) = self.by_lower.get(&name.to_lowercase()).copied().filter(|c| taken.insert(*c)) {
                self.recased.push((name, column));
                *key = RescueKey::Column(column);
            }
        }
    }

    /// The key as JSON with its colon; in the top level of `_rescued` moved out of the way of `_duplicates`.
    fn json_key(&self, key: &RescueKey, line: &[u8], top_level: bool) -> Vec<u8> {
        let name = match key {
            RescueKey::Column(column) => Cow::Borrowed(self.columns[*column].name.as_bytes()),
            RescueKey::Unknown { content, escaped } => text(line, content.clone(), *escaped),
        };
        let mut out = Vec::with_capacity(name.len() + 4);
        if top_level && is_duplicates_key(&name) {
            json_text::string(&[b"_", &*name].concat(), &mut out);
        } else {
            json_text::string(&name, &mut out);
        }
        out.push(b':');
        out
    }

    /// Ends the row with its `_rescued`, and counts what is in it.
    #[inline(always)]
    fn write_rescued(&mut self, line: &[u8], duplicates: &[(Vec<u8>, Vec<Value>)]) {
        if self.rescue.is_empty() && duplicates.is_empty() {
            self.rows.rescued.push_null();
        } else {
            self.write_some_rescued(line, duplicates);
        }
    }

    #[inline(never)]
    fn write_some_rescued(&mut self, line: &[u8], duplicates: &[(Vec<u8>, Vec<Value>)]) {
        let mut out = vec![b'{'];
        for rescue in &self.rescue {
            out.extend_from_slice(&self.json_key(&rescue.key, line, true));
            out.extend_from_slice(rescue.value.raw(line));
            out.push(b',');
        }
        if !duplicates.is_empty() {
            out.extend_from_slice(b"\"_duplicates\":{");
            for (key, values) in duplicates {
                out.extend_from_slice(key);
                out.push(b'[');
                for value in values {
                    out.extend_from_slice(value.raw(line));
                    out.push(b',');
                }
                close(&mut out, b']');
                out.push(b',');
            }
            close(&mut out, b'}');
            out.push(b',');
        }
        close(&mut out, b'}');
        self.rows.rescued.push(&out);
        for rescue in &self.rescue {
            match &rescue.key {
                RescueKey::Column(column) if rescue.value.kind == Kind::Null => {
                    self.columns[*column].rescues.nulls += 1
                }
                RescueKey::Column(column) => self.columns[*column].rescues.strings += 1,
                RescueKey::Unknown { content, escaped } => {
                    self.drift.new_field(&String::from_utf8_lossy(&text(line, content.clone(), *escaped)), 1);
                }
            }
        }
    }

    /// Brings the drift up to the batch just built.
    fn count_drift(&mut self, batch: &RecordBatch) {
        for (key, values) in self.columns.iter_mut().zip(batch.columns()) {
            key.found |= values.null_count() < batch.num_rows() || key.rescues.nulls > 0;
            self.drift.rescue(&key.name, std::mem::take(&mut key.rescues));
        }
        if batch.num_rows() > 0 {
            self.drift.set_missing(self.columns.iter().filter(|c| !c.found).map(|c| c.name.as_str()));
        }
    }
}

/// Ends a list whose last member has a comma behind it.
fn close(out: &mut [u8], bracket: u8) {
    *out.last_mut().expect("the list is not empty") = bracket;
}

pub(super) fn is_duplicates_key(name: &[u8]) -> bool {
    name.strip_suffix(b"duplicates").is_some_and(|prefix| !prefix.is_empty() && prefix.iter().all(|b| *b == b'_'))
}

fn text(line: &[u8], content: Range<usize>, escaped: bool) -> Cow<'_, [u8]> {
    if escaped { json_scan::unescape(&line[content]) } else { Cow::Borrowed(&line[content]) }
}

fn no_object(line: &[u8]) -> Defect {
    if json_scan::is_value(line) {
        Defect::new(MalformedReason::NotAnObject, "the line is JSON, but not an object")
    } else {
        Defect::new(MalformedReason::Syntax, "the line is not a JSON object")
    }
}

fn defect(flaw: Flaw) -> Defect {
    match flaw {
        Flaw::Syntax { at, expected } => {
            Defect::new(MalformedReason::Syntax, format!("expected {expected} at byte {at} of the line"))
        }
        Flaw::TooDeep => Defect::new(MalformedReason::Syntax, format!("nested deeper than {DEPTH_LIMIT} levels")),
        Flaw::TooManyMembers => {
            Defect::new(MalformedReason::Syntax, format!("the object has more than {MEMBERS_LIMIT} members"))
        }
        Flaw::Surrogate => Defect::new(MalformedReason::Encoding, "an escape is half of a surrogate pair"),
    }
}
