//! Gold: SQL over silver, recomputed for exactly the windows that a change touches, or as a whole.

use crate::{
    commit::{Attempt, Staged},
    engine::LakeEngine,
    error::LakeError,
    files::Files,
    incremental::{self, Advance, Shape},
    scan, session,
    stage::{StagedFile, Stager},
    table::{Place, Table},
    windows::{self, Touched},
};
use alluvium_flow::{Job, Outcome, Report, Signal};
use alluvium_spec::{Gold, Kind};
use arrow::{
    array::{BooleanArray, RecordBatch},
    compute::filter_record_batch,
    datatypes::{DataType, Field, FieldRef, Schema, SchemaRef},
};
use datafusion::{dataframe::DataFrame, physical_plan::execute_stream_partitioned};
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
    let stager = attempt.stager(engine, &place, schema.clone());
    let step = job.step.key.clone();
    let progress = |done| report.signal(Signal::Progress { step: step.clone(), stage: "gold", done, total: 0 });
    staged.add = stage(result, &stager, progress).await?;
    if let (Some(window), Touched::All) = (&gold.window, &touched) {
        let dir = engine.tables.dir(&place);
        let sources = staged.add.iter().map(|f| f.source(&dir)).collect::<Result<Vec<_>, _>>()?;
        staged.windows = windows::count(&session, Files::new(schema.clone(), &sources)?, window).await?;
    }
    if let Some(table) = &table {
        replace(engine, table, gold, &touched, &stager, &mut staged)?;
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

/// Runs the query on all cores into staged files, one lane a partition.
pub(crate) async fn stage(
    result: DataFrame,
    stager: &Stager,
    mut progress: impl FnMut(u64),
) -> Result<Vec<StagedFile>, LakeError> {
    let context = Arc::new(result.task_ctx());
    let plan = result.create_physical_plan().await?;
    let streams = execute_stream_partitioned(plan, context)?;
    let mut merged = futures::stream::select_all(streams);
    let mut lane = stager.lane();
    let mut rows = 0;
    while let Some(batch) = merged.next().await {
        let batch = scan::conform(&batch?, stager.schema())?;
        rows += batch.num_rows() as u64;
        lane.write(&batch)?;
        progress(rows);
    }
    lane.finish()
}

/// Takes the touched windows' rows out of the stored files.
pub(crate) fn replace(
    engine: &LakeEngine,
    table: &Table,
    gold: &Gold,
    touched: &Touched,
    stager: &Stager,
    staged: &mut Staged,
) -> Result<(), LakeError> {
    let files = table.files()?;
    let (Touched::Windows { .. }, Some(window)) = (touched, &gold.window) else {
        staged.remove = files.into_iter().map(|f| f.remove).collect();
        return Ok(());
    };
    let mut lane = stager.lane();
    let column = scan::project(stager.schema(), std::slice::from_ref(&window.column))?;
    for file in files {
        let units = scan::units(&[file.source(&table.dir)?])?;
        let mut hit = false;
        for unit in &units {
            for batch in unit.read(&column, &engine.tables.meter)? {
                hit |= windows::inside(batch?.column(0), touched)?.true_count() > 0;
            }
        }
        if !hit {
            continue;
        }
        for unit in &units {
            for batch in unit.read(stager.schema(), &engine.tables.meter)? {
                let batch: RecordBatch = batch?;
                let at = batch.schema().index_of(&window.column)?;
                let inside: BooleanArray = windows::inside(batch.column(at), touched)?;
                lane.write(&filter_record_batch(&batch, &arrow::compute::not(&inside)?)?)?;
            }
        }
        staged.remove.push(file.remove);
    }
    staged.add.extend(lane.finish()?);
    Ok(())
}
