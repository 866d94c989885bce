//! SQL over one row: the `sql` step of silver, the expression of a row rule, `delete_when`.

use super::{
    built_in::{is_aggregate, is_over_many_rows},
    expand::{Expanded, expand_in},
    parse::{SqlMistake, check_stable, deep, expression, function_name, normalized, place_of, statement},
    query::output_name,
};
use crate::{
    codes,
    library::Library,
    source_file::{Place, Spanned},
};
use sqlparser::ast::{
    Expr, GroupByExpr, Query as Ast, Select, SelectItem, SetExpr, Spanned as _, Statement, TableFactor, Visit, Visitor,
    WildcardAdditionalOptions,
};
use std::{collections::BTreeSet, ops::ControlFlow};

/// `SELECT … FROM input [WHERE …]`.
#[derive(Debug, Clone)]
pub(crate) struct RowQuery {
    /// As it is executed: calls of library functions are written out.
    pub(crate) text: String,
    /// The same without layout and comments.
    pub(crate) canonical: String,
    /// Functions of the library.
    pub(crate) calls: BTreeSet<String>,
    /// Columns that are given a name of their own.
    pub(crate) makes: Vec<String>,
    /// Whether a `*` passes the other columns on.
    pub(crate) passes_all: bool,
    /// Whether what a `*` passes is in every row, and as it was: there is no WHERE, and the `*` replaces and renames nothing.
    pub(crate) passes_as_is: bool,
    pub(crate) uses: Vec<Spanned<String>>,
}

#[derive(Debug, Clone)]
pub(crate) struct RowExpression {
    /// As it is executed: calls of library functions are written out.
    pub(crate) text: String,
    /// The same without layout and comments.
    pub(crate) canonical: String,
    pub(crate) uses: Vec<Spanned<String>>,
    /// Functions of the library.
    pub(crate) calls: BTreeSet<String>,
}

/// Without a library, functions are what they are to the engine.
pub(crate) fn row_expression(sql: &str, library: Option<&Library>) -> Result<RowExpression, Vec<SqlMistake>> {
    deep(|| {
        let expr = expression(sql).map_err(|e| vec![e])?;
        let mut row = RowVisitor { library, ..RowVisitor::default() };
        let _ = expr.visit(&mut row);
        let RowVisitor { mut mistakes, uses, .. } = row;
        let expanded = expand_in(library, sql, &expr, false, expression).map_err(|mut more| mistakes.append(&mut more));
        match expanded {
            Ok(Expanded { text, canonical, calls, .. }) if mistakes.is_empty() => {
                Ok(RowExpression { text, canonical, uses, calls })
            }
            _ => Err(mistakes),
        }
    })
}

pub(crate) fn row_query(sql: &str, library: Option<&Library>) -> Result<RowQuery, Vec<SqlMistake>> {
    deep(|| {
        let statement = statement(sql).map_err(|e| vec![e])?;
        let shape = |place, what: &str| {
            let m = SqlMistake::new(codes::SQL_ROW, place, what);
            vec![m.help(
                "write `SELECT … FROM input WHERE …`; joins and aggregates belong into gold, lookups into `enrich`",
            )]
        };
        let Statement::Query(ast) = &statement else {
            return Err(vec![SqlMistake::new(
                codes::SQL_STATEMENT,
                place_of(statement.span()),
                "only a SELECT can stand here",
            )]);
        };
        let SetExpr::Select(select) = ast.body.as_ref() else {
            return Err(shape(place_of(ast.span()), "a step is one SELECT over `input`"));
        };
        if !is_plain(ast) || !is_row_by_row(select) {
            return Err(shape(place_of(ast.span()), "a step works row by row, with expressions and WHERE only"));
        }
        let [table] = select.from.as_slice() else {
            return Err(shape(place_of(select.span()), "a step reads from `input`, and from nothing else"));
        };
        let reads_input = match &table.relation {
            TableFactor::Table { name, args: None, version: None, sample: None, .. } => {
                matches!(name.0.as_slice(), [one] if one.as_ident().is_some_and(|i| normalized(i) == "input"))
            }
            _ => false,
        };
        if !reads_input || !table.joins.is_empty() {
            return Err(shape(place_of(table.span()), "a step reads from `input`, and from nothing else"));
        }
        let mut row = RowVisitor { queries_allowed: 1, library, ..RowVisitor::default() };
        let _ = ast.visit(&mut row);
        let RowVisitor { mut mistakes, uses, .. } = row;
        let expanded =
            expand_in(library, sql, &statement, false, self::statement).map_err(|mut more| mistakes.append(&mut more));
        let Some(expanded) = expanded.ok().filter(|_| mistakes.is_empty()) else { return Err(mistakes) };
        let wild = |i: &SelectItem| matches!(i, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        Ok(RowQuery {
            text: expanded.text,
            canonical: expanded.canonical,
            calls: expanded.calls,
            makes: select.projection.iter().filter_map(output_name).collect(),
            passes_all: select.projection.iter().any(wild),
            passes_as_is: select.selection.is_none() && select.projection.iter().any(is_plain_star),
            uses,
        })
    })
}

fn is_plain_star(item: &SelectItem) -> bool {
    matches!(item, SelectItem::Wildcard(options) if *options == WildcardAdditionalOptions::default())
}

fn is_plain(q: &Ast) -> bool {
    q.with.is_none()
        && q.order_by.is_none()
        && q.limit_clause.is_none()
        && q.fetch.is_none()
        && q.locks.is_empty()
        && q.for_clause.is_none()
        && q.settings.is_none()
        && q.format_clause.is_none()
        && q.pipe_operators.is_empty()
}

fn is_row_by_row(s: &Select) -> bool {
    let ungrouped = matches!(&s.group_by, GroupByExpr::Expressions(e, m) if e.is_empty() && m.is_empty());
    ungrouped
        && s.distinct.is_none()
        && s.top.is_none()
        && s.into.is_none()
        && s.lateral_views.is_empty()
        && s.prewhere.is_none()
        && s.connect_by.is_empty()
        && s.cluster_by.is_empty()
        && s.distribute_by.is_empty()
        && s.sort_by.is_empty()
        && s.having.is_none()
        && s.named_window.is_empty()
        && s.qualify.is_none()
}

/// What the expression of a function names, and what in it is neither over one row nor over the rows of a group.
pub(super) fn check(expr: &Expr) -> RowVisitor<'static> {
    let mut row = RowVisitor { aggregates: true, ..RowVisitor::default() };
    let _ = expr.visit(&mut row);
    row
}

#[derive(Default)]
pub(super) struct RowVisitor<'a> {
    queries_allowed: usize,
    queries: usize,
    /// Whether they may stand here.
    aggregates: bool,
    /// Some of its functions are aggregates.
    library: Option<&'a Library>,
    pub(super) uses: Vec<Spanned<String>>,
    pub(super) mistakes: Vec<SqlMistake>,
}

impl Visitor for RowVisitor<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Ast) -> ControlFlow<()> {
        self.queries += 1;
        if self.queries > self.queries_allowed {
            self.refuse(place_of(query.span()), "a subquery reads more than one row".to_owned());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.mistakes.extend(check_stable(expr));
        match expr {
            Expr::Identifier(i) => self.uses.push(Spanned::new(normalized(i), place_of(i.span))),
            Expr::CompoundIdentifier(parts) => {
                // `input.column`, or a column and its fields.
                let column = match parts.as_slice() {
                    [first, second, ..] if normalized(first) == "input" => Some(second),
                    all => all.first(),
                };
                self.uses.extend(column.map(|i| Spanned::new(normalized(i), place_of(i.span))));
            }
            Expr::Function(f) => {
                let name = function_name(f);
                let of_library = self.library.and_then(|l| l.get(&name)).is_some_and(|f| f.aggregates);
                let many = f.over.is_some() || f.filter.is_some() || !f.within_group.is_empty();
                let allowed = self.aggregates && f.over.is_none() && is_aggregate(&name);
                if (many || of_library || is_over_many_rows(&name)) && !allowed {
                    self.refuse(place_of(f.name.span()), format!("`{name}` works over many rows"));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl RowVisitor<'_> {
    fn refuse(&mut self, place: Place, message: String) {
        let help = match self.aggregates {
            true => "a function sees one row, or by its aggregates the rows of a group",
            false => "one row is seen at a time here",
        };
        self.mistakes.push(SqlMistake::new(codes::SQL_ROW, place, message).help(help));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_query_shows_what_it_makes_and_uses() {
        let q = row_query("SELECT *, dep_delay + 1 AS late, upper(input.origin) AS o FROM input WHERE a > 1", None)
            .expect("a query");
        assert!(q.passes_all);
        assert_eq!(q.makes, ["late", "o"]);
        let uses: Vec<&str> = q.uses.iter().map(|u| u.value.as_str()).collect();
        assert_eq!(uses, ["dep_delay", "origin", "a"]);
    }

    #[test]
    fn whatever_sees_more_than_a_row_is_refused() {
        for sql in [
            "SELECT count(*) FROM input",
            "SELECT any_value(a) FROM input",
            "SELECT unnest([1, a]) AS a FROM input",
            "SELECT a FROM input GROUP BY a",
            "SELECT a FROM input JOIN silver.b USING (k)",
            "SELECT a FROM silver.b",
            "SELECT a FROM input, input i",
            "SELECT DISTINCT a FROM input",
            "SELECT a FROM input LIMIT 1",
            "SELECT (SELECT 1 FROM silver.x) FROM input",
            "SELECT row_number() OVER () FROM input",
            "SELECT 1",
            "SELECT a FROM input UNION SELECT b FROM input",
            "SELECT a FROM input ORDER BY a",
            "SELECT a FROM input('x')",
        ] {
            assert_eq!(row_query(sql, None).expect_err(sql)[0].code.id, "E0204", "{sql}");
        }
        assert_eq!(row_expression("a > (SELECT 1)", None).expect_err("no")[0].code.id, "E0204");
        assert_eq!(row_expression("a > 1 b", None).expect_err("no")[0].code.id, "E0201");
        assert_eq!(row_expression("a BETWEEN 1 AND 2 OR b IS NULL", None).expect("yes").uses.len(), 2);
    }
}
