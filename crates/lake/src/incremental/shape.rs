//! Which queries can be kept up to date by their groups, and the plans that do it. Pure: reads no data.
//!
//! A kept group has its keys (`k0`…), its rows (`n`), and for each aggregate the number of values (`c0`…) and their sum
//! (`s0`…). All of these can be added to and taken from without loss, which is what makes a query fit: counts, and sums of
//! whole numbers and decimals, of one input, by keys that compare exactly. A sketch of values (`h0`…) can be added to alone:
//! [`Shape::lost`] tells the groups whose sketches have to be made anew.

use super::sketch;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::{
    catalog::TableProvider,
    common::{
        Column, DFSchema, NullEquality, ScalarValue,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    datasource::provider_as_source,
    error::Result,
    functions_aggregate::expr_fn::{count, sum},
    logical_expr::{
        Aggregate, Expr, ExprSchemable, FetchType, JoinType, LogicalPlan, LogicalPlanBuilder, Signature, SkipType,
        Sort, SortExpr, Volatility, cast, expr::AggregateFunction, ident, lit, when,
    },
};
use std::sync::Arc;

/// Rows of a group.
const ROWS: &str = "n";
/// More rows than this are not worth the way around the whole.
const MOST_TOP: usize = 10_000;

/// A query whose groups can be kept.
pub(crate) struct Shape {
    plan: LogicalPlan,
    aggregate: Aggregate,
    measures: Vec<Measure>,
    top: Option<Top>,
}

/// What is kept for one aggregate of the query.
enum Measure {
    Rows,
    Count(Expr),
    Sum(Expr, DataType),
    Distinct(Expr),
}

/// `ORDER BY … LIMIT`, where the result has the order's columns and all keys.
pub(crate) struct Top {
    pub(crate) rows: usize,
    /// Column of the result, descending, nulls first.
    pub(crate) order: Vec<(usize, bool, bool)>,
    /// For each key, its column of the result.
    pub(crate) keys: Vec<usize>,
    /// The number that is highest in the first row.
    pub(crate) by: Option<By>,
}

/// A number of a kept group by which a top list is ordered, descending.
pub(crate) struct By {
    pub(crate) column: String,
    /// Of a sum, how many values it has. Without any it is null.
    pub(crate) values: Option<String>,
    pub(crate) nulls_first: bool,
}

impl Shape {
    /// `None`: the query has to be computed from its input each time.
    pub(crate) fn of(plan: &LogicalPlan) -> Option<Self> {
        let mut limit = None;
        // As long as what is below has the result's rows and columns, in its order: a top list is one only there.
        let mut whole = true;
        let mut node = plan;
        let aggregate = loop {
            node = match node {
                LogicalPlan::Aggregate(a) => break a,
                LogicalPlan::Limit(l) if limit.is_none() && whole => {
                    let (Ok(SkipType::Literal(0)), Ok(FetchType::Literal(Some(rows)))) =
                        (l.get_skip_type(), l.get_fetch_type())
                    else {
                        return None;
                    };
                    let LogicalPlan::Sort(sort) = l.input.as_ref() else { return None };
                    limit = Some((rows, sort));
                    sort.input.as_ref()
                }
                LogicalPlan::SubqueryAlias(s) => s.input.as_ref(),
                LogicalPlan::Sort(s) if s.fetch.is_none() => {
                    whole = false;
                    s.input.as_ref()
                }
                other => {
                    whole = false;
                    row_by_row(other)?
                }
            }
        };
        let mut below = aggregate.input.as_ref();
        while !matches!(below, LogicalPlan::TableScan(_)) {
            below = row_by_row(below)?;
        }
        if scans(plan) != 1 || !stays(plan) || aggregate.group_expr.is_empty() {
            return None;
        }
        // Each of several sets has keys of its own.
        if aggregate.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_))) {
            return None;
        }
        let schema = &aggregate.schema;
        if !(0..aggregate.group_expr.len()).all(|i| exact(schema.field(i).data_type())) {
            return None;
        }
        let measures = aggregate.aggr_expr.iter().enumerate().map(|(i, e)| {
            let kind = schema.field(aggregate.group_expr.len() + i).data_type();
            measure(e, kind, aggregate.input.schema())
        });
        let measures = measures.collect::<Option<Vec<_>>>()?;
        let mut shape = Self { plan: plan.clone(), aggregate: aggregate.clone(), measures, top: None };
        if let Some((rows, sort)) = limit {
            shape.top = Some(shape.top(rows, sort)?);
        }
        Some(shape)
    }

    /// `None` too for an order that only the whole set of groups can decide.
    fn top(&self, rows: usize, sort: &Sort) -> Option<Top> {
        let (output, order) = (sort.input.schema(), &sort.expr);
        let column = |s: &SortExpr| match &s.expr {
            Expr::Column(c) => output.maybe_index_of_column(c).map(|i| (i, !s.asc, s.nulls_first)),
            _ => None,
        };
        let keys = (0..self.keys()).map(|k| (0..output.fields().len()).find(|i| self.key_of(*i) == Some(k)));
        let (keys, order) = (keys.collect::<Option<_>>()?, order.iter().map(column).collect::<Option<Vec<_>>>()?);
        let by = order.first().and_then(|first| self.by(*first));
        (rows > 0 && rows <= MOST_TOP).then_some(Top { rows, order, keys, by })
    }

    fn by(&self, (column, descending, nulls_first): (usize, bool, bool)) -> Option<By> {
        let measure = self.source_of(column)?.checked_sub(self.keys())?;
        let (column, values) = match self.measures.get(measure)? {
            Measure::Rows => (ROWS.to_owned(), None),
            Measure::Count(_) => (format!("c{measure}"), None),
            Measure::Sum(..) => (format!("s{measure}"), Some(format!("c{measure}"))),
            Measure::Distinct(_) => return None,
        };
        descending.then_some(By { column, values, nulls_first })
    }

    pub(crate) fn limit(&self) -> Option<&Top> {
        self.top.as_ref()
    }

    fn keys(&self) -> usize {
        self.aggregate.group_expr.len()
    }

    pub(crate) fn key_name(key: usize) -> String {
        format!("k{key}")
    }

    pub(crate) fn rows_name() -> &'static str {
        ROWS
    }

    /// The key that a column of the result is.
    fn key_of(&self, column: usize) -> Option<usize> {
        self.source_of(column).filter(|source| *source < self.keys())
    }

    /// The column of the grouping, keys first, that a column of the result is.
    fn source_of(&self, column: usize) -> Option<usize> {
        let (mut node, mut index) = (&self.plan, column);
        loop {
            node = match node {
                LogicalPlan::Aggregate(_) => return Some(index),
                LogicalPlan::Projection(p) => {
                    let Expr::Column(c) = p.expr[index].clone().unalias_nested().data else { return None };
                    index = p.input.schema().maybe_index_of_column(&c)?;
                    &p.input
                }
                other => *other.inputs().first()?,
            }
        }
    }

    /// The key that the window column of the result is.
    pub(crate) fn window_key(&self, column: &str) -> Option<usize> {
        self.key_of(self.plan.schema().index_of_column_by_name(None, column)?)
    }

    pub(crate) fn result_fields(&self) -> &Schema {
        self.plan.schema().as_arrow()
    }

    /// Columns of a kept group.
    pub(crate) fn schema(&self) -> SchemaRef {
        let keys = (0..self.keys()).map(|i| (Self::key_name(i), stored(self.aggregate.schema.field(i).data_type())));
        let mut columns: Vec<(String, DataType)> = keys.collect();
        columns.push((ROWS.to_owned(), DataType::Int64));
        for (i, m) in self.measures.iter().enumerate() {
            match m {
                Measure::Rows => {}
                Measure::Count(_) => columns.push((format!("c{i}"), DataType::Int64)),
                Measure::Sum(_, kind) => {
                    columns.push((format!("c{i}"), DataType::Int64));
                    columns.push((format!("s{i}"), kind.clone()));
                }
                Measure::Distinct(_) => columns.push((format!("h{i}"), sketch::KIND)),
            }
        }
        Arc::new(Schema::new(columns.into_iter().map(|(n, t)| Field::new(n, t, true)).collect::<Vec<_>>()))
    }

    /// What is grouped, of these rows of the input.
    fn over(&self, rows: Arc<dyn TableProvider>) -> Result<LogicalPlan> {
        let source = provider_as_source(rows);
        let swapped = self.aggregate.input.as_ref().clone().transform_down(|p| match p {
            LogicalPlan::TableScan(mut t) => {
                t.source = source.clone();
                Ok(Transformed::yes(LogicalPlan::TableScan(t)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(swapped.data)
    }

    /// Groups of these rows of the input.
    pub(crate) fn group(&self, rows: Arc<dyn TableProvider>) -> Result<LogicalPlan> {
        let mut kept = vec![count(lit(1_i64)).alias(ROWS)];
        for (i, m) in self.measures.iter().enumerate() {
            match m {
                Measure::Rows => {}
                Measure::Count(x) => kept.push(count(x.clone()).alias(format!("c{i}"))),
                Measure::Sum(x, _) => {
                    kept.push(count(x.clone()).alias(format!("c{i}")));
                    kept.push(sum(x.clone()).alias(format!("s{i}")));
                }
                Measure::Distinct(x) => kept.push(sketch::of(x.clone()).alias(format!("h{i}"))),
            }
        }
        // By names of our own, or a column of the input that is called as one of these would be ambiguous.
        let keys = self.aggregate.group_expr.iter().enumerate();
        let keys: Vec<Expr> = keys.map(|(i, e)| e.clone().alias(Self::key_name(i))).collect();
        self.stored(LogicalPlanBuilder::from(self.over(rows)?).aggregate(keys, kept)?.build()?)
    }

    /// The plan's columns, by their place, under the names and types of kept groups.
    fn stored(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let schema = self.schema();
        let columns = plan.schema().iter().zip(schema.fields());
        let columns = columns.map(|((relation, field), to)| {
            let own = Expr::Column(Column::new(relation.cloned(), field.name()));
            cast(own, to.data_type().clone()).alias(to.name())
        });
        let columns: Vec<Expr> = columns.collect();
        LogicalPlanBuilder::from(plan).project(columns)?.build()
    }

    pub(crate) fn has_sketches(&self) -> bool {
        self.measures.iter().any(|m| matches!(m, Measure::Distinct(_)))
    }

    /// Keys of the groups with a sketch of a value that may have left: a row with it is among the removed, and none with it in the same
    /// group is among those that came and stay. `None` without sketches.
    pub(crate) fn lost(
        &self,
        removed: &Arc<dyn TableProvider>,
        stays: &Arc<dyn TableProvider>,
    ) -> Result<Option<LogicalPlan>> {
        const VALUE: &str = "value";
        let mut all: Option<LogicalPlan> = None;
        for m in &self.measures {
            let Measure::Distinct(x) = m else { continue };
            let pairs = |rows: &Arc<dyn TableProvider>| {
                let schema = self.schema();
                let keys = self.aggregate.group_expr.iter().zip(schema.fields());
                let keys = keys.map(|(e, f)| cast(e.clone().unalias(), f.data_type().clone()).alias(f.name()));
                let columns: Vec<Expr> = keys.chain([x.clone().alias(VALUE)]).collect();
                let rows = LogicalPlanBuilder::from(self.over(rows.clone())?).project(columns)?;
                rows.filter(ident(VALUE).is_not_null())?.build()
            };
            let left = LogicalPlanBuilder::except(pairs(removed)?, pairs(stays)?, false)?;
            let keys: Vec<Expr> = (0..self.keys()).map(|k| ident(Self::key_name(k))).collect();
            let keys = LogicalPlanBuilder::from(left).project(keys)?;
            all = Some(match all {
                Some(others) => keys.union(others)?.build()?,
                None => keys.build()?,
            });
        }
        Ok(all)
    }

    /// These groups with each number turned around: what is added by them is taken away.
    pub(crate) fn negated(&self, groups: LogicalPlan) -> Result<LogicalPlan> {
        let schema = self.schema();
        let columns = schema.fields().iter().enumerate().map(|(i, f)| {
            let own = ident(f.name());
            match f.data_type() {
                _ if i < self.keys() => own,
                &sketch::KIND => lit(ScalarValue::Binary(None)).alias(f.name()),
                _ => Expr::Negative(Box::new(own)).alias(f.name()),
            }
        });
        let columns: Vec<Expr> = columns.collect();
        LogicalPlanBuilder::from(groups).project(columns)?.build()
    }

    /// One group for each key out of parts of it. Parts that cancel each other out stay, with no rows.
    pub(crate) fn merged(&self, parts: LogicalPlan) -> Result<LogicalPlan> {
        let schema = self.schema();
        let (keys, measures) = schema.fields().split_at(self.keys());
        let keys: Vec<Expr> = keys.iter().map(|f| ident(f.name())).collect();
        let measures = measures.iter().map(|f| match f.data_type() {
            &sketch::KIND => sketch::together(ident(f.name())).alias(f.name()),
            _ => sum(ident(f.name())).alias(f.name()),
        });
        let measures: Vec<Expr> = measures.collect();
        self.stored(LogicalPlanBuilder::from(parts).aggregate(keys, measures)?.build()?)
    }

    /// Those of the groups that have rows.
    pub(crate) fn present(groups: LogicalPlan) -> Result<LogicalPlan> {
        LogicalPlanBuilder::from(groups).filter(ident(ROWS).not_eq(lit(0_i64)))?.build()
    }

    /// Those of `parts` whose key is among `keys`, which has the key columns, or for [`JoinType::RightAnti`] is not.
    pub(crate) fn among(&self, parts: LogicalPlan, keys: LogicalPlan, join: JoinType) -> Result<LogicalPlan> {
        let names: Vec<Column> = (0..self.keys()).map(|i| Column::from_name(Self::key_name(i))).collect();
        // The few keys on the left: that is the side which is held in memory.
        let wanted: Vec<Column> = names.iter().map(|n| Column::new(Some("wanted"), n.name())).collect();
        LogicalPlanBuilder::from(keys)
            .alias("wanted")?
            .join_detailed(parts, join, (wanted, names), None, NullEquality::NullEqualsNull)?
            .build()
    }

    /// The query's result, out of groups in place of its input.
    pub(crate) fn result(&self, groups: LogicalPlan) -> Result<LogicalPlan> {
        let keys = self.keys();
        let mut columns = Vec::new();
        for (i, (relation, field)) in self.aggregate.schema.iter().enumerate() {
            let own = match i.checked_sub(keys).map(|m| (m, &self.measures[m])) {
                None => ident(Self::key_name(i)),
                Some((_, Measure::Rows)) => ident(ROWS),
                Some((m, Measure::Count(_))) => ident(format!("c{m}")),
                Some((m, Measure::Sum(_, kind))) => {
                    let none = Expr::Literal(ScalarValue::try_from(kind)?, None);
                    when(ident(format!("c{m}")).eq(lit(0_i64)), none).otherwise(ident(format!("s{m}")))?
                }
                Some((m, Measure::Distinct(_))) => sketch::count(ident(format!("h{m}"))),
            };
            columns.push(cast(own, field.data_type().clone()).alias_qualified(relation.cloned(), field.name()));
        }
        let groups = LogicalPlanBuilder::from(groups).project(columns)?.build()?;
        let swapped = self.plan.clone().transform_down(|p| match p {
            LogicalPlan::Aggregate(_) => Ok(Transformed::new(groups.clone(), true, TreeNodeRecursion::Stop)),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(swapped.data)
    }
}

/// The input of a node that makes at most one row of each of its own.
fn row_by_row(node: &LogicalPlan) -> Option<&LogicalPlan> {
    match node {
        LogicalPlan::Projection(p) => Some(&p.input),
        LogicalPlan::Filter(f) => Some(&f.input),
        LogicalPlan::SubqueryAlias(s) => Some(&s.input),
        _ => None,
    }
}

/// Tables read, those of subqueries in expressions too.
fn scans(plan: &LogicalPlan) -> usize {
    let mut n = 0;
    let counted = plan.apply_with_subqueries(|p| {
        n += usize::from(matches!(p, LogicalPlan::TableScan(_)));
        Ok(TreeNodeRecursion::Continue)
    });
    if counted.is_ok() { n } else { 0 }
}

/// Whether the query gives the same for the same rows, whenever it runs.
fn stays(plan: &LogicalPlan) -> bool {
    let fixed = |s: &Signature| matches!(s.volatility, Volatility::Immutable);
    let mut stays = true;
    let looked = plan.apply(|p| {
        p.apply_expressions(|e| {
            e.apply(|e| {
                stays &= match e {
                    Expr::ScalarFunction(f) => fixed(f.func.signature()),
                    Expr::AggregateFunction(f) => fixed(f.func.signature()),
                    _ => true,
                };
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    looked.is_ok() && stays
}

/// Types whose values are equal exactly when they look the same, and that a file keeps as they are.
fn exact(kind: &DataType) -> bool {
    matches!(
        stored(kind),
        DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Utf8
            | DataType::Date32
            | DataType::Decimal128(_, _)
            | DataType::Timestamp(TimeUnit::Microsecond, _)
    )
}

fn stored(kind: &DataType) -> DataType {
    match kind {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::Dictionary(_, values) => stored(values),
        other => other.clone(),
    }
}

/// `input`: of what is grouped.
fn measure(e: &Expr, kind: &DataType, input: &DFSchema) -> Option<Measure> {
    let Expr::AggregateFunction(AggregateFunction { func, params }) = e.clone().unalias() else { return None };
    let plain = !params.distinct && params.filter.is_none() && params.order_by.is_empty();
    let [x] = params.args.as_slice() else { return None };
    match (func.name(), x, kind) {
        _ if !plain || params.null_treatment.is_some() => None,
        ("count", Expr::Literal(value, _), _) => (!value.is_null()).then_some(Measure::Rows),
        ("count", x, _) => Some(Measure::Count(x.clone())),
        ("sum", x, DataType::Int64 | DataType::Decimal128(_, _)) => Some(Measure::Sum(x.clone(), kind.clone())),
        (sketch::FUNCTION, x, _) => sketch::takes(&x.get_type(input).ok()?).then(|| Measure::Distinct(x.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{maintain::fixture::World, session};
    use arrow::{
        array::{ArrayRef, AsArray, Int64Array, RecordBatch},
        datatypes::Int64Type,
    };
    use datafusion::datasource::MemTable;

    async fn shape(sql: &str) -> Option<Shape> {
        shape_over(&["id", "a", "b"], sql).await.0
    }

    /// With a table of these columns that has no rows.
    async fn shape_over(columns: &[&str], sql: &str) -> (Option<Shape>, Arc<MemTable>) {
        let fields: Vec<Field> = columns.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let table = MemTable::try_new(schema.clone(), vec![vec![RecordBatch::new_empty(schema)]]).expect("a table");
        let (table, world) = (Arc::new(table), World::new());
        let session = session::bare(&world.engine).expect("a session");
        session::register(&session, "silver", "t", table.clone()).expect("registered");
        (Shape::of(session.sql(sql).await.expect("a query").logical_plan()), table)
    }

    #[tokio::test]
    async fn columns_may_be_called_as_those_of_kept_groups() {
        let sql = "SELECT n, k1, c0, s0, count(*) AS k0, sum(n) AS s1 FROM silver.t GROUP BY n, k1, c0, s0";
        let (shape, table) = shape_over(&["n", "k1", "c0", "s0"], sql).await;
        let shape = shape.expect("it can be kept");
        let groups = shape.group(table).expect("groups");
        let names: Vec<&str> = groups.schema().fields().iter().map(|f| f.name().as_str()).collect();
        assert_eq!(names, ["k0", "k1", "k2", "k3", "n", "c1", "s1"]);
        let result = shape.result(groups).expect("a result");
        let names: Vec<&str> = result.schema().fields().iter().map(|f| f.name().as_str()).collect();
        assert_eq!(names, ["n", "k1", "c0", "s0", "k0", "s1"]);
    }

    #[tokio::test]
    async fn sets_of_groups_are_not_kept() {
        for by in ["ROLLUP(id, a)", "CUBE(id)", "GROUPING SETS ((id), (a), ())"] {
            assert!(shape(&format!("SELECT id, count(*) AS n FROM silver.t GROUP BY {by}")).await.is_none(), "{by}");
        }
    }

    const TOP: &str =
        "SELECT id, sum(a) AS v, sum(b) AS w FROM silver.t GROUP BY id ORDER BY v DESC NULLS LAST, id LIMIT 10";

    #[tokio::test]
    async fn a_top_list_is_ordered_by_the_measure_that_is_named() {
        let renamed = "SELECT id, sum(a) AS w, sum(b) AS v FROM silver.t GROUP BY id ORDER BY v DESC, id LIMIT 10";
        let nested = "SELECT id, v FROM (SELECT id, w AS v FROM (SELECT id, sum(a) AS v, sum(b) AS w FROM silver.t \
                      GROUP BY id) AS x WHERE v > 0) AS y ORDER BY v DESC, id LIMIT 10";
        let having = "SELECT id, sum(a) AS v, count(b) AS w FROM silver.t GROUP BY id HAVING sum(b) > 1 \
                      ORDER BY w DESC, id LIMIT 10";
        for (sql, column, order) in [(TOP, "s0", vec![1, 0]), (renamed, "s1", vec![2, 0]), (nested, "s1", vec![1, 0])] {
            let shape = shape(sql).await.unwrap_or_else(|| panic!("{sql}"));
            let top = shape.limit().expect("a limit");
            let columns: Vec<usize> = top.order.iter().map(|(column, _, _)| *column).collect();
            assert_eq!(
                (top.rows, columns, top.by.as_ref().map(|by| by.column.as_str())),
                (10, order, Some(column)),
                "{sql}"
            );
        }
        assert!(shape(having).await.expect("it can be kept").limit().is_some());
    }

    #[tokio::test]
    async fn what_is_made_of_a_top_list_is_none() {
        for sql in [
            format!("SELECT id, w AS v, v AS w FROM ({TOP}) AS x"),
            format!("SELECT * FROM ({TOP}) AS x"),
            format!("SELECT * FROM ({TOP}) AS x WHERE w > 0"),
            format!("SELECT * FROM ({TOP}) AS x ORDER BY id"),
            format!("({TOP}) ORDER BY id"),
        ] {
            assert!(shape(&sql).await.is_none(), "{sql}");
        }
    }

    #[tokio::test]
    async fn without_a_limit_anything_may_be_made_of_groups() {
        let groups = "SELECT id, sum(a) AS v, sum(b) AS w FROM silver.t GROUP BY id";
        for sql in [
            format!("SELECT id, w AS v, v AS w FROM ({groups}) AS x WHERE v > 0 ORDER BY id"),
            format!("{groups} ORDER BY v"),
        ] {
            assert!(shape(&sql).await.expect("it can be kept").limit().is_none(), "{sql}");
        }
    }

    #[tokio::test]
    async fn what_is_not_one_grouping_of_plain_keys_is_not_kept() {
        for sql in [
            "SELECT id, count(*) FROM silver.t GROUP BY ROLLUP(id)",
            "SELECT id, count(*) FROM silver.t GROUP BY GROUPING SETS ((id), ())",
            "SELECT id, count(DISTINCT a) FROM silver.t GROUP BY id",
            "SELECT id, approx_distinct(a) FILTER (WHERE b > 1) FROM silver.t GROUP BY id",
            "SELECT id, approx_distinct(a > 1) FROM silver.t GROUP BY id",
        ] {
            assert!(shape(sql).await.is_none(), "{sql}");
        }
    }

    fn rows(rows: &[[Option<i64>; 3]]) -> Arc<dyn TableProvider> {
        let column = |c: usize| -> ArrayRef { Arc::new(Int64Array::from_iter(rows.iter().map(|r| r[c]))) };
        let rows = ["id", "a", "b"].into_iter().enumerate().map(|(c, name)| (name, column(c), true));
        let rows = RecordBatch::try_from_iter_with_nullable(rows).expect("a batch");
        Arc::new(MemTable::try_new(rows.schema(), vec![vec![rows]]).expect("a table"))
    }

    #[tokio::test]
    async fn a_sketch_is_lost_with_a_value_that_does_not_come_back_in_its_group() {
        let shape = shape(
            "SELECT id, approx_distinct(a + 0) AS a, approx_distinct(b) AS b FROM silver.t WHERE b > 0 GROUP BY id",
        )
        .await
        .expect("it can be kept");
        let of = |id: i64, a: i64, b: i64| [Some(id), Some(a), Some(b)];
        let removed = rows(&[
            of(1, 7, 3),
            // Back in another group, or with another value, or no more among the rows that count.
            of(2, 8, 3),
            of(3, 9, 3),
            of(4, 9, 3),
            // Never counted.
            [Some(5), None, Some(1)],
            of(6, 7, -1),
            [None, Some(1), Some(1)],
        ]);
        let added = rows(&[
            of(1, 7, 3),
            of(1, 7, 4),
            of(7, 8, 3),
            of(2, 7, 3),
            of(3, 9, 4),
            of(4, 9, -3),
            [Some(5), Some(1), Some(1)],
        ]);
        let lost = shape.lost(&removed, &added).expect("a plan").expect("it has sketches");
        let lost = datafusion::prelude::SessionContext::new().execute_logical_plan(lost).await.expect("a frame");
        let mut ids = Vec::new();
        for batch in lost.distinct().expect("a plan").collect().await.expect("rows") {
            ids.extend(batch.column(0).as_primitive::<Int64Type>().iter());
        }
        ids.sort_unstable();
        assert_eq!(ids, [None, Some(2), Some(3), Some(4)]);
    }
}
