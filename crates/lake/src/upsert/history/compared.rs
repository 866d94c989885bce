//! Snapshots against what is known: which of their rows say something new, and which keys are no longer there.
//!
//! Called by the silver step of a dataset with `snapshot_by`. What comes out are rows and deletions like any others, so that the write is the
//! one of all keyed tables. A snapshot is taken in order: one that is older than the newest taken changes nothing. One of which a record
//! was set aside ends no key.

use super::{
    super::{
        candidates::{CandidateLane, CandidatePart},
        content::Content,
        keys::Keys,
        runs::Room,
    },
    arrivals::{Arrival, ArrivalLane, ArrivalPart, Arrivals},
    shape::{END, Shape},
    tracker::Tracker,
    truncated::deletion_rows,
};
use crate::{
    error::LakeError,
    meter::Meter,
    scan::{self, Source},
    stage::Stager,
};
use arrow::{
    array::{ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array},
    compute::{concat, filter_record_batch, is_null, take},
    datatypes::SchemaRef,
    row::{RowConverter, SortField},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// Rows whose content is in memory at once.
const ROWS: usize = 50_000;

/// What comes in, and what it is held against.
pub(crate) struct Comparing<'a> {
    pub(crate) shape: &'a Shape,
    /// The newest snapshot that was taken before, as one row; or none.
    pub(crate) newest: &'a RecordBatch,
    /// Rows that hold now are in these files.
    pub(crate) stored: &'a [Source],
    /// Landing objects of which this step set records aside, and of which some are aside since before.
    pub(crate) aside: (&'a BTreeSet<String>, &'a BTreeSet<String>),
    pub(crate) scratch: &'a Path,
    pub(crate) meter: &'a Meter,
}

/// What snapshots say.
pub(crate) struct Compared {
    /// Rows that are new or changed, and deletions.
    pub(crate) parts: [ArrivalPart; 2],
    /// The newest snapshot that was taken now; or none.
    pub(crate) newest: RecordBatch,
    /// Rows of snapshots that are older than the newest.
    pub(crate) older: u64,
    /// Rows with the key and the snapshot of another one.
    pub(crate) duplicates: u64,
    /// Whether some snapshot ends no key, since a record of it was set aside.
    pub(crate) incomplete: bool,
}

/// The step's rows by their numbers.
struct Rows {
    arrivals: Arrivals,
    /// What each says, but for its key and snapshot.
    said: Vec<u128>,
    /// The place of its snapshot among all.
    rank: Vec<u32>,
    /// By place: a row of the snapshot.
    example: Vec<Option<u32>>,
    /// Places from here on are not older than the newest before.
    first: u32,
    /// Whether the first of them is the newest before.
    again: bool,
    /// Places of snapshots that end the keys that they do not have, ascending.
    ending: Vec<u32>,
}

impl Comparing<'_> {
    pub(crate) fn compare(&self, parts: Vec<ArrivalPart>) -> Result<Compared, LakeError> {
        let mut rows = self.rows(Arrivals::gather(parts, self.shape)?)?;
        let by_place = |a: &Arrival| (a.key, rows.rank[a.id as usize], a.id);
        rows.arrivals.all.sort_unstable_by_key(by_place);
        let mut keep = vec![false; rows.said.len()];
        let (winners, duplicates) = rows.winners(self.shape)?;
        let mut gone = ArrivalLane::made(self.shape, self.scratch)?;
        let open = self.open(&rows, &mut gone)?;
        let mut ended: Vec<(u32, u32)> = Vec::new();
        for of_key in winners.chunk_by(|a, b| a.key == b.key) {
            // `Some(None)`: the write decides what.
            let mut says = open.get(&of_key[0].key).copied().map(Some);
            let mut since = rows.first;
            for a in of_key {
                let (id, at) = (a.id as usize, rows.rank[a.id as usize]);
                if let Some(end) = rows.ends(since, at).filter(|_| says.is_some()) {
                    ended.push((a.id, end));
                    says = None;
                }
                keep[id] = says != Some(Some(rows.said[id]));
                // What stands already may be of the same snapshot, and the greater one.
                let tied = keep[id] && says.is_some() && rows.again && at == rows.first;
                says = Some((!tied).then_some(rows.said[id]));
                since = at + 1;
            }
            if let Some(at) = rows.ends(since, u32::MAX) {
                ended.push((of_key[0].id, at));
            }
        }
        self.delete(&rows, ended, &mut gone)?;
        let taken = &rows.example[rows.first as usize..];
        let newest: Vec<u32> = taken.last().copied().flatten().into_iter().collect();
        let older = rows.rank.iter().filter(|r| **r < rows.first).count() as u64;
        let ends = rows.ending.len() + usize::from(rows.again);
        Ok(Compared {
            newest: rows.snapshots(self.newest.schema(), &newest)?,
            older,
            duplicates,
            incomplete: ends < taken.iter().flatten().count(),
            parts: [self.kept(&rows, &keep)?, gone.finish()?],
        })
    }

    fn rows(&self, arrivals: Arrivals) -> Result<Rows, LakeError> {
        let (rank, places, first) = self.ranks(&arrivals.sequences)?;
        let mut example = vec![None; places];
        rank.iter().zip(0..).for_each(|(at, id)| example[*at as usize] = Some(id));
        let again = self.newest.num_rows() > 0 && example[first as usize].is_some();
        let mut rows = Rows { arrivals, said: vec![0; rank.len()], rank, example, first, again, ending: Vec::new() };
        let tracker = Tracker::new(&self.shape.said, &self.shape.event)?;
        let mut incomplete = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let (now, before) = self.aside;
        for part in 0..rows.arrivals.parts() {
            let (said, rank) = (&mut rows.said, &rows.rank);
            rows.arrivals.read(part, |base, batch| {
                let base = base as usize;
                said[base..base + batch.num_rows()].copy_from_slice(&tracker.hashes(batch)?);
                if now.is_empty() && before.is_empty() {
                    return Ok(());
                }
                let events = batch.column_by_name("_event_id").ok_or(LakeError::Worker("a row has its origin"))?;
                for (event, at) in events.as_string::<i32>().iter().zip(&rank[base..]) {
                    let Some(event) = event.filter(|e| now.contains(*e) || before.contains(*e)) else { continue };
                    incomplete.insert(*at);
                    if !seen.contains(event) {
                        seen.insert(event.to_owned());
                    }
                }
                Ok(())
            })?;
        }
        // Whose records these are can be any snapshot.
        let unknown = now.iter().any(|e| !seen.contains(e));
        // The newest before has ended its keys already.
        let ends = |at: &u32| {
            let before = rows.again && *at == rows.first;
            rows.example[*at as usize].is_some() && !before && !unknown && !incomplete.contains(at)
        };
        rows.ending = (rows.first..rows.example.len() as u32).filter(ends).collect();
        Ok(rows)
    }

    /// By row the place of its snapshot, how many places there are, and the first that is not older than the newest before.
    fn ranks(&self, sequences: &ArrayRef) -> Result<(Vec<u32>, usize, u32), LakeError> {
        let all = concat(&[sequences.as_ref(), self.newest.column(0).as_ref()])?;
        let encoded = RowConverter::new(vec![SortField::new(all.data_type().clone())])?.convert_columns(&[all])?;
        let mut order: Vec<u32> = (0..encoded.num_rows() as u32).collect();
        order.sort_unstable_by(|a, b| encoded.row(*a as usize).cmp(&encoded.row(*b as usize)));
        let mut rank = vec![0; order.len()];
        let mut at = 0;
        for (i, id) in order.iter().enumerate() {
            let before = i.checked_sub(1).map(|b| order[b] as usize);
            at += u32::from(before.is_some_and(|b| encoded.row(b) != encoded.row(*id as usize)));
            rank[*id as usize] = at;
        }
        let places = if order.is_empty() { 0 } else { at as usize + 1 };
        let newest = rank.split_off(sequences.len());
        Ok((rank, places, newest.first().copied().unwrap_or(0)))
    }

    /// What the rows that hold now say, of keys that came. Of others the deletions go to `gone`.
    fn open(&self, rows: &Rows, gone: &mut ArrivalLane) -> Result<BTreeMap<u128, u128>, LakeError> {
        let history = self.shape.history;
        let mut names: Vec<String> = self.shape.keys.columns();
        names.extend(self.shape.said.iter().cloned().chain(history.then(|| END.to_owned())));
        let schema = scan::project(&self.shape.stored, &names)?;
        let (encoder, tracker) = (self.shape.keys.encoder(&schema)?, Tracker::new(&self.shape.said, &schema)?);
        let first = rows.ending.first().and_then(|at| rows.example[*at as usize]);
        let mut open = BTreeMap::new();
        for unit in scan::units(self.stored)? {
            for batch in unit.read(&schema, self.meter)? {
                let mut batch = batch?;
                if history {
                    let ends = batch.column(batch.num_columns() - 1);
                    batch = filter_record_batch(&batch, &is_null(ends)?)?;
                }
                let mut missing = Vec::new();
                let keys = encoder.keys(&batch)?;
                for (row, (key, said)) in (0..).zip(keys.into_iter().zip(tracker.hashes(&batch)?)) {
                    if rows.came(key) {
                        open.insert(key, said);
                    } else if first.is_some() {
                        missing.push(row);
                    }
                }
                let at: Vec<u32> = missing.iter().filter_map(|_| first).collect();
                self.bury(&batch, missing, rows, &at, gone)?;
            }
        }
        Ok(open)
    }

    /// `ended`: a row of the key, and the place of the snapshot that no longer has it.
    fn delete(&self, rows: &Rows, mut ended: Vec<(u32, u32)>, gone: &mut ArrivalLane) -> Result<(), LakeError> {
        ended.sort_unstable();
        for some in ended.chunks(ROWS) {
            let mut ids: Vec<u32> = some.iter().map(|(id, _)| *id).collect();
            ids.dedup();
            let found = rows.arrivals.fetch(&ids)?;
            let place = |id: &u32| ids.binary_search(id).expect("each was fetched") as u32;
            let whose = some.iter().map(|(id, _)| place(id)).collect();
            let at: Vec<u32> = some.iter().filter_map(|(_, at)| rows.example[*at as usize]).collect();
            self.bury(&found, whose, rows, &at, gone)?;
        }
        Ok(())
    }

    /// Deletions of the keys of rows `whose`, each at the snapshot of the row `at`.
    fn bury(
        &self,
        batch: &RecordBatch,
        whose: Vec<u32>,
        rows: &Rows,
        at: &[u32],
        gone: &mut ArrivalLane,
    ) -> Result<(), LakeError> {
        if whose.is_empty() {
            return Ok(());
        }
        let made = deletion_rows(self.shape, batch, whose, &rows.snapshots(self.newest.schema(), at)?)?;
        gone.add(&made, Some(&BooleanArray::from(vec![true; made.num_rows()])))
    }

    fn kept(&self, rows: &Rows, keep: &[bool]) -> Result<ArrivalPart, LakeError> {
        let mut lane = ArrivalLane::new(self.shape, self.scratch)?;
        for part in 0..rows.arrivals.parts() {
            rows.arrivals.read(part, |base, batch| {
                let mask = BooleanArray::from(keep[base as usize..base as usize + batch.num_rows()].to_vec());
                lane.add(&filter_record_batch(batch, &mask)?, None)
            })?;
        }
        lane.finish()
    }
}

impl Compared {
    /// As candidates of a table with a row a key.
    pub(crate) fn candidates(
        &self,
        keys: &Keys,
        room: &Arc<Room>,
        rows: &Stager,
        graves: Option<&Stager>,
    ) -> Result<CandidatePart, LakeError> {
        let mut lane = CandidateLane::new(keys, room, rows, graves)?;
        let [kept, gone] = &self.parts;
        kept.read(|batch| lane.add(&scan::conform(batch, rows.schema())?, None))?;
        gone.read(|batch| {
            let deletes = BooleanArray::from(vec![true; batch.num_rows()]);
            lane.add(&scan::conform(batch, rows.schema())?, Some(&deletes))
        })?;
        lane.finish()
    }
}

impl Rows {
    /// Of the arrivals that are not older, one for each key and snapshot, by key and snapshot; and how many others there were.
    fn winners(&self, shape: &Shape) -> Result<(Vec<Arrival>, u64), LakeError> {
        let rank = |a: &Arrival| self.rank[a.id as usize];
        let mut winners = Vec::new();
        let mut ties: Vec<(usize, Vec<u32>)> = Vec::new();
        let (mut tied, mut duplicates) = (0, 0);
        for run in self.arrivals.all.chunk_by(|a, b| a.key == b.key && rank(a) == rank(b)) {
            if rank(&run[0]) < self.first {
                continue;
            }
            winners.push(run[0]);
            duplicates += run.len() as u64 - 1;
            if run.len() > 1 {
                tied += run.len();
                ties.push((winners.len() - 1, run.iter().map(|a| a.id).collect()));
            }
            if tied > ROWS {
                self.settle(shape, std::mem::take(&mut ties), &mut winners)?;
                tied = 0;
            }
        }
        self.settle(shape, ties, &mut winners)?;
        Ok((winners, duplicates))
    }

    /// Puts the one that stands of each tie into its place.
    fn settle(&self, shape: &Shape, ties: Vec<(usize, Vec<u32>)>, winners: &mut [Arrival]) -> Result<(), LakeError> {
        // Of a tie with more rows than fit, the best so far goes on with the next ones.
        let mut open = ties;
        while !open.is_empty() {
            let now: Vec<(usize, Vec<u32>)> =
                open.iter_mut().map(|(at, ids)| (*at, ids.split_off(ids.len().saturating_sub(ROWS)))).collect();
            let mut ids: Vec<u32> = now.iter().flat_map(|(_, ids)| ids).copied().collect();
            ids.sort_unstable();
            let content = Content::of(&shape.keys, &self.arrivals.fetch(&ids)?)?;
            let place = |id: &u32| ids.binary_search(id).expect("each was fetched");
            for ((at, rest), (_, now)) in open.iter_mut().zip(&now) {
                let better = |a: u32, b: u32| if content.beats(place(&b), &content, place(&a)) { b } else { a };
                let best = now.iter().copied().reduce(better).ok_or(LakeError::Worker("a tie has rows"))?;
                winners[*at].id = best;
                if !rest.is_empty() {
                    rest.push(best);
                }
            }
            open.retain(|(_, rest)| !rest.is_empty());
        }
        Ok(())
    }

    /// The first snapshot from place `from` to before `to` that ends what it does not have.
    fn ends(&self, from: u32, to: u32) -> Option<u32> {
        let next = self.ending.partition_point(|at| *at < from);
        self.ending.get(next).copied().filter(|at| *at < to)
    }

    /// Whether the key is among the arrivals that are not older.
    fn came(&self, key: u128) -> bool {
        let all = &self.arrivals.all;
        let end = all.partition_point(|a| a.key <= key);
        end > 0 && all[end - 1].key == key && self.rank[all[end - 1].id as usize] >= self.first
    }

    /// The snapshots of these rows.
    fn snapshots(&self, schema: SchemaRef, ids: &[u32]) -> Result<RecordBatch, LakeError> {
        let values = take(&self.arrivals.sequences, &UInt32Array::from(ids.to_vec()), None)?;
        Ok(RecordBatch::try_new(schema, vec![values])?)
    }
}
