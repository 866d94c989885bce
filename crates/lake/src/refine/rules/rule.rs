//! A rule compiled, and what it found in a batch.

use super::KeyHasher;
use super::{length, members, multiple, pattern, range};
use crate::refine::{
    Place, RefineError,
    expression::{Planner, RowExpr, contract_columns},
    frame::Frame,
    lookup::Lookup,
    scope::nearest,
};
use alluvium_spec::{Action, Check, Column, ColumnType, Contract, Rule as Declared, Silver, Threshold, Write};
use arrow::{
    array::{Array, ArrayRef},
    buffer::BooleanBuffer,
};
use std::collections::BTreeSet;

/// One thing that is counted by id and can send a row away.
#[derive(Debug)]
pub(in crate::refine) struct Rule {
    pub id: String,
    pub columns: Vec<String>,
    pub action: Action,
    pub threshold: Option<Threshold>,
    pub message: String,
    pub test: Test,
}

#[derive(Debug)]
pub(in crate::refine) enum Test {
    /// Found by the cast, by an `sql` step or by `delete_when`, not here.
    Elsewhere,
    Required,
    Missing {
        null: bool,
        values: members::Members,
    },
    OneOf(members::Members),
    Range(range::Range),
    Length(length::Length),
    Pattern(pattern::Pattern),
    MultipleOf(multiple::Multiple),
    /// Found row by row at the end of the last pass.
    Unique(KeyHasher),
    /// Index of the prepared lookup.
    Reference(usize),
    Expression(RowExpr),
}

/// Rows that break a rule; `notes` explain single rows further.
#[derive(Debug)]
pub(in crate::refine) struct Broken {
    pub mask: BooleanBuffer,
    pub notes: Vec<(usize, String)>,
}

impl Rule {
    pub fn elsewhere(id: String, column: Option<&str>, action: Action, message: String) -> Self {
        let columns = column.map(str::to_owned).into_iter().collect();
        Self { id, columns, action, threshold: None, message, test: Test::Elsewhere }
    }

    /// Whether a row that breaks it leaves the batch. The other rules only count.
    pub fn removes(&self) -> bool {
        match self.action {
            Action::Warn => false,
            Action::Drop | Action::Quarantine => true,
            Action::Fail => self.threshold.is_none(),
        }
    }

    /// `None` if no row breaks it.
    pub fn check(&self, frame: &Frame, lookups: &[Option<Lookup>]) -> Result<Option<Broken>, RefineError> {
        let column = || frame.get(&self.columns[0]).expect("the pass checks only rules whose columns are there");
        let mask = match &self.test {
            Test::Elsewhere | Test::Unique(_) => None,
            Test::Required => absent(column()),
            Test::Missing { null, values } => {
                let listed = values.mask(column(), true);
                if *null { join(absent(column()), listed) } else { listed }
            }
            Test::OneOf(values) => values.mask(column(), false),
            Test::Range(range) => range.outside(column()),
            Test::Length(length) => length.outside(column()),
            Test::Pattern(pattern) => pattern.unmatched(column()),
            Test::MultipleOf(multiple) => multiple.others(column()),
            Test::Reference(slot) => dangling(frame, &self.columns, lookups[*slot].as_ref())?,
            Test::Expression(expression) => return untrue(expression, frame),
        };
        Ok(mask.map(|mask| Broken { mask, notes: Vec::new() }))
    }
}

/// What compiling the rules of a dataset needs at hand.
pub(in crate::refine) struct RuleCompiler<'a> {
    pub contract: &'a Contract,
    pub silver: &'a Silver,
    pub planner: &'a Planner,
}

impl RuleCompiler<'_> {
    /// `None` for what is not checked row by row here. `slot` is the lookup that a reference will have.
    pub fn compile(&self, rule: &Declared, slot: usize) -> Result<Option<Rule>, Vec<RefineError>> {
        let place = Place::rule(&rule.id);
        let mut columns = rule.columns.clone();
        let unknown: Vec<RefineError> =
            columns.iter().filter(|c| self.column(c).is_none()).map(|c| self.unknown(c, &place)).collect();
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let (test, message) = match &rule.check {
            Check::Type | Check::RowCount | Check::Query { .. } => return Ok(None),
            Check::Unique if self.write_keeps_unique(&rule.columns) => return Ok(None),
            Check::Unique => {
                let kinds = columns.iter().filter_map(|n| self.column(n)).map(|c| c.kind);
                let hasher = KeyHasher::new(kinds).map_err(|e| vec![e])?;
                (Test::Unique(hasher), "is not unique".to_owned())
            }
            Check::Reference { dataset, to } => {
                let message = format!("is not in {dataset} ({})", to.join(", "));
                (Test::Reference(slot), message)
            }
            Check::Expression { sql } => {
                let expression = self.planner.condition(sql, &contract_columns(self.contract), &place)?;
                // The SQL says which columns it reads.
                columns = expression.columns().map(str::to_owned).collect();
                (Test::Expression(expression), format!("`{sql}` does not hold"))
            }
            check => {
                let Some(column) = rule.columns.first().and_then(|c| self.column(c)) else {
                    return Err(vec![self.unknown("", &place)]);
                };
                self.single(check, column, &place.column(&column.name)).map_err(|e| vec![e])?
            }
        };
        let (id, action, threshold) = (rule.id.clone(), rule.action, rule.threshold);
        Ok(Some(Rule { id, columns, action, threshold, message, test }))
    }

    /// The rules over one column.
    fn single(&self, check: &Check, column: &Column, place: &Place) -> Result<(Test, String), RefineError> {
        let kind = column.kind;
        Ok(match check {
            Check::Missing { values } => {
                let listed: Vec<&str> = values.iter().flatten().map(String::as_str).collect();
                // A value that cannot stand in the column is a failed cast already.
                let fitting: Vec<&str> = listed.iter().copied().filter(|v| members::fits(v, kind)).collect();
                let values_test = members::Members::new(&fitting, kind, place)?;
                (Test::Missing { null: values.contains(&None), values: values_test }, "is missing".to_owned())
            }
            Check::OneOf { values } => {
                let listed: Vec<&str> = values.iter().map(String::as_str).collect();
                (Test::OneOf(members::Members::new(&listed, kind, place)?), format!("is not one of {}", brief(&listed)))
            }
            Check::Range { min, max } => {
                let range = range::Range::new(min.as_ref(), max.as_ref(), kind, place)?;
                (Test::Range(range), range::message(min.as_ref(), max.as_ref()))
            }
            Check::Length { min, max } => {
                (Test::Length(length::Length::new(*min, *max, kind, place)?), length::message(*min, *max))
            }
            Check::Pattern { regex } => {
                (Test::Pattern(pattern::Pattern::new(regex, kind, place)?), format!("does not match {regex}"))
            }
            Check::MultipleOf { divisor } => (
                Test::MultipleOf(multiple::Multiple::new(*divisor, kind, place)?),
                format!("is not a multiple of {divisor}"),
            ),
            Check::Required
            | Check::Type
            | Check::Unique
            | Check::Reference { .. }
            | Check::Expression { .. }
            | Check::RowCount
            | Check::Query { .. } => (Test::Required, "is null".to_owned()),
        })
    }

    fn column(&self, name: &str) -> Option<&Column> {
        self.contract.columns.iter().find(|c| c.name == name)
    }

    fn unknown(&self, column: &str, place: &Place) -> RefineError {
        let nearest = nearest(column, self.contract.columns.iter().map(|c| &c.name));
        RefineError::UnknownColumn { place: Box::new(place.clone()), column: column.to_owned(), nearest }
    }

    fn write_keeps_unique(&self, columns: &[String]) -> bool {
        match &self.silver.write {
            Write::Append => false,
            Write::Upsert { keys, .. } => {
                columns.iter().collect::<BTreeSet<_>>() == keys.iter().collect::<BTreeSet<_>>()
            }
        }
    }
}

/// The first few of a list of values.
fn brief(values: &[&str]) -> String {
    const SHOWN: usize = 10;
    let head = values.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if values.len() > SHOWN { format!("{head} and {} more", values.len() - SHOWN) } else { head }
}

pub(super) fn not_applicable(what: &'static str, kind: ColumnType, place: &Place) -> RefineError {
    RefineError::NotApplicable { place: Box::new(place.clone()), what, kind }
}

pub(super) fn bad_value(value: &str, kind: ColumnType, place: &Place) -> RefineError {
    RefineError::BadValue { place: Box::new(place.clone()), value: value.to_owned(), kind }
}

/// The rows for which `broken` holds among those that have a value.
pub(super) fn mask(array: &dyn Array, broken: impl FnMut(usize) -> bool) -> Option<BooleanBuffer> {
    let bits = BooleanBuffer::collect_bool(array.len(), broken);
    let bits = match array.nulls() {
        None => bits,
        Some(n) => &bits & n.inner(),
    };
    some(bits)
}

pub(in crate::refine) fn some(bits: BooleanBuffer) -> Option<BooleanBuffer> {
    (bits.count_set_bits() > 0).then_some(bits)
}

fn join(a: Option<BooleanBuffer>, b: Option<BooleanBuffer>) -> Option<BooleanBuffer> {
    match (a, b) {
        (Some(a), Some(b)) => Some(&a | &b),
        (a, b) => a.or(b),
    }
}

fn absent(column: &ArrayRef) -> Option<BooleanBuffer> {
    column.nulls().and_then(|n| some(!n.inner()))
}

/// Rows whose combination is complete and is not in the lookup. A lookup without rows has none.
fn dangling(frame: &Frame, columns: &[String], lookup: Option<&Lookup>) -> Result<Option<BooleanBuffer>, RefineError> {
    let columns: Vec<&ArrayRef> = columns.iter().filter_map(|c| frame.get(c)).collect();
    let missing = match lookup {
        None => BooleanBuffer::new_set(frame.rows()),
        Some(lookup) => {
            let found = lookup.find(&columns)?;
            BooleanBuffer::collect_bool(found.len(), |row| found[row].is_none())
        }
    };
    Ok(some(complete(&columns, missing)))
}

/// Without the rows that have a null in one of `columns`.
fn complete(columns: &[&ArrayRef], bits: BooleanBuffer) -> BooleanBuffer {
    columns.iter().filter_map(|c| c.nulls()).fold(bits, |bits, nulls| &bits & nulls.inner())
}

fn untrue(expression: &RowExpr, frame: &Frame) -> Result<Option<Broken>, RefineError> {
    let decided = expression.decide(frame)?;
    let mut mask = decided.no;
    if !decided.failures.is_empty() {
        let failed: BTreeSet<usize> = decided.failures.iter().map(|(row, _)| *row).collect();
        mask = BooleanBuffer::collect_bool(mask.len(), |row| mask.value(row) || failed.contains(&row));
    }
    Ok(some(mask).map(|mask| Broken { mask, notes: decided.failures }))
}
