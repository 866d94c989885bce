//! The first groups of a top list, so that a change need not be looked up among all groups.
//!
//! A group that is not in the front has at most the bound: what the front's last had when it was cut, and the most that each change
//! since then added to a group outside. As long as the last of the top has more, all of the top is in the front.

use super::{
    groups::{Groups, Kept, Work, kept},
    shape::{Shape, Top},
};
use crate::{error::LakeError, scan, stage::StagedFile};
use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    compute::concat_batches,
    datatypes::{DataType, Decimal128Type, Int64Type},
};
use datafusion::{
    functions_aggregate::expr_fn::{max, sum},
    logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder, ident},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A front has so many groups for each row of its top list, and [`LEAST`] more.
const TIMES: usize = 8;
const LEAST: usize = 4_096;

/// As a commit remembers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Front {
    /// One group a key.
    pub(super) files: Vec<Kept>,
    /// A number that may have more digits than numbers in JSON.
    bound: String,
    /// Values that are null in the rows of all groups. A sum of nothing else is null.
    nulls: i64,
}

/// What a change made of the front.
pub(super) struct Moved {
    /// The top.
    pub(super) rows: RecordBatch,
    pub(super) front: Front,
    pub(super) staged: Vec<StagedFile>,
}

impl Work<'_> {
    /// Gives groups without parts their front, unless the query has no top, or one by something else than a number of its groups,
    /// highest first. Answers what was written for it.
    pub(super) async fn cut(&self, groups: &mut Groups) -> Result<Vec<StagedFile>, LakeError> {
        let top = self.shape.limit().and_then(|top| Some((top, top.by.as_ref()?)));
        let Some((top, by)) = top else { return Ok(Vec::new()) };
        let base = &groups.base;
        let most = top.rows * TIMES + LEAST;
        let sorted = LogicalPlanBuilder::from(self.scan(base)?).sort([ident(&by.column).sort(false, false)])?;
        let rows = self.all(sorted.limit(0, Some(most))?.build()?).await?;
        let bound = if rows.num_rows() < most { 0 } else { number(column(&rows, &by.column)?, most - 1).unwrap_or(0) };
        let nulls = self.nulls(base, by.values.as_deref()).await?;
        let staged = self.write(&rows)?;
        groups.front = Some(Front { files: kept(&staged), bound: bound.max(0).to_string(), nulls });
        Ok(staged)
    }

    /// `None`: groups from outside of the front could have come into the top.
    pub(super) async fn moved(&self, front: &Front, part: &[Kept], top: &Top) -> Result<Option<Moved>, LakeError> {
        let (Some(by), Ok(bound)) = (&top.by, front.bound.parse::<i128>()) else { return Ok(None) };
        let nulls = front.nulls.saturating_add(self.nulls(part, by.values.as_deref()).await?);
        if by.nulls_first && nulls != 0 {
            return Ok(None);
        }
        let inside = self.shape.among(self.scan(part)?, self.scan(&front.files)?, JoinType::RightSemi)?;
        let both = LogicalPlanBuilder::from(self.scan(&front.files)?).union(inside)?.build()?;
        let groups = self.all(Shape::present(self.shape.merged(both)?)?).await?;
        let outside = self.shape.among(self.scan(part)?, self.scan(&front.files)?, JoinType::RightAnti)?;
        let most = self.one(outside, max(ident(&by.column))).await?;
        let bound = bound.saturating_add(most.unwrap_or(0).max(0));
        let plan = self.session.read_batch(groups.clone())?.logical_plan().clone();
        let rows = self.all(self.shape.result(plan)?).await?;
        let last = rows.num_rows().checked_sub(1).and_then(|last| number(rows.column(top.order[0].0), last));
        if rows.num_rows() < top.rows || last.is_none_or(|last| last <= bound) {
            return Ok(None);
        }
        let staged = self.write(&groups)?;
        let front = Front { files: kept(&staged), bound: bound.to_string(), nulls };
        Ok(Some(Moved { rows, front, staged }))
    }

    /// How many values are null in the rows of these groups; `values`: the column that counts those that are not.
    async fn nulls(&self, groups: &[Kept], values: Option<&str>) -> Result<i64, LakeError> {
        let Some(values) = values else { return Ok(0) };
        let nulls = self.one(self.scan(groups)?, sum(ident(Shape::rows_name()) - ident(values))).await?;
        Ok(i64::try_from(nulls.unwrap_or(0)).unwrap_or(i64::MAX))
    }

    async fn one(&self, of: LogicalPlan, number_of: Expr) -> Result<Option<i128>, LakeError> {
        let none: [Expr; 0] = [];
        let plan = LogicalPlanBuilder::from(of).aggregate(none, [number_of])?.build()?;
        let found = self.all(plan).await?;
        Ok(number(found.column(0), 0))
    }

    async fn all(&self, plan: LogicalPlan) -> Result<RecordBatch, LakeError> {
        let frame = self.run(plan).await?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        Ok(concat_batches(&schema, &frame.collect().await?)?)
    }

    fn write(&self, groups: &RecordBatch) -> Result<Vec<StagedFile>, LakeError> {
        let mut lane = self.stager.lane();
        lane.write(&scan::conform(groups, self.stager.schema())?)?;
        lane.finish()
    }
}

fn column<'r>(rows: &'r RecordBatch, name: &str) -> Result<&'r ArrayRef, LakeError> {
    rows.column_by_name(name).ok_or(LakeError::Worker("a kept group has its columns"))
}

/// `None`: null, or none of the types that groups have numbers of.
fn number(values: &ArrayRef, row: usize) -> Option<i128> {
    match values.data_type() {
        _ if values.is_null(row) => None,
        DataType::Int64 => Some(values.as_primitive::<Int64Type>().value(row).into()),
        DataType::Decimal128(..) => Some(values.as_primitive::<Decimal128Type>().value(row)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{maintain::fixture::World, session, table::Place};
    use alluvium_model::{DatasetName, Layer};
    use alluvium_spec::{Gold, Origins};
    use arrow::{
        array::Int64Array,
        datatypes::{Field, Schema},
    };
    use datafusion::{datasource::MemTable, prelude::SessionContext};
    use std::collections::BTreeMap;

    /// More than a front has.
    const GROUPS: i64 = 6_000;
    const TOP: usize = 2;

    type Row = (i64, Option<i64>);

    fn batch(rows: &[Row]) -> RecordBatch {
        let fields = ["id", "v"].map(|name| Field::new(name, DataType::Int64, true)).to_vec();
        let (ids, values): (Vec<i64>, Vec<Option<i64>>) = rows.iter().copied().unzip();
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(ids)), Arc::new(Int64Array::from(values))];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch")
    }

    /// A group each has its number as its value, and the first two much more.
    fn first() -> Vec<Row> {
        (0..GROUPS).map(|id| (id, Some(if id < 2 { 100_000 } else { id }))).collect()
    }

    struct Kit {
        world: World,
        session: SessionContext,
        shape: Shape,
        gold: Gold,
    }

    impl Kit {
        async fn new(order: &str) -> Self {
            let world = World::new();
            world.append(&World::silver(), "first", &batch(&first())).await;
            let session = session::bare(&world.engine).expect("a session");
            let name = DatasetName::new(Layer::Silver, "t").expect("a name");
            let inputs = BTreeMap::from([(name, world.table(&World::silver()).await.version())]);
            session::register_inputs(&world.engine, &session, &inputs).await.expect("an input");
            let sql = format!("SELECT id, sum(v) AS v FROM silver.t GROUP BY id ORDER BY {order} LIMIT {TOP}");
            let shape = Shape::of(session.sql(&sql).await.expect("a query").logical_plan()).expect("it can be kept");
            let gold = Gold { sql, sql_line: 1, origins: Origins::default(), inputs: Vec::new(), window: None };
            Self { world, session, shape, gold }
        }

        fn work<'a>(&'a self, dir: &'a std::path::Path, name: &str) -> Work<'a> {
            let place: Place = World::silver();
            let stager = self.world.engine.tables.stager(&place, name.to_owned(), self.shape.schema());
            Work {
                engine: &self.world.engine,
                session: &self.session,
                shape: &self.shape,
                gold: &self.gold,
                dir,
                stager,
            }
        }

        /// The top after each change, as far as the fronts tell; and what is left where they do not.
        async fn tops(&self, changes: &[&[Row]]) -> Vec<Option<Vec<Row>>> {
            let table = self.world.table(&World::silver()).await;
            let dir = table.dir.clone();
            let work = self.work(&dir, "base");
            let whole = self.shape.group(Arc::new(session::provider(&table).expect("files"))).expect("a plan");
            let base = kept(&work.stage(whole).await.expect("staged"));
            let mut groups = Groups { upto: 0, base, parts: Vec::new(), front: None };
            work.cut(&mut groups).await.expect("cut");
            let mut front = groups.front.expect("a front");
            let top = self.shape.limit().expect("a limit");
            let mut tops = Vec::new();
            for (n, change) in changes.iter().enumerate() {
                let work = self.work(&dir, &format!("change{n}"));
                let rows = batch(change);
                let rows = MemTable::try_new(rows.schema(), vec![vec![rows]]).expect("a table");
                let part = self.shape.group(Arc::new(rows)).expect("a plan");
                let part = kept(&work.stage(part).await.expect("staged"));
                let moved = work.moved(&front, &part, top).await.expect("moved");
                tops.push(moved.map(|m| {
                    front = m.front;
                    let column = |i: usize| m.rows.column(i).as_primitive::<Int64Type>().iter();
                    column(0).map(Option::unwrap).zip(column(1)).collect()
                }));
            }
            tops
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_front_tells_the_top_until_a_group_from_outside_could_be_in_it() {
        let kit = Kit::new("v DESC, id").await;
        let changes: [&[Row]; 5] = [
            &[(0, Some(5)), (7, Some(1)), (GROUPS, Some(9))],
            // One in the front overtakes; one outside gains what is not enough.
            &[(GROUPS - 1, Some(200_000)), (3, Some(90_000))],
            // Together with the gain before, it could be enough.
            &[(5, Some(11_000))],
            // One is left in front of it.
            &[(GROUPS - 1, Some(-200_000))],
            &[(0, Some(1))],
        ];
        let last = GROUPS - 1;
        let tops = kit.tops(&changes).await;
        let (first, second) = (Some(vec![(0, Some(100_005)), (1, Some(100_000))]), (last, Some(200_000 + last)));
        assert_eq!(tops[0], first);
        assert_eq!(tops[1], Some(vec![second, (0, Some(100_005))]));
        assert_eq!(tops[2], None, "5 may have so much for all that is known");
        // Nothing was kept of that one.
        assert_eq!(
            tops[3..],
            [Some(vec![(0, Some(100_005)), (1, Some(100_000))]), Some(vec![(0, Some(100_006)), (1, Some(100_000))])]
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sum_of_nothing_may_come_first() {
        let changes: [&[Row]; 2] = [&[(0, Some(1))], &[(3, None)]];
        let same = |n: i64| Some(vec![(0, Some(100_000 + n)), (1, Some(100_000))]);
        let first = Kit::new("v DESC NULLS FIRST, id").await;
        assert_eq!(first.tops(&changes).await, [same(1), None]);
        let last = Kit::new("v DESC NULLS LAST, id").await;
        assert_eq!(last.tops(&changes).await, [same(1), same(1)]);
    }

    #[tokio::test]
    async fn orders_that_no_number_decides_have_no_front() {
        for order in ["id DESC", "v", "id, v DESC"] {
            assert!(Kit::new(order).await.shape.limit().expect("a limit").by.is_none(), "{order}");
        }
    }
}
