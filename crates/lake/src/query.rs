//! SQL over the lake and the state, for people and for rules. Reads only.

use crate::{beyond, engine::LakeEngine, error::LakeError, files::Files, held, session, table::Place};
use alluvium_model::DatasetName;
use alluvium_spec::Project;
use alluvium_store::{TableDump, Value};
use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    datatypes::{DataType, Field, Float64Type, Schema, SchemaRef},
};
use datafusion::{datasource::MemTable, execution::context::SQLOptions};
use futures::{Stream, StreamExt, TryStreamExt};
use std::{collections::BTreeMap, pin::Pin, sync::Arc};

pub type SendableBatches = Pin<Box<dyn Stream<Item = Result<RecordBatch, LakeError>> + Send>>;

/// A query's answer, as it is computed.
pub struct QueryResult {
    pub schema: SchemaRef,
    pub batches: SendableBatches,
}

pub(crate) fn read_only() -> SQLOptions {
    SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false)
}

/// Runs one `SELECT` over `bronze.*`, `silver.*`, `gold.*`, `quarantine.<layer>_<name>`, `held.<layer>_<name>` and `state.*`.
///
/// # Errors
/// When the statement is wrong, would change anything, or outgrows the memory limit.
pub async fn query(
    engine: &LakeEngine,
    project: &Project,
    state: Vec<TableDump>,
    sql: &str,
) -> Result<QueryResult, LakeError> {
    let session = session::reading(engine)?;
    for name in project.datasets.keys() {
        session::register_dataset(engine, &session, name, None).await?;
        if let Some(q) = engine.tables.open(&Place::Quarantine(name.clone())).await? {
            let provider = Arc::new(session::provider(&q)?);
            session::register(&session, "quarantine", &format!("{}_{}", name.layer(), name.name()), provider)?;
        }
        // A look costs a request in an object store, and few ask for it.
        if sql.to_ascii_lowercase().contains("held")
            && let Some(files) = held::rows(engine, name).await?
        {
            session::register(&session, "held", &format!("{}_{}", name.layer(), name.name()), Arc::new(files))?;
        }
    }
    for table in state {
        let (name, batch) = (table.name, dump(table)?);
        let provider = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
        session::register(&session, "state", name, Arc::new(provider))?;
    }
    let frame = session.sql_with_options(sql, read_only()).await?;
    let (schema, rows) = beyond::stream(frame).await?;
    Ok(QueryResult { schema, batches: rows.map_err(LakeError::from).boxed() })
}

/// One of the state's tables as a batch.
fn dump(table: TableDump) -> Result<RecordBatch, LakeError> {
    let mut fields = Vec::new();
    let mut columns: Vec<ArrayRef> = Vec::new();
    for (i, (name, kind)) in table.columns.iter().enumerate() {
        let cells = table.rows.iter().map(|r| &r[i]);
        let whole = |v: &Value| if let Value::Integer(n) = v { Some(*n) } else { None };
        let column: ArrayRef = match *kind {
            "integer" => Arc::new(cells.map(whole).collect::<Int64Array>()),
            "timestamp" => Arc::new(cells.map(whole).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
            "real" => {
                let real = |v: &Value| if let Value::Real(n) = v { Some(*n) } else { None };
                Arc::new(cells.map(real).collect::<Float64Array>())
            }
            _ => {
                fn text(v: &Value) -> Option<&str> {
                    if let Value::Text(t) = v { Some(t) } else { None }
                }
                Arc::new(cells.map(text).collect::<StringArray>())
            }
        };
        fields.push(Field::new(*name, column.data_type().clone(), true));
        columns.push(column);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// The single number that a contract's query gives over `files`, which `${object}` stands for. `versions`: those of the
/// inputs, -1 for one that has no table; one that is not named is read as it is.
pub(crate) async fn measure(
    engine: &LakeEngine,
    project: &Project,
    files: &Arc<Files>,
    sql: &str,
    inputs: &[DatasetName],
    versions: &BTreeMap<DatasetName, i64>,
) -> Result<f64, LakeError> {
    let session = session::bare(engine)?;
    for input in inputs {
        let version = versions.get(input).copied();
        let there = version.is_none_or(|v| v >= 0);
        if !there || !session::register_dataset(engine, &session, input, version).await? {
            let empty = RecordBatch::new_empty(engine.declared_schema(project, input)?);
            let table = MemTable::try_new(empty.schema(), vec![vec![empty]])?;
            session::register(&session, input.layer().as_str(), input.name(), Arc::new(table))?;
        }
    }
    session::register(&session, "silver", "object", files.clone())?;
    let sql = sql.replace("${object}", "silver.object").replace("{object}", "silver.object");
    let result = beyond::collect(session.sql_with_options(&sql, read_only()).await?).await?;
    let first = result.iter().find(|b| b.num_rows() > 0 && b.num_columns() > 0);
    let Some(first) = first else { return Ok(0.0) };
    let number = arrow::compute::cast(first.column(0), &DataType::Float64)?;
    Ok(if number.is_null(0) { 0.0 } else { number.as_primitive::<Float64Type>().value(0) })
}
