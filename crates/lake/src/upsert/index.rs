//! Where each key of a data file lies: a file beside it, so that an upsert finds its rows without reading the table.
//!
//! Derived from an immutable data file, it is never out of date; missing or of another form, it is made again. A row
//! that a deletion vector took out is still in it: whoever asks looks at the vector.

use super::{
    candidates::{Candidate, Spot},
    keys::Keys,
    runs::{Parts, Room, Runs},
};
use crate::{
    error::LakeError,
    meter::Meter,
    remote::{Disk, LakeFile},
    scan::{self, Source},
    syncs::Syncs,
};
use arrow::datatypes::SchemaRef;
use std::{
    fs::File,
    io::Write,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Folder of the key files in a table's folder; readers pass over names that start with `_`.
const FOLDER: &str = "_keys";
const MAGIC: &[u8; 8] = b"alvkeys3";
/// Most keys of a block, which are read at once.
const BLOCK: usize = 512;
/// Magic, fingerprint, and seed.
const HEADER: usize = 8 + 16 + 8;
/// First key, offset, keys and bytes of a key: what the end of the file tells of a block.
const FENCE: usize = 16 + 8 + 4 + 4;
/// Number of blocks, and the magic once more.
const TAIL: usize = 8 + 8;
/// Row number, sequence and content of one key.
const PLACE: usize = 4 + 16 + 8;

/// One row's key, the start of its sequence, its number in the file, and the number of what it says; 0: not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) key: u128,
    pub(super) sequence: u128,
    pub(super) row: u32,
    pub(super) content: u64,
}

/// A key file: a header; blocks, each its keys ascending and then, in the same order, row numbers, sequences and contents; at the
/// end where the blocks are.
pub(super) struct KeyFile {
    path: LakeFile,
    /// Of the numbers that tell contents.
    seed: u64,
    blocks: Vec<Block>,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    first: u128,
    offset: u64,
    keys: usize,
    /// Bytes of a stored key: 8 when each is a whole number, 16 otherwise.
    width: usize,
}

/// Entries as they lie in a key file.
#[derive(Default)]
pub(super) struct Encoded {
    bytes: Vec<u8>,
    /// Offsets from the start of `bytes`.
    blocks: Vec<Block>,
}

/// A key file while it is written. Dropped unfinished, it leaves nothing.
pub(super) struct KeyWriter {
    path: PathBuf,
    file: tempfile::NamedTempFile,
    offset: u64,
    blocks: Vec<Block>,
}

pub(crate) fn path_of(table: &Path, data_file: &str) -> PathBuf {
    table.join(FOLDER).join(format!("{}.keys", data_file.replace('/', "_")))
}

/// Of files whose contents nobody numbered.
pub(super) const NO_SEED: u64 = 0;

/// Whole numbers are told apart from null by one bit above them: see [`super::keys::Encoder::keys`].
const NUMBER: u128 = 1 << 64;

/// `entries` ascend.
pub(super) fn encode(entries: &[Entry]) -> Encoded {
    let mut encoded = Encoded::default();
    encoded.bytes.reserve(entries.len() * (16 + PLACE));
    for block in entries.chunks(BLOCK) {
        let width = if block.iter().all(|e| e.key >> 64 == 1) { 8 } else { 16 };
        let offset = encoded.bytes.len() as u64;
        encoded.blocks.push(Block { first: block[0].key, offset, keys: block.len(), width });
        for e in block {
            encoded.bytes.extend_from_slice(&e.key.to_le_bytes()[..width]);
        }
        for e in block {
            encoded.bytes.extend_from_slice(&e.row.to_le_bytes());
            encoded.bytes.extend_from_slice(&e.sequence.to_le_bytes());
            encoded.bytes.extend_from_slice(&e.content.to_le_bytes());
        }
    }
    encoded
}

impl KeyWriter {
    /// `seed`: of the numbers that tell contents.
    pub(super) fn create(path: PathBuf, fingerprint: [u8; 16], seed: u64) -> Result<Self, LakeError> {
        let dir = path.parent().unwrap_or(&path);
        std::fs::create_dir_all(dir).map_err(LakeError::io(dir))?;
        let mut file = tempfile::NamedTempFile::new_in(dir).map_err(LakeError::io(dir))?;
        let header = [&MAGIC[..], &fingerprint, &seed.to_le_bytes()].concat();
        file.write_all(&header).map_err(LakeError::io(&path))?;
        Ok(Self { path, file, offset: header.len() as u64, blocks: Vec::new() })
    }

    /// `more` goes on where the last one ended.
    pub(super) fn append(&mut self, more: &Encoded) -> Result<(), LakeError> {
        self.file.write_all(&more.bytes).map_err(LakeError::io(&self.path))?;
        self.blocks.extend(more.blocks.iter().map(|b| Block { offset: b.offset + self.offset, ..*b }));
        self.offset += more.bytes.len() as u64;
        Ok(())
    }

    /// The file is there as a whole. It is durable at the next commit, or on return where nothing is to wait for it.
    pub(super) fn finish(mut self, syncs: Option<&Syncs>) -> Result<(), LakeError> {
        let mut end = Vec::with_capacity(self.blocks.len() * FENCE + TAIL);
        for b in &self.blocks {
            end.extend_from_slice(&b.first.to_le_bytes());
            end.extend_from_slice(&b.offset.to_le_bytes());
            end.extend_from_slice(&(b.keys as u32).to_le_bytes());
            end.extend_from_slice(&(b.width as u32).to_le_bytes());
        }
        end.extend_from_slice(&(self.blocks.len() as u64).to_le_bytes());
        end.extend_from_slice(MAGIC);
        self.file.write_all(&end).map_err(LakeError::io(&self.path))?;
        match syncs {
            Some(syncs) => syncs.start(self.file.as_file(), &self.path)?,
            None => self.file.as_file().sync_all().map_err(LakeError::io(&self.path))?,
        }
        self.file.persist(&self.path).map_err(|e| LakeError::io(&self.path)(e.error))?;
        Ok(())
    }
}

/// The key file of a data file, made now if there is none that fits.
pub(super) fn open_or_make(
    table: &Path,
    source: &Source,
    keys: &Keys,
    schema: &SchemaRef,
    room: &Arc<Room>,
    meter: &Meter,
) -> Result<KeyFile, LakeError> {
    let name = source.path.strip_prefix(table).unwrap_or(&source.path).to_string_lossy();
    let path = path_of(table, &name);
    let fingerprint = keys.fingerprint(schema)?;
    let disk = source.path.disk();
    if let Some(found) = open(disk, &path, fingerprint)? {
        return Ok(found);
    }
    let rows = rows_of(source, keys, schema, room, meter)?;
    let mut writer = KeyWriter::create(path.clone(), fingerprint, NO_SEED)?;
    for part in 0..rows.count() {
        let mut entries: Vec<Entry> = rows.read(part)?.iter().map(Entry::of).collect();
        entries.sort_unstable();
        writer.append(&encode(&entries))?;
    }
    writer.finish(None)?;
    // To make it again would cost the next process a read of the data file.
    disk.upload_now(&path)?;
    open(disk, &path, fingerprint)?.ok_or(LakeError::Worker("a key file that was written is there"))
}

/// The key file of a data file whose rows come from others.
pub(crate) fn make(
    table: &Path,
    source: &Source,
    keys: &Keys,
    schema: &SchemaRef,
    room: &Arc<Room>,
    meter: &Meter,
) -> Result<(), LakeError> {
    open_or_make(table, source, keys, schema, room, meter).map(drop)
}

/// The keys of all rows of a data file.
fn rows_of(
    source: &Source,
    keys: &Keys,
    schema: &SchemaRef,
    room: &Arc<Room>,
    meter: &Meter,
) -> Result<Parts, LakeError> {
    let columns = scan::project(schema, &keys.columns())?;
    let encoder = keys.encoder(&columns)?;
    let mut all = Runs::new(room.clone());
    for unit in scan::units(std::slice::from_ref(source))? {
        let mut row = u32::try_from(unit.base).map_err(|_| LakeError::Worker("a data file has too many rows"))?;
        for batch in unit.read_rows(&columns, meter, None)? {
            let batch = batch?;
            for (key, sequence) in encoder.keys(&batch)?.into_iter().zip(encoder.sequences(&batch)?) {
                all.push(Candidate { key, sequence, spot: Spot::new(false, 0, row), content: 0 })?;
                row += 1;
            }
        }
    }
    Ok(Parts::of(all.finish()?, room.part_rows()))
}

/// `None`: not there, or not of this form.
fn open(disk: &Disk, path: &Path, fingerprint: [u8; 16]) -> Result<Option<KeyFile>, LakeError> {
    let held = disk.file(path.to_owned());
    let Some(file) = disk.open_if_there(path, None)? else { return Ok(None) };
    let length = file.metadata().map_err(LakeError::io(path))?.len() as usize;
    if length < HEADER + TAIL {
        return Ok(None);
    }
    let read = |bytes: &mut [u8], at: usize| file.read_exact_at(bytes, at as u64).map_err(LakeError::io(path));
    let (mut header, mut tail) = ([0; HEADER], [0; TAIL]);
    read(&mut header, 0)?;
    read(&mut tail, length - TAIL)?;
    let count = u64::from_le_bytes(*tail.first_chunk().expect("eight bytes")) as usize;
    let fences = count.checked_mul(FENCE).and_then(|f| (length - HEADER - TAIL).checked_sub(f)).map(|f| f + HEADER);
    let fits = header[..8] == *MAGIC && header[8..24] == fingerprint && tail[8..] == *MAGIC;
    let (Some(fences), true) = (fences, fits) else { return Ok(None) };
    let seed = u64::from_le_bytes(*header.last_chunk().expect("eight bytes"));
    let mut bytes = vec![0; count * FENCE];
    read(&mut bytes, fences)?;
    let blocks: Vec<Block> = bytes.as_chunks().0.iter().map(Block::of).collect();
    let mut end = HEADER as u64;
    let whole = blocks.iter().all(|b| {
        let follows = b.offset == end && matches!(b.width, 8 | 16);
        end = b.offset.saturating_add((b.keys * (b.width + PLACE)) as u64);
        follows
    });
    Ok((whole && end == fences as u64).then(|| KeyFile { path: held, seed, blocks }))
}

impl Entry {
    pub(super) fn of(c: &Candidate) -> Self {
        Self { key: c.key, sequence: c.sequence, row: { c.spot }.row(), content: c.content }
    }
}

impl Block {
    fn of(bytes: &[u8; FENCE]) -> Self {
        let (first, rest) = bytes.split_first_chunk().expect("16 of 32 bytes");
        let (offset, rest) = rest.split_first_chunk().expect("8 of 16 bytes");
        let (keys, width) = rest.split_first_chunk().expect("4 of 8 bytes");
        Self {
            first: u128::from_le_bytes(*first),
            offset: u64::from_le_bytes(*offset),
            keys: u32::from_le_bytes(*keys) as usize,
            width: u32::from_le_bytes(*width.first_chunk().expect("the last 4 bytes")) as usize,
        }
    }

    fn key_at(self, bytes: &[u8], i: usize) -> u128 {
        let at = &bytes[i * self.width..(i + 1) * self.width];
        match at.try_into() {
            Ok(short) => NUMBER | u128::from(u64::from_le_bytes(short)),
            Err(_) => u128::from_le_bytes(at.try_into().expect("a key has 8 or 16 bytes")),
        }
    }
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
        let mut file = None;
        let mut buffer = vec![0; BLOCK * 16];
        let mut next = 0;
        // Of a key that is in several blocks the first rows may lie at the end of the one before its first fence.
        let mut block = if wanted == 0 { self.blocks.len() } else { self.before(key(0), 0) };
        while block < self.blocks.len() && next < wanted {
            let b = self.blocks[block];
            let end = self.blocks.get(block + 1).map_or(u128::MAX, |b| b.first);
            next += gallop(next, wanted, |i| key(i) < b.first);
            if next >= wanted {
                break;
            }
            if key(next) > end {
                block = self.before(key(next), block + 1);
                continue;
            }
            let file = match &file {
                Some(file) => file,
                None => file.insert(self.path.open()?),
            };
            let bytes = &mut buffer[..b.keys * b.width];
            self.read(file, bytes, b.offset)?;
            let stored = |i: usize| b.key_at(bytes, i);
            let (mut i, mut w) = (0, next);
            while i < b.keys && w < wanted {
                let k = key(w);
                i += gallop(i, b.keys, |j| stored(j) < k);
                while i < b.keys && stored(i) == k {
                    found(w, self.place(file, b, i, k)?)?;
                    i += 1;
                }
                w += 1;
            }
            block += 1;
        }
        Ok(())
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// From `from` on: the last block that begins below `key`, or `from`.
    fn before(&self, key: u128, from: usize) -> usize {
        (from + self.blocks[from..].partition_point(|b| b.first < key)).saturating_sub(1).max(from)
    }

    fn place(&self, file: &File, block: Block, i: usize, key: u128) -> Result<Entry, LakeError> {
        let mut bytes = [0; PLACE];
        self.read(file, &mut bytes, block.offset + (block.keys * block.width + i * PLACE) as u64)?;
        let (row, rest) = bytes.split_first_chunk().expect("4 of 28 bytes");
        let (sequence, content) = rest.split_first_chunk().expect("16 of 24 bytes");
        Ok(Entry {
            key,
            row: u32::from_le_bytes(*row),
            sequence: u128::from_le_bytes(*sequence),
            content: u64::from_le_bytes(*content.first_chunk().expect("the last 8 bytes")),
        })
    }

    fn read(&self, file: &File, bytes: &mut [u8], at: u64) -> Result<(), LakeError> {
        file.read_exact_at(bytes, at).map_err(LakeError::io(&*self.path))
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

    /// In two parts, as lanes give them.
    fn write(path: &Path, all: &[Entry]) {
        let mut writer = KeyWriter::create(path.to_owned(), [1; 16], 9).expect("a file");
        let (first, second) = all.split_at(all.len() / 3);
        writer.append(&encode(first)).expect("writes");
        writer.append(&encode(second)).expect("writes");
        writer.finish(None).expect("finishes");
    }

    fn entry(key: u128, row: u32) -> Entry {
        Entry { key, sequence: key.wrapping_mul(3), row, content: u64::from(row) << 32 | 7 }
    }

    fn check(keys: &[u128], wanted: &[u128]) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = path_of(dir.path(), "a/b.parquet");
        let mut all: Vec<Entry> = (0..).zip(keys).map(|(row, k)| entry(*k, row)).collect();
        all.sort_unstable();
        write(&path, &all);
        assert!(open(&Disk::default(), &path, [2; 16]).expect("opens").is_none());
        let file = open(&Disk::default(), &path, [1; 16]).expect("opens").expect("fits");
        assert_eq!(file.seed(), 9);
        let mut found: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        let seen = |w: usize, e: Entry| {
            assert_eq!(e, entry(wanted[w], e.row));
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
        let one = [entry(1, 0)];
        write(&path, &one);
        let bytes = std::fs::read(&path).expect("reads");
        std::fs::write(&path, &bytes[..bytes.len() - 1]).expect("writes");
        assert!(open(&Disk::default(), &path, [1; 16]).expect("opens").is_none());
    }
}
