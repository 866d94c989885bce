//! The `sql` step: `SELECT expressions FROM input [WHERE condition]`, row by row.
//!
//! A named expression takes the place of the column of that name that `*` would give. Before `validate` the columns
//! are seen as text, whatever the source's types; after it in the contract's types.

use super::{
    Place, RefineError,
    expression::{Planner, RowExpr, column_names, not_allowed, parse_query, resolved, unknown_columns},
    frame::Frame,
    scope::{Scope, State},
};
use arrow::{array::ArrayRef, buffer::BooleanBuffer};
use datafusion::sql::sqlparser::ast::{
    self, ExcludeSelectItem, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableFactor,
    WildcardAdditionalOptions,
};
use std::{collections::BTreeSet, sync::Arc};

#[derive(Debug)]
pub(super) struct SqlOp {
    /// Columns that `*` does not pass on; `None` if there is no `*`.
    star: Option<BTreeSet<String>>,
    items: Vec<(Arc<str>, Item)>,
    filter: Option<RowExpr>,
    /// Index of the rule under which failing expressions are counted.
    pub rule: usize,
}

#[derive(Debug)]
enum Item {
    Column(String),
    Computed(RowExpr),
}

/// Rows on which an expression of the step failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// The output column; `None` for the `WHERE`.
    pub column: Option<Arc<str>>,
    pub rows: Vec<(usize, String)>,
}

/// The parts of the statement that matter.
struct Statement {
    projection: Vec<SelectItem>,
    selection: Option<ast::Expr>,
}

/// The columns that the statement names: none if it cannot be read.
pub(super) fn mentions(query: &str) -> BTreeSet<String> {
    let Ok(parsed) = statement(query, &Place::step(0)) else {
        return BTreeSet::new();
    };
    let items = parsed.projection.iter().filter_map(|item| match item {
        SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. } => Some(e),
        _ => None,
    });
    items.chain(&parsed.selection).flat_map(column_names).collect()
}

/// What compiling a statement needs at hand.
struct Context<'a> {
    query: &'a str,
    planner: &'a Planner,
    place: &'a Place,
}

impl SqlOp {
    /// Checks the statement and moves `scope` behind it. The second value names the columns that it makes or changes.
    pub fn compile(
        query: &str,
        scope: &mut Scope,
        planner: &Planner,
        place: &Place,
        rule: usize,
    ) -> Result<(Self, BTreeSet<String>), Vec<RefineError>> {
        let parsed = statement(query, place).map_err(|e| vec![e])?;
        let context = Context { query, planner, place };
        let mut op = Self { star: None, items: Vec::new(), filter: None, rule };
        let mut errors = Vec::new();
        if let Some(condition) = parsed.selection {
            let planned = context.plan(condition, scope).and_then(|e| {
                e.must_be_boolean(place).map_err(|e| vec![e])?;
                Ok(e)
            });
            match planned {
                Ok(e) => op.filter = Some(e),
                Err(mut e) => errors.append(&mut e),
            }
        }
        for item in parsed.projection {
            if let Err(mut e) = op.add(item, scope, &context) {
                errors.append(&mut e);
            }
        }
        if errors.is_empty() {
            let changed = op.change(scope);
            Ok((op, changed))
        } else {
            Err(errors)
        }
    }

    fn add(&mut self, item: SelectItem, scope: &mut Scope, context: &Context<'_>) -> Result<(), Vec<RefineError>> {
        let refused = |what: String| Err(vec![not_allowed(context.place, what)]);
        let (name, sql) = match item {
            SelectItem::Wildcard(options)
            | SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(_), options) => {
                self.star.get_or_insert_default().extend(excluded(options, context.place).map_err(|e| vec![e])?);
                return Ok(());
            }
            SelectItem::ExprWithAlias { expr, alias } => (resolved(&alias), expr),
            SelectItem::UnnamedExpr(expr) => match plain_column(&expr) {
                Some(name) => (name, expr),
                None => {
                    let (place, expression) = (Box::new(context.place.clone()), expr.to_string());
                    return Err(vec![RefineError::Unnamed { place, expression }]);
                }
            },
            other => return refused(format!("`{other}`")),
        };
        if name.starts_with('_') {
            return refused(format!("the column name `{name}` (names with a leading _ belong to the lake)"));
        }
        if self.items.iter().any(|(n, _)| **n == *name) {
            let place = Box::new(context.place.clone());
            return Err(vec![RefineError::DuplicateColumn { place, column: name }]);
        }
        let item = match plain_column(&sql) {
            Some(column) => {
                context.check(&sql, scope)?;
                Item::Column(column)
            }
            None => Item::Computed(context.plan(sql, scope)?),
        };
        self.items.push((name.into(), item));
        Ok(())
    }

    /// Moves `scope` from before the step to behind it; gives the names whose values are no longer the same.
    fn change(&self, scope: &mut Scope) -> BTreeSet<String> {
        let before = scope.columns.clone();
        let mut changed = BTreeSet::new();
        match &self.star {
            Some(excluded) => {
                scope.columns.retain(|n, _| !excluded.contains(n));
                changed.extend(excluded.iter().cloned());
            }
            None => {
                let items: BTreeSet<&str> = self.items.iter().map(|(n, _)| &**n).collect();
                changed.extend(before.keys().filter(|n| !items.contains(n.as_str())).cloned());
                scope.columns.clear();
                scope.open = false;
            }
        }
        for (name, item) in &self.items {
            let state = match item {
                Item::Column(from) => {
                    if **name != **from {
                        changed.insert(name.to_string());
                    }
                    before.get(from).cloned().unwrap_or(State::Raw(None))
                }
                Item::Computed(e) => {
                    changed.insert(name.to_string());
                    State::Computed(e.kind().clone())
                }
            };
            scope.columns.insert(name.to_string(), state);
        }
        changed
    }

    /// The columns that it gives a value of its own.
    pub fn makes(&self) -> impl Iterator<Item = &str> {
        self.items.iter().filter(|(n, i)| !matches!(i, Item::Column(c) if **c == **n)).map(|(n, _)| &**n)
    }

    /// The rows that the `WHERE` keeps, and those on which it failed. `None`: there is no `WHERE`.
    pub fn select(&self, frame: &Frame) -> Result<Option<(BooleanBuffer, Failure)>, RefineError> {
        let Some(filter) = &self.filter else { return Ok(None) };
        let decided = filter.decide(frame)?;
        Ok(Some((decided.yes, Failure { column: None, rows: decided.failures })))
    }

    pub fn project(&self, frame: &Frame) -> Result<(Frame, Vec<Failure>), RefineError> {
        let mut failures = Vec::new();
        let mut columns: Vec<(Arc<str>, ArrayRef)> = Vec::new();
        if let Some(excluded) = &self.star {
            let replaced = |name: &str| self.items.iter().any(|(n, _)| **n == *name);
            let kept = frame.names().filter(|n| !excluded.contains(&***n) && !replaced(n));
            columns.extend(kept.filter_map(|n| Some((Arc::clone(n), Arc::clone(frame.get(n)?)))));
        }
        for (name, item) in &self.items {
            match item {
                // A column that no record has yet stays away, as under `*`.
                Item::Column(from) => columns.extend(frame.get(from).map(|c| (Arc::clone(name), Arc::clone(c)))),
                Item::Computed(e) => {
                    let evaluated = e.evaluate(frame)?;
                    columns.push((Arc::clone(name), evaluated.values));
                    if !evaluated.failures.is_empty() {
                        failures.push(Failure { column: Some(Arc::clone(name)), rows: evaluated.failures });
                    }
                }
            }
        }
        Ok((frame.with_columns(columns), failures))
    }
}

impl Context<'_> {
    /// Every name has to be a column; bronze's columns are taken on trust while they are in sight.
    fn check(&self, sql: &ast::Expr, scope: &mut Scope) -> Result<(), Vec<RefineError>> {
        for name in column_names(sql) {
            scope.read(&name);
        }
        let unknown = unknown_columns(sql, self.query, &scope.seen_by_sql(), self.place);
        if unknown.is_empty() { Ok(()) } else { Err(unknown) }
    }

    fn plan(&self, sql: ast::Expr, scope: &mut Scope) -> Result<RowExpr, Vec<RefineError>> {
        self.check(&sql, scope)?;
        self.planner.plan(sql, &scope.seen_by_sql(), self.place).map_err(|e| vec![e])
    }
}

/// Only the parts that work row by row; every other clause is named and refused.
fn statement(query: &str, place: &Place) -> Result<Statement, RefineError> {
    let parsed = parse_query(query, place)?;
    let whole = parsed.to_string();
    let SetExpr::Select(select) = *parsed.body else {
        return Err(not_allowed(place, "a union, a VALUES list or a nested query".into()));
    };
    let clauses = [
        (parsed.with.is_some(), "WITH"),
        (parsed.order_by.is_some(), "ORDER BY"),
        (parsed.limit_clause.is_some() || parsed.fetch.is_some(), "LIMIT"),
        (select.distinct.is_some(), "DISTINCT"),
        (select.having.is_some(), "HAVING"),
        (select.qualify.is_some(), "QUALIFY"),
        (select.into.is_some(), "INTO"),
        (!matches!(&select.group_by, ast::GroupByExpr::Expressions(e, m) if e.is_empty() && m.is_empty()), "GROUP BY"),
        (select.from.len() > 1 || select.from.iter().any(|f| !f.joins.is_empty()), "a join"),
    ];
    if let Some((_, what)) = clauses.iter().find(|(present, _)| *present) {
        return Err(not_allowed(place, (*what).into()));
    }
    let Some(from) = select.from.first().filter(|f| reads_input(&f.relation)) else {
        return Err(not_allowed(place, "anything but `FROM input`".into()));
    };
    // What is left has to say the statement in full; a clause that is not named above shows here.
    let items: Vec<String> = select.projection.iter().map(ToString::to_string).collect();
    let condition = select.selection.as_ref().map(|s| format!(" WHERE {s}")).unwrap_or_default();
    if whole != format!("SELECT {} FROM {from}{condition}", items.join(", ")) {
        return Err(not_allowed(place, "a clause other than SELECT, FROM and WHERE".into()));
    }
    Ok(Statement { projection: select.projection, selection: select.selection })
}

fn reads_input(relation: &TableFactor) -> bool {
    let mut bare = relation.clone();
    if let TableFactor::Table { alias, .. } = &mut bare {
        *alias = None;
    }
    bare.to_string().eq_ignore_ascii_case("input")
}

fn plain_column(sql: &ast::Expr) -> Option<String> {
    match sql {
        ast::Expr::Identifier(ident) => Some(resolved(ident)),
        ast::Expr::CompoundIdentifier(parts) if parts.len() == 2 => parts.last().map(resolved),
        _ => None,
    }
}

fn excluded(options: WildcardAdditionalOptions, place: &Place) -> Result<Vec<String>, RefineError> {
    let allowed = WildcardAdditionalOptions {
        opt_exclude: options.opt_exclude.clone(),
        opt_except: options.opt_except.clone(),
        ..Default::default()
    };
    if options.to_string() != allowed.to_string() {
        return Err(not_allowed(place, format!("`*{options}`")));
    }
    let of = |name: &ast::ObjectName| name.0.last().and_then(|p| p.as_ident()).map(resolved);
    let mut names = match &options.opt_exclude {
        None => Vec::new(),
        Some(ExcludeSelectItem::Single(name)) => of(name).into_iter().collect(),
        Some(ExcludeSelectItem::Multiple(names)) => names.iter().filter_map(of).collect(),
    };
    if let Some(except) = &options.opt_except {
        names.push(resolved(&except.first_element));
        names.extend(except.additional_elements.iter().map(resolved));
    }
    Ok(names)
}
