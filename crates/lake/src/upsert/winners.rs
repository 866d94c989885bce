//! Of the candidates of one key, the one that stands.

use super::{
    candidates::{Candidate, Candidates, Spot},
    content::Content,
    keys::Keys,
};
use crate::{error::LakeError, meter::Meter};

/// Rows whose content is in memory at once while ties are decided.
const TIE_ROWS: usize = 200_000;

/// One candidate a key, ascending by key.
pub(crate) struct Winners {
    pub(super) all: Vec<Candidate>,
    /// Candidates that another one of the same step supersedes.
    pub(super) losers: Vec<Spot>,
    /// Candidates with the key and the sequence of another one.
    pub(crate) duplicates: u64,
}

impl Winners {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }
}

pub(crate) fn resolve(keys: &Keys, from: &mut Candidates, meter: &Meter) -> Result<Winners, LakeError> {
    let mut all = std::mem::take(&mut from.all);
    let ties = ties(&all);
    let duplicates = settle(keys, from, &mut all, &ties, meter)?;
    let mut losers = Vec::new();
    all.dedup_by(|next, kept| {
        let lost = next.key == kept.key;
        if lost {
            losers.push(next.spot);
        }
        lost
    });
    all.shrink_to_fit();
    Ok(Winners { all, losers, duplicates })
}

/// A run of candidates with one key and one sequence prefix.
struct Tie {
    start: usize,
    len: usize,
    /// Whether the run holds the key's highest sequence.
    top: bool,
}

fn ties(all: &[Candidate]) -> Vec<Tie> {
    let mut ties = Vec::new();
    let mut start = 0;
    while start < all.len() {
        let c = &all[start];
        let len = all[start..].iter().take_while(|o| o.key == c.key && o.sequence == c.sequence).count();
        if len > 1 {
            ties.push(Tie { start, len, top: start == 0 || all[start - 1].key != c.key });
        }
        start += len;
    }
    ties
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
    let content = Content::of(keys, &from.fetch(&spots, meter)?)?;
    let at = |c: &Candidate| spots.binary_search(&c.spot).expect("every tied candidate was fetched");
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
        let content = Content::of(keys, &from.fetch(piece, meter)?)?;
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
            best = Some((spot, Content::of(keys, &from.fetch(&[spot], meter)?)?));
        }
    }
    if let (Some(tie), Some((spot, _))) = (ties.first().filter(|t| t.top), best)
        && let Some(i) = all[tie.start..tie.start + tie.len].iter().position(|c| c.spot == spot)
    {
        all.swap(tie.start, tie.start + i);
    }
    Ok(duplicates)
}
