//! Gold: SQL over silver, recomputed for exactly the windows that a change touches, or as a whole.

use crate::{
    beyond,
    commit::{Attempt, Staged},
    engine::LakeEngine,
    error::LakeError,
    files::Files,
    incremental::{self, Advance, Shape},
    lanes::{self, Shared},
    rewrite, session,
    stage::{StagedFile, Stager},
    table::{Place, Table},
    windows::{self, Touched},
};
use alluvium_flow::{Job, Outcome, Report, Signal};
use alluvium_spec::{Gold, Kind};
use arrow::{
    array::{RecordBatch, new_null_array},
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Field, FieldRef, Schema, SchemaRef},
};
use datafusion::{dataframe::DataFrame, error::DataFusionError, physical_plan::execute_stream};
use futures::StreamExt;
use std::sync::Arc;

pub(crate) async fn execute(
    engine: &LakeEngine,
    job: &Job<'_>,
    attempt: &Attempt<'_>,
    report: &dyn Report,
) -> Result<Outcome, LakeError> {
    let Kind::Gold(gold) = &job.dataset.kind else {
        return Err(LakeError::Worker("a curate step of another layer"));
    };
    let name = &job.dataset.name;
    let place = Place::Dataset(name.clone());
    let session = session::bare(engine)?;
    let upto = job.step.inputs.iter().map(|(input, range)| (input.clone(), range.upto)).collect();
    session::register_inputs(engine, &session, &upto).await?;
    let table = engine.tables.open(&place).await?;
    let query = session.sql_with_options(&gold.sql, crate::query::read_only()).await?;
    let shape = Shape::of(query.logical_plan());
    let (result, touched, groups) = match shape.filter(|s| fits(s, gold)) {
        Some(shape) => {
            match incremental::advance(engine, &session, job, attempt, (&shape, gold), table.as_ref()).await? {
                Some(Advance { result, touched, groups, staged }) => (result, touched, Some((groups, staged))),
                None => return Ok(Outcome::default()),
            }
        }
        None => {
            let touched = match (&gold.window, &table) {
                (Some(window), Some(_)) => {
                    windows::touched(engine, &session, name, &job.step.inputs, gold, window).await?
                }
                _ => Touched::All,
            };
            (windows::within(query, gold, &touched)?, touched, None)
        }
    };
    if touched.is_empty() {
        return Ok(Outcome::default());
    }
    let schema = match job.project.contract_of(job.dataset) {
        Some(contract) => crate::engine::contract_schema(contract),
        None => storable_schema(result.schema().as_arrow()),
    };
    crate::table::storable(&schema)?;
    let mut staged = Staged::new(schema.clone());
    staged.windows = touched.count();
    staged.groups = groups;
    staged.evolved = replaced_schema(table.as_ref(), &schema)?;
    let stager = Arc::new(attempt.stager(engine, &place, schema.clone()));
    let step = job.step.key.clone();
    let progress = |done| report.signal(Signal::Progress { step: step.clone(), stage: "gold", done, total: 0 });
    staged.add = stage(result, &stager, progress).await?;
    if let (Some(window), Touched::All) = (&gold.window, &touched) {
        let dir = engine.tables.dir(&place);
        let sources = staged.add.iter().map(|f| f.source(&dir)).collect::<Result<Vec<_>, _>>()?;
        staged.windows = windows::count(&session, Files::new(schema.clone(), &sources)?, window).await?;
    }
    if let Some(table) = &table {
        replace(engine, table, gold, &touched, &stager, &mut staged).await?;
    }
    staged.rows_in = staged.add.iter().map(|f| f.rows).sum();
    staged.read = table;
    attempt.commit(engine, job, staged).await
}

/// A window has to be told by the groups' keys.
fn fits(shape: &Shape, gold: &Gold) -> bool {
    gold.window.as_ref().is_none_or(|w| shape.window_key(&w.column).is_some())
}

/// Result types that a table can hold.
pub(crate) fn storable_schema(result: &Schema) -> SchemaRef {
    fn plain(t: &DataType) -> DataType {
        match t {
            DataType::Utf8View | DataType::LargeUtf8 | DataType::Null => DataType::Utf8,
            DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
            DataType::Dictionary(_, v) => plain(v),
            DataType::UInt8 => DataType::Int16,
            DataType::UInt16 => DataType::Int32,
            DataType::UInt32 => DataType::Int64,
            DataType::UInt64 => DataType::Decimal128(20, 0),
            DataType::Float16 => DataType::Float32,
            DataType::Timestamp(_, _) => {
                DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()))
            }
            DataType::Date64 => DataType::Date32,
            DataType::List(f) | DataType::LargeList(f) => {
                DataType::List(Arc::new(Field::new("element", plain(f.data_type()), true)))
            }
            DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
            DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
            other => other.clone(),
        }
    }
    fn inner(field: &FieldRef) -> FieldRef {
        Arc::new(Field::new(field.name(), plain(field.data_type()), field.is_nullable()))
    }
    let fields = result.fields().iter().map(|f| Field::new(f.name(), plain(f.data_type()), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A gold table takes the shape of its query.
pub(crate) fn replaced_schema(table: Option<&Table>, schema: &SchemaRef) -> Result<Option<SchemaRef>, LakeError> {
    let Some(table) = table else { return Ok(None) };
    let stored = crate::ingest::plain_schema(table.schema()?.as_ref());
    let same = stored.fields().len() == schema.fields().len()
        && stored
            .fields()
            .iter()
            .zip(schema.fields())
            .all(|(a, b)| a.name() == b.name() && a.data_type() == b.data_type());
    Ok((!same).then(|| schema.clone()))
}

/// Runs the query on all cores into staged files.
pub(crate) async fn stage(
    result: DataFrame,
    stager: &Stager,
    mut progress: impl FnMut(u64),
) -> Result<Vec<StagedFile>, LakeError> {
    match write(result.clone(), stager, &mut progress).await {
        Err(error) => write(beyond::second(result, error)?, stager, &mut progress).await,
        staged => staged,
    }
}

/// Leaves nothing where it fails.
async fn write(
    result: DataFrame,
    stager: &Stager,
    progress: &mut impl FnMut(u64),
) -> Result<Vec<StagedFile>, LakeError> {
    let context = Arc::new(result.task_ctx());
    let plan = result.create_physical_plan().await?;
    let mut merged = execute_stream(plan, context)?;
    let mut lane = stager.lane();
    let mut rows = 0;
    while let Some(batch) = merged.next().await {
        let batch = fitted(&batch?, stager.schema())?;
        rows += batch.num_rows() as u64;
        lane.write(&batch)?;
        progress(rows);
    }
    lane.finish()
}

/// The result's columns in the types of the table. A value that is none of its column's type is no null: it ends the step.
fn fitted(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, LakeError> {
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(found) => cast_with_options(found, field.data_type(), &strict).map_err(|source| {
            let place = format!("column `{}` has a value that does not fit", field.name());
            LakeError::Query(Box::new(DataFusionError::from(source).context(place)))
        }),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    Ok(RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, _>>()?)?)
}

/// Takes the touched windows' rows out of the stored files.
pub(crate) async fn replace(
    engine: &LakeEngine,
    table: &Table,
    gold: &Gold,
    touched: &Touched,
    stager: &Arc<Stager>,
    staged: &mut Staged,
) -> Result<(), LakeError> {
    let files = table.files()?;
    let (Touched::Windows { .. }, Some(window)) = (touched, &gold.window) else {
        staged.remove = files.into_iter().map(|f| f.remove).collect();
        return Ok(());
    };
    let sources = files.iter().map(|f| f.source(&table.dir)).collect::<Result<Vec<_>, _>>()?;
    engine.tables.disk.have_all(sources.iter().map(|s| &s.path)).await?;
    let (stager, touched, column) = (stager.clone(), touched.clone(), window.column.clone());
    let work = move |shared: &Shared| {
        rewrite::without(&stager, &sources, &column, |values| windows::inside(values, &touched), shared)
    };
    let (hit, kept) = lanes::run(1, work, |_| ()).await?.pop().unwrap_or_default();
    staged.remove.extend(files.into_iter().zip(hit).filter(|(_, hit)| *hit).map(|(f, _)| f.remove));
    staged.moved = kept.len();
    staged.add.extend(kept);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        maintain::fixture::{World, gives_way, ids},
        remote::faulty::without_copies,
    };
    use alluvium_model::Window;
    use alluvium_spec::{Origins, WindowSpec};
    use std::sync::atomic::Ordering::SeqCst;

    /// Ten and eleven go.
    async fn replaced(world: &World, table: &Table) -> Result<Staged, LakeError> {
        let stager = world.engine.tables.stager(&World::silver(), "replaced".to_owned(), ids(&[]).schema());
        let window = WindowSpec { column: "id".to_owned(), size: "1 ms".parse().expect("a span") };
        let gold = Gold {
            sql: String::new(),
            sql_line: 1,
            origins: Origins::default(),
            inputs: Vec::new(),
            window: Some(window),
        };
        let touched = Touched::Windows { ranges: vec![Window { from: 10, to: 12 }], count: 1, null: false };
        let mut staged = Staged::new(ids(&[]).schema());
        replace(&world.engine, table, &gold, &touched, &Arc::new(stager), &mut staged).await?;
        Ok(staged)
    }

    #[tokio::test]
    async fn windows_go_from_the_files_that_hold_them_and_the_task_is_left_to_others_meanwhile() {
        let world = World::new();
        for n in 0..4 {
            world.append(&World::silver(), &format!("step{n}"), &ids(&[n, n + 10])).await;
        }
        let table = world.table(&World::silver()).await;
        let staged = gives_way(&world.engine.tables.meter, replaced(&world, &table)).expect("replaced");
        let files = table.files().expect("files");
        let gone: Vec<&str> = staged.remove.iter().map(|r| r.path.as_str()).collect();
        assert_eq!(gone, [files[0].path.as_str(), files[1].path.as_str()]);
        assert_eq!(staged.add.iter().map(|f| f.rows).sum::<u64>(), 2, "0 and 1");
        let (made, moved) = staged.made_and_moved();
        assert_eq!((made.len(), moved.len()), (0, staged.add.len()), "nothing of it is new");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_in_an_object_store_come_together() {
        let (store, world) = without_copies(12).await;
        let staged = replaced(&world, &world.table(&World::silver()).await).await.expect("replaced");
        assert_eq!(staged.remove.len(), 2, "10 and 11");
        assert!(store.down.most() > 1, "one after another");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_object_store_that_cannot_be_read_ends_the_step() {
        let (store, world) = without_copies(12).await;
        store.cut.store(true, SeqCst);
        let failed = replaced(&world, &world.table(&World::silver()).await).await.err();
        assert!(matches!(failed, Some(LakeError::Store { .. })), "{failed:?}");
    }
}
