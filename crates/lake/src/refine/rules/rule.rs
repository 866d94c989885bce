//! A rule compiled, and what it found in a batch.

use super::KeyHasher;
use super::{length, members, multiple, pattern, range};
use crate::refine::{
    Place, RefineError,
    error::kind_name,
    expression::{Planner, RowExpr, contract_columns},
    frame::Frame,
    lookup::Lookup,
    scope::nearest,
};
use alluvium_model::DatasetName;
use alluvium_spec::{
    Action, Check, Column, ColumnType, Contract, Holds, Inner, Rule as Declared, Silver, Threshold, Write,
};
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
    /// Found by the cast, by an `sql` step or by a condition of `write`, not here.
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
    /// Found in the column's JSON, together with all others of the column.
    Inside {
        at: Inner,
        check: Check,
        /// Of the values there; `None`: the walk over the JSON tells.
        test: Option<Box<Test>>,
    },
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
        let columns: Vec<&ArrayRef> = self.columns.iter().filter_map(|c| frame.get(c)).collect();
        let mask = match &self.test {
            Test::Reference(slot) => dangling(&columns, lookups[*slot].as_ref(), frame.rows())?,
            Test::Expression(expression) => return untrue(expression, frame),
            test => {
                let column = *columns.first().expect("the pass checks only rules whose columns are there");
                test.of_values(column, lookups)?
            }
        };
        Ok(mask.map(|mask| Broken { mask, notes: Vec::new() }))
    }

    /// Whether it is a rule of what is inside of this column.
    pub fn is_inside(&self, column: &str) -> bool {
        matches!(self.test, Test::Inside { .. }) && self.columns[0] == column
    }
}

impl Test {
    /// Of these values, those that break it; `None` if none does, or if it is no test of single values.
    pub fn of_values(
        &self,
        column: &ArrayRef,
        lookups: &[Option<Lookup>],
    ) -> Result<Option<BooleanBuffer>, RefineError> {
        Ok(match self {
            Self::Elsewhere | Self::Unique(_) | Self::Expression(_) | Self::Inside { .. } => None,
            Self::Required => absent(column),
            Self::Missing { null, values } => {
                let listed = values.mask(column, true);
                if *null { join(absent(column), listed) } else { listed }
            }
            Self::OneOf(values) => values.mask(column, false),
            Self::Range(range) => range.outside(column),
            Self::Length(length) => length.outside(column),
            Self::Pattern(pattern) => pattern.unmatched(column),
            Self::MultipleOf(multiple) => multiple.others(column),
            Self::Reference(slot) => dangling(&[column], lookups[*slot].as_ref(), column.len())?,
        })
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
            Check::Reference { dataset, to } => (Test::Reference(slot), dangles(dataset, to)),
            Check::Inside { at, check } => self.inside(at, check, slot, &place)?,
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
                self.single(check, column.kind, &place.column(&column.name)).map_err(|e| vec![e])?
            }
        };
        let (id, action, threshold) = (rule.id.clone(), rule.action, rule.threshold);
        Ok(Some(Rule { id, columns, action, threshold, message, test }))
    }

    /// A rule of values inside of a column.
    fn inside(
        &self,
        at: &Inner,
        check: &Check,
        slot: usize,
        place: &Place,
    ) -> Result<(Test, String), Vec<RefineError>> {
        let within =
            |test: Option<Test>| Test::Inside { at: at.clone(), check: check.clone(), test: test.map(Box::new) };
        let (test, message) = match (check, at.holds) {
            (Check::Type, Holds::Object) => (None, "is no object".to_owned()),
            (Check::Type, Holds::Array) => (None, "is no array".to_owned()),
            (Check::Type, Holds::Scalar(kind)) => (None, format!("cannot be read as {}", kind_name(kind))),
            (Check::Required, _) => (None, "is missing or null".to_owned()),
            (Check::Items { min, max }, _) => (None, length::message(*min, *max, "items")),
            (Check::Properties { min, max }, _) => (None, length::message(*min, *max, "fields")),
            (Check::UniqueItems, _) => (None, "has the same item twice".to_owned()),
            (Check::Reference { dataset, to }, _) => (Some(Test::Reference(slot)), dangles(dataset, to)),
            (Check::Missing { values }, Holds::Scalar(kind)) => {
                // Null is told by the walk: a value that could not be read is none.
                let values: Vec<Option<String>> = values.iter().filter(|v| v.is_some()).cloned().collect();
                let is_listed = !values.is_empty();
                let (test, message) = self.single(&Check::Missing { values }, kind, place).map_err(|e| vec![e])?;
                (is_listed.then_some(test), message)
            }
            (check, Holds::Scalar(kind)) => {
                let (test, message) = self.single(check, kind, place).map_err(|e| vec![e])?;
                (Some(test), message)
            }
            (_, Holds::Object | Holds::Array) => {
                return Err(vec![not_applicable("a rule of single values", ColumnType::Json, place)]);
            }
        };
        Ok((within(test), message))
    }

    /// The rules over one column.
    fn single(&self, check: &Check, kind: ColumnType, place: &Place) -> Result<(Test, String), RefineError> {
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
                (Test::Length(length::Length::new(*min, *max, kind, place)?), length::message(*min, *max, "characters"))
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
            | Check::Items { .. }
            | Check::UniqueItems
            | Check::Properties { .. }
            | Check::Inside { .. }
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

fn dangles(dataset: &DatasetName, to: &[String]) -> String {
    format!("is not in {dataset} ({})", to.join(", "))
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
fn dangling(columns: &[&ArrayRef], lookup: Option<&Lookup>, rows: usize) -> Result<Option<BooleanBuffer>, RefineError> {
    let missing = match lookup {
        None => BooleanBuffer::new_set(rows),
        Some(lookup) => {
            let found = lookup.find(columns)?;
            BooleanBuffer::collect_bool(found.len(), |row| found[row].is_none())
        }
    };
    Ok(some(complete(columns, missing)))
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
