//! DISTINCTs of several columns taken apart, so that each is a grouping, which spills.
//!
//! An aggregate that has one DISTINCT is a grouping by that column too, DataFusion's own rule sees to it. With several, or beside others as
//! `count(*)`, each keeps its values in memory. Here each becomes an aggregate of its own over the same input, joined by the groups.

use datafusion::{
    common::{
        Column, NullEquality, Result,
        tree_node::{Transformed, TreeNodeRecursion},
    },
    logical_expr::{
        Aggregate, Case, Expr, JoinType, LogicalPlan, LogicalPlanBuilder,
        expr::{AggregateFunction, AggregateFunctionParams},
    },
    optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule},
};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct DistinctsApart;

/// Aggregates over one column's distinct values, or all that need no distinct ones.
pub(crate) struct Part {
    of: Option<Expr>,
    /// Each with its place among all.
    aggregates: Vec<(usize, Expr)>,
}

impl OptimizerRule for DistinctsApart {
    fn name(&self) -> &'static str {
        "distincts_apart"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if let LogicalPlan::Aggregate(aggregate) = &plan
            && let Some(parts) = Self::parts(aggregate)?
        {
            return Ok(Transformed::yes(joined(aggregate, &parts)?));
        }
        Ok(Transformed::no(plan))
    }
}

impl DistinctsApart {
    /// `None`: there is nothing to be taken apart, or the parts would not surely have the same groups.
    pub(crate) fn parts(aggregate: &Aggregate) -> Result<Option<Vec<Part>>> {
        let mut parts: Vec<Part> = Vec::new();
        let mut changed = false;
        for (place, expr) in aggregate.aggr_expr.iter().enumerate() {
            let Expr::AggregateFunction(function) = expr else { return Ok(None) };
            let (of, alone) = alone(function);
            changed |= alone != *expr;
            match parts.iter_mut().find(|p| p.of == of) {
                Some(part) => part.aggregates.push((place, alone)),
                None => parts.push(Part { of, aggregates: vec![(place, alone)] }),
            }
        }
        let apart = changed || parts.len() > 1;
        Ok((apart && has_plain_keys(aggregate) && is_repeatable(&aggregate.input)?).then_some(parts))
    }
}

/// The column whose distinct values it is of, if it can be a grouping; and the aggregate without a filter then.
fn alone(function: &AggregateFunction) -> (Option<Expr>, Expr) {
    let whole = || Expr::AggregateFunction(function.clone());
    let AggregateFunctionParams { args, distinct: true, filter, order_by, .. } = &function.params else {
        return (None, whole());
    };
    let [arg] = args.as_slice() else { return (None, whole()) };
    if !order_by.is_empty() {
        return (None, whole());
    }
    let Some(filter) = filter else { return (Some(arg.clone()), whole()) };
    // They look at no NULL.
    if !["count", "sum"].contains(&function.func.name()) {
        return (None, whole());
    }
    let when = vec![(filter.clone(), Box::new(arg.clone()))];
    let arg = Expr::Case(Case::new(None, when, None));
    let params = AggregateFunctionParams { args: vec![arg.clone()], filter: None, ..function.params.clone() };
    (Some(arg), Expr::AggregateFunction(AggregateFunction { params, ..function.clone() }))
}

/// Whether equal groups of two parts are found by a join: of zeros of two signs each part might name another.
fn has_plain_keys(aggregate: &Aggregate) -> bool {
    let fields = aggregate.schema.fields().iter().take(aggregate.group_expr.len());
    let plain = |f: &Arc<arrow::datatypes::Field>| !f.data_type().is_nested() && !f.data_type().is_floating();
    !aggregate.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_))) && fields.into_iter().all(plain)
}

/// Whether the plan gives the same rows as often as it is computed.
fn is_repeatable(input: &LogicalPlan) -> Result<bool> {
    let mut repeatable = true;
    input.apply_with_subqueries(|node| {
        repeatable &= match node {
            LogicalPlan::TableScan(scan) => scan.fetch.is_none(),
            LogicalPlan::Filter(_)
            | LogicalPlan::Projection(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Values(_) => true,
            _ => false,
        } && !node.expressions().iter().any(Expr::is_volatile);
        Ok(if repeatable { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(repeatable)
}

fn joined(aggregate: &Aggregate, parts: &[Part]) -> Result<LogicalPlan> {
    let keys = aggregate.group_expr.len();
    let name = |part: usize| format!("apart{part}");
    let key = |part: usize, k: usize| Column::new(Some(name(part)), format!("k{k}"));
    let mut all: Option<LogicalPlanBuilder> = None;
    let mut results = vec![None; aggregate.aggr_expr.len()];
    for (p, part) in parts.iter().enumerate() {
        let own = part.aggregates.iter().map(|(_, expr)| expr.clone()).collect();
        let own = Aggregate::try_new(aggregate.input.clone(), aggregate.group_expr.clone(), own)?;
        let columns = own.schema.columns();
        let names = (0..keys).map(|k| format!("k{k}")).chain(part.aggregates.iter().map(|(a, _)| format!("a{a}")));
        let renamed: Vec<Expr> = columns.into_iter().zip(names).map(|(c, n)| Expr::Column(c).alias(n)).collect();
        for (a, _) in &part.aggregates {
            results[*a] = Some(Column::new(Some(name(p)), format!("a{a}")));
        }
        let own = LogicalPlanBuilder::from(LogicalPlan::Aggregate(own)).project(renamed)?.alias(name(p))?;
        all = Some(match all {
            None => own,
            Some(all) if keys == 0 => all.cross_join(own.build()?)?,
            Some(all) => {
                let on = (0..keys).map(|k| (key(0, k), key(p, k))).unzip::<_, _, Vec<_>, Vec<_>>();
                all.join_detailed(own.build()?, JoinType::Inner, on, None, NullEquality::NullEqualsNull)?
            }
        });
    }
    let columns = (0..keys).map(|k| Some(key(0, k))).chain(results);
    let named = aggregate.schema.iter().zip(columns).filter_map(|((qualifier, field), column)| {
        Some(Expr::Column(column?).alias_qualified(qualifier.cloned(), field.name()))
    });
    let named: Vec<Expr> = named.collect();
    match all {
        Some(all) => all.project(named)?.build(),
        None => Ok(LogicalPlan::Aggregate(aggregate.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::util::pretty::pretty_format_batches;
    use datafusion::{
        execution::{SessionState, SessionStateBuilder},
        prelude::{DataFrame, SessionContext},
    };

    const ROWS: &str = "(SELECT value, nullif(value % 5, 3) AS k, nullif(value % 7, 2) AS a, concat('t', value % 11) AS b, \
                        value / 10.0 AS f FROM range(0, 200)) AS t";

    fn state(apart: bool) -> SessionState {
        let state = SessionStateBuilder::new_from_existing(SessionContext::new().state());
        if apart { state.with_optimizer_rule(Arc::new(DistinctsApart)).build() } else { state.build() }
    }

    /// What comes of it, and how many joins the plan has.
    async fn asked(sql: &str, apart: bool) -> (String, usize) {
        let state = state(apart);
        let plan = state.create_logical_plan(sql).await.expect("a plan");
        let joins = state.optimize(&plan).expect("optimized").display_indent().to_string().matches("Join:").count();
        let rows = DataFrame::new(state, plan).collect().await.expect("rows");
        (pretty_format_batches(&rows).expect("shown").to_string(), joins)
    }

    #[tokio::test]
    async fn each_is_counted_as_it_was_together() {
        let counts = "count(DISTINCT a), avg(value) AS mean, count(DISTINCT b) AS bs, sum(DISTINCT a), count(*), \
                      count(DISTINCT b) FILTER (WHERE value > 20), min(value) FILTER (WHERE a = 1), array_agg(DISTINCT k ORDER BY k)";
        for (sql, joins) in [
            (format!("SELECT {counts} FROM {ROWS}"), 3),
            (format!("SELECT k, {counts} FROM {ROWS} GROUP BY k ORDER BY k"), 3),
            (format!("SELECT k + 1 AS more, b, {counts} FROM {ROWS} GROUP BY k + 1, b ORDER BY 1, 2"), 3),
            (format!("SELECT {counts} FROM {ROWS} WHERE value < 0"), 3),
            (format!("SELECT k, {counts} FROM {ROWS} WHERE value < 0 GROUP BY k"), 3),
            (
                format!(
                    "SELECT k, count(DISTINCT a) AS n FROM {ROWS} GROUP BY k HAVING count(DISTINCT b) > 2 ORDER BY 1"
                ),
                1,
            ),
            (format!("SELECT count(DISTINCT a) FILTER (WHERE value > 20) FROM {ROWS}"), 0),
        ] {
            let (together, before) = asked(&sql, false).await;
            let (apart, after) = asked(&sql, true).await;
            assert_eq!(together, apart, "{sql}");
            assert_eq!((before, after), (0, joins), "{sql}");
        }
    }

    #[tokio::test]
    async fn what_might_have_other_groups_a_second_time_stays_together() {
        let counts = "count(DISTINCT a), count(DISTINCT b)";
        for sql in [
            format!("SELECT f, {counts} FROM {ROWS} GROUP BY f ORDER BY f"),
            format!("SELECT [k], {counts} FROM {ROWS} GROUP BY 1 ORDER BY 1"),
            format!("SELECT k, b, {counts} FROM {ROWS} GROUP BY ROLLUP (k, b) ORDER BY 1, 2, 3, 4"),
            format!("SELECT {counts} FROM (SELECT * FROM {ROWS} ORDER BY value LIMIT 10)"),
            format!("SELECT {counts} FROM (SELECT *, row_number() OVER (ORDER BY value) AS n FROM {ROWS}) WHERE n < 7"),
            format!("SELECT {counts} FROM {ROWS} WHERE random() >= 0"),
        ] {
            let (together, apart) = (asked(&sql, false).await, asked(&sql, true).await);
            assert_eq!(together, apart, "{sql}");
            assert_eq!(apart.1, 0, "{sql}");
        }
    }
}
