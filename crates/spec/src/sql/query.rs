//! A whole query: one SELECT over datasets. Used for gold datasets and for the SQL rules of contracts.

use super::{
    expand::{By, Expanded, expand, expand_in},
    origins::Origins,
    parse::{SqlMistake, check_stable, deep, normalized, place_of, place_of_name, statement},
};
use crate::{codes, library::Library, source_file::Place};
use sqlparser::ast::{
    Expr, Query as Ast, Select, SelectItem, SetExpr, Spanned as _, Statement, TableFactor, Visit, Visitor,
};
use std::{collections::BTreeSet, ops::ControlFlow};

#[derive(Debug)]
pub(crate) struct Query {
    /// As it is executed: calls of library functions are written out.
    pub(crate) text: String,
    pub(crate) origins: Origins,
    /// The same in one fixed layout, without comments.
    pub(crate) canonical: String,
    /// Functions of the library.
    pub(crate) calls: BTreeSet<String>,
    pub(crate) tables: Vec<TableUse>,
    /// Names of the output columns; `None` if a `*` hides them.
    pub(crate) outputs: Option<Vec<String>>,
}

/// A name in a FROM clause that is no common table expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableUse {
    pub(crate) name: String,
    pub(crate) place: Place,
}

/// Without a library, functions are what they are to the engine.
pub(crate) fn query(sql: &str, library: Option<&Library>) -> Result<Query, Vec<SqlMistake>> {
    deep(|| {
        let statement = statement(sql).map_err(|e| vec![e])?;
        let Statement::Query(ast) = &statement else {
            return Err(vec![not_a_select(place_of(statement.span()))]);
        };
        let mut defined = Defined::default();
        let _ = ast.visit(&mut defined);
        let mut reads = Reads { sql, defined: defined.0, tables: Vec::new(), mistakes: Vec::new() };
        let _ = ast.visit(&mut reads);
        let Reads { mut mistakes, tables, .. } = reads;
        let expanded =
            expand_in(library, sql, &statement, true, self::statement).map_err(|mut more| mistakes.append(&mut more));
        match expanded {
            Ok(Expanded { text, canonical, origins, calls }) if mistakes.is_empty() => {
                Ok(Query { text, origins, canonical, calls, tables, outputs: outputs(&ast.body) })
            }
            _ => Err(mistakes),
        }
    })
}

/// A query as it is executed. One that cannot be parsed stays as it is, for the engine to say why.
pub(crate) fn asked(sql: &str, library: &Library) -> Result<String, Vec<SqlMistake>> {
    deep(|| match statement(sql) {
        Ok(parsed) => expand(sql, &parsed, library, By::Asker, true, statement).map(|e| e.text),
        Err(_) => Ok(sql.to_owned()),
    })
}

fn not_a_select(place: Place) -> SqlMistake {
    SqlMistake::new(codes::SQL_STATEMENT, place, "only a SELECT can stand here")
}

/// The names that WITH clauses define anywhere in the query.
#[derive(Default)]
struct Defined(BTreeSet<String>);

impl Visitor for Defined {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Ast) -> ControlFlow<()> {
        let tables = query.with.iter().flat_map(|w| &w.cte_tables);
        self.0.extend(tables.map(|t| normalized(&t.alias.name)));
        ControlFlow::Continue(())
    }
}

struct Reads<'a> {
    sql: &'a str,
    defined: BTreeSet<String>,
    tables: Vec<TableUse>,
    mistakes: Vec<SqlMistake>,
}

impl Visitor for Reads<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Ast) -> ControlFlow<()> {
        self.body(&query.body);
        let extras = query.for_clause.is_some() || query.settings.is_some() || query.format_clause.is_some();
        if !query.locks.is_empty() || !query.pipe_operators.is_empty() || extras {
            self.mistakes.push(SqlMistake::new(
                codes::SQL_STATEMENT,
                place_of(query.span()),
                "FOR, FORMAT, SETTINGS and `|>` are not available",
            ));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if select.into.is_some() {
            self.mistakes.push(not_a_select(place_of(select.span())));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        self.table(factor);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.mistakes.extend(check_stable(expr));
        ControlFlow::Continue(())
    }
}

impl Reads<'_> {
    /// Nested queries come through the visitor themselves; set operations are followed here.
    fn body(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => {}
            SetExpr::SetOperation { left, right, .. } => {
                self.body(left);
                self.body(right);
            }
            SetExpr::Insert(s) | SetExpr::Update(s) | SetExpr::Delete(s) | SetExpr::Merge(s) => {
                self.mistakes.push(not_a_select(place_of(s.span())));
            }
            SetExpr::Table(_) => {
                self.mistakes
                    .push(not_a_select(place_of(body.span())).help("write `SELECT * FROM …` in place of `TABLE …`"));
            }
        }
    }

    fn table(&mut self, factor: &TableFactor) {
        match factor {
            TableFactor::Table { name, args: None, version: None, sample: None, .. } => {
                let parts: Vec<_> = name.0.iter().filter_map(|p| p.as_ident()).collect();
                let place = place_of_name(name);
                if parts.len() != name.0.len() || parts.iter().any(|i| i.quote_style == Some('\'')) {
                    // The parser keeps no place for a text in a table's place.
                    let place = find(self.sql, &name.to_string()).unwrap_or(place);
                    self.refuse(
                        place,
                        format!("`{name}` is no dataset"),
                        "a project reads files through a bronze dataset",
                    );
                    return;
                }
                let name = parts.iter().map(|i| normalized(i)).collect::<Vec<_>>().join(".");
                if !self.defined.contains(&name) {
                    self.tables.push(TableUse { name, place });
                }
            }
            TableFactor::Table { name, args: Some(_), .. } => {
                self.refuse(place_of_name(name), format!("`{name}(…)` is a table function"), "read a dataset");
            }
            TableFactor::Table { name, .. } => {
                let help = "read the dataset as it is";
                self.refuse(place_of_name(name), format!("`{name}` is read with a version or a sample"), help);
            }
            TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::Pivot { .. }
            | TableFactor::Unpivot { .. } => {}
            other => {
                self.refuse(
                    place_of(other.span()),
                    "this table function is not available".to_owned(),
                    "read a dataset",
                );
            }
        }
    }

    fn refuse(&mut self, place: Place, message: String, help: &str) {
        self.mistakes.push(SqlMistake::new(codes::SQL_TABLE, place, message).help(help));
    }
}

fn find(sql: &str, part: &str) -> Option<Place> {
    let before = &sql[..sql.find(part)?];
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    Some(Place { line: before.matches('\n').count() + 1, column, length: part.chars().count() })
}

fn outputs(body: &SetExpr) -> Option<Vec<String>> {
    match body {
        SetExpr::Select(s) => s.projection.iter().map(output_name).collect(),
        SetExpr::Query(q) => outputs(&q.body),
        SetExpr::SetOperation { left, .. } => outputs(left),
        _ => None,
    }
}

pub(super) fn output_name(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(normalized(alias)),
        SelectItem::UnnamedExpr(Expr::Identifier(i)) => Some(normalized(i)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => parts.last().map(normalized),
        // The engine makes up a name from the expression.
        SelectItem::UnnamedExpr(e) => Some(e.to_string()),
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables(sql: &str) -> Vec<String> {
        query(sql, None).expect("a query").tables.into_iter().map(|t| t.name).collect()
    }

    fn code(sql: &str) -> &'static str {
        query(sql, None).expect_err("a mistake")[0].code.id
    }

    #[test]
    fn inputs_are_found_wherever_they_hide() {
        let sql = "WITH x AS (SELECT * FROM silver.a), y AS (SELECT * FROM x) \
            SELECT (SELECT max(k) FROM silver.b) FROM y JOIN \"silver\".\"c\" USING (k) \
            WHERE EXISTS (SELECT 1 FROM gold.d) AND k IN (SELECT k FROM Silver.E) \
            UNION ALL SELECT k FROM silver.f";
        assert_eq!(tables(sql), ["silver.a", "silver.b", "silver.c", "gold.d", "silver.e", "silver.f"]);
    }

    #[test]
    fn only_a_select_over_datasets_passes() {
        for sql in [
            "INSERT INTO silver.a VALUES (1)",
            "DROP TABLE silver.a",
            "COPY silver.a TO 'x'",
            "SELECT 1; SELECT 2",
            "",
            "WITH x AS (INSERT INTO silver.a VALUES (1)) SELECT * FROM x",
            "SELECT * INTO t FROM silver.a",
            "TABLE silver.a",
            "SELECT * FROM silver.a FOR UPDATE",
        ] {
            assert!(matches!(code(sql), "E0202" | "E0201"), "{sql}: {}", code(sql));
        }
        for sql in [
            "SELECT * FROM 'x.parquet'",
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT * FROM generate_series(1, 9)",
        ] {
            assert_eq!(code(sql), "E0203", "{sql}");
        }
        assert_eq!(code("SELECT now() FROM silver.a"), "E0205");
        assert_eq!(code("SELECT 1 FROM silver.a WHERE d < current_date"), "E0205");
    }

    #[test]
    fn mistakes_have_places() {
        let e = query("SELECT a\nFROM 'x.csv'", None).expect_err("a mistake");
        assert_eq!((e[0].place.line, e[0].place.column), (2, 6));
        let e = query("SELECT a\nFORM silver.x y z", None).expect_err("a mistake");
        assert_eq!((e[0].code.id, e[0].place.line), ("E0201", 2));
    }

    #[test]
    fn comments_and_layout_do_not_count() {
        let a = query("select  a -- first\nfrom silver.x", None).expect("a query");
        let b = query("SELECT a FROM silver.x", None).expect("a query");
        assert_eq!(a.canonical, b.canonical);
        assert_eq!(a.outputs, Some(vec!["a".to_owned()]));
    }

    #[test]
    fn long_and_deep_sql_does_not_exhaust_the_stack() {
        let long = format!("SELECT {} FROM silver.a", vec!["1"; 2_400].join("+"));
        assert_eq!(tables(&long), ["silver.a"]);
        let union = vec!["SELECT 1"; 1_600].join(" UNION ");
        let _ = query(&union, None);
        assert_eq!(code(&format!("SELECT {} FROM silver.a", vec!["1"; 9_000].join("+"))), "E0206");
        for deep in ["(", "NOT ", "-", "CASE WHEN ", "f(", "SELECT * FROM ("] {
            let _ = query(&format!("SELECT {}", deep.repeat(1_000)), None);
            let _ = query(&format!("SELECT * FROM {}", deep.repeat(1_000)), None);
        }
    }
}
