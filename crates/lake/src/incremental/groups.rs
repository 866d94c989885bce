//! The kept groups of a gold table: read at the version they are of, brought to the version to compute, and written.
//!
//! They lie beside the table's data, and the table's commit says which files they are: a step that does not commit
//! changes nothing for the next. A change is one more file of parts, until the parts weigh half of what they add to.

use super::{
    front::Front,
    gone::Removed,
    shape::{Shape, Top},
};
use crate::{
    commit::Attempt,
    curate,
    engine::LakeEngine,
    error::LakeError,
    files::Files,
    remote::LakeFile,
    scan::{self, Source},
    session,
    stage::{StagedFile, Stager},
    table::{Part, Place, Table},
    windows::{self, Touched},
};
use alluvium_flow::Job;
use alluvium_spec::Gold;
use arrow::{
    array::{ArrayRef, RecordBatch},
    compute::{SortColumn, SortOptions, cast, concat, concat_batches, lexsort_to_indices},
    datatypes::SchemaRef,
    row::{RowConverter, SortField},
};
use datafusion::{
    catalog::TableProvider,
    dataframe::DataFrame,
    datasource::provider_as_source,
    logical_expr::{JoinType, LogicalPlan, LogicalPlanBuilder, cast as cast_in_sql, ident},
    prelude::SessionContext,
};
use serde::{Deserialize, Serialize};
use std::{path::Path, sync::Arc};

/// Parts are added to the base before they are more files than this.
const MOST_PARTS: usize = 32;
/// Fewer groups than this are not worth adding up.
const FEW_GROUPS: u64 = 4_096;
/// Fewer changed rows than this are always taken by themselves.
const FEW_ROWS: u64 = 10_000;

/// A row group of sketches has up to 32 MiB of them, and what is read at once no more.
const ROWS_OF_SKETCHES: usize = 2_048;

/// Which files hold the groups, as a commit remembers it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Groups {
    /// The input's version that they are of.
    pub(super) upto: i64,
    /// One group a key.
    pub(super) base: Vec<Kept>,
    /// To be added to them.
    pub(super) parts: Vec<Kept>,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) front: Option<Front>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    path: String,
    rows: u64,
}

impl Groups {
    /// Below the table's folder.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.kept().map(|k| k.path.as_str())
    }

    fn kept(&self) -> impl Iterator<Item = &Kept> {
        let front = self.front.iter().flat_map(|f| &f.files);
        self.base.iter().chain(&self.parts).chain(front)
    }
}

/// A gold table's next version.
pub(crate) struct Advance {
    pub(crate) result: DataFrame,
    pub(crate) touched: Touched,
    pub(crate) groups: Groups,
    /// What was written for them.
    pub(crate) staged: Vec<StagedFile>,
}

/// The input's changes since the groups were kept.
struct Delta {
    added: Files,
    /// Those of `added` that came in the last version that removed any, or after it: what came before may be gone again.
    stays: Vec<Source>,
    removed: Removed,
}

pub(super) struct Work<'a> {
    pub(super) engine: &'a LakeEngine,
    pub(super) session: &'a SessionContext,
    pub(super) shape: &'a Shape,
    pub(super) gold: &'a Gold,
    pub(super) dir: &'a Path,
    pub(super) stager: Stager,
}

/// `None`: what changed in the input changes no group.
pub(crate) async fn advance(
    engine: &LakeEngine,
    session: &SessionContext,
    job: &Job<'_>,
    attempt: &Attempt<'_>,
    (shape, gold): (&Shape, &Gold),
    table: Option<&Table>,
) -> Result<Option<Advance>, LakeError> {
    let one = job.step.inputs.iter().next();
    let (input, range) = one.ok_or(LakeError::Worker("a kept query has an input"))?;
    let source = engine.tables.open_at(&Place::Dataset(input.clone()), Some(range.upto)).await?;
    let source = source.ok_or(LakeError::Worker("the input of a planned step has a table"))?;
    let place = Place::Dataset(job.dataset.name.clone());
    let dir = engine.tables.dir(&place);
    let stager = attempt.groups_stager(engine, &place, shape.schema());
    let stager = if shape.has_sketches() { stager.with_row_groups(ROWS_OF_SKETCHES) } else { stager };
    let work = Work { engine, session, shape, gold, dir: &dir, stager };
    let kept = match table {
        Some(t) => work.kept(t, job).await?.filter(|g| g.upto <= range.upto),
        None => None,
    };
    if let (Some(kept), Some(table)) = (kept, table)
        && let Some(delta) = work.delta(&source, kept.upto, range.upto).await?
    {
        return work.add(kept, delta, &source, (range.upto, table)).await;
    }
    work.whole(&source, range.upto).await.map(Some)
}

impl Work<'_> {
    /// What the table's newest commit of a step remembers, if it is all there and fits the query of today.
    async fn kept(&self, table: &Table, job: &Job<'_>) -> Result<Option<Groups>, LakeError> {
        let newest = table.newest().await?.filter(|info| info.version == job.step.version);
        let Some(groups) = newest.and_then(|info| info.groups) else { return Ok(None) };
        Ok(self.fits(&groups).await?.then_some(groups))
    }

    /// Whether all of them is there, and as the query of today would keep it.
    async fn fits(&self, groups: &Groups) -> Result<bool, LakeError> {
        let files: Vec<LakeFile> = groups.kept().map(|k| self.file(k)).collect();
        // One that is nowhere is missed below.
        self.engine.tables.disk.have_all(&files).await?;
        let schema = self.shape.schema();
        Ok(files.iter().all(|file| scan::schema_of(file).is_ok_and(|found| alike(&found, &schema))))
    }

    /// `None`: not to be had, or so much that the whole is less work.
    async fn delta(&self, source: &Table, after: i64, upto: i64) -> Result<Option<Delta>, LakeError> {
        let changes = match source.changes(after, upto).await {
            Ok(changes) => changes,
            Err(LakeError::LogGone { .. }) => return Ok(None),
            Err(e) => return Err(e),
        };
        let schema = source.schema()?;
        let sources = |parts: Vec<&Part>| parts.into_iter().map(|p| source.part(p)).collect::<Result<Vec<Source>, _>>();
        let added = sources(changes.iter().flat_map(|c| &c.added).collect())?;
        let removed = sources(changes.iter().flat_map(|c| &c.removed).collect())?;
        let last = changes.iter().rposition(|c| !c.removed.is_empty()).unwrap_or(0);
        let stay: usize = changes.iter().skip(last).map(|c| c.added.len()).sum();
        let stays = added[added.len() - stay..].to_vec();
        let all = || added.iter().chain(&removed).map(|s| &s.path);
        self.engine.tables.disk.have_all(all()).await?;
        if !all().all(|path| path.exists()) {
            return Ok(None);
        }
        let added = Files::new(schema.clone(), &added)?;
        let change = (source.dir.clone(), after, upto);
        let removed = self.engine.gone.of(change, schema, removed, &self.engine.tables.meter)?;
        let much = added.rows() + removed.rows() > (source.rows()? / 2).max(FEW_ROWS);
        Ok((!much).then_some(Delta { added, stays, removed }))
    }

    async fn whole(&self, source: &Table, upto: i64) -> Result<Advance, LakeError> {
        let plan = self.shape.group(Arc::new(session::provider(source)?))?;
        let mut staged = self.stage(plan).await?;
        let mut groups = Groups { upto, base: kept(&staged), parts: Vec::new(), front: None };
        staged.extend(self.cut(&mut groups).await?);
        let result = self.run(self.shape.result(self.groups(&groups)?)?).await?;
        Ok(Advance { result, touched: Touched::All, groups, staged })
    }

    /// `table`: the gold table as it is; `source`: the input at version `upto`.
    async fn add(
        &self,
        mut groups: Groups,
        delta: Delta,
        source: &Table,
        (upto, table): (i64, &Table),
    ) -> Result<Option<Advance>, LakeError> {
        let loses = delta.removed.rows() > 0 && self.shape.has_sketches();
        // Their footers are read only where it matters.
        let stays: &[Source] = if loses { &delta.stays[..] } else { &[] };
        let stays = Files::new(delta.added.schema(), stays)?;
        let added: Arc<dyn TableProvider> = Arc::new(delta.added);
        let stays: Arc<dyn TableProvider> = Arc::new(stays);
        let removed: Arc<dyn TableProvider> = Arc::new(delta.removed);
        let before = self.shape.group(removed.clone())?;
        let both = LogicalPlanBuilder::from(self.shape.group(added)?);
        let both = both.union(self.shape.negated(before)?)?.build()?;
        let mut staged = self.stage(self.shape.merged(both)?).await?;
        if staged.is_empty() {
            return Ok(None);
        }
        let part = kept(&staged);
        let touched = self.touched(&part).await?;
        let lost = if loses { self.shape.lost(&removed, &stays)? } else { None };
        if let Some(lost) = lost
            && self.any(&lost).await?
        {
            let anew = self.anew(&groups, &part, &lost, source, &touched).await?;
            crate::stage::discard(self.dir, &staged);
            groups = Groups { upto, base: kept(&anew), parts: Vec::new(), front: None };
            staged = anew;
            staged.extend(self.cut(&mut groups).await?);
            let result = self.within(&groups, &touched).await?;
            return Ok(Some(Advance { result, touched, groups, staged }));
        }
        let moved = match (&groups.front, self.shape.limit()) {
            (Some(front), Some(top)) => self.moved(front, &part, top).await?,
            _ => None,
        };
        let top = match (&moved, self.shape.limit()) {
            (Some(moved), _) => Some(moved.rows.clone()),
            (None, Some(top)) => self.top(&groups, &part, top, table).await?,
            (None, None) => None,
        };
        let (front, beside) = moved.map(|m| (m.front, m.staged)).unzip();
        groups = Groups { upto, front, ..groups };
        groups.parts.extend(part);
        if rows(&groups.parts) > (rows(&groups.base) / 2).max(FEW_GROUPS) || groups.parts.len() > MOST_PARTS {
            let merged = self.stage(self.groups(&groups)?).await?;
            groups = Groups { base: kept(&merged), parts: Vec::new(), ..groups };
            crate::stage::discard(self.dir, &staged);
            staged = merged;
            if groups.front.is_none() {
                staged.extend(self.cut(&mut groups).await?);
            }
        }
        staged.extend(beside.unwrap_or_default());
        let result = match top {
            Some(rows) => self.session.read_batch(rows)?,
            None => self.within(&groups, &touched).await?,
        };
        Ok(Some(Advance { result, touched, groups, staged }))
    }

    /// All groups with a change: those whose sketch lost a value out of the input, which is looked through for the touched windows alone.
    async fn anew(
        &self,
        groups: &Groups,
        part: &[Kept],
        lost: &LogicalPlan,
        source: &Table,
        touched: &Touched,
    ) -> Result<Vec<StagedFile>, LakeError> {
        let all = self.scan(groups.base.iter().chain(&groups.parts).chain(part))?;
        let others = self.shape.merged(self.shape.among(all, lost.clone(), JoinType::RightAnti)?)?;
        let mut anew = LogicalPlanBuilder::from(self.shape.group(Arc::new(session::provider(source)?))?);
        let window = self.gold.window.as_ref().and_then(|w| self.shape.window_key(&w.column));
        if let (Some(key), Touched::Windows { ranges, null, .. }) = (window, touched) {
            let kind = self.shape.schema().field(key).data_type().clone();
            anew = anew.filter(windows::filter(&Shape::key_name(key), &kind, ranges, *null))?;
        }
        let anew = self.shape.among(anew.build()?, lost.clone(), JoinType::RightSemi)?;
        self.stage(LogicalPlanBuilder::from(Shape::present(others)?).union(anew)?.build()?).await
    }

    async fn any(&self, rows: &LogicalPlan) -> Result<bool, LakeError> {
        let first = LogicalPlanBuilder::from(rows.clone()).limit(0, Some(1))?.build()?;
        Ok(self.run(first).await?.collect().await?.iter().any(|b| b.num_rows() > 0))
    }

    /// The result's rows of the touched windows.
    async fn within(&self, groups: &Groups, touched: &Touched) -> Result<DataFrame, LakeError> {
        let whole = self.run(self.shape.result(self.groups(groups)?)?).await?;
        windows::within(whole, self.gold, touched)
    }

    /// The windows of the changed groups.
    async fn touched(&self, part: &[Kept]) -> Result<Touched, LakeError> {
        let Some(window) = &self.gold.window else { return Ok(Touched::All) };
        let key = self.shape.window_key(&window.column).ok_or(LakeError::Worker("a kept window is a key"))?;
        let keys = self.session.read_table(Arc::new(self.files(part)?))?.select(vec![ident(Shape::key_name(key))])?;
        windows::holding(&keys.distinct()?.collect().await?, window)
    }

    /// The new top from the old one and the changed groups. `None` where others could have moved up: a group that is in
    /// neither stands behind the last of the old top, so it does as long as the new top's last stands no further back.
    async fn top(
        &self,
        groups: &Groups,
        part: &[Kept],
        top: &Top,
        table: &Table,
    ) -> Result<Option<RecordBatch>, LakeError> {
        let fields = self.shape.result_fields();
        let columns: Vec<String> = fields.fields().iter().map(|f| f.name().clone()).collect();
        let schema = scan::project(table.schema()?.as_ref(), &columns)?;
        let mut old = Vec::new();
        let sources = table.sources()?;
        self.engine.tables.disk.have_all(sources.iter().map(|s| &s.path)).await?;
        for unit in scan::units(&sources)? {
            for batch in unit.read(&schema, &self.engine.tables.meter)? {
                old.push(batch?);
            }
        }
        let old = concat_batches(&schema, &old)?;
        let state = self.shape.schema();
        let names = top.keys.iter().enumerate().map(|(k, column)| {
            let kind = state.field(k).data_type().clone();
            cast_in_sql(ident(&columns[*column]), kind).alias(Shape::key_name(k))
        });
        let theirs = self.session.read_batch(old.clone())?.select(names)?;
        let ours = self.session.read_table(Arc::new(self.files(part)?))?;
        let ours = ours.select((0..top.keys.len()).map(|k| ident(Shape::key_name(k))))?;
        let keys = ours.union(theirs)?.logical_plan().clone();
        let all = groups.base.iter().chain(&groups.parts).chain(part);
        let some = self.shape.merged(self.shape.among(self.scan(all)?, keys, JoinType::RightSemi)?)?;
        let new = self.run(self.shape.result(Shape::present(some)?)?).await?.collect().await?;
        let Some(first) = new.first() else { return Ok(None) };
        let new = concat_batches(&first.schema(), &new)?;
        let complete = old.num_rows() < top.rows;
        let stands = complete || (new.num_rows() == top.rows && reaches(&new, &old, top)?);
        Ok(stands.then_some(new))
    }

    /// One row for each key.
    fn groups(&self, groups: &Groups) -> Result<LogicalPlan, LakeError> {
        if groups.parts.is_empty() {
            return self.scan(groups.base.iter());
        }
        let all = self.scan(groups.base.iter().chain(&groups.parts))?;
        Ok(Shape::present(self.shape.merged(all)?)?)
    }

    pub(super) fn scan<'k>(&self, kept: impl IntoIterator<Item = &'k Kept>) -> Result<LogicalPlan, LakeError> {
        let kept: Vec<Kept> = kept.into_iter().cloned().collect();
        let source = provider_as_source(Arc::new(self.files(&kept)?));
        Ok(LogicalPlanBuilder::scan("kept", source, None)?.build()?)
    }

    fn file(&self, kept: &Kept) -> LakeFile {
        self.engine.tables.disk.file(self.dir.join(&kept.path))
    }

    fn files(&self, kept: &[Kept]) -> Result<Files, LakeError> {
        let sources: Vec<Source> = kept.iter().map(|k| Source::whole(self.file(k))).collect();
        Files::new(self.shape.schema(), &sources)
    }

    pub(super) async fn run(&self, plan: LogicalPlan) -> Result<DataFrame, LakeError> {
        Ok(self.session.execute_logical_plan(plan).await?)
    }

    pub(super) async fn stage(&self, plan: LogicalPlan) -> Result<Vec<StagedFile>, LakeError> {
        curate::stage(self.run(plan).await?, &self.stager, |_| {}).await
    }
}

/// Whether the last row of `new`, which is in the order, is not behind the last one of `old`.
fn reaches(new: &RecordBatch, old: &RecordBatch, top: &Top) -> Result<bool, LakeError> {
    let options = |(_, descending, nulls_first): &(usize, bool, bool)| SortOptions {
        descending: *descending,
        nulls_first: *nulls_first,
    };
    let theirs: Vec<ArrayRef> =
        top.order.iter().map(|(c, _, _)| cast(old.column(*c), new.column(*c).data_type())).collect::<Result<_, _>>()?;
    let sorted = theirs.iter().zip(&top.order);
    let sorted = sorted.map(|(c, o)| SortColumn { values: c.clone(), options: Some(options(o)) });
    let order = lexsort_to_indices(&sorted.collect::<Vec<_>>(), None)?;
    let last = order.value(order.len() - 1) as usize;
    let mut pair = Vec::new();
    for ((column, _, _), theirs) in top.order.iter().zip(&theirs) {
        let ours = new.column(*column).slice(new.num_rows() - 1, 1);
        pair.push(concat(&[ours.as_ref(), theirs.slice(last, 1).as_ref()])?);
    }
    let fields = pair.iter().zip(&top.order);
    let fields = fields.map(|(c, o)| SortField::new_with_options(c.data_type().clone(), options(o)));
    let rows = RowConverter::new(fields.collect())?.convert_columns(&pair)?;
    Ok(rows.row(0) <= rows.row(1))
}

pub(super) fn kept(staged: &[StagedFile]) -> Vec<Kept> {
    staged.iter().map(|f| Kept { path: f.path.clone(), rows: f.rows }).collect()
}

fn rows(kept: &[Kept]) -> u64 {
    kept.iter().map(|k| k.rows).sum()
}

fn alike(a: &SchemaRef, b: &SchemaRef) -> bool {
    let pairs = a.fields().iter().zip(b.fields());
    a.fields().len() == b.fields().len()
        && pairs.into_iter().all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        maintain::fixture::{World, ids, mark},
        remote::faulty::{Faulty, without_copies},
    };
    use alluvium_model::{DatasetName, Layer, StepKey};
    use alluvium_spec::Origins;
    use deltalake::protocol::SaveMode;
    use std::{collections::BTreeMap, sync::atomic::Ordering::SeqCst};

    /// The highest numbers of a table of twelve files, none of which is here.
    struct Kit {
        store: Arc<Faulty>,
        world: World,
        table: Table,
        session: SessionContext,
        shape: Shape,
        gold: Gold,
    }

    impl Kit {
        async fn new() -> Self {
            let (store, world) = without_copies(12).await;
            let kit = Self::of(store, world).await;
            kit.store.down.most();
            kit
        }

        async fn of(store: Arc<Faulty>, world: World) -> Self {
            let table = world.table(&World::silver()).await;
            let session = session::bare(&world.engine).expect("a session");
            let name = DatasetName::new(Layer::Silver, "t").expect("a name");
            let inputs = BTreeMap::from([(name, table.version())]);
            session::register_inputs(&world.engine, &session, &inputs).await.expect("an input");
            let sql = "SELECT id FROM silver.t GROUP BY id ORDER BY id DESC LIMIT 3".to_owned();
            let query = session.sql(&sql).await.expect("a query");
            let shape = Shape::of(query.logical_plan()).expect("it can be kept");
            let gold = Gold { sql, sql_line: 1, origins: Origins::default(), inputs: Vec::new(), window: None };
            Self { store, world, table, session, shape, gold }
        }

        fn work(&self) -> Work<'_> {
            let stager = self.world.engine.tables.stager(&World::silver(), "kept".to_owned(), self.shape.schema());
            Work {
                engine: &self.world.engine,
                session: &self.session,
                shape: &self.shape,
                gold: &self.gold,
                dir: &self.table.dir,
                stager,
            }
        }

        /// As if the table's files were the groups.
        fn groups(&self) -> Groups {
            let files = self.table.files().expect("files");
            let base = files.into_iter().map(|f| Kept { path: f.path, rows: 1 }).collect();
            Groups { upto: self.table.version(), base, parts: Vec::new(), front: None }
        }

        fn came_together(&self) {
            assert!(self.store.down.most() > 1, "one after another");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn changes_in_an_object_store_come_together() {
        let kit = Kit::new().await;
        let delta = kit.work().delta(&kit.table, 0, kit.table.version()).await.expect("read").expect("it is little");
        assert_eq!((delta.added.rows(), delta.removed.rows()), (12, 0));
        kit.came_together();
    }

    /// A sketch has seen it, and what takes it away has to be told from what brings a value back.
    #[tokio::test]
    async fn a_row_that_came_and_left_since_is_not_among_those_that_stay() {
        let (world, place) = (World::new(), World::silver());
        world.append(&place, "before", &ids(&[1])).await;
        let after = world.table(&place).await.version();
        let came = world.append(&place, "comes", &ids(&[2, 3])).await;
        let table = world.table(&place).await;
        let file = table.files().expect("files").into_iter().find(|f| f.path == came.path).expect("the file");
        let step = StepKey::from_stored("leaves");
        table.commit(&step, mark(&table, &file, &[0]), None, SaveMode::Append).await.expect("commits");
        world.append(&place, "stays", &ids(&[4])).await;
        let kit = Kit::of(Arc::new(Faulty::default()), world).await;
        let upto = kit.table.version();
        let delta = kit.work().delta(&kit.table, after, upto).await.expect("read").expect("it is little");
        assert_eq!((delta.added.rows(), delta.removed.rows(), delta.stays.len()), (3, 1, 1));
        let delta = kit.work().delta(&kit.table, upto - 1, upto).await.expect("read").expect("it is little");
        assert_eq!((delta.added.rows(), delta.removed.rows(), delta.stays.len()), (1, 0, 1));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn groups_in_an_object_store_come_together() {
        let kit = Kit::new().await;
        // They are none: how many rows each has is not in them.
        assert!(!kit.work().fits(&kit.groups()).await.expect("read"));
        kit.came_together();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_top_in_an_object_store_comes_together() {
        let kit = Kit::new().await;
        let top = kit.shape.limit().expect("a limit");
        let nothing = Groups { upto: 0, base: Vec::new(), parts: Vec::new(), front: None };
        kit.work().top(&nothing, &[], top, &kit.table).await.expect("read");
        kit.came_together();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_object_store_that_cannot_be_read_is_no_reason_to_forget_the_groups() {
        let kit = Kit::new().await;
        kit.store.cut.store(true, SeqCst);
        let failed = kit.work().fits(&kit.groups()).await.err();
        assert!(matches!(failed, Some(LakeError::Store { .. })), "{failed:?}");
        let failed = kit.work().delta(&kit.table, 0, kit.table.version()).await.err();
        assert!(matches!(failed, Some(LakeError::Store { .. })), "{failed:?}");
    }
}
