//! What is stored of a history: the table's files and those beside it, and which of their rows have a key.

use super::{
    super::{
        candidates::{DELETED, numbered},
        index::{self, KeyFile},
        runs::Room,
    },
    shape::Shape,
};
use crate::{
    error::LakeError,
    meter::Meter,
    scan::{Pick, Source},
};
use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch},
    compute::concat_batches,
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// A stored file, and whether its rows show.
struct Stored {
    source: Source,
    keys: KeyFile,
    shown: bool,
}

/// Files of the table, in its order, then those beside it.
pub(crate) struct Past {
    files: Vec<Stored>,
}

/// A stored event of one of the keys that were asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    /// Place of its key among those asked for.
    pub(super) key: u32,
    /// The start of its sequence.
    pub(super) start: u128,
    pub(super) shown: bool,
    pub(super) file: u32,
    pub(super) row: u32,
}

/// Rows that were read, and which of the entries each is.
pub(super) struct Found {
    pub(super) rows: RecordBatch,
    /// By entry.
    pub(super) at: BTreeMap<usize, u32>,
}

impl Past {
    pub(crate) fn open(
        shape: &Shape,
        table: (&Path, Vec<Source>),
        beside: (&Path, Vec<Source>),
        room: &Arc<Room>,
        meter: &Meter,
    ) -> Result<Self, LakeError> {
        let mut files = Vec::new();
        for ((dir, sources), shown) in [(table, true), (beside, false)] {
            for source in sources {
                let keys = index::open_or_make(dir, &source, &shape.keys, &shape.stored, room, meter)?;
                files.push(Stored { source, keys, shown });
            }
        }
        Ok(Self { files })
    }

    /// All events of `keys`, which ascend, by key and the start of their sequence; `None` when they are more than `most`.
    pub(super) fn entries(&self, keys: &[u128], most: usize) -> Result<Option<Vec<Entry>>, LakeError> {
        let mut entries = Vec::new();
        let mut fits = true;
        for (file, stored) in (0..).zip(&self.files) {
            let found = |key: usize, e: index::Entry| {
                let gone = matches!(&stored.source.pick, Pick::Without(gone) if gone.contains(u64::from(e.row)));
                fits &= entries.len() < most;
                if !gone && fits {
                    entries.push(Entry { key: key as u32, start: e.sequence, shown: stored.shown, file, row: e.row });
                }
                Ok(())
            };
            stored.keys.probe(keys.len(), |i| keys[i], found)?;
        }
        entries.sort_unstable();
        Ok(fits.then_some(entries))
    }

    /// Reads the rows of those of `entries` that are `wanted`, file by file.
    pub(super) fn fetch(
        &self,
        shape: &Shape,
        entries: &[Entry],
        wanted: &[bool],
        meter: &Meter,
    ) -> Result<Found, LakeError> {
        let mut order: Vec<usize> = (0..entries.len()).filter(|i| wanted[*i]).collect();
        order.sort_unstable_by_key(|i| (entries[*i].file, entries[*i].row));
        let mut batches = Vec::new();
        for of_file in order.chunk_by(|a, b| entries[*a].file == entries[*b].file) {
            let source = &self.files[entries[of_file[0]].file as usize].source;
            let rows: Vec<u64> = of_file.iter().map(|i| u64::from(entries[*i].row)).collect();
            batches.extend(numbered(source, &shape.stored, &rows, meter)?);
        }
        let rows = flagged(concat_batches(&shape.stored, &batches)?)?;
        if rows.num_rows() != order.len() {
            return Err(LakeError::Worker("a row that a key file names is there"));
        }
        Ok(Found { rows, at: order.into_iter().zip(0..).collect() })
    }
}

/// Rows of the table have no flag: they delete nothing.
fn flagged(rows: RecordBatch) -> Result<RecordBatch, LakeError> {
    let flag = rows.schema().index_of(DELETED)?;
    let old = rows.column(flag).as_boolean();
    let set = match old.nulls() {
        Some(there) => old.values() & there.inner(),
        None => old.values().clone(),
    };
    let mut columns = rows.columns().to_vec();
    columns[flag] = Arc::new(BooleanArray::new(set, None)) as ArrayRef;
    Ok(RecordBatch::try_new(rows.schema(), columns)?)
}
