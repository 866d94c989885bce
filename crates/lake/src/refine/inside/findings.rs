//! What was found wrong inside of a batch's JSON, as violations of its rows.

use super::tree::Inside;
use crate::refine::pass::{Told, Violation, Why};
use alluvium_spec::Segment;
use arrow::{array::BooleanBufferBuilder, buffer::BooleanBuffer};
use std::collections::BTreeMap;

/// By rule, what was found first in each row.
#[derive(Debug, Default)]
pub(super) struct Findings(BTreeMap<usize, Vec<Finding>>);

#[derive(Debug)]
struct Finding {
    row: u32,
    /// With the numbers of items.
    place: String,
    value: Option<String>,
    /// Others in the row that break the rule.
    more: usize,
}

impl Findings {
    /// `items`: which item of each array leads there. `value` is asked for only if it is told.
    pub fn add(
        &mut self,
        rule: usize,
        row: u32,
        path: &[Segment],
        items: &[u32],
        value: impl FnOnce() -> Option<String>,
    ) {
        let found = self.0.entry(rule).or_default();
        match found.last_mut().filter(|last| last.row == row) {
            Some(last) => last.more += 1,
            None => found.push(Finding { row, place: place(path, items), value: value(), more: 0 }),
        }
    }

    pub fn violations(self, tree: &Inside, rows: usize) -> Vec<Violation> {
        let column = &tree.column;
        let of_rule = |(rule, mut found): (usize, Vec<Finding>)| {
            // A rule may be broken in the walk and by its test.
            found.sort_by_key(|f| f.row);
            found.dedup_by(|later, first| {
                let same = later.row == first.row;
                first.more += if same { later.more + 1 } else { 0 };
                same
            });
            let mask = mask(&found, rows);
            let why = |f: Finding| {
                let others = if f.more > 0 { format!(" and {} more", f.more) } else { String::new() };
                let note = format!("{column}{}{others}", f.place);
                (f.row as usize, Why { note, value: Told::Inside(f.value) })
            };
            Violation { rule, mask, notes: found.into_iter().map(why).collect() }
        };
        self.0.into_iter().map(of_rule).collect()
    }
}

fn mask(found: &[Finding], rows: usize) -> BooleanBuffer {
    let mut bits = BooleanBufferBuilder::new(rows);
    bits.append_n(rows, false);
    found.iter().for_each(|f| bits.set_bit(f.row as usize, true));
    bits.finish()
}

/// `[3].quantity`: below the column.
fn place(path: &[Segment], items: &[u32]) -> String {
    let mut items = items.iter();
    path.iter().fold(String::new(), |text, part| match part {
        Segment::Field(name) => format!("{text}.{name}"),
        Segment::Items => format!("{text}[{}]", items.next().map_or(String::new(), u32::to_string)),
    })
}
