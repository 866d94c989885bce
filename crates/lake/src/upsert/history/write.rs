//! Rows of a history into the table's new files, those beside it, and the change feed; with their key files.

use super::{
    super::{
        index::{self, Entry, KeyWriter},
        keys::Encoder,
    },
    arrivals::Arrivals,
    decide::Decided,
    shape::{END, START, Shape},
};
use crate::{
    error::LakeError,
    scan::conform,
    stage::{self, Lane, StagedFile, Stager},
};
use arrow::{
    array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array},
    compute::{concat, take, take_record_batch},
};
use std::{collections::BTreeMap, sync::Arc};

/// What becomes of a new event. Small, because there is one for each. Sequences are numbers among those of the new events,
/// and above them those of stored ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Another event of its sequence stands.
    Dropped,
    Hidden,
    /// `end`: or [`NEVER`].
    Shown {
        start: u32,
        end: u32,
    },
}

pub(super) const NEVER: u32 = u32::MAX;
/// Marks the number of a stored event's sequence, counted by piece.
const EXTRA: u32 = 1 << 31;

impl Fate {
    pub(super) fn extra(n: u32) -> u32 {
        EXTRA | n
    }

    /// As [`Fate`], with the numbers of stored sequences counted after `base`.
    fn rebased(self, base: u32) -> Self {
        let of = |n: u32| if n != NEVER && n & EXTRA != 0 { base + (n & !EXTRA) } else { n };
        match self {
            Self::Shown { start, end } => Self::Shown { start: of(start), end: of(end) },
            Self::Dropped | Self::Hidden => self,
        }
    }
}

/// The fates of all new events, by their numbers.
pub(crate) struct Fates {
    all: Vec<Fate>,
    sequences: ArrayRef,
}

impl Fates {
    pub(crate) fn gather(arrivals: &Arrivals, pieces: &mut [Decided]) -> Result<Self, LakeError> {
        let mut all = vec![Fate::Dropped; arrivals.len()];
        let mut sequences = vec![arrivals.sequences.clone()];
        let mut base = arrivals.len();
        for p in pieces {
            let from = u32::try_from(base).ok().filter(|b| *b < EXTRA);
            let from = from.ok_or(LakeError::Worker("a step has fewer than 2^31 sequences"))?;
            for (id, fate) in std::mem::take(&mut p.fates) {
                all[id as usize] = fate.rebased(from);
            }
            base += p.extra.iter().map(|e| e.len()).sum::<usize>();
            sequences.append(&mut p.extra);
        }
        let parts: Vec<&dyn Array> = sequences.iter().map(AsRef::as_ref).collect();
        Ok(Self { all, sequences: concat(&parts)? })
    }
}

/// Where a step's rows go.
pub(crate) struct Stagers {
    pub(crate) table: Stager,
    pub(crate) beside: Stager,
    /// Of the change feed, for a table that keeps one.
    pub(crate) feed: Option<Stager>,
}

impl Stagers {
    pub(crate) fn discard(&self, made: &Written) {
        stage::discard(self.table.dir(), &made.table);
        stage::discard(self.beside.dir(), &made.beside);
        if let Some(feed) = &self.feed {
            stage::discard(feed.dir(), &made.feed);
        }
    }
}

/// One lane's part, while it is written.
pub(crate) struct Writer<'a> {
    shape: &'a Shape,
    stagers: &'a Stagers,
    table: Keyed<'a>,
    beside: Keyed<'a>,
    feed: Option<Lane<'a>>,
}

/// Finished files, their keys written.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) table: Vec<StagedFile>,
    pub(crate) beside: Vec<StagedFile>,
    pub(crate) feed: Vec<StagedFile>,
}

/// A lane that notes the key of each row.
struct Keyed<'a> {
    stager: &'a Stager,
    lane: Lane<'a>,
    encoder: Encoder,
    entries: BTreeMap<u32, Vec<Entry>>,
}

impl<'a> Keyed<'a> {
    fn new(shape: &Shape, stager: &'a Stager) -> Result<Self, LakeError> {
        let encoder = shape.keys.encoder(stager.schema())?;
        Ok(Self { stager, lane: stager.lane(), encoder, entries: BTreeMap::new() })
    }

    fn write(&mut self, rows: &RecordBatch) -> Result<(), LakeError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let keyed = self.encoder.keys(rows)?.into_iter().zip(self.encoder.sequences(rows)?);
        let (file, first) = self.lane.write(rows)?;
        let entries = keyed.zip(first..).map(|((key, sequence), row)| Entry { key, sequence, row, content: 0 });
        self.entries.entry(file).or_default().extend(entries);
        Ok(())
    }

    fn finish(mut self, shape: &Shape) -> Result<Vec<StagedFile>, LakeError> {
        let fingerprint = shape.keys.fingerprint(self.stager.schema())?;
        let files = self.lane.finish()?;
        for file in &files {
            let mut entries = self.entries.remove(&file.number).unwrap_or_default();
            entries.sort_unstable();
            let path = index::path_of(self.stager.dir(), &file.path);
            let mut keys = KeyWriter::create(path, fingerprint, index::NO_SEED)?;
            keys.append(&index::encode(&entries))?;
            keys.finish(Some(self.stager.syncs()))?;
        }
        Ok(files)
    }
}

impl<'a> Writer<'a> {
    pub(crate) fn new(shape: &'a Shape, stagers: &'a Stagers) -> Result<Self, LakeError> {
        Ok(Self {
            shape,
            stagers,
            table: Keyed::new(shape, &stagers.table)?,
            beside: Keyed::new(shape, &stagers.beside)?,
            feed: stagers.feed.as_ref().map(Stager::lane),
        })
    }

    /// Rows that show, from when to when; `change`: what the feed says of them.
    pub(super) fn shown(
        &mut self,
        change: &'static str,
        rows: &RecordBatch,
        [starts, ends]: [ArrayRef; 2],
    ) -> Result<(), LakeError> {
        let columns = self.shape.table.fields().iter().map(|f| match f.name().as_str() {
            START => Ok(starts.clone()),
            END => Ok(ends.clone()),
            name => rows.column_by_name(name).cloned().ok_or(LakeError::Worker("an event has the table's columns")),
        });
        let rows = RecordBatch::try_new(self.shape.table.clone(), columns.collect::<Result<_, _>>()?)?;
        self.table.write(&rows)?;
        self.before(change, &rows)
    }

    /// Rows of the table as they were, for the feed alone.
    pub(super) fn before(&mut self, change: &'static str, rows: &RecordBatch) -> Result<(), LakeError> {
        let (Some(lane), Some(stager)) = (&mut self.feed, &self.stagers.feed) else { return Ok(()) };
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let kinds: ArrayRef = Arc::new(StringArray::from(vec![change; rows.num_rows()]));
        let rows = conform(rows, &self.shape.table)?;
        let columns = rows.columns().iter().cloned().chain([kinds]).collect();
        lane.write(&RecordBatch::try_new(stager.schema().clone(), columns)?).map(drop)
    }

    /// Rows that lie beside the table.
    pub(super) fn hidden(&mut self, rows: &RecordBatch) -> Result<(), LakeError> {
        self.beside.write(&conform(rows, &self.shape.event)?)
    }

    /// The new events of one of [`Arrivals::parts`]; answers how many there are.
    pub(crate) fn new_events(&mut self, arrivals: &Arrivals, part: usize, fates: &Fates) -> Result<u64, LakeError> {
        let mut read = 0;
        arrivals.read(part, |first, rows| {
            read += rows.num_rows() as u64;
            let (mut shown, mut starts, mut ends, mut hidden) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            let own = &fates.all[first as usize..first as usize + rows.num_rows()];
            for (row, fate) in (0_u32..).zip(own) {
                match fate {
                    Fate::Dropped => {}
                    Fate::Hidden => hidden.push(row),
                    Fate::Shown { start, end } => {
                        shown.push(row);
                        starts.push(*start);
                        ends.push((*end != NEVER).then_some(*end));
                    }
                }
            }
            let picked = take_record_batch(rows, &UInt32Array::from(shown))?;
            let starts = take(&fates.sequences, &UInt32Array::from(starts), None)?;
            let ends = take(&fates.sequences, &UInt32Array::from(ends), None)?;
            self.shown("insert", &picked, [starts, ends])?;
            self.hidden(&take_record_batch(rows, &UInt32Array::from(hidden))?)
        })?;
        Ok(read)
    }

    /// Durable files.
    pub(crate) fn finish(self) -> Result<Written, LakeError> {
        Ok(Written {
            table: self.table.finish(self.shape)?,
            beside: self.beside.finish(self.shape)?,
            feed: self.feed.map_or(Ok(Vec::new()), Lane::finish)?,
        })
    }
}

impl Written {
    pub(crate) fn merge(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for p in parts {
            all.table.extend(p.table);
            all.beside.extend(p.beside);
            all.feed.extend(p.feed);
        }
        all
    }
}
