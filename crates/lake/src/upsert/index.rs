//! Where each key of a data file lies: a file beside it, so that an upsert finds its rows without reading the table.
//!
//! Derived from an immutable data file, it is never out of date; missing or of another form, it is made again. A row
//! that a deletion vector took out is still in it: whoever asks looks at the vector.

use super::keys::{Encoder, Keys};
use crate::{
    error::LakeError,
    meter::Meter,
    scan::{self, Source},
};
use arrow::datatypes::SchemaRef;
use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Folder of the key files in a table's folder; readers pass over names that start with `_`.
const FOLDER: &str = "_keys";
const MAGIC: &[u8; 8] = b"alvkeys1";
/// Keys that are read at once.
const BLOCK: usize = 4096;
/// Magic, fingerprint, bytes of a key, rows.
const HEADER: usize = 8 + 16 + 8 + 8;
/// Row number and sequence of one key.
const PLACE: usize = 4 + 16;

/// One row's key, the start of its sequence, and its number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) key: u128,
    pub(super) sequence: u128,
    pub(super) row: u32,
}

/// An open key file: a header, the first key of each block, all keys ascending, then their places.
pub(super) struct KeyFile {
    file: File,
    path: PathBuf,
    /// Bytes of a stored key: 8 when each is a whole number, 16 otherwise.
    width: usize,
    rows: usize,
    fences: Vec<u128>,
}

pub(crate) fn path_of(table: &Path, data_file: &str) -> PathBuf {
    table.join(FOLDER).join(format!("{}.keys", data_file.replace('/', "_")))
}

/// Whole numbers are told apart from null by one bit above them: see [`Encoder::keys`].
const NUMBER: u128 = 1 << 64;

/// Writes a key file whole or not at all; durable on return. `entries` ascend.
pub(super) fn write(
    path: &Path,
    fingerprint: [u8; 16],
    rows: usize,
    entries: impl Iterator<Item = Entry> + Clone,
) -> Result<(), LakeError> {
    let dir = path.parent().unwrap_or(path);
    std::fs::create_dir_all(dir).map_err(LakeError::io(dir))?;
    let file = tempfile::NamedTempFile::new_in(dir).map_err(LakeError::io(dir))?;
    let width = if entries.clone().all(|e| e.key >> 64 == 1) { 8 } else { 16 };
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let body = |out: &mut dyn Write| -> io::Result<()> {
        out.write_all(MAGIC)?;
        out.write_all(&fingerprint)?;
        out.write_all(&(width as u64).to_le_bytes())?;
        out.write_all(&(rows as u64).to_le_bytes())?;
        for e in entries.clone().step_by(BLOCK) {
            out.write_all(&e.key.to_le_bytes())?;
        }
        for e in entries.clone() {
            out.write_all(&e.key.to_le_bytes()[..width])?;
        }
        for e in entries.clone() {
            out.write_all(&e.row.to_le_bytes())?;
            out.write_all(&e.sequence.to_le_bytes())?;
        }
        Ok(())
    };
    body(&mut out).map_err(LakeError::io(path))?;
    let file = out.into_inner().map_err(|e| LakeError::io(path)(e.into_error()))?;
    file.as_file().sync_all().map_err(LakeError::io(path))?;
    file.persist(path).map_err(|e| LakeError::io(path)(e.error))?;
    Ok(())
}

/// The key file of a data file, made now if there is none that fits.
pub(super) fn open_or_make(
    table: &Path,
    source: &Source,
    keys: &Keys,
    schema: &SchemaRef,
    meter: &Meter,
) -> Result<KeyFile, LakeError> {
    let name = source.path.strip_prefix(table).unwrap_or(&source.path).to_string_lossy();
    let path = path_of(table, &name);
    let fingerprint = keys.fingerprint(schema)?;
    if let Some(found) = open(&path, fingerprint)? {
        return Ok(found);
    }
    let columns = scan::project(schema, &keys.columns())?;
    let encoder = keys.encoder(&columns)?;
    let entries = entries(source, &columns, &encoder, meter)?;
    write(&path, fingerprint, entries.len(), entries.iter().copied())?;
    open(&path, fingerprint)?.ok_or(LakeError::Worker("a key file that was written is there"))
}

/// The key file of a data file whose rows come from others.
pub(crate) fn make(
    table: &Path,
    source: &Source,
    keys: &Keys,
    schema: &SchemaRef,
    meter: &Meter,
) -> Result<(), LakeError> {
    open_or_make(table, source, keys, schema, meter).map(drop)
}

fn entries(source: &Source, columns: &SchemaRef, encoder: &Encoder, meter: &Meter) -> Result<Vec<Entry>, LakeError> {
    let mut all = Vec::new();
    for unit in scan::units(std::slice::from_ref(source))? {
        let mut row = u32::try_from(unit.base).map_err(|_| LakeError::Worker("a data file has too many rows"))?;
        for batch in unit.read_rows(columns, meter, None)? {
            let batch = batch?;
            let pairs = encoder.keys(&batch)?.into_iter().zip(encoder.sequences(&batch)?);
            all.extend(pairs.zip(row..).map(|((key, sequence), row)| Entry { key, sequence, row }));
            row += batch.num_rows() as u32;
        }
    }
    all.sort_unstable();
    Ok(all)
}

/// `None`: not there, or not of this form.
fn open(path: &Path, fingerprint: [u8; 16]) -> Result<Option<KeyFile>, LakeError> {
    let file = match File::open(path) {
        Ok(f) => f,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(LakeError::io(path)(e)),
    };
    let length = file.metadata().map_err(LakeError::io(path))?.len() as usize;
    if length < HEADER {
        return Ok(None);
    }
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, 0).map_err(LakeError::io(path))?;
    let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes")) as usize;
    let (width, rows) = (number(24), number(32));
    let blocks = rows.div_ceil(BLOCK);
    let whole =
        matches!(width, 8 | 16) && rows <= u32::MAX as usize && length == HEADER + blocks * 16 + rows * (width + PLACE);
    if &header[..8] != MAGIC || header[8..24] != fingerprint || !whole {
        return Ok(None);
    }
    let mut bytes = vec![0; blocks * 16];
    file.read_exact_at(&mut bytes, HEADER as u64).map_err(LakeError::io(path))?;
    let fences = bytes.chunks_exact(16).map(|b| u128::from_le_bytes(b.try_into().expect("sixteen bytes"))).collect();
    Ok(Some(KeyFile { file, path: path.to_owned(), width, rows, fences }))
}

impl KeyFile {
    /// Calls `found` for each of `wanted`, which ascend without repetition, that a row of the file has: with its place
    /// in `wanted`, the row and the row's sequence. Blocks that cannot hold one are not read.
    pub(super) fn probe(
        &self,
        wanted: usize,
        key: impl Fn(usize) -> u128,
        mut found: impl FnMut(usize, Entry) -> Result<(), LakeError>,
    ) -> Result<(), LakeError> {
        let mut buffer = vec![0; BLOCK * self.width];
        let mut next = 0;
        for block in 0..self.fences.len() {
            // Rows of one key may start in the block before.
            while next < wanted && key(next) < self.fences[block] {
                next += gallop(next, wanted, |i| key(i) < self.fences[block]);
            }
            let end = self.fences.get(block + 1).copied().unwrap_or(u128::MAX);
            if next >= wanted {
                break;
            }
            if key(next) > end {
                continue;
            }
            let first = block * BLOCK;
            let count = BLOCK.min(self.rows - first);
            let bytes = &mut buffer[..count * self.width];
            self.read(bytes, HEADER + self.fences.len() * 16 + first * self.width)?;
            let stored = |i: usize| self.key_at(bytes, i);
            let (mut i, mut w) = (0, next);
            while i < count && w < wanted {
                let k = key(w);
                i += gallop(i, count, |j| stored(j) < k);
                while i < count && stored(i) == k {
                    found(w, self.place(first + i, k)?)?;
                    i += 1;
                }
                w += 1;
            }
        }
        Ok(())
    }

    fn key_at(&self, bytes: &[u8], i: usize) -> u128 {
        let at = &bytes[i * self.width..(i + 1) * self.width];
        match at.try_into() {
            Ok(short) => NUMBER | u128::from(u64::from_le_bytes(short)),
            Err(_) => u128::from_le_bytes(at.try_into().expect("a key has 8 or 16 bytes")),
        }
    }

    fn place(&self, i: usize, key: u128) -> Result<Entry, LakeError> {
        let mut bytes = [0; PLACE];
        self.read(&mut bytes, HEADER + self.fences.len() * 16 + self.rows * self.width + i * PLACE)?;
        let (row, sequence) = bytes.split_at(4);
        Ok(Entry {
            key,
            row: u32::from_le_bytes(row.try_into().expect("four bytes")),
            sequence: u128::from_le_bytes(sequence.try_into().expect("sixteen bytes")),
        })
    }

    fn read(&self, bytes: &mut [u8], at: usize) -> Result<(), LakeError> {
        self.file.read_exact_at(bytes, at as u64).map_err(LakeError::io(&self.path))
    }
}

/// How many of `[from, to)` in a row are `below`, which holds for a first part of them: by doubling steps.
fn gallop(from: usize, to: usize, below: impl Fn(usize) -> bool) -> usize {
    let (mut step, mut low) = (1, from);
    while low + step <= to && below(low + step - 1) {
        low += step;
        step *= 2;
    }
    let (mut a, mut b) = (low, (low + step).min(to));
    while a < b {
        let middle = a + (b - a) / 2;
        if below(middle) { a = middle + 1 } else { b = middle }
    }
    a - from
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn check(keys: &[u128], wanted: &[u128]) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = path_of(dir.path(), "a/b.parquet");
        let mut all: Vec<Entry> = (0..).zip(keys).map(|(row, k)| Entry { key: *k, sequence: k * 3, row }).collect();
        all.sort_unstable();
        write(&path, [1; 16], all.len(), all.iter().copied()).expect("writes");
        assert!(open(&path, [2; 16]).expect("opens").is_none());
        let file = open(&path, [1; 16]).expect("opens").expect("fits");
        let mut found: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        let seen = |w: usize, e: Entry| {
            assert_eq!((e.key, e.sequence), (wanted[w], wanted[w] * 3));
            found.entry(w).or_default().push(e.row);
            Ok(())
        };
        file.probe(wanted.len(), |i| wanted[i], seen).expect("probes");
        for (w, k) in wanted.iter().enumerate() {
            let rows: Vec<u32> = all.iter().filter(|e| e.key == *k).map(|e| e.row).collect();
            assert_eq!(found.remove(&w).unwrap_or_default(), rows, "key {k}");
        }
    }

    #[test]
    fn each_wanted_key_is_found_with_all_its_rows() {
        let numbers: Vec<u128> = (0..10_000).map(|i| NUMBER | (i * 7 % 9_973)).collect();
        check(&numbers, &(0..9_999).step_by(5).map(|i| NUMBER | i).collect::<Vec<_>>());
        check(&numbers, &[NUMBER | 9_972, NUMBER | 20_000]);
        // One key in more than a block of rows.
        let same: Vec<u128> = vec![5; BLOCK * 2 + 10];
        check(&same, &[4, 5, 6]);
        check(&[], &[1]);
        check(&[1, 1 << 90, 3], &[0, 1, 1 << 90]);
    }

    #[test]
    fn a_file_that_was_cut_is_not_taken_for_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = path_of(dir.path(), "b.parquet");
        let one = [Entry { key: 1, sequence: 1, row: 0 }];
        write(&path, [1; 16], 1, one.iter().copied()).expect("writes");
        let bytes = std::fs::read(&path).expect("reads");
        std::fs::write(&path, &bytes[..bytes.len() - 1]).expect("writes");
        assert!(open(&path, [1; 16]).expect("opens").is_none());
    }
}
