//! The places in a column of JSON that rules ask for, as a tree, and the check of a batch.

use super::{findings::Findings, walk};
use crate::refine::{
    RefineError,
    cast::cast,
    lookup::Lookup,
    pass::Violation,
    rules::{Rule, Test},
    text::shown,
};
use alluvium_spec::{Check, ColumnType, Contract, Holds, Inner, Segment};
use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// Rows are judged together up to so many bytes of JSON, or one by itself: a few bytes can become many times as much.
const AT_ONCE: i32 = 4 << 20;

/// What the rules of one column ask of its JSON.
#[derive(Debug)]
pub(in crate::refine) struct Inside {
    pub column: String,
    /// The rule under which a value counts that is not what rules look into.
    pub cast: usize,
    /// The first is the column's value itself.
    pub(super) nodes: Vec<Node>,
}

/// A place, with the rules of the values there, as indices.
#[derive(Debug)]
pub(super) struct Node {
    pub path: Vec<Segment>,
    pub form: Form,
    pub types: Vec<usize>,
    /// Broken by null, and by a field that is not there.
    pub required: Vec<usize>,
    /// How many items or fields there may be.
    pub counts: Vec<(usize, u64, u64)>,
    pub unique: Vec<usize>,
    /// With the test of the value; only of scalars.
    pub tests: Vec<usize>,
}

#[derive(Debug)]
pub(super) enum Form {
    Scalar(ColumnType),
    /// The fields that are looked at, by name.
    Object(Vec<(String, usize)>),
    Array(Option<usize>),
}

/// The values of one place in a batch.
#[derive(Debug)]
pub(super) struct Values {
    pub rows: Vec<u32>,
    /// For each value, which item of each array leads to it.
    pub items: Vec<u32>,
    pub text: StringArray,
}

/// One tree for each column with rules of its inside.
pub(in crate::refine) fn trees(contract: &Contract, rules: &[Rule]) -> Vec<Inside> {
    let mut trees: BTreeMap<usize, Inside> = BTreeMap::new();
    for (index, rule) in rules.iter().enumerate() {
        let Test::Inside { at, check, test } = &rule.test else { continue };
        // The first rules are those of the casts.
        let cast = contract.columns.iter().position(|c| c.name == rule.columns[0]);
        let cast = cast.expect("a rule is compiled only if its columns are there");
        let tree = trees.entry(cast).or_insert_with(|| Inside {
            column: rule.columns[0].clone(),
            cast,
            nodes: vec![Node::new(Vec::new(), Holds::Object)],
        });
        tree.add(index, at, check, test.is_some());
    }
    let mut trees: Vec<Inside> = trees.into_values().collect();
    trees.iter_mut().for_each(Inside::sort);
    trees
}

impl Node {
    fn new(path: Vec<Segment>, holds: Holds) -> Self {
        let form = match holds {
            Holds::Scalar(kind) => Form::Scalar(kind),
            Holds::Object => Form::Object(Vec::new()),
            Holds::Array => Form::Array(None),
        };
        let (types, required, counts) = (Vec::new(), Vec::new(), Vec::new());
        Self { path, form, types, required, counts, unique: Vec::new(), tests: Vec::new() }
    }

    fn child(&self, part: &Segment) -> Option<usize> {
        match (&self.form, part) {
            (Form::Object(fields), Segment::Field(name)) => fields.iter().find(|(n, _)| n == name).map(|(_, at)| *at),
            (Form::Array(item), Segment::Items) => *item,
            _ => None,
        }
    }

    /// Makes room for a child at `at`: what has fields is an object, what has items an array.
    fn adopt(&mut self, part: &Segment, at: usize) {
        match (&mut self.form, part) {
            (Form::Object(fields), Segment::Field(name)) => fields.push((name.clone(), at)),
            (form, Segment::Field(name)) => *form = Form::Object(vec![(name.clone(), at)]),
            (form, Segment::Items) => *form = Form::Array(Some(at)),
        }
    }
}

impl Inside {
    fn add(&mut self, rule: usize, at: &Inner, check: &Check, tested: bool) {
        let mut here = 0;
        for (depth, part) in at.path.iter().enumerate() {
            here = self.nodes[here].child(part).unwrap_or_else(|| {
                let made = self.nodes.len();
                let holds = if depth + 1 == at.path.len() { at.holds } else { Holds::Object };
                self.nodes.push(Node::new(at.path[..=depth].to_vec(), holds));
                self.nodes[here].adopt(part, made);
                made
            });
        }
        let node = &mut self.nodes[here];
        if at.path.is_empty() && matches!((&node.form, at.holds), (Form::Object(f), Holds::Array) if f.is_empty()) {
            node.form = Form::Array(None);
        }
        match check {
            Check::Type => node.types.push(rule),
            Check::Required => node.required.push(rule),
            Check::Missing { values } if values.contains(&None) => node.required.push(rule),
            Check::Items { min, max } | Check::Properties { min, max } => {
                node.counts.push((rule, min.unwrap_or(0), max.unwrap_or(u64::MAX)));
            }
            Check::UniqueItems => node.unique.push(rule),
            _ => {}
        }
        if tested {
            node.tests.push(rule);
        }
    }

    /// So that a field is found by halves.
    fn sort(&mut self) {
        for node in &mut self.nodes {
            if let Form::Object(fields) = &mut node.form {
                fields.sort();
            }
        }
    }

    /// The rows that break the rules. `column` is valid JSON.
    pub fn check(
        &self,
        column: &ArrayRef,
        rules: &[Rule],
        lookups: &[Option<Lookup>],
    ) -> Result<Vec<Violation>, RefineError> {
        let (json, mut findings) = (column.as_string::<i32>(), Findings::default());
        for some in runs(json) {
            let (values, found) = walk::walk(self, json, some, findings);
            findings = found;
            for (node, values) in self.nodes.iter().zip(&values) {
                for values in values {
                    test(node, values, rules, lookups, &mut findings)?;
                }
            }
        }
        Ok(findings.violations(self, column.len()))
    }
}

/// All rows, so many at a time.
fn runs(json: &StringArray) -> impl Iterator<Item = Range<usize>> {
    let mut next = 0;
    std::iter::from_fn(move || {
        let first = next;
        let most = json.value_offsets().get(first)?.saturating_add(AT_ONCE);
        let end = json.value_offsets().partition_point(|offset| *offset <= most) - 1;
        next = end.max(first + 1).min(json.len());
        (first < next).then_some(first..next)
    })
}

/// Reads the values as their type, and runs the tests of columns on them.
fn test(
    node: &Node,
    values: &Values,
    rules: &[Rule],
    lookups: &[Option<Lookup>],
    findings: &mut Findings,
) -> Result<(), RefineError> {
    let Form::Scalar(kind) = node.form else { return Ok(()) };
    let text: ArrayRef = Arc::new(values.text.clone());
    let read = cast(&text, kind, None)?;
    let arrays = node.path.iter().filter(|part| **part == Segment::Items).count();
    let mut tell = |rule: usize, broken: &arrow::buffer::BooleanBuffer| {
        for at in broken.set_indices() {
            let items = &values.items[at * arrays..][..arrays];
            findings.add(rule, values.rows[at], &node.path, items, || shown(&text, at));
        }
    };
    if let Some(failed) = &read.failed {
        node.types.iter().for_each(|rule| tell(*rule, failed));
    }
    for &rule in &node.tests {
        let Test::Inside { test: Some(test), .. } = &rules[rule].test else { continue };
        if let Some(broken) = test.of_values(&read.array, lookups)? {
            tell(rule, &broken);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_judged_in_runs_that_are_not_too_long() {
        let all = |json: &StringArray| runs(json).map(|run| (run.start, run.end)).collect::<Vec<_>>();
        let of = |lengths: &[usize]| {
            let values = lengths.iter().map(|length| " ".repeat(*length << 20));
            StringArray::from_iter_values(values)
        };
        assert!(all(&of(&[])).is_empty());
        assert_eq!(all(&of(&[1, 1, 1, 1, 1])), [(0, 4), (4, 5)]);
        assert_eq!(all(&of(&[5, 0, 4, 9, 9])), [(0, 1), (1, 3), (3, 4), (4, 5)]);
        assert_eq!(all(&of(&[3, 3, 3]).slice(1, 2)), [(0, 1), (1, 2)]);
        assert_eq!(all(&StringArray::new_null(3)), [(0, 3)]);
    }

    #[test]
    fn what_one_row_makes_is_cut_into_texts_that_offsets_can_count() {
        let mut tree = Inside { column: "doc".to_owned(), cast: 0, nodes: vec![Node::new(Vec::new(), Holds::Object)] };
        let at = Inner { path: vec![Segment::Items], holds: Holds::Scalar(ColumnType::Integer) };
        tree.add(1, &at, &Check::Type, false);
        let row = format!("[{}1]", "1e39,".repeat(500_000));
        let (found, _) = walk::walk(&tree, &StringArray::from(vec![row]), 0..1, Findings::default());
        assert_eq!((found[0].len(), found[1].len()), (0, 2));
        assert!(found[1].iter().all(|values| values.text.value_data().len() <= walk::MOST_TEXT));
        assert_eq!(found[1].iter().map(|values| values.text.len()).sum::<usize>(), 500_001);
        assert!(found[1].iter().all(|v| v.rows.len() == v.text.len() && v.items.len() == v.text.len()));
        assert_eq!(found[1][1].items.last(), Some(&500_000));
    }
}
