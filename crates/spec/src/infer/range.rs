//! Bounds for numbers and days. They keep out what cannot be, and leave room for what has not come yet.

use super::{facts::ColumnFacts, kind::Typed, names::tokens};
use crate::ColumnType;

/// Fewer values say nothing of what is still to come.
const ENOUGH: u64 = 20;
/// Numbers beyond are written too differently to bound.
const LARGEST: f64 = 1e15;

/// What a column of this name holds, if all that came lies within.
const KNOWN: [(&str, i64, i64); 14] = [
    ("year", 1900, 2100),
    ("quarter", 1, 4),
    ("month", 1, 12),
    ("week", 1, 53),
    ("day", 1, 31),
    ("hour", 0, 23),
    ("minute", 0, 59),
    ("second", 0, 59),
    ("lat", -90, 90),
    ("latitude", -90, 90),
    ("lon", -180, 180),
    ("lng", -180, 180),
    ("longitude", -180, 180),
    ("percent", 0, 100),
];

pub(super) struct Bounds {
    pub least: Option<String>,
    pub most: Option<String>,
    pub why: String,
}

/// `grows`: it numbers things, so that larger ones will come.
pub(super) fn of(c: &ColumnFacts, typed: &Typed, grows: bool) -> Option<Bounds> {
    if c.values < ENOUGH {
        return None;
    }
    match typed.kind {
        ColumnType::Integer | ColumnType::Int32 | ColumnType::Decimal { .. } => number(c, grows, true),
        ColumnType::Number => number(c, grows, false),
        ColumnType::Date | ColumnType::Timestamp if typed.parse.is_none() => day(c, typed.kind),
        _ => None,
    }
}

/// `counted`: it counts things or money, so that nothing below zero is likely where nothing below zero came. Of what is measured that is likely
/// only where zero itself came: temperatures in summer are all above it.
fn number(c: &ColumnFacts, grows: bool, counted: bool) -> Option<Bounds> {
    let (least, most) = c.numbers.least.zip(c.numbers.most)?;
    let name = tokens(&c.name);
    let known = KNOWN
        .iter()
        .find(|(word, from, to)| name.last().is_some_and(|n| n == word) && least >= *from as f64 && most <= *to as f64);
    if let Some((word, from, to)) = known {
        let why = format!("the bounds are those of a column called `{word}`");
        return Some(Bounds { least: Some(from.to_string()), most: Some(to.to_string()), why });
    }
    if least < 0.0 && (grows || least < -LARGEST) || most.abs() > LARGEST {
        return None;
    }
    let low = match least < 0.0 {
        true => Some(-roomy(-least)),
        false => (counted || least == 0.0).then_some(0),
    };
    let high = (!grows).then(|| if most <= 0.0 { 0 } else { roomy(most) });
    low.or(high)?;
    let why = if high.is_none() { "none is negative" } else { "the bounds leave room for twice as much" };
    let text = |bound: Option<i64>| bound.map(|b| b.to_string());
    Some(Bounds { least: text(low), most: text(high), why: why.to_owned() })
}

/// At least twice as much: 1, 2 or 5 with zeros behind.
fn roomy(x: f64) -> i64 {
    let wanted = (2.0 * x).ceil() as i64;
    let mut step = 1;
    loop {
        if let Some(n) = [1, 2, 5].into_iter().map(|n| n * step).find(|n| *n >= wanted) {
            return n;
        }
        step *= 10;
    }
}

/// Nothing from before the decade: what comes from there is a day that was never set.
fn day(c: &ColumnFacts, kind: ColumnType) -> Option<Bounds> {
    let first = c.times.first.as_deref()?;
    let decade = format!("{}0-01-01", first.get(..3)?);
    let least = if kind == ColumnType::Timestamp { format!("{decade}T00:00:00Z") } else { decade };
    // The calendar has no year 0.
    (!first.starts_with("000")).then(|| Bounds {
        least: Some(least),
        most: None,
        why: "none is from an earlier decade".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_twice_as_much() {
        assert_eq!([0.2, 1.0, 3.0, 43.0, 1301.0, 4983.0].map(roomy), [1, 2, 10, 100, 5000, 10_000]);
    }
}
