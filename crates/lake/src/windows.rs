//! Which windows of a gold dataset a change to its inputs touches.
//!
//! The window column is followed through the query to an expression over one input's columns; evaluated over the rows
//! that changed, it gives exactly the windows to recompute.

use crate::{
    engine::LakeEngine,
    error::LakeError,
    files::Files,
    table::{Change, Part, Place},
};
use alluvium_model::{DatasetName, Window};
use alluvium_spec::{Gold, WindowSpec};
use alluvium_store::Claimed;
use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch},
    compute::cast,
    datatypes::{DataType, Date32Type, TimeUnit, TimestampMicrosecondType},
};
use datafusion::{
    common::{
        Column, ScalarValue,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{Distinct, Expr, JoinType, LogicalPlan, TableScan, cast as cast_in_sql, ident, lit, try_cast},
    prelude::{DataFrame, SessionContext},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Above this many separate ranges of windows the whole table is recomputed: it costs less than the conditions.
const MOST_RANGES: usize = 500;
const DAY_MICROS: i64 = 86_400_000_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Touched {
    All,
    /// Ranges of adjacent windows, ascending; how many windows these are; and whether rows without a window are touched.
    Windows {
        ranges: Vec<Window>,
        count: u64,
        null: bool,
    },
}

impl Touched {
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Windows { ranges, null: false, .. } if ranges.is_empty())
    }

    /// 0 for the whole table: its windows are counted when they are known.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::All => 0,
            Self::Windows { count, null, .. } => count + u64::from(*null),
        }
    }
}

/// Compares the inputs' versions with those that the table was last computed from.
pub(crate) async fn touched(
    engine: &LakeEngine,
    session: &SessionContext,
    dataset: &DatasetName,
    inputs: &BTreeMap<DatasetName, Claimed>,
    gold: &Gold,
    window: &WindowSpec,
) -> Result<Touched, LakeError> {
    let plan = session.sql_with_options(&gold.sql, crate::query::read_only()).await?.logical_plan().clone();
    let (driver, expression) = source(&plan, dataset, &window.column)?;
    let mut found = Vec::new();
    for (input, range) in inputs {
        if range.after < 0 {
            return Ok(Touched::All);
        }
        let table = engine.tables.open(&Place::Dataset(input.clone())).await?;
        let table = table.ok_or(LakeError::Worker("the input of a planned step has a table"))?;
        let changes = table.changes(range.after, range.upto).await?;
        if changes.is_empty() {
            continue;
        }
        if *input != driver || spreads(&plan, &driver) {
            return Ok(Touched::All);
        }
        let parts = changes.iter().flat_map(rows_changed).map(|p| table.part(p));
        let files = Files::new(table.schema()?, &parts.collect::<Result<Vec<_>, _>>()?)?;
        let changed = session.read_table(Arc::new(files))?.select(vec![expression.clone().alias("w")])?;
        // The query may leave out rows of which it cannot be told.
        let Ok(windows) = changed.distinct()?.collect().await else { return Ok(Touched::All) };
        found.extend(windows);
    }
    holding(&found, window)
}

/// The windows that hold the values of the batches' first column.
pub(crate) fn holding(found: &[RecordBatch], window: &WindowSpec) -> Result<Touched, LakeError> {
    let mut values = BTreeSet::new();
    let mut null = false;
    for batch in found {
        for m in micros(batch.column(0))?.as_primitive::<TimestampMicrosecondType>() {
            match m {
                Some(m) => {
                    values.insert(Window::holding(m, window.size));
                }
                None => null = true,
            }
        }
    }
    let count = values.len() as u64;
    let ranges = adjacent(values);
    if ranges.len() > MOST_RANGES { Ok(Touched::All) } else { Ok(Touched::Windows { ranges, count, null }) }
}

/// How many windows the rows of these files lie in; rows without a window are in one together.
pub(crate) async fn count(session: &SessionContext, files: Files, window: &WindowSpec) -> Result<u64, LakeError> {
    // The engine counts, because it spills. A time beyond the years of microseconds is as good as none.
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let micros = cast_in_sql(try_cast(ident(&window.column), micros), DataType::Int64);
    let size = lit(window.size.micros());
    let number = micros.clone() / size.clone() - cast_in_sql((micros % size).lt(lit(0_i64)), DataType::Int64);
    let rows = session.read_table(Arc::new(files))?;
    Ok(rows.select(vec![number.alias("number")])?.distinct()?.count().await? as u64)
}

/// Where the rows before and after a change are.
fn rows_changed(change: &Change) -> Vec<&Part> {
    if change.feed.is_empty() {
        change.added.iter().chain(&change.removed).collect()
    } else {
        change.feed.iter().collect()
    }
}

fn adjacent(windows: BTreeSet<Window>) -> Vec<Window> {
    let mut ranges: Vec<Window> = Vec::new();
    for w in windows {
        match ranges.last_mut() {
            Some(last) if last.to == w.from => last.to = w.to,
            _ => ranges.push(w),
        }
    }
    ranges
}

/// Which of these, ascending and apart from each other, holds the instant.
pub(crate) fn index_of(windows: &[Window], micros: i64) -> Option<usize> {
    let i = windows.partition_point(|w| w.to <= micros);
    windows.get(i).filter(|w| w.from <= micros).map(|_| i)
}

/// Dates and timestamps as microseconds since 1970.
pub(crate) fn micros(values: &ArrayRef) -> Result<ArrayRef, LakeError> {
    let t = DataType::Timestamp(TimeUnit::Microsecond, None);
    Ok(match values.data_type() {
        DataType::Date32 => cast(values, &t)?,
        DataType::Timestamp(_, Some(_)) => {
            cast(&cast(values, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?, &t)?
        }
        _ => cast(values, &t)?,
    })
}

/// Which rows lie in a touched window.
pub(crate) fn inside(values: &ArrayRef, touched: &Touched) -> Result<BooleanArray, LakeError> {
    let Touched::Windows { ranges, null, .. } = touched else {
        return Ok(BooleanArray::from(vec![true; values.len()]));
    };
    let within = |m: i64| index_of(ranges, m).is_some();
    if let DataType::Date32 = values.data_type() {
        let days = values.as_primitive::<Date32Type>().iter();
        return Ok(days.map(|d| Some(d.map_or(*null, |d| within(i64::from(d) * DAY_MICROS)))).collect());
    }
    let micros = micros(values)?;
    let micros = micros.as_primitive::<TimestampMicrosecondType>().iter();
    Ok(micros.map(|m| Some(m.map_or(*null, within))).collect())
}

/// The rows of a gold query's result that lie in touched windows.
pub(crate) fn within(result: DataFrame, gold: &Gold, touched: &Touched) -> Result<DataFrame, LakeError> {
    match (&gold.window, touched) {
        (Some(window), Touched::Windows { ranges, null, .. }) => {
            let kind = result.schema().field_with_unqualified_name(&window.column)?.data_type().clone();
            Ok(result.filter(filter(&window.column, &kind, ranges, *null))?)
        }
        _ => Ok(result),
    }
}

/// Whether a row of a query's result is in a touched window. Days are compared as days: as instants, those of far-off years
/// would not fit.
pub(crate) fn filter(column: &str, kind: &DataType, ranges: &[Window], null: bool) -> Expr {
    let at = |m: i64| {
        let value = match kind {
            DataType::Date32 => ScalarValue::Date32(Some(first_day(m))),
            _ => ScalarValue::TimestampMicrosecond(Some(m), None),
        };
        Expr::Literal(value, None)
    };
    let within = |w: &Window| ident(column).gt_eq(at(w.from)).and(ident(column).lt(at(w.to)));
    let alone = null.then(|| ident(column).is_null());
    ranges.iter().map(within).chain(alone).reduce(Expr::or).unwrap_or_else(|| lit(false))
}

/// The first day that begins then or later.
fn first_day(micros: i64) -> i32 {
    let day = micros.div_euclid(DAY_MICROS) + i64::from(micros.rem_euclid(DAY_MICROS) > 0);
    i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX })
}

/// Follows an output column down to an expression over the columns of one table.
///
/// # Errors
/// [`LakeError::Window`] with the reason when that cannot be done, or would not be exact.
pub(crate) fn source(
    plan: &LogicalPlan,
    dataset: &DatasetName,
    column: &str,
) -> Result<(DatasetName, Expr), LakeError> {
    let refuse = |reason: &str| LakeError::Window {
        dataset: dataset.clone(),
        column: column.to_owned(),
        reason: reason.to_owned(),
    };
    let index = plan.schema().index_of_column_by_name(None, column);
    let index = index.ok_or_else(|| refuse("is not among the columns of the query"))?;
    let kind = plan.schema().field(index).data_type();
    if !matches!(kind, DataType::Date32 | DataType::Timestamp(..)) {
        return Err(refuse(&format!("is {kind}, not a date or timestamp")));
    }
    let mut tables = BTreeSet::new();
    let expression = follow(plan, index, &mut tables).map_err(refuse)?;
    let mut tables = tables.into_iter();
    match (tables.next(), tables.next()) {
        (Some(one), None) => Ok((one, expression)),
        (None, _) => Err(refuse("does not depend on a column of an input")),
        (Some(_), Some(_)) => Err(refuse("depends on columns of more than one input")),
    }
}

fn follow(plan: &LogicalPlan, index: usize, tables: &mut BTreeSet<DatasetName>) -> Result<Expr, &'static str> {
    match plan {
        LogicalPlan::Projection(p) => below(&p.expr[index], &p.input, tables),
        LogicalPlan::Aggregate(a) => {
            let group = a.group_expr.get(index).ok_or("is an aggregate: group by it")?;
            if matches!(group, Expr::GroupingSet(_)) {
                return Err("is part of a grouping set");
            }
            below(group, &a.input, tables)
        }
        LogicalPlan::Filter(f) => follow(&f.input, index, tables),
        LogicalPlan::SubqueryAlias(s) => follow(&s.input, index, tables),
        LogicalPlan::Sort(s) if s.fetch.is_none() => follow(&s.input, index, tables),
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => {
            Err("cannot stand beside LIMIT: a row could move into another window")
        }
        LogicalPlan::Distinct(Distinct::All(input)) => follow(input, index, tables),
        LogicalPlan::Join(j) => {
            let left = j.left.schema().fields().len();
            if index < left { follow(&j.left, index, tables) } else { follow(&j.right, index - left, tables) }
        }
        LogicalPlan::Window(w) => {
            let n = w.input.schema().fields().len();
            if index >= n {
                return Err("is made by a window function");
            }
            let own = Expr::Column(Column::from(w.input.schema().qualified_field(index)));
            let partitioned = w.window_expr.iter().all(|e| match e.clone().unalias() {
                Expr::WindowFunction(f) => f.params.partition_by.contains(&own),
                _ => false,
            });
            if !partitioned {
                return Err(
                    "has to be in PARTITION BY of every window function, or windows would depend on each other",
                );
            }
            follow(&w.input, index, tables)
        }
        LogicalPlan::TableScan(t) => {
            tables.insert(dataset_of(t).ok_or("comes from a table that is no dataset")?);
            Ok(Expr::Column(Column::from_name(plan.schema().field(index).name())))
        }
        _ => Err("cannot be followed to a column of one input"),
    }
}

fn dataset_of(scan: &TableScan) -> Option<DatasetName> {
    let (layer, name) = (scan.table_name.schema().unwrap_or("silver"), scan.table_name.table());
    format!("{layer}.{name}").parse().ok()
}

/// Whether a row of the table may change rows of windows other than its own: the table is read in several places, or an outer join tells
/// of rows that have none in it.
fn spreads(plan: &LogicalPlan, table: &DatasetName) -> bool {
    let mut outer = false;
    let mut counted = 0;
    let looked = plan.apply_with_subqueries(|p| {
        match p {
            LogicalPlan::TableScan(t) => counted += usize::from(dataset_of(t).as_ref() == Some(table)),
            LogicalPlan::Join(j) => {
                let (left, right) = match j.join_type {
                    JoinType::Left => (false, true),
                    JoinType::Right => (true, false),
                    JoinType::Full => (true, true),
                    _ => (false, false),
                };
                outer |= left && reads(&j.left, table) || right && reads(&j.right, table);
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    });
    looked.is_err() || outer || counted != 1
}

fn reads(plan: &LogicalPlan, table: &DatasetName) -> bool {
    let is_it = |p: &LogicalPlan| Ok(matches!(p, LogicalPlan::TableScan(t) if dataset_of(t).as_ref() == Some(table)));
    plan.exists(is_it).unwrap_or(true)
}

/// An expression over a plan's output, as one over the tables below.
fn below(expression: &Expr, input: &LogicalPlan, tables: &mut BTreeSet<DatasetName>) -> Result<Expr, &'static str> {
    let mut failed = None;
    let replaced = expression.clone().unalias_nested().data.transform_down(|e| {
        let Expr::Column(c) = &e else { return Ok(Transformed::no(e)) };
        let found = input.schema().maybe_index_of_column(c);
        match found.ok_or("names a column that is not there").and_then(|i| follow(input, i, tables)) {
            // What was put in place of a column is done: its own columns belong to the table.
            Ok(e) => Ok(Transformed::new(e, true, TreeNodeRecursion::Jump)),
            Err(reason) => {
                failed = Some(reason);
                Ok(Transformed::no(e))
            }
        }
    });
    match (failed, replaced) {
        (Some(reason), _) => Err(reason),
        (None, Ok(t)) => Ok(t.data),
        (None, Err(_)) => Err("cannot be followed to a column of one input"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{maintain::fixture::World, session};
    use arrow::datatypes::{Field, Schema};
    use datafusion::datasource::MemTable;

    /// Whether rows of `silver.t` change no windows but their own.
    async fn stays(sql: &str) -> bool {
        let day = Field::new("day", DataType::Date32, true);
        let others = ["id", "x"].map(|name| Field::new(name, DataType::Int64, true));
        let schema = Arc::new(Schema::new([vec![day], others.to_vec()].concat()));
        let world = World::new();
        let session = session::bare(&world.engine).expect("a session");
        for name in ["t", "u"] {
            let table = MemTable::try_new(schema.clone(), vec![vec![RecordBatch::new_empty(schema.clone())]]);
            session::register(&session, "silver", name, Arc::new(table.expect("a table"))).expect("registered");
        }
        let plan = session.sql(sql).await.expect("a query").logical_plan().clone();
        let name = "gold.t".parse().expect("a name");
        let (driver, _) = source(&plan, &name, "day").expect("a column of one input");
        assert_eq!(driver.to_string(), "silver.t", "{sql}");
        !spreads(&plan, &driver)
    }

    #[tokio::test]
    async fn a_row_that_other_windows_look_at_changes_them_too() {
        for sql in [
            "SELECT day, avg(x) FROM silver.t GROUP BY day",
            "SELECT t.day, avg(u.x) FROM silver.t JOIN silver.u ON t.id = u.id GROUP BY t.day",
            "SELECT t.day, u.x FROM silver.t LEFT JOIN silver.u ON t.id = u.id",
            "SELECT t.day, u.x FROM silver.u RIGHT JOIN silver.t ON t.id = u.id",
            "SELECT day FROM silver.t WHERE id IN (SELECT id FROM silver.u)",
        ] {
            assert!(stays(sql).await, "{sql}");
        }
        for sql in [
            "SELECT day, sum(x), (SELECT sum(x) FROM silver.t) AS of FROM silver.t GROUP BY day",
            "SELECT day FROM silver.t WHERE x > (SELECT avg(x) FROM silver.t)",
            "SELECT day FROM silver.t WHERE id IN (SELECT id FROM t)",
            "SELECT a.day, b.x FROM silver.t AS a LEFT JOIN silver.t AS b ON a.id = b.x",
            "SELECT t.day, avg(u.x) FROM silver.t, silver.u WHERE u.x IN (SELECT x FROM silver.t) GROUP BY t.day",
            "WITH a AS (SELECT id, day FROM silver.t) SELECT a.day FROM a JOIN a AS b ON a.id = b.id + 1",
            "SELECT t.day, count(*) FROM silver.u LEFT JOIN silver.t ON t.id = u.id GROUP BY t.day",
            "SELECT t.day, count(*) FROM (SELECT * FROM silver.t) AS t RIGHT JOIN silver.u ON t.id = u.id GROUP BY t.day",
            "SELECT t.day, u.x FROM silver.t FULL JOIN silver.u ON t.id = u.id",
        ] {
            assert!(!stays(sql).await, "{sql}");
        }
    }

    #[test]
    fn a_day_begins_at_its_midnight() {
        assert_eq!([-DAY_MICROS, -1, 0, 1, DAY_MICROS].map(first_day), [-1, 0, 0, 1, 1]);
        assert_eq!((first_day(i64::MAX), first_day(i64::MIN)), (106_751_992, -106_751_991));
    }

    #[test]
    fn adjacent_windows_are_one_range_and_each_counts() {
        let window = |n: i64| Window { from: n * DAY_MICROS, to: (n + 1) * DAY_MICROS };
        let ranges = adjacent([3, 1, 2, 5].map(window).into());
        assert_eq!(ranges, [Window { from: DAY_MICROS, to: 4 * DAY_MICROS }, window(5)]);
        let at = [0, 1, 3, 4, 5, 6].map(|n| index_of(&ranges, n * DAY_MICROS));
        assert_eq!(at, [None, Some(0), Some(0), None, Some(1), None]);
    }
}
