//! A step's candidates in sorted runs: in memory up to a bound, in scratch files beyond it; and their parts, each of which holds
//! all candidates of its keys.
//!
//! Called by the lanes that stage rows, then by those that settle them. A part is what one lane has in memory at once, whatever
//! the number of candidates. Scratch files have no name, so that nothing of them outlives the process.

use super::{
    candidates::{Candidate, Spot},
    content::Fingerprint,
};
use crate::{error::LakeError, lanes};
use std::{
    cmp::Ordering,
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// A candidate in memory and on disk.
const BYTES: usize = 48;
/// Runs and parts of this many candidates keep a processor's cache warm.
const MOST_ROWS: usize = 128 * 1024;
/// Shorter runs cost more reads than they save memory.
const LEAST_ROWS: usize = 1024;
/// What a lane has in hand, an open run or a part with what is made of it, may take this share of the bound, in runs of its size.
const IN_HAND: usize = 8;
/// Of a run, the key of each so many candidates is kept.
const SAMPLE: usize = 256;
/// Sampled places move by the golden section of a sample from run to run.
const STAGGER: usize = 159;

/// Memory for the candidates of one step, and the folder for those that it does not hold.
#[derive(Debug)]
pub(crate) struct Room {
    free_bytes: AtomicU64,
    run_rows: usize,
    scratch: PathBuf,
    seed: u64,
}

impl Room {
    /// `seed`: of the fingerprints, so that no input can aim at two of one kind.
    pub(crate) fn new(bytes: u64, scratch: PathBuf, seed: u64) -> Self {
        let rows = usize::try_from(bytes).unwrap_or(usize::MAX) / BYTES / lanes::count() / IN_HAND;
        Self { free_bytes: AtomicU64::new(bytes), run_rows: rows.clamp(LEAST_ROWS, MOST_ROWS), scratch, seed }
    }

    /// Numbers are compared with each other only if they are of one seed.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::new(self.seed)
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Candidates of one part, about.
    pub(super) fn part_rows(&self) -> usize {
        self.run_rows
    }

    fn holds(&self, rows: usize) -> bool {
        let bytes = (rows * BYTES) as u64;
        self.free_bytes.fetch_update(Relaxed, Relaxed, |free| free.checked_sub(bytes)).is_ok()
    }
}

/// Candidates by [`order`].
#[derive(Debug, Clone)]
pub(super) struct Run {
    rows: usize,
    /// The key at `first`, and each [`SAMPLE`]th after it.
    samples: Vec<u128>,
    first: usize,
    place: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Held(Arc<Vec<Candidate>>),
    /// From this byte on.
    Spilled(Arc<File>, u64),
}

/// One lane's runs, while they are made.
pub(super) struct Runs {
    room: Arc<Room>,
    open: Vec<Candidate>,
    done: Vec<Run>,
    spill: Option<(Arc<File>, u64)>,
}

impl Runs {
    pub(super) fn new(room: Arc<Room>) -> Self {
        Self { room, open: Vec::new(), done: Vec::new(), spill: None }
    }

    pub(super) fn push(&mut self, candidate: Candidate) -> Result<(), LakeError> {
        self.open.push(candidate);
        if self.open.len() == self.room.run_rows { self.close() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> Result<Vec<Run>, LakeError> {
        if !self.open.is_empty() {
            self.close()?;
        }
        Ok(self.done)
    }

    fn close(&mut self) -> Result<(), LakeError> {
        sort(&mut self.open);
        let rows = self.open.len();
        // Elsewhere in each run, or runs alike would be cut at the same few keys.
        let first = self.done.len() * STAGGER % SAMPLE;
        let samples = self.open.iter().skip(first).step_by(SAMPLE).map(|c| c.key).collect();
        let place = if self.room.holds(rows) {
            let next = Vec::with_capacity(if rows == self.room.run_rows { rows } else { 0 });
            let mut held = std::mem::replace(&mut self.open, next);
            held.shrink_to_fit();
            Place::Held(Arc::new(held))
        } else {
            self.spill()?
        };
        self.done.push(Run { rows, samples, first, place });
        Ok(())
    }

    /// Moves the open run to the lane's scratch file.
    fn spill(&mut self) -> Result<Place, LakeError> {
        let dir = &self.room.scratch;
        let (file, end) = match &mut self.spill {
            Some(spill) => spill,
            None => self.spill.insert((Arc::new(scratch_file(dir)?), 0)),
        };
        let place = Place::Spilled(file.clone(), *end);
        let mut bytes = Vec::with_capacity(LEAST_ROWS * BYTES);
        for some in self.open.chunks(LEAST_ROWS) {
            bytes.clear();
            some.iter().for_each(|c| c.put(&mut bytes));
            file.write_all_at(&bytes, *end).map_err(LakeError::io(dir))?;
            *end += bytes.len() as u64;
        }
        self.open.clear();
        Ok(place)
    }
}

fn scratch_file(dir: &Path) -> Result<File, LakeError> {
    std::fs::create_dir_all(dir).map_err(LakeError::io(dir))?;
    tempfile::tempfile_in(dir).map_err(LakeError::io(dir))
}

impl Candidate {
    fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&{ self.key }.to_le_bytes());
        to.extend_from_slice(&{ self.sequence }.to_le_bytes());
        to.extend_from_slice(&self.spot.number().to_le_bytes());
        to.extend_from_slice(&{ self.content }.to_le_bytes());
    }

    fn get(bytes: &[u8; BYTES]) -> Self {
        let (key, rest) = bytes.split_first_chunk().expect("16 of 48 bytes");
        let (sequence, rest) = rest.split_first_chunk().expect("16 of 32 bytes");
        let (spot, rest) = rest.split_first_chunk().expect("8 of 16 bytes");
        let content = rest.first_chunk().expect("the last 8 bytes");
        Self {
            key: u128::from_le_bytes(*key),
            sequence: u128::from_le_bytes(*sequence),
            spot: Spot::from_number(u64::from_le_bytes(*spot)),
            content: u64::from_le_bytes(*content),
        }
    }
}

impl Run {
    /// Appends the candidates with keys in `[from, to)`; `None`: without that end.
    fn take(&self, from: Option<u128>, to: Option<u128>, into: &mut Vec<Candidate>) -> Result<(), LakeError> {
        // Keys below a sample lie before it; the first that is not may lie after the sample before.
        let place = |sample: usize| (self.first + sample * SAMPLE).min(self.rows);
        let below = |key: u128| self.samples.partition_point(|s| *s < key);
        let start = from.map_or(0, |f| below(f).checked_sub(1).map_or(0, place));
        let end = to.map_or(self.rows, |t| place(below(t)));
        if start >= end {
            return Ok(());
        }
        let inside = |c: &Candidate| from.is_none_or(|f| c.key >= f) && to.is_none_or(|t| c.key < t);
        match &self.place {
            Place::Held(all) => into.extend(all[start..end].iter().filter(|c| inside(c))),
            Place::Spilled(file, offset) => {
                let mut bytes = vec![0; (end - start) * BYTES];
                let failed = LakeError::io("a scratch file");
                file.read_exact_at(&mut bytes, offset + (start * BYTES) as u64).map_err(failed)?;
                let (all, _) = bytes.as_chunks();
                into.extend(all.iter().map(Candidate::get).filter(inside));
            }
        }
        Ok(())
    }
}

/// All candidates of a step, by parts.
#[derive(Debug)]
pub(super) struct Parts {
    runs: Vec<Run>,
    /// Where a part ends and the next begins.
    bounds: Vec<u128>,
}

impl Parts {
    pub(super) fn of(runs: Vec<Run>, part_rows: usize) -> Self {
        let mut samples: Vec<u128> = runs.iter().flat_map(|r| r.samples.iter().copied()).collect();
        samples.sort_unstable();
        let rows: usize = runs.iter().map(|r| r.rows).sum();
        // A run's last sample may stand for few candidates, so the mean is what a sample stands for.
        let step = (samples.len() * part_rows).checked_div(rows).unwrap_or(0).max(1);
        let mut bounds: Vec<u128> = samples.into_iter().step_by(step).skip(1).collect();
        bounds.dedup();
        Self { runs, bounds }
    }

    pub(super) fn count(&self) -> usize {
        if self.runs.is_empty() { 0 } else { self.bounds.len() + 1 }
    }

    /// All candidates of the keys of part `i`, by [`order`]. Parts ascend.
    pub(super) fn read(&self, i: usize) -> Result<Vec<Candidate>, LakeError> {
        let from = i.checked_sub(1).and_then(|b| self.bounds.get(b).copied());
        let to = self.bounds.get(i).copied();
        let mut all = Vec::new();
        for run in &self.runs {
            run.take(from, to, &mut all)?;
        }
        if self.runs.len() > 1 {
            sort(&mut all);
        }
        Ok(all)
    }
}

/// By key; of one key the latest first.
pub(super) fn order(a: &Candidate, b: &Candidate) -> Ordering {
    (a.key, b.sequence, a.spot).cmp(&(b.key, a.sequence, b.spot))
}

/// Sorts by [`order`]: first by the 64 bits of the keys in which they begin to differ, with places in place of candidates, which
/// moves 16 bytes where a candidate has 48.
fn sort(all: &mut Vec<Candidate>) {
    let Ok(rows) = u32::try_from(all.len()) else { return all.sort_unstable_by(order) };
    let (least, most) = all.iter().fold((u128::MAX, 0), |(l, m), c| (l.min(c.key), m.max(c.key)));
    let same_bits = (least ^ most).leading_zeros().min(127);
    let prefix = |c: &Candidate| ((c.key << same_bits) >> 64) as u64;
    let mut places: Vec<(u64, u32)> = all.iter().map(prefix).zip(0..rows).collect();
    // Of a part it is several sorted runs, which the stable sort merges.
    places.sort();
    let mut sorted: Vec<Candidate> = places.iter().map(|(_, i)| all[*i as usize]).collect();
    let mut start = 0;
    while start < sorted.len() {
        let alike = places[start..].iter().take_while(|p| p.0 == places[start].0).count();
        if alike > 1 {
            sorted[start..start + alike].sort_unstable_by(order);
        }
        start += alike;
    }
    *all = sorted;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(key: u128, sequence: u128, row: u32) -> Candidate {
        Candidate { key, sequence, spot: Spot::new(false, 0, row), content: 0 }
    }

    fn same(a: &[Candidate], b: &[Candidate]) -> bool {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| order(a, b) == Ordering::Equal)
    }

    /// All candidates as they come out of the parts, and how many bytes were left of the room.
    fn through(all: &[Candidate], lanes: usize, bytes: u64) -> (Vec<Vec<Candidate>>, u64) {
        let folder = tempfile::tempdir().expect("a folder");
        let room = Arc::new(Room::new(bytes, folder.path().to_owned(), 0));
        let mut runs = Vec::new();
        for lane in 0..lanes {
            let mut lane_runs = Runs::new(room.clone());
            all.iter().skip(lane).step_by(lanes).for_each(|c| lane_runs.push(*c).expect("takes it"));
            runs.extend(lane_runs.finish().expect("finishes"));
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "scratch files have no name");
        let parts = Parts::of(runs, room.part_rows());
        let read = (0..parts.count()).map(|p| parts.read(p).expect("reads")).collect();
        (read, room.free_bytes.load(Relaxed))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn parts_hold_what_was_pushed_in_order(
            keys in prop::collection::vec(prop_oneof![0u128..50, any::<u128>(), (1u128 << 64..1 << 64 | 9_999)], 0..5_000),
            lanes in 1usize..4,
            bytes in prop_oneof![Just(0u64), Just(100_000), Just(1 << 30)],
        ) {
            let all: Vec<Candidate> =
                keys.iter().zip(0..).map(|(k, row)| candidate(*k, u128::from(row % 7), row)).collect();
            let (parts, _) = through(&all, lanes, bytes);
            for pair in parts.windows(2).filter(|p| !p[0].is_empty() && !p[1].is_empty()) {
                let (last, first) = (pair[0].last().unwrap().key, pair[1][0].key);
                prop_assert!(last < first);
            }
            let mut expected = all;
            expected.sort_unstable_by(order);
            prop_assert!(same(&parts.concat(), &expected));
        }
    }

    #[test]
    fn keys_of_a_step_spill_beyond_an_eighth_of_the_limit() {
        const LIMIT: u64 = 16 << 20;
        let world = crate::maintain::fixture::World::with_memory(LIMIT);
        let room = Arc::new(world.engine.room());
        let mut runs = Runs::new(room.clone());
        for n in 0..100_000 {
            runs.push(candidate(u128::from(n), 1, n)).expect("takes it");
        }
        let runs = runs.finish().expect("finishes");
        let bytes = |held: bool| {
            let of = runs.iter().filter(|r| matches!(r.place, Place::Held(_)) == held);
            of.map(|r| (r.rows * BYTES) as u64).sum::<u64>()
        };
        assert_eq!(bytes(true) + bytes(false), 100_000 * BYTES as u64);
        let run = (room.run_rows * BYTES) as u64;
        assert!((LIMIT / 8 - run..=LIMIT / 8).contains(&bytes(true)), "{} bytes are held", bytes(true));
    }

    #[test]
    fn what_has_no_room_is_in_scratch_files_and_parts_stay_small() {
        let all: Vec<Candidate> =
            (0..40_000).map(|n: u32| candidate(u128::from(n.wrapping_mul(2_654_435_761)), 1, n)).collect();
        let bytes = 400_000;
        let (parts, left) = through(&all, 2, bytes);
        assert!(left < bytes / 4 && parts.len() >= 20, "{left} bytes left, {} parts", parts.len());
        assert!(parts.iter().all(|p| p.len() <= 3 * LEAST_ROWS), "{:?}", parts.iter().map(Vec::len).max());
    }
}
