//! Of the candidates of one key, the one that stands.

use super::{
    candidates::{Candidate, Candidates, Spot},
    content::{self, Content},
    keys::Keys,
};
use crate::{error::LakeError, meter::Meter};

/// Rows whose content is in memory at once while ties are decided.
pub(super) const TIE_ROWS: usize = 100_000;

/// What the sequences alone tell of some candidates.
#[derive(Default)]
pub(super) struct Decided {
    /// One candidate a key, ascending by key.
    pub(super) winners: Vec<Candidate>,
    /// Candidates that another one of the same step supersedes.
    pub(super) losers: Vec<Spot>,
    pub(super) ties: Ties,
}

/// Candidates that only their content can tell apart.
#[derive(Default)]
pub(super) struct Ties {
    all: Vec<Candidate>,
    runs: Vec<Tie>,
}

/// A run of candidates with one key and one sequence prefix.
#[derive(Clone, Copy)]
struct Tie {
    start: usize,
    len: usize,
    /// Whether the run holds the key's highest sequence.
    top: bool,
    /// Whether all of them say the same.
    equal: bool,
}

/// What content told.
#[derive(Default)]
pub(super) struct Settled {
    pub(super) winners: Vec<Candidate>,
    pub(super) losers: Vec<Spot>,
    /// Candidates with the key and the sequence of another one.
    pub(super) duplicates: u64,
}

/// `all`: every candidate of its keys, by [`super::runs::order`].
pub(super) fn decide(all: &[Candidate]) -> Decided {
    let mut decided = Decided::default();
    let mut rest = all;
    while let Some(first) = rest.first() {
        let mut top = true;
        let same_key = rest.iter().take_while(|c| c.key == { first.key }).count();
        let (mut versions, later) = rest.split_at(same_key);
        rest = later;
        while let Some(latest) = versions.first() {
            let same = versions.iter().take_while(|c| c.sequence == { latest.sequence }).count();
            let (run, earlier) = versions.split_at(same);
            versions = earlier;
            if run.len() > 1 {
                decided.ties.push(run, top);
            }
            if !top {
                decided.losers.extend(run.iter().map(|c| c.spot));
            } else if run.len() == 1 {
                decided.winners.push(*latest);
            }
            top = false;
        }
    }
    decided
}

impl Ties {
    fn push(&mut self, run: &[Candidate], top: bool) {
        let equal = run.iter().all(|c| { c.content } != 0 && c.content == run[0].content);
        self.runs.push(Tie { start: self.all.len(), len: run.len(), top, equal });
        self.all.extend_from_slice(run);
    }

    pub(super) fn append(&mut self, other: Self) {
        let before = self.all.len();
        self.all.extend(other.all);
        self.runs.extend(other.runs.into_iter().map(|t| Tie { start: t.start + before, ..t }));
    }

    pub(super) fn rows(&self) -> usize {
        self.all.len()
    }

    /// Those of which one will stand.
    pub(super) fn top(&self) -> impl Iterator<Item = &Candidate> {
        self.runs.iter().filter(|t| t.top).flat_map(|t| &self.all[t.start..t.start + t.len])
    }

    /// Decides all of them, reading their rows.
    pub(super) fn settle(mut self, keys: &Keys, from: &Candidates, meter: &Meter) -> Result<Settled, LakeError> {
        // What says the same needs fewer columns.
        let (equal, unequal): (Vec<Tie>, Vec<Tie>) = self.runs.iter().partition(|t| t.equal);
        let mut duplicates = settle(keys, from, &mut self.all, &unequal, meter)?;
        duplicates += settle(keys, from, &mut self.all, &equal, meter)?;
        let mut settled = Settled { duplicates, ..Settled::default() };
        for tie in self.runs.iter().filter(|t| t.top) {
            settled.winners.push(self.all[tie.start]);
            settled.losers.extend(self.all[tie.start + 1..tie.start + tie.len].iter().map(|c| c.spot));
        }
        settled.winners.sort_unstable_by(super::runs::order);
        Ok(settled)
    }
}

/// Decides the ties by content, brings each top run's winner to the run's start, and counts duplicates.
fn settle(
    keys: &Keys,
    from: &Candidates,
    all: &mut [Candidate],
    ties: &[Tie],
    meter: &Meter,
) -> Result<u64, LakeError> {
    let mut duplicates = 0;
    let mut rest = ties;
    while !rest.is_empty() {
        let mut rows = 0;
        let fits = rest.iter().take_while(|t| {
            rows += t.len;
            rows <= TIE_ROWS
        });
        let (now, later) = rest.split_at(fits.count().max(1));
        rest = later;
        duplicates += settle_some(keys, from, all, now, meter)?;
    }
    Ok(duplicates)
}

/// The candidates at `spots`, which ascend; they are of `ties`, all of which are of equals or none.
fn contents(keys: &Keys, from: &Candidates, spots: &[Spot], ties: &[Tie], meter: &Meter) -> Result<Content, LakeError> {
    if ties.iter().all(|t| t.equal) {
        return Content::of_equals(&from.fetch_columns(&content::origin(from.rows.schema())?, spots, meter)?);
    }
    Content::of(keys, &from.fetch(spots, meter)?)
}

fn settle_some(
    keys: &Keys,
    from: &Candidates,
    all: &mut [Candidate],
    ties: &[Tie],
    meter: &Meter,
) -> Result<u64, LakeError> {
    let mut spots: Vec<Spot> = ties.iter().flat_map(|t| all[t.start..t.start + t.len].iter().map(|c| c.spot)).collect();
    spots.sort_unstable();
    let mut duplicates = 0;
    // One run may be longer than what fits: its rows come piece by piece, and the best so far stays.
    if spots.len() > TIE_ROWS {
        return settle_long(keys, from, all, ties, &spots, meter);
    }
    let content = contents(keys, from, &spots, ties, meter)?;
    let at = |c: &Candidate| spots.binary_search(&{ c.spot }).expect("every tied candidate was fetched");
    for tie in ties {
        let run = &mut all[tie.start..tie.start + tie.len];
        run.sort_unstable_by(|a, b| {
            let (a, b) = (at(a), at(b));
            if a == b {
                std::cmp::Ordering::Equal
            } else if content.beats(a, &content, b) {
                std::cmp::Ordering::Less
            } else {
                std::cmp::Ordering::Greater
            }
        });
        duplicates += run.windows(2).filter(|w| content.same_sequence(at(&w[0]), &content, at(&w[1]))).count() as u64;
    }
    Ok(duplicates)
}

fn settle_long(
    keys: &Keys,
    from: &Candidates,
    all: &mut [Candidate],
    ties: &[Tie],
    spots: &[Spot],
    meter: &Meter,
) -> Result<u64, LakeError> {
    let mut best: Option<(Spot, Content)> = None;
    let mut duplicates = 0;
    for piece in spots.chunks(TIE_ROWS) {
        let content = contents(keys, from, piece, ties, meter)?;
        let mut top = 0;
        for i in 1..piece.len() {
            duplicates += u64::from(content.same_sequence(i - 1, &content, i));
            if content.beats(i, &content, top) {
                top = i;
            }
        }
        let wins = match &best {
            Some((_, b)) => {
                duplicates += u64::from(content.same_sequence(top, b, 0));
                content.beats(top, b, 0)
            }
            None => true,
        };
        if wins {
            let spot = piece[top];
            best = Some((spot, contents(keys, from, &[spot], ties, meter)?));
        }
    }
    if let (Some(tie), Some((spot, _))) = (ties.first().filter(|t| t.top), best)
        && let Some(i) = all[tie.start..tie.start + tie.len].iter().position(|c| { c.spot } == spot)
    {
        all.swap(tie.start, tie.start + i);
    }
    Ok(duplicates)
}
