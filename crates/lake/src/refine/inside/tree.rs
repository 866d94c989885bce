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
    /// The fields that are looked at, by name, in the order of names.
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
    let mut trees: BTreeMap<usize, Growing> = BTreeMap::new();
    // The first rules are those of the casts.
    let casts: BTreeMap<&str, usize> = contract.columns.iter().enumerate().map(|(i, c)| (c.name.as_str(), i)).collect();
    for (index, rule) in rules.iter().enumerate() {
        let Test::Inside { at, check, test } = &rule.test else { continue };
        let column = &rule.columns[0];
        let cast = *casts.get(column.as_str()).expect("a rule is compiled only if its columns are there");
        let tree = trees.entry(cast).or_insert_with(|| Growing::new(column, cast));
        tree.add(index, at, check, test.is_some());
    }
    trees.into_values().map(Growing::grown).collect()
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
}

/// A tree that is made.
struct Growing {
    tree: Inside,
    /// For each node, where its fields are: a contract may name very many.
    fields: Vec<BTreeMap<String, usize>>,
}

impl Growing {
    fn new(column: &str, cast: usize) -> Self {
        let nodes = vec![Node::new(Vec::new(), Holds::Object)];
        Self { tree: Inside { column: column.to_owned(), cast, nodes }, fields: vec![BTreeMap::new()] }
    }

    fn child(&self, of: usize, part: &Segment) -> Option<usize> {
        match (&self.tree.nodes[of].form, part) {
            (Form::Object(_), Segment::Field(name)) => self.fields[of].get(name).copied(),
            (Form::Array(item), Segment::Items) => *item,
            _ => None,
        }
    }

    /// Makes a child: what has fields is an object, what has items an array.
    fn adopt(&mut self, of: usize, part: &Segment, child: Node) -> usize {
        let made = self.tree.nodes.len();
        self.tree.nodes.push(child);
        self.fields.push(BTreeMap::new());
        let form = &mut self.tree.nodes[of].form;
        match part {
            Segment::Field(name) => {
                if !matches!(form, Form::Object(_)) {
                    *form = Form::Object(Vec::new());
                }
                self.fields[of].insert(name.clone(), made);
            }
            Segment::Items => {
                *form = Form::Array(Some(made));
                self.fields[of].clear();
            }
        }
        made
    }

    fn add(&mut self, rule: usize, at: &Inner, check: &Check, tested: bool) {
        let mut here = 0;
        for (depth, part) in at.path.iter().enumerate() {
            here = self.child(here, part).unwrap_or_else(|| {
                let holds = if depth + 1 == at.path.len() { at.holds } else { Holds::Object };
                self.adopt(here, part, Node::new(at.path[..=depth].to_vec(), holds))
            });
        }
        let (node, fields) = (&mut self.tree.nodes[here], &self.fields[here]);
        if at.path.is_empty() && fields.is_empty() && matches!((&node.form, at.holds), (Form::Object(_), Holds::Array))
        {
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

    fn grown(self) -> Inside {
        let mut tree = self.tree;
        for (node, known) in tree.nodes.iter_mut().zip(self.fields) {
            if let Form::Object(fields) = &mut node.form {
                *fields = known.into_iter().collect();
            }
        }
        tree
    }
}

impl Inside {
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

    /// Minutes, if each field is looked for among all others.
    #[test]
    fn a_tree_of_very_many_fields_is_soon_made() {
        let mut tree = Growing::new("doc", 0);
        let last = 300_000;
        for field in (0..=last).rev().chain([last]) {
            let path = vec![Segment::Field(format!("{field:06}"))];
            let at = Inner { path, holds: Holds::Scalar(ColumnType::String) };
            tree.add(field, &at, &Check::Required, false);
        }
        let tree = tree.grown();
        let Form::Object(fields) = &tree.nodes[0].form else { panic!("{:?}", tree.nodes[0].form) };
        assert_eq!((fields.len(), tree.nodes.len()), (last + 1, last + 2));
        assert!(fields.is_sorted());
        assert_eq!(tree.nodes[fields[last].1].required, [last, last]);
    }

    #[test]
    fn what_one_row_makes_is_cut_into_texts_that_offsets_can_count() {
        let mut tree = Growing::new("doc", 0);
        let at = Inner { path: vec![Segment::Items], holds: Holds::Scalar(ColumnType::Integer) };
        tree.add(1, &at, &Check::Type, false);
        let tree = tree.grown();
        let row = format!("[{}1]", "1e39,".repeat(500_000));
        let (found, _) = walk::walk(&tree, &StringArray::from(vec![row]), 0..1, Findings::default());
        assert_eq!((found[0].len(), found[1].len()), (0, 2));
        assert!(found[1].iter().all(|values| values.text.value_data().len() <= walk::MOST_TEXT));
        assert_eq!(found[1].iter().map(|values| values.text.len()).sum::<usize>(), 500_001);
        assert!(found[1].iter().all(|v| v.rows.len() == v.text.len() && v.items.len() == v.text.len()));
        assert_eq!(found[1][1].items.last(), Some(&500_000));
    }
}
