//! New events among the stored ones: which of them stand, what shows, and which stored rows have to be written anew.
//!
//! Works on pieces of whole keys. In memory are the places of all stored events of a piece's keys, and the rows of those
//! that [`needed`] asks for.

use super::{
    super::content::Content,
    arrivals::{Arrival, Arrivals},
    needed::needed,
    past::{Entry, Found, Past},
    replay::{Event, Known, Now, Span, Value, replay},
    shape::{END, START, Shape},
    tracker::Tracker,
    write::{Fate, NEVER, Writer},
};
use crate::{error::LakeError, meter::Meter, scan, vector};
use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array},
    compute::{concat, concat_batches, take, take_record_batch},
    row::{RowConverter, Rows, SortField},
};
use std::{cmp::Ordering, collections::BTreeMap, ops::Range};

/// Decides over pieces of a step's events. Shared by the lanes.
pub(crate) struct Deciding<'a> {
    pub(crate) shape: &'a Shape,
    pub(crate) past: &'a Past,
    pub(crate) arrivals: &'a Arrivals,
    pub(crate) meter: &'a Meter,
    /// Stored events of one piece.
    pub(crate) most: usize,
}

/// What was decided over one piece.
#[derive(Default)]
pub(crate) struct Decided {
    /// By number of the new event.
    pub(super) fates: Vec<(u32, Fate)>,
    /// Sequences of stored events at which new versions start or end.
    pub(super) extra: Vec<ArrayRef>,
    /// Rows of the table's files that are gone.
    pub(crate) gone: BTreeMap<usize, vector::Rows>,
    /// New events with the key and the sequence of another one.
    pub(crate) duplicates: u64,
}

/// Why a piece could not be decided.
pub(crate) enum Chunk {
    Done(Decided),
    /// Its keys have more stored events than may be looked at together.
    TooLarge,
}

/// An event of the piece's keys.
#[derive(Debug, Clone, Copy)]
struct Item {
    start: u128,
    what: What,
    /// Whether it was read; new ones always were.
    known: bool,
    stands: Stands,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Place among the piece's new events.
    New(usize),
    /// Place among the entries.
    Stored(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    Yes,
    /// It shows, and makes way for another event of its sequence.
    Replaced,
    No,
}

/// All that is known of a piece.
struct Piece<'a> {
    new: &'a [Arrival],
    entries: Vec<Entry>,
    items: Vec<Item>,
    found: Found,
    sequences: Sequences,
    tracked: Vec<u128>,
}

/// The piece's sequences: of its new events, then of the rows that were read, then their starts, then their ends.
struct Sequences {
    values: ArrayRef,
    rows: Rows,
    new: u32,
    stored: u32,
}

impl Sequences {
    fn stored(&self, row: u32) -> Value {
        self.new + row
    }

    fn span(&self, row: u32) -> Span {
        let end = self.new + self.stored * 2 + row;
        Span { start: self.new + self.stored + row, end: (!self.values.is_null(end as usize)).then_some(end) }
    }

    fn cmp(&self, a: Value, b: Value) -> Ordering {
        self.rows.row(a as usize).cmp(&self.rows.row(b as usize))
    }

    fn same_span(&self, a: Span, b: Span) -> bool {
        let ends = match (a.end, b.end) {
            (Some(a), Some(b)) => self.cmp(a, b).is_eq(),
            (a, b) => a == b,
        };
        self.cmp(a.start, b.start).is_eq() && ends
    }
}

impl Deciding<'_> {
    /// Decides over the new events of `range`, which are all of their keys, and writes the stored ones that change.
    pub(crate) fn decide(&self, range: Range<usize>, writer: &mut Writer<'_>) -> Result<Chunk, LakeError> {
        let new = &self.arrivals.all[range];
        let keys: Vec<u128> = new.chunk_by(|a, b| a.key == b.key).map(|run| run[0].key).collect();
        let Some(entries) = self.past.entries(&keys, self.most)? else { return Ok(Chunk::TooLarge) };
        let (items, ranges, wanted) = merge(new, &entries);
        let found = self.past.fetch(self.shape, &entries, &wanted, self.meter)?;
        let sequences = self.sequences(new, &found)?;
        let tracked = Tracker::new(&self.shape.tracked, &self.shape.stored)?.hashes(&found.rows)?;
        let mut piece = Piece { new, entries, items, found, sequences, tracked };
        ranges.iter().for_each(|r| piece.sort(r.clone()));
        let duplicates = self.settle_ties(&mut piece, &ranges)?;
        let mut decided = Decided { duplicates, ..Decided::default() };
        let changes = piece.replay(&ranges, &mut decided)?;
        decided.extra = changes.extra(&piece.sequences)?;
        self.write(&piece, &changes, writer)?;
        Ok(Chunk::Done(decided))
    }

    fn sequences(&self, new: &[Arrival], found: &Found) -> Result<Sequences, LakeError> {
        let ids = UInt32Array::from_iter_values(new.iter().map(|a| a.id));
        let stored = |name: &str| {
            let column = found.rows.column_by_name(name);
            column.cloned().ok_or(LakeError::Worker("a stored row has the columns of its version"))
        };
        let parts = [
            take(&self.arrivals.sequences, &ids, None)?,
            stored(self.shape.sequence()?)?,
            stored(START)?,
            stored(END)?,
        ];
        let values = concat(&parts.each_ref().map(AsRef::as_ref))?;
        let rows = RowConverter::new(vec![SortField::new(values.data_type().clone())])?
            .convert_columns(std::slice::from_ref(&values))?;
        let count = |n: usize| u32::try_from(n).map_err(|_| LakeError::Worker("a piece has fewer than 2^32 rows"));
        count(values.len())?;
        Ok(Sequences { values, rows, new: count(new.len())?, stored: count(found.rows.num_rows())? })
    }

    /// Of the events of one key and sequence one stands, by the rule for ties. Answers the number of duplicates.
    fn settle_ties(&self, piece: &mut Piece<'_>, ranges: &[Range<usize>]) -> Result<u64, LakeError> {
        let mut duplicates = 0;
        let mut ties: Vec<Vec<usize>> = Vec::new();
        for range in ranges {
            let mut from = range.start;
            while from < range.end {
                let to = from + piece.run(from, range.end);
                let all = from..to;
                from = to;
                if all.len() < 2 {
                    continue;
                }
                let is_new = |i: &usize| matches!(piece.items[*i].what, What::New(_));
                // A row is no duplicate of a truncate, nor of the deletion that its own snapshot was before it came.
                let said = all.clone().filter(|i| !piece.made(*i));
                let came = said.clone().filter(is_new).count() as u64;
                let counts = |i: &usize| !self.shape.keys.snapshots || !piece.deletes(*i);
                let counted = said.filter(counts).count() as u64;
                duplicates += if came < counted { came } else { came.saturating_sub(1) };
                // What shows was decided over all that lay beside it then.
                let shown = all.clone().any(|i| piece.shows(i));
                let (tied, stale): (Vec<usize>, Vec<usize>) = all.partition(|i| !shown || is_new(i) || piece.shows(*i));
                stale.into_iter().for_each(|i| piece.items[i].stands = Stands::No);
                if tied.len() > 1 {
                    ties.push(tied);
                }
            }
        }
        if ties.is_empty() {
            return Ok(duplicates);
        }
        let (content, at) = self.content(piece, &ties)?;
        for tie in &ties {
            let best = tie.iter().copied().reduce(|a, b| if content.beats(at[&b], &content, at[&a]) { b } else { a });
            for i in tie.iter().copied().filter(|i| Some(*i) != best) {
                piece.items[i].stands = if piece.shows(i) { Stands::Replaced } else { Stands::No };
            }
        }
        Ok(duplicates)
    }

    /// What tied events say, and the place of each in it.
    fn content(&self, piece: &Piece<'_>, ties: &[Vec<usize>]) -> Result<(Content, BTreeMap<usize, usize>), LakeError> {
        let mut new: Vec<(u32, usize)> = Vec::new();
        let mut stored: Vec<(u32, usize)> = Vec::new();
        for i in ties.iter().flatten().copied() {
            match piece.items[i].what {
                What::New(n) => new.push((piece.new[n].id, i)),
                What::Stored(e) => stored.push((piece.found.at[&e], i)),
            }
        }
        new.sort_unstable();
        let ids: Vec<u32> = new.iter().map(|n| n.0).collect();
        let rows = UInt32Array::from_iter_values(stored.iter().map(|s| s.0));
        let theirs = scan::conform(&take_record_batch(&piece.found.rows, &rows)?, &self.shape.event)?;
        let ours = self.arrivals.fetch(&ids)?;
        let all = concat_batches(&self.shape.event, [&ours, &theirs])?;
        let at = new.iter().chain(&stored).map(|(_, i)| *i).zip(0..).collect();
        Ok((Content::of(&self.shape.keys, &all)?, at))
    }

    fn write(&self, piece: &Piece<'_>, changes: &Changes, writer: &mut Writer<'_>) -> Result<(), LakeError> {
        let rows = |of: &[u32]| {
            Ok::<RecordBatch, LakeError>(take_record_batch(&piece.found.rows, &UInt32Array::from(of.to_vec()))?)
        };
        let values = &piece.sequences.values;
        let spans = |spans: &[Span]| -> Result<[ArrayRef; 2], LakeError> {
            let starts = UInt32Array::from_iter_values(spans.iter().map(|s| s.start));
            let ends: UInt32Array = spans.iter().map(|s| s.end).collect();
            Ok([take(values, &starts, None)?, take(values, &ends, None)?])
        };
        writer.before("update_preimage", &rows(&changes.moved.0)?)?;
        writer.before("delete", &rows(&changes.left)?)?;
        writer.shown("update_postimage", &rows(&changes.moved.0)?, spans(&changes.moved.1)?)?;
        writer.shown("insert", &rows(&changes.appeared.0)?, spans(&changes.appeared.1)?)?;
        writer.hidden(&rows(&changes.hid)?)
    }
}

type Merged = (Vec<Item>, Vec<Range<usize>>, Vec<bool>);

/// All events of each key in the order of their starts, the ranges of the keys, and which entries have to be read.
fn merge(new: &[Arrival], entries: &[Entry]) -> Merged {
    let mut items = Vec::with_capacity(new.len() + entries.len());
    let mut ranges = Vec::new();
    let mut wanted = vec![false; entries.len()];
    let (mut next_new, mut next_entry) = (0, 0);
    for (key, run) in (0..).zip(new.chunk_by(|a, b| a.key == b.key)) {
        let from = items.len();
        let of_key = entries[next_entry..].iter().take_while(|e| e.key == key).count();
        let stored = (next_entry..).zip(&entries[next_entry..next_entry + of_key]);
        let item = |start, what, known| Item { start, what, known, stands: Stands::Yes };
        items.extend(stored.map(|(i, e)| item(e.start, What::Stored(i), false)));
        items.extend((next_new..).zip(run).map(|(i, a)| item(a.start, What::New(i), true)));
        next_entry += of_key;
        next_new += run.len();
        let own = &mut items[from..];
        own.sort_by_key(|i| i.start);
        let shows = |i: &Item| matches!(i.what, What::Stored(e) if entries[e].shown);
        let asked = needed(own, |i| i.start, |i| matches!(i.what, What::New(_)), shows);
        for (item, asked) in own.iter_mut().zip(asked) {
            if let What::Stored(e) = item.what {
                item.known = asked;
                wanted[e] = asked;
            }
        }
        ranges.push(from..items.len());
    }
    (items, ranges, wanted)
}

impl Piece<'_> {
    fn shows(&self, i: usize) -> bool {
        matches!(self.items[i].what, What::Stored(e) if self.entries[e].shown)
    }

    /// Of an event that is known.
    fn deletes(&self, i: usize) -> bool {
        match self.items[i].what {
            What::New(n) => self.new[n].deletes,
            What::Stored(e) => !self.entries[e].shown && deletes(&self.found.rows, self.found.at[&e]),
        }
    }

    /// Whether no row said so. Of an event that is known.
    fn made(&self, i: usize) -> bool {
        match self.items[i].what {
            What::New(n) => self.new[n].made,
            What::Stored(e) => self.deletes(i) && comes_from_none(&self.found.rows, self.found.at[&e]),
        }
    }

    /// Of an event that is known.
    fn value(&self, item: &Item) -> Value {
        match item.what {
            What::New(n) => n as Value,
            What::Stored(e) => self.sequences.stored(self.found.at[&e]),
        }
    }

    /// By the whole of their sequences. Of those that start alike all are known, or none.
    fn sort(&mut self, range: Range<usize>) {
        let mut own = self.items[range.clone()].to_vec();
        own.sort_by(|a, b| {
            a.start.cmp(&b.start).then_with(|| match a.known && b.known {
                true => self.sequences.cmp(self.value(a), self.value(b)),
                false => Ordering::Equal,
            })
        });
        self.items[range].copy_from_slice(&own);
    }

    /// How many events from `from` on have its sequence.
    fn run(&self, from: usize, end: usize) -> usize {
        let first = &self.items[from];
        let same = |i: &&Item| {
            i.known && i.start == first.start && self.sequences.cmp(self.value(i), self.value(first)).is_eq()
        };
        if first.known { self.items[from..end].iter().take_while(same).count() } else { 1 }
    }

    fn event(&self, i: usize) -> Event {
        let item = &self.items[i];
        let known = || match item.what {
            What::New(n) => {
                let a = &self.new[n];
                Known { deletes: a.deletes, tracked: a.tracked, at: n as Value, span: None }
            }
            What::Stored(e) => {
                let row = self.found.at[&e];
                let span = self.entries[e].shown.then(|| self.sequences.span(row));
                Known {
                    deletes: self.deletes(i),
                    tracked: self.tracked[row as usize],
                    at: self.sequences.stored(row),
                    span,
                }
            }
        };
        let replaced = item.stands == Stands::Replaced;
        Event { known: item.known.then(known), shown: self.shows(i), replaced }
    }

    fn replay(&self, ranges: &[Range<usize>], decided: &mut Decided) -> Result<Changes, LakeError> {
        let mut changes = Changes { new: self.sequences.new, ..Changes::default() };
        for range in ranges {
            let standing: Vec<usize> = range.clone().filter(|i| self.items[*i].stands != Stands::No).collect();
            let events: Vec<Event> = standing.iter().map(|i| self.event(*i)).collect();
            let now = replay(&events).map_err(|_| LakeError::Worker("a hidden event is followed by its version"))?;
            for i in range.clone().filter(|i| self.items[*i].stands == Stands::No) {
                if let What::New(n) = self.items[i].what {
                    decided.fates.push((self.new[n].id, Fate::Dropped));
                }
            }
            for ((i, event), now) in standing.into_iter().zip(&events).zip(now) {
                match (self.items[i].what, now) {
                    (What::New(n), Some(now)) => {
                        let fate = changes.fate(now, |v| self.new[v as usize].id);
                        decided.fates.push((self.new[n].id, fate));
                    }
                    (What::New(_), None) => return Err(LakeError::Worker("a new event is decided")),
                    (What::Stored(e), now) => self.stored(e, event, now, &mut changes, decided),
                }
            }
        }
        Ok(changes)
    }

    /// What becomes of a stored event.
    fn stored(&self, entry: usize, event: &Event, now: Option<Now>, changes: &mut Changes, decided: &mut Decided) {
        let Entry { file, row, .. } = self.entries[entry];
        let Some(known) = event.known else { return };
        let at = self.found.at[&entry];
        match (known.span, now) {
            (Some(before), Some(Now::Shown(span))) if self.sequences.same_span(before, span) => return,
            (Some(_), Some(Now::Shown(span))) => {
                changes.moved.0.push(at);
                changes.moved.1.push(span);
            }
            (Some(_), Some(Now::Hidden)) => {
                changes.left.push(at);
                changes.hid.push(at);
            }
            // Another one has its sequence.
            (Some(_), None) => changes.left.push(at),
            // It stays beside as well: the table's row counts.
            (None, Some(Now::Shown(span))) => {
                changes.appeared.0.push(at);
                changes.appeared.1.push(span);
            }
            (None, Some(Now::Hidden) | None) => {}
        }
        if known.span.is_some() {
            decided.gone.entry(file as usize).or_default().insert(u64::from(row));
        }
    }
}

/// What happens to the rows that were read.
#[derive(Default)]
struct Changes {
    /// Versions that start or end elsewhere.
    moved: (Vec<u32>, Vec<Span>),
    /// Hidden events that show again.
    appeared: (Vec<u32>, Vec<Span>),
    /// Rows that leave the table.
    left: Vec<u32>,
    /// Those of them that lie beside it from now on.
    hid: Vec<u32>,
    /// Sequences of stored events that new ones refer to, in the order of their numbers.
    extra: Vec<Value>,
    /// Of the piece's sequences those of new events.
    new: u32,
}

impl Changes {
    /// `id`: the number of a new event, by its place in the piece.
    fn fate(&mut self, now: Now, id: impl Fn(Value) -> u32) -> Fate {
        let Now::Shown(span) = now else { return Fate::Hidden };
        let new = self.new;
        let mut of = |v: Value| {
            if v < new {
                return id(v);
            }
            self.extra.push(v);
            Fate::extra(self.extra.len() as u32 - 1)
        };
        Fate::Shown { start: of(span.start), end: span.end.map_or(NEVER, of) }
    }

    fn extra(&self, sequences: &Sequences) -> Result<Vec<ArrayRef>, LakeError> {
        if self.extra.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![take(&sequences.values, &UInt32Array::from(self.extra.clone()), None)?])
    }
}

fn deletes(rows: &RecordBatch, row: u32) -> bool {
    let flags = rows.column_by_name(super::super::candidates::DELETED).map(|c| c.as_boolean());
    flags.is_some_and(|f| f.is_valid(row as usize) && f.value(row as usize))
}

fn comes_from_none(rows: &RecordBatch, row: u32) -> bool {
    rows.column_by_name("_event_id").is_some_and(|c| c.is_null(row as usize))
}
