//! Queries that outgrow their memory: planned once more, so that what they hold can spill.
//!
//! A join by hash holds one of its sides, and several DISTINCT hold their values: fast, and bound by memory. Joins of what was sorted, and
//! DISTINCTs apart, spill, and cost about twice the time: they are for what failed otherwise. What a first plan gave away stays given:
//! only who throws it away may compute it again.

use crate::{apart::DistinctsApart, error::LakeError};
use arrow::{
    array::RecordBatch,
    datatypes::{Schema, SchemaRef},
};
use datafusion::{
    common::tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    config::ConfigOptions,
    dataframe::DataFrame,
    error::Result,
    execution::{SendableRecordBatchStream, SessionStateBuilder, TaskContext, memory_pool::MemoryLimit},
    logical_expr::LogicalPlan,
    physical_optimizer::PhysicalOptimizerRule,
    physical_plan::{
        ExecutionPlan, ExecutionPlanProperties,
        joins::{SortMergeJoinExec, utils::JoinFilter},
        stream::RecordBatchReceiverStream,
    },
};
use futures::{Stream, StreamExt, stream};
use std::sync::Arc;
use tokio::sync::Barrier;

/// Joins of what was sorted are planned for no fewer.
const FEWEST_PARTITIONS: usize = 2;
/// Part of the memory that all sorts together keep free for their merges.
const MERGES_SHARE: usize = 4;

/// `frame` by a plan that spills, if memory is what failed it and there is one.
///
/// # Errors
/// Otherwise with `error`.
pub(crate) fn second(frame: DataFrame, error: LakeError) -> std::result::Result<DataFrame, LakeError> {
    if !error.is_memory() {
        return Err(error);
    }
    let (state, plan) = frame.into_parts();
    let joins = joins(&state.optimize(&plan)?)?;
    if joins == 0 {
        return Err(error);
    }
    tracing::warn!(
        "a query outgrew its memory and is computed once more with what spills; a larger `limits.memory` spares that"
    );
    let mut config = state.config().clone();
    let partitions = config.target_partitions().max(FEWEST_PARTITIONS);
    let options = config.options_mut();
    options.optimizer.prefer_hash_join = false;
    options.execution.target_partitions = partitions;
    if let MemoryLimit::Finite(bytes) = state.runtime_env().memory_pool.memory_limit() {
        let merges = &mut options.execution.sort_spill_reservation_bytes;
        *merges = (*merges).min(bytes / MERGES_SHARE / (2 * joins * partitions));
    }
    let state = SessionStateBuilder::new_from_existing(state)
        .with_config(config)
        .with_optimizer_rule(Arc::new(DistinctsApart))
        .with_physical_optimizer_rule(Arc::new(ConditionsOfNulls))
        .build();
    Ok(DataFrame::new(state, plan))
}

/// How many joins a second plan does otherwise, those that DISTINCTs become included.
fn joins(plan: &LogicalPlan) -> Result<usize> {
    let mut joins = 0;
    plan.apply_with_subqueries(|node| {
        joins += match node {
            LogicalPlan::Join(join) => usize::from(!join.on.is_empty() && !join.null_aware),
            LogicalPlan::Aggregate(aggregate) => DistinctsApart::parts(aggregate)?.map_or(0, |parts| parts.len()),
            _ => 0,
        };
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(joins)
}

/// An outer join asks its condition of rows without a match too, as nulls, also where a column on its own has none.
#[derive(Debug)]
struct ConditionsOfNulls;

impl PhysicalOptimizerRule for ConditionsOfNulls {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let nullable = |node: Arc<dyn ExecutionPlan>| {
            let join = node.downcast_ref::<SortMergeJoinExec>();
            let Some((join, filter)) = join.and_then(|j| Some((j, j.filter.as_ref()?))) else {
                return Ok(Transformed::no(node));
            };
            let fields = filter.schema().fields().iter().map(|f| f.as_ref().clone().with_nullable(true));
            let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            let mut join = join.clone();
            join.filter = Some(JoinFilter::new(filter.expression().clone(), filter.column_indices().to_vec(), schema));
            Ok(Transformed::yes(Arc::new(join) as Arc<dyn ExecutionPlan>))
        };
        Ok(plan.transform_up(nullable)?.data)
    }

    fn name(&self) -> &'static str {
        "conditions_of_nulls"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// All rows.
pub(crate) async fn collect(frame: DataFrame) -> std::result::Result<Vec<RecordBatch>, LakeError> {
    match frame.clone().collect().await {
        Err(error) => Ok(second(frame, error.into())?.collect().await?),
        Ok(batches) => Ok(batches),
    }
}

/// Rows as they are computed. Those of a second plan come if the first one gave none.
pub(crate) async fn stream(
    frame: DataFrame,
) -> std::result::Result<(SchemaRef, impl Stream<Item = Result<RecordBatch>> + Send), LakeError> {
    let (first, rows) = match begun(&frame).await {
        Err(error) => begun(&second(frame, error)?).await?,
        Ok(begun) => begun,
    };
    Ok((rows.schema(), stream::iter(first.map(Ok)).chain(rows)))
}

async fn begun(frame: &DataFrame) -> std::result::Result<(Option<RecordBatch>, SendableRecordBatchStream), LakeError> {
    let context = Arc::new(frame.task_ctx());
    let plan = frame.clone().create_physical_plan().await?;
    let mut rows = together(&plan, &context)?;
    let first = rows.next().await.transpose()?;
    Ok((first, rows))
}

/// The rows of all partitions, which begin when each has some: whatever a partition has to hold before its first row then either fits, or
/// fails before there is a row.
fn together(plan: &Arc<dyn ExecutionPlan>, context: &Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
    let partitions = plan.output_partitioning().partition_count();
    let mut all = RecordBatchReceiverStream::builder(plan.schema(), partitions.max(1));
    let begin = Arc::new(Barrier::new(partitions));
    for partition in 0..partitions {
        let mut rows = plan.execute(partition, context.clone())?;
        let (sender, begin) = (all.tx(), begin.clone());
        all.spawn(async move {
            let mut next = rows.next().await.transpose()?;
            begin.wait().await;
            while let Some(batch) = next {
                if sender.send(Ok(batch)).await.is_err() {
                    return Ok(());
                }
                next = rows.next().await.transpose()?;
            }
            Ok(())
        });
    }
    Ok(all.build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{maintain::fixture::World, session};
    use alluvium_model::Fault;
    use arrow::util::pretty::pretty_format_batches;
    use datafusion::execution::memory_pool::MemoryPool;
    use futures::TryStreamExt;

    const SMALL: u64 = 64 << 20;
    const AMPLE: u64 = 2 << 30;
    /// Its rows are more than half of what is small.
    const MANY: &str = "(SELECT concat('a rather long key ', value % 400000) AS k, value AS v FROM range(0, 500000))";
    const OTHERS: &str = "(SELECT concat('a rather long key ', value * 3) AS k, value AS v FROM range(0, 400000))";

    async fn frame(world: &World, sql: &str) -> DataFrame {
        let session = session::bare(&world.engine).expect("a session");
        let sql = sql.replace("many", MANY).replace("others", OTHERS);
        session.sql(&sql).await.expect("a query")
    }

    fn shown(batches: &[RecordBatch]) -> String {
        pretty_format_batches(batches).expect("shown").to_string()
    }

    /// The first plan has to fail, and the second to give what there is with ample memory.
    async fn is_the_same(sql: &str) {
        let small = World::with_memory(SMALL);
        let alone = LakeError::from(frame(&small, sql).await.collect().await.expect_err("more than fits"));
        assert_eq!(alone.code(), "L0003", "{sql}");
        let spilled = collect(frame(&small, sql).await).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        let whole = frame(&World::with_memory(AMPLE), sql).await.collect().await.expect("it fits");
        assert_eq!(shown(&spilled), shown(&whole), "{sql}");
        assert!(small.engine.queries.reserved() == 0, "{sql}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn joins_larger_than_memory_complete() {
        for join in ["JOIN", "LEFT JOIN", "FULL JOIN"] {
            is_the_same(&format!(
                "SELECT count(*), count(a.k), count(b.k), sum(a.v), sum(b.v) FROM many AS a {join} others AS b ON a.k = b.k AND a.v % 7 <> b.v % 5"
            ))
            .await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn rows_without_a_match_are_found_beyond_memory() {
        for condition in ["NOT EXISTS", "a.v % 10 = 3 OR EXISTS"] {
            is_the_same(&format!(
                "SELECT count(*), sum(a.v) FROM many AS a WHERE {condition} (SELECT 1 FROM others AS b WHERE b.k = a.k AND b.v > a.v % 1000)"
            ))
            .await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn several_distincts_larger_than_memory_complete() {
        let counts = "count(DISTINCT k), count(DISTINCT concat(k, 'and more', v)), count(*), sum(v), \
                      count(DISTINCT k) FILTER (WHERE v % 2 = 0)";
        is_the_same(&format!("SELECT {counts} FROM many")).await;
        is_the_same(&format!("SELECT v % 3 AS part, {counts} FROM many GROUP BY 1 ORDER BY 1")).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_second_plan_gives_each_row_once() {
        let sql = "SELECT a.v, b.v AS w FROM many AS a JOIN others AS b ON a.k = b.k";
        let total = async |world: &World| {
            let (_, rows) = stream(frame(world, sql).await).await.expect("begins");
            let rows: Vec<RecordBatch> = rows.try_collect().await.expect("ends");
            let session = session::bare(&world.engine).expect("a session");
            let all = session.read_batches(rows).expect("rows");
            let all = all.aggregate(
                vec![],
                vec![
                    datafusion::functions_aggregate::expr_fn::count(datafusion::prelude::col("v")),
                    datafusion::functions_aggregate::expr_fn::sum(datafusion::prelude::col("v")),
                    datafusion::functions_aggregate::expr_fn::sum(datafusion::prelude::col("w")),
                ],
            );
            shown(&all.expect("sums").collect().await.expect("summed"))
        };
        let small = World::with_memory(SMALL);
        assert!(frame(&small, sql).await.collect().await.is_err(), "more than fits");
        assert_eq!(total(&small).await, total(&World::with_memory(AMPLE)).await);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_step_stages_what_the_second_plan_gives_and_nothing_of_the_first() {
        let small = World::with_memory(SMALL);
        // Rows of the first part may be staged when the second one fails.
        let sql =
            "SELECT v FROM range(0, 200000) AS t(v) UNION ALL SELECT a.v FROM many AS a JOIN others AS b ON a.k = b.k";
        let result = frame(&small, sql).await;
        let ample = frame(&World::with_memory(AMPLE), sql).await;
        let expected = ample.count().await.expect("it fits");
        let schema = Arc::new(result.schema().as_arrow().clone());
        let schema = crate::curate::storable_schema(&schema);
        let stager = small.engine.tables.stager(&World::silver(), "staged".to_owned(), schema);
        let mut told = 0;
        let staged = crate::curate::stage(result, &stager, |rows| told = rows).await.expect("staged");
        assert_eq!(staged.iter().map(|f| f.rows).sum::<u64>(), expected as u64);
        assert_eq!(told, expected as u64);
        let there = std::fs::read_dir(stager.dir()).expect("a folder").count();
        assert_eq!(there, staged.len(), "nothing else");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn joins_without_an_equality_spill_by_themselves() {
        let few = "(SELECT value * 200000 AS v FROM range(0, 3)) AS b";
        for sql in [
            format!("SELECT count(*), sum(a.v), sum(b.v) FROM many AS a LEFT JOIN {few} ON a.v < b.v AND a.k > 'a'"),
            format!("SELECT count(*), sum(a.v), sum(b.v) FROM {few} RIGHT JOIN many AS a ON a.v < b.v AND a.k > 'a'"),
        ] {
            let small = frame(&World::with_memory(SMALL), &sql).await.collect().await;
            let ample = frame(&World::with_memory(AMPLE), &sql).await.collect().await;
            assert_eq!(shown(&small.expect("spilled")), shown(&ample.expect("it fits")), "{sql}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_no_plan_spills_ends_as_it_did() {
        let small = World::with_memory(SMALL);
        for sql in [
            "SELECT array_agg(repeat(k, 8)) FROM many",
            "SELECT count(*) FROM many AS a WHERE concat(a.k, a.k) NOT IN (SELECT nullif(concat(k, k), 'none') FROM many)",
        ] {
            let failed = collect(frame(&small, sql).await).await.expect_err("no room");
            assert_eq!(failed.code(), "L0003", "{sql}");
        }
        let wrong = collect(frame(&small, "SELECT 1 / (v - v) FROM range(3) AS t(v)").await).await;
        assert_eq!(wrong.expect_err("no number").code(), "L0103");
    }
}
