//! Which columns tell the records apart.

use super::{column::Plan, names::tokens};
use crate::ColumnType;

/// Fewer records are different by chance.
const ENOUGH: u64 = 10;
const ENOUGH_FOR_SEVERAL: u64 = 100;
/// Columns of which combinations are tried, and how many of them together.
const TRIED: usize = 10;
const MOST_TOGETHER: usize = 4;
const LONGEST: u64 = 64;

const KEY_WORDS: [&str; 10] = ["id", "key", "uuid", "guid", "code", "number", "no", "nr", "num", "pk"];
/// Parts of a key that counts within another one, or of a time.
const PART_WORDS: [&str; 9] = ["year", "month", "day", "week", "hour", "line", "seq", "sequence", "position"];

/// The fewest columns whose values together are different in every record, those first that are named or made like keys.
/// `unique` tells it of columns by their place; `refused`: it did not hold after all.
pub(super) fn find(
    records: u64,
    plans: &[Plan<'_>],
    unique: &dyn Fn(&[usize]) -> bool,
    refused: &dyn Fn(&[usize]) -> bool,
) -> Vec<usize> {
    let mut able: Vec<(u32, usize)> = plans.iter().enumerate().filter_map(|(i, p)| Some((rank(p)?, i))).collect();
    able.sort_unstable();
    let holds = |columns: &[usize]| unique(columns) && !refused(columns);
    let single = able.iter().filter(|(rank, _)| records >= ENOUGH || (*rank == 0 && records > 1));
    if let Some((_, one)) = single.clone().find(|(_, i)| holds(&[*i])) {
        return vec![*one];
    }
    if records < ENOUGH_FOR_SEVERAL {
        return Vec::new();
    }
    able.truncate(TRIED);
    (2..=MOST_TOGETHER)
        .find_map(|n| together(&able, n).into_iter().find(|c| enough(plans, c, records) && holds(c)))
        .unwrap_or_default()
}

/// How little a column looks like part of a key; `None`: it cannot be one.
fn rank(p: &Plan<'_>) -> Option<u32> {
    if !p.required || p.facts.longest > LONGEST || p.facts.different() == Some(1) {
        return None;
    }
    let name = tokens(&p.facts.name);
    let last = name.last().map(String::as_str).unwrap_or_default();
    match p.typed.kind {
        ColumnType::String | ColumnType::Integer | ColumnType::Int32 if KEY_WORDS.contains(&last) => Some(0),
        ColumnType::Integer | ColumnType::Int32 if PART_WORDS.contains(&last) => Some(1),
        ColumnType::String if p.facts.texts.uuids == p.facts.values => Some(0),
        ColumnType::Date | ColumnType::Timestamp => Some(1),
        ColumnType::String => Some(2),
        ColumnType::Integer | ColumnType::Int32 => Some(3),
        ColumnType::Decimal { scale: 0, .. } => Some(3),
        ColumnType::Number | ColumnType::Decimal { .. } | ColumnType::Boolean | ColumnType::Time | ColumnType::Json => {
            None
        }
    }
}

/// Combinations of `n`, best first; the columns of each in their order.
fn together(able: &[(u32, usize)], n: usize) -> Vec<Vec<usize>> {
    let mut all: Vec<(u32, Vec<usize>)> = Vec::new();
    for bits in 0_u32..1 << able.len() {
        if bits.count_ones() as usize == n {
            let chosen = able.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, c)| *c);
            let (ranks, mut columns): (Vec<u32>, Vec<usize>) = chosen.unzip();
            columns.sort_unstable();
            all.push((ranks.iter().sum(), columns));
        }
    }
    all.sort_unstable();
    all.into_iter().map(|(_, columns)| columns).collect()
}

/// Whether there are as many combinations of values as records.
fn enough(plans: &[Plan<'_>], columns: &[usize], records: u64) -> bool {
    let product = columns.iter().try_fold(1_u64, |n, c| n.checked_mul(plans[*c].facts.different()?));
    product.is_none_or(|p| p >= records)
}
