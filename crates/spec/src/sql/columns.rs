//! Which columns of a table a query may read, by name.

use super::parse::{deep, normalized, statement};
use sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, ObjectName, Select, SelectItem, SelectItemQualifiedWildcardKind,
    TableFactor, TableWithJoins, Visit, Visitor,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
};

/// Those of `known` that `sql` reads from `table`, or may read: where a name could also be another table's column it
/// counts. A query that cannot be parsed reads all of them.
pub(crate) fn columns_read(sql: &str, table: &str, known: &[&str]) -> BTreeSet<String> {
    deep(|| {
        let all = || known.iter().map(|k| (*k).to_owned()).collect();
        let Ok(statement) = statement(sql) else { return all() };
        let mut names = Names::default();
        let _ = statement.visit(&mut names);
        let mut uses = Uses { names: names.0, table, known, found: BTreeSet::new() };
        let _ = statement.visit(&mut uses);
        uses.found
    })
}

/// What each qualifier stands for: a table's name, by its alias and by its own last part.
#[derive(Default)]
struct Names(BTreeMap<String, BTreeSet<String>>);

impl Visitor for Names {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, .. } = factor {
            let full = dotted(name);
            let last = full.rsplit('.').next().unwrap_or(&full).to_owned();
            let qualifier = alias.as_ref().map_or(last, |a| normalized(&a.name));
            self.0.entry(qualifier).or_default().insert(full);
        }
        ControlFlow::Continue(())
    }
}

struct Uses<'a> {
    names: BTreeMap<String, BTreeSet<String>>,
    table: &'a str,
    known: &'a [&'a str],
    found: BTreeSet<String>,
}

impl Uses<'_> {
    fn column(&mut self, name: &Ident) {
        let name = normalized(name);
        if self.known.contains(&name.as_str()) {
            self.found.insert(name);
        }
    }

    fn all(&mut self) {
        self.found.extend(self.known.iter().map(|k| (*k).to_owned()));
    }

    /// Whether the qualifier may stand for the table: it does not if it names other tables only.
    fn may_be(&self, qualifier: &Ident) -> bool {
        let tables = self.names.get(&normalized(qualifier));
        // A common table expression or a subquery passes columns on under their names.
        tables.is_none_or(|t| t.contains(self.table) || t.iter().any(|t| !t.contains('.')))
    }

    /// The name starts with another table, by its alias or in full.
    fn is_of_others(&self, parts: &[Ident]) -> bool {
        let in_full = match parts {
            [space, table, _, ..] => Some(format!("{}.{}", normalized(space), normalized(table))),
            _ => None,
        };
        let is_other = |full: String| full != self.table && self.names.values().any(|tables| tables.contains(&full));
        parts.first().is_some_and(|q| !self.may_be(q)) || in_full.is_some_and(is_other)
    }

    fn reads(&self, tables: &[TableWithJoins]) -> bool {
        joins_within(tables).into_iter().any(|t| {
            let mut all = std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation));
            all.any(|f| matches!(f, TableFactor::Table { name, .. } if dotted(name) == self.table))
        })
    }
}

impl Visitor for Uses<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(name) => self.column(name),
            // Any part may be the column: qualifiers stand before it, fields after it.
            Expr::CompoundIdentifier(parts) if !self.is_of_others(parts) => {
                parts.iter().for_each(|part| self.column(part));
            }
            // A column can be named as another table.
            Expr::CompoundIdentifier(parts) => parts.iter().take(1).for_each(|part| self.column(part)),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            match item {
                SelectItem::Wildcard(_) if self.reads(&select.from) => self.all(),
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    let last = name.0.last().and_then(|p| p.as_ident());
                    if last.is_some_and(|q| self.may_be(q)) && self.reads(&select.from) {
                        self.all();
                    }
                }
                _ => {}
            }
        }
        for join in joins_within(&select.from).into_iter().flat_map(|t| &t.joins) {
            match constraint(&join.join_operator) {
                Some(JoinConstraint::Using(names)) => {
                    names.iter().filter_map(|n| n.0.last()?.as_ident()).for_each(|n| self.column(n));
                }
                Some(JoinConstraint::Natural) => self.all(),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

/// Those in parentheses, too.
fn joins_within(tables: &[TableWithJoins]) -> Vec<&TableWithJoins> {
    let (mut out, mut waiting): (Vec<&TableWithJoins>, Vec<&TableWithJoins>) = (Vec::new(), tables.iter().collect());
    while let Some(t) = waiting.pop() {
        out.push(t);
        let factors = std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation));
        waiting.extend(factors.filter_map(|f| match f {
            TableFactor::NestedJoin { table_with_joins, .. } => Some(table_with_joins.as_ref()),
            _ => None,
        }));
    }
    out
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(c)
        | JoinOperator::Inner(c)
        | JoinOperator::Left(c)
        | JoinOperator::LeftOuter(c)
        | JoinOperator::Right(c)
        | JoinOperator::RightOuter(c)
        | JoinOperator::FullOuter(c)
        | JoinOperator::Semi(c)
        | JoinOperator::LeftSemi(c)
        | JoinOperator::RightSemi(c)
        | JoinOperator::Anti(c)
        | JoinOperator::LeftAnti(c)
        | JoinOperator::RightAnti(c) => Some(c),
        _ => None,
    }
}

fn dotted(name: &ObjectName) -> String {
    name.0.iter().filter_map(|p| p.as_ident()).map(normalized).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sql: &str) -> Vec<String> {
        columns_read(sql, "silver.flights", &["origin", "dest", "delay", "day"]).into_iter().collect()
    }

    #[test]
    fn columns_are_found_wherever_they_stand() {
        assert_eq!(read("SELECT origin, count(*) FROM silver.flights GROUP BY origin"), ["origin"]);
        assert_eq!(
            read("SELECT avg(f.delay) AS dest FROM silver.flights f WHERE f.day > DATE '2013-01-01'"),
            ["day", "delay"]
        );
        assert_eq!(read("SELECT 1 FROM silver.flights JOIN silver.airports USING (origin)"), ["origin"]);
        assert_eq!(read("SELECT a.dest FROM silver.flights f JOIN silver.airports a ON f.origin = a.day"), ["origin"]);
        assert_eq!(
            read("WITH x AS (SELECT delay FROM silver.flights) SELECT x.delay, max(day) OVER () FROM x"),
            ["day", "delay"]
        );
        assert_eq!(read("SELECT * FROM silver.flights").len(), 4);
        assert_eq!(read("SELECT f.* FROM silver.flights f, silver.airports a").len(), 4);
        assert_eq!(read("SELECT a.* FROM silver.flights f, silver.airports a"), Vec::<String>::new());
        assert_eq!(read("SELECT 1 FROM silver.flights NATURAL JOIN silver.airports").len(), 4);
        let nested = "FROM (silver.flights f JOIN silver.airports a ON f.origin = a.day)";
        assert_eq!(read(&format!("SELECT * {nested}")).len(), 4);
        assert_eq!(read(&format!("SELECT f.* {nested}")).len(), 4);
        assert_eq!(read(&format!("SELECT a.* {nested}")), ["origin"]);
        assert_eq!(read("SELECT 1 FROM (silver.flights JOIN silver.airports USING (dest))"), ["dest"]);
        assert_eq!(read("SELECT f.origin.street FROM silver.flights f"), ["origin"]);
        assert_eq!(read("SELECT origin.street FROM silver.flights f"), ["origin"]);
        assert_eq!(read("SELECT silver.airports.dest FROM silver.flights, silver.airports"), Vec::<String>::new());
        assert_eq!(read("SELECT Flights.ORIGIN FROM silver.flights"), ["origin"]);
        assert_eq!(read("SELECT silver.flights.dest FROM silver.flights ORDER BY day"), ["day", "dest"]);
    }
}
