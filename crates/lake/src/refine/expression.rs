//! SQL expressions over one row: read, checked and planned by DataFusion once, evaluated on whole batches.
//!
//! An expression can see the columns it is given and nothing else: no subquery, aggregate, window, or function whose
//! answer may differ from one call to the next. A row on which it fails (a division by zero) is told apart from the
//! others and does not stop them.

use super::{
    Place, RefineError,
    frame::Frame,
    scope::nearest,
    text::{is_text, to_text},
    types,
};
use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, new_null_array},
    buffer::BooleanBuffer,
    compute::concat,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use datafusion::{
    common::{
        DFSchema, DataFusionError,
        tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion},
    },
    execution::{SessionState, SessionStateBuilder},
    logical_expr::{Expr, Volatility, simplify::SimplifyContext},
    optimizer::simplify_expressions::ExprSimplifier,
    physical_expr::{PhysicalExpr, expressions::BinaryExpr},
    prelude::SessionConfig,
    sql::sqlparser::{
        ast::{self, Ident, Visit, Visitor, visit_expressions, visit_expressions_mut},
        dialect::GenericDialect,
        parser::{Parser, ParserError},
        tokenizer::Token,
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::Arc,
};

/// Longer SQL is refused before it is read.
const SQL_BYTES: usize = 64 * 1024;
/// How deep an expression may nest.
const DEPTH: usize = 50;

/// Plans expressions. Costs milliseconds to make, so a compilation makes one.
pub(super) struct Planner(SessionState);

/// A planned expression. Its inputs are taken from a frame by name.
#[derive(Debug)]
pub(super) struct RowExpr {
    physical: Arc<dyn PhysicalExpr>,
    inputs: SchemaRef,
    kind: DataType,
}

/// One value a row, and the rows on which the expression failed, in ascending order, each with the reason.
#[derive(Debug)]
pub(super) struct Evaluated {
    pub values: ArrayRef,
    pub failures: Vec<(usize, String)>,
}

impl Planner {
    pub fn new() -> Self {
        let mut config = SessionConfig::new();
        // Text stays in the one form that the rest of the pass works with.
        config.options_mut().sql_parser.map_string_types_to_utf8view = false;
        Self(SessionStateBuilder::new_with_default_features().with_config(config).build())
    }

    /// `columns` are the names in sight with the types in which the expression sees them.
    pub fn plan(
        &self,
        mut sql: ast::Expr,
        columns: &BTreeMap<String, DataType>,
        place: &Place,
    ) -> Result<RowExpr, RefineError> {
        no_subquery(&sql, place)?;
        let used: BTreeSet<String> = identifiers(&sql).into_iter().map(|(name, _)| name).collect();
        unqualify(&mut sql);
        let fields: Vec<Field> =
            columns.iter().filter(|(n, _)| used.contains(*n)).map(|(n, t)| Field::new(n, t.clone(), true)).collect();
        let inputs = Arc::new(Schema::new(fields));
        let failed = |e: DataFusionError| RefineError::Plan { place: Box::new(place.clone()), source: bare(e) };
        let schema = DFSchema::try_from(Arc::clone(&inputs)).map_err(failed)?;
        let aliased = ast::ExprWithAlias { expr: sql, alias: None };
        let logical = self.0.create_logical_expr_from_sql_expr(aliased, &schema).map_err(failed)?;
        allowed(&logical, place)?;
        let simplifier = ExprSimplifier::new(
            SimplifyContext::builder()
                .with_schema(Arc::new(schema.clone()))
                .with_config_options(Arc::clone(self.0.config_options()))
                .build(),
        );
        let coerced = simplifier.coerce(logical, &schema).map_err(failed)?;
        // What cannot be folded (1 / 0) is left for the rows to show.
        let simple = simplifier.simplify(coerced.clone()).unwrap_or(coerced);
        let physical = self.0.create_physical_expr(simple, &schema).map_err(failed)?;
        let physical = checked(physical).map_err(failed)?;
        let kind = physical.data_type(&inputs).map_err(failed)?;
        // Text has one form here, whatever form a function gives it.
        let kind = if is_text(&kind) { DataType::Utf8 } else { kind };
        Ok(RowExpr { physical, inputs, kind })
    }

    /// From text, as a boolean. Unknown columns are mistakes, all of them at once.
    pub fn condition(
        &self,
        sql: &str,
        columns: &BTreeMap<String, DataType>,
        place: &Place,
    ) -> Result<RowExpr, Vec<RefineError>> {
        let parsed = parse_expression(sql, place).map_err(|e| vec![e])?;
        let unknown = unknown_columns(&parsed, sql, columns, place);
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let planned = self.plan(parsed, columns, place).map_err(|e| vec![e])?;
        planned.must_be_boolean(place).map_err(|e| vec![e])?;
        Ok(planned)
    }
}

/// The error itself, without the contexts and diagnostics wrapped around it.
fn bare(error: DataFusionError) -> Box<DataFusionError> {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => bare(*inner),
        other => Box::new(other),
    }
}

impl RowExpr {
    pub fn kind(&self) -> &DataType {
        &self.kind
    }

    /// The columns it reads.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.inputs.fields().iter().map(|f| f.name().as_str())
    }

    pub fn must_be_boolean(&self, place: &Place) -> Result<(), RefineError> {
        match &self.kind {
            DataType::Boolean => Ok(()),
            found => Err(RefineError::NotBoolean { place: Box::new(place.clone()), found: found.clone() }),
        }
    }

    pub fn evaluate(&self, frame: &Frame) -> Result<Evaluated, RefineError> {
        let mut columns = Vec::with_capacity(self.inputs.fields().len());
        for field in self.inputs.fields() {
            columns.push(input(frame, field)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(frame.rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.inputs), columns, &options)
            .map_err(RefineError::arrow("preparing an expression's columns"))?;
        let mut failures = Vec::new();
        let values = self.isolate(&batch, 0, &mut failures)?;
        Ok(Evaluated { values, failures })
    }

    /// The rows on which it is true, those on which it is false, and the failures.
    pub fn decide(&self, frame: &Frame) -> Result<Decided, RefineError> {
        let Evaluated { values, failures } = self.evaluate(frame)?;
        let values = values.as_boolean();
        let known = |bits: BooleanBuffer| values.nulls().map_or_else(|| bits.clone(), |n| &bits & n.inner());
        Ok(Decided { yes: known(values.values().clone()), no: known(!values.values()), failures })
    }

    /// Evaluates all rows at once; if that fails, halves them until each failing row is found.
    fn isolate(
        &self,
        batch: &RecordBatch,
        first: usize,
        failures: &mut Vec<(usize, String)>,
    ) -> Result<ArrayRef, RefineError> {
        let rows = batch.num_rows();
        let error = match self.physical.evaluate(batch).and_then(|v| v.into_array(rows)) {
            Ok(values) if is_text(values.data_type()) => return Ok(Arc::new(to_text(&values)?)),
            Ok(values) => return Ok(values),
            Err(e) => e,
        };
        if rows == 1 {
            failures.push((first, error.strip_backtrace()));
            return Ok(new_null_array(&self.kind, 1));
        }
        if rows == 0 {
            return Err(RefineError::Evaluate { doing: "evaluating an expression", source: Box::new(error) });
        }
        let half = rows / 2;
        let left = self.isolate(&batch.slice(0, half), first, failures)?;
        let right = self.isolate(&batch.slice(half, rows - half), first + half, failures)?;
        concat(&[&left, &right]).map_err(RefineError::arrow("joining an expression's values"))
    }
}

/// A condition's answer; a row that is in neither has no answer (null) or failed.
#[derive(Debug)]
pub(super) struct Decided {
    pub yes: BooleanBuffer,
    pub no: BooleanBuffer,
    pub failures: Vec<(usize, String)>,
}

/// A column in the type in which the expression was planned. What was not cast yet is seen as text.
fn input(frame: &Frame, field: &Field) -> Result<ArrayRef, RefineError> {
    match frame.get(field.name()) {
        None => Ok(new_null_array(field.data_type(), frame.rows())),
        Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
        Some(column) => Ok(Arc::new(to_text(column)?)),
    }
}

pub(super) fn parse_expression(sql: &str, place: &Place) -> Result<ast::Expr, RefineError> {
    parse_with(sql, place, |p| p.parse_expr())
}

pub(super) fn parse_query(sql: &str, place: &Place) -> Result<ast::Query, RefineError> {
    parse_with(sql, place, |p| {
        let query = p.parse_query()?;
        while p.consume_token(&Token::SemiColon) {}
        Ok(*query)
    })
}

fn parse_with<T>(
    sql: &str,
    place: &Place,
    read: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>,
) -> Result<T, RefineError> {
    let failed = |source: ParserError| {
        let offset = offset_in_message(sql, &source);
        RefineError::Syntax { place: Box::new(place.clone().at(offset)), source }
    };
    if sql.len() > SQL_BYTES {
        return Err(not_allowed(place, "SQL of more than 64 KiB".into()));
    }
    let mut parser = Parser::new(&GenericDialect {}).with_recursion_limit(DEPTH).try_with_sql(sql).map_err(failed)?;
    let read = read(&mut parser).map_err(failed)?;
    let next = parser.peek_token();
    match next.token {
        Token::EOF => Ok(read),
        token => {
            let offset = offset_of(sql, next.span.start.line, next.span.start.column);
            let what = format!("what follows the expression (`{token}`)");
            Err(not_allowed(&place.clone().at(offset), what))
        }
    }
}

pub(super) fn not_allowed(place: &Place, what: String) -> RefineError {
    RefineError::NotAllowed { place: Box::new(place.clone()), what }
}

/// A name as DataFusion resolves it: lower case unless it is quoted.
pub(super) fn resolved(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// The columns that an expression names, each with the place of its last part.
fn identifiers(sql: &ast::Expr) -> Vec<(String, Ident)> {
    let mut found = Vec::new();
    let _: ControlFlow<()> = visit_expressions(sql, |e| {
        match e {
            ast::Expr::Identifier(ident) => found.push((resolved(ident), ident.clone())),
            ast::Expr::CompoundIdentifier(parts) => {
                found.extend(parts.last().map(|ident| (resolved(ident), ident.clone())));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    found
}

pub(super) fn column_names(sql: &ast::Expr) -> BTreeSet<String> {
    identifiers(sql).into_iter().map(|(name, _)| name).collect()
}

/// `input.carrier` is `carrier`: there is only one table.
fn unqualify(sql: &mut ast::Expr) {
    let _: ControlFlow<()> = visit_expressions_mut(sql, |e| {
        if let ast::Expr::CompoundIdentifier(parts) = e
            && parts.len() == 2
            && let Some(last) = parts.pop()
        {
            *e = ast::Expr::Identifier(last);
        }
        ControlFlow::Continue(())
    });
}

pub(super) fn unknown_columns(
    parsed: &ast::Expr,
    sql: &str,
    columns: &BTreeMap<String, DataType>,
    place: &Place,
) -> Vec<RefineError> {
    let unknown = identifiers(parsed).into_iter().filter(|(name, _)| !columns.contains_key(name));
    unknown
        .map(|(column, ident)| {
            let offset = offset_of(sql, ident.span.start.line, ident.span.start.column);
            // A name with capitals has to be quoted; that is the likeliest slip.
            let quoted = columns.keys().find(|c| c.eq_ignore_ascii_case(&column)).map(|c| format!("\"{c}\""));
            let nearest = quoted.or_else(|| nearest(&column, columns.keys()));
            RefineError::UnknownColumn { place: Box::new(place.clone().at(offset)), column, nearest }
        })
        .collect()
}

/// Sums and products that overflow fail instead of wrapping around.
fn checked(physical: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    let strict = |e: Arc<dyn PhysicalExpr>| match e.downcast_ref::<BinaryExpr>() {
        Some(binary) => {
            let strict: Arc<dyn PhysicalExpr> = Arc::new(binary.clone().with_fail_on_overflow(true));
            Ok(Transformed::yes(strict))
        }
        None => Ok(Transformed::no(e)),
    };
    physical.transform_up(strict).data()
}

fn no_subquery(sql: &ast::Expr, place: &Place) -> Result<(), RefineError> {
    struct Queries;
    impl Visitor for Queries {
        type Break = ();

        fn pre_visit_query(&mut self, _: &ast::Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    match sql.visit(&mut Queries) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(not_allowed(place, "a subquery".into())),
    }
}

/// Refuses what looks beyond the row or may answer differently the next time.
fn allowed(expression: &Expr, place: &Place) -> Result<(), RefineError> {
    let mut refused = None;
    let walked = expression.apply(|e| {
        refused = match e {
            Expr::AggregateFunction(f) => Some(format!("the aggregate `{}`", f.func.name())),
            Expr::WindowFunction(_) => Some("a window function".into()),
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_) => {
                Some("a subquery".into())
            }
            Expr::ScalarFunction(f) if f.func.signature().volatility != Volatility::Immutable => {
                Some(format!("`{}`, which does not always give the same answer,", f.func.name()))
            }
            Expr::ScalarVariable(..) | Expr::Placeholder(_) => Some("a parameter".into()),
            Expr::OuterReferenceColumn(..) | Expr::GroupingSet(_) => Some("a reference to another query".into()),
            Expr::Unnest(_) => Some("UNNEST".into()),
            Expr::HigherOrderFunction(_) | Expr::Lambda(_) | Expr::LambdaVariable(_) => Some("a lambda".into()),
            _ => None,
        };
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map_err(|source| RefineError::Plan { place: Box::new(place.clone()), source: Box::new(source) })?;
    refused.map_or(Ok(()), |what| Err(not_allowed(place, what)))
}

/// Byte offset of a line and a column (in characters), both counted from 1; 0 means unknown.
fn offset_of(sql: &str, line: u64, column: u64) -> Option<usize> {
    let line_start: usize = match usize::try_from(line).ok()? {
        0 => return None,
        n => sql.split_inclusive('\n').take(n - 1).map(str::len).sum(),
    };
    let within = usize::try_from(column).ok()?.checked_sub(1)?;
    let rest = sql.get(line_start..)?;
    Some(line_start + rest.char_indices().nth(within).map_or(rest.len(), |(i, _)| i))
}

/// The parser says where it stopped only in its message.
fn offset_in_message(sql: &str, error: &ParserError) -> Option<usize> {
    let (ParserError::TokenizerError(message) | ParserError::ParserError(message)) = error else {
        return None;
    };
    // Without a line it was the end that came too soon.
    let Some((_, tail)) = message.rsplit_once("Line: ") else { return Some(sql.len()) };
    let (line, column) = tail.split_once(", Column: ")?;
    let digits: String = column.chars().take_while(char::is_ascii_digit).collect();
    offset_of(sql, line.parse().ok()?, digits.parse().ok()?)
}

/// The contract's columns as rules see them.
pub(super) fn contract_columns(contract: &alluvium_spec::Contract) -> BTreeMap<String, DataType> {
    contract.columns.iter().map(|c| (c.name.clone(), types::arrow_type(c.kind))).collect()
}
