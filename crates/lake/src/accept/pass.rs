//! One look at rows: all that is measured of them is asked for first, and then computed by one query.

use super::{
    aggregates::{self, DISTINCT, PROFILE},
    profile::Profile,
};
use crate::{engine::LakeEngine, error::LakeError, files::Files, query::read_only, session};
use arrow::{
    array::{Array, AsArray, RecordBatch},
    compute::{cast, concat_batches},
    datatypes::{DataType, Float64Type, Schema, TimeUnit, TimestampMicrosecondType},
    error::ArrowError,
};
use std::sync::Arc;

/// A moment as the engine's arithmetic takes it; all are UTC.
const MOMENT: &str = "Timestamp(Microsecond, None)";

/// What is asked for, and which column of the answer it becomes.
#[derive(Default)]
pub(super) struct Pass(Vec<String>);

/// The answer: a row for all rows, or for each part of them.
pub(super) struct Seen(RecordBatch);

impl Pass {
    /// The place of the answer; what is asked for twice is computed once.
    pub(super) fn ask(&mut self, expression: String) -> usize {
        self.0.iter().position(|e| *e == expression).unwrap_or_else(|| {
            self.0.push(expression);
            self.0.len() - 1
        })
    }

    /// That alone.
    pub(super) fn only(&self, place: usize) -> Self {
        Self(self.0.get(place).cloned().into_iter().collect())
    }

    /// `of` follows the table in the query: a condition, or what the rows are grouped by.
    pub(super) async fn look(&self, engine: &LakeEngine, rows: &Arc<Files>, of: &str) -> Result<Seen, LakeError> {
        let session = session::bare(engine)?;
        session.register_udaf(aggregates::profile());
        session.register_udaf(aggregates::distinct());
        session::register(&session, "silver", "object", rows.clone())?;
        let named = self.0.iter().enumerate().map(|(i, e)| format!("{e} AS m{i}")).collect::<Vec<_>>().join(", ");
        let frame = session.sql_with_options(&format!("SELECT {named} FROM silver.object {of}"), read_only()).await?;
        let schema = Arc::new(frame.schema().as_arrow().clone());
        let batches = frame.collect().await?;
        let schema = batches.first().map_or(schema, RecordBatch::schema);
        Ok(Seen(concat_batches(&schema, &batches)?))
    }
}

impl Seen {
    pub(super) fn rows(&self) -> usize {
        self.0.num_rows()
    }

    pub(super) fn number(&self, place: usize, row: usize) -> Result<Option<f64>, ArrowError> {
        let column = cast(self.0.column(place), &DataType::Float64)?;
        Ok(column.is_valid(row).then(|| column.as_primitive::<Float64Type>().value(row)))
    }

    pub(super) fn count(&self, place: usize, row: usize) -> Result<u64, ArrowError> {
        Ok(self.number(place, row)?.unwrap_or(0.0) as u64)
    }

    pub(super) fn text(&self, place: usize, row: usize) -> Result<Option<String>, ArrowError> {
        let column = cast(self.0.column(place), &DataType::Utf8)?;
        Ok(column.is_valid(row).then(|| column.as_string::<i32>().value(row).to_owned()))
    }

    /// Microseconds since 1970.
    pub(super) fn moment(&self, place: usize, row: usize) -> Result<Option<i64>, ArrowError> {
        let column = cast(self.0.column(place), &DataType::Timestamp(TimeUnit::Microsecond, None))?;
        Ok(column.is_valid(row).then(|| column.as_primitive::<TimestampMicrosecondType>().value(row)))
    }

    pub(super) fn profile(&self, place: usize, row: usize) -> Result<Profile, ArrowError> {
        let column = cast(self.0.column(place), &DataType::Binary)?;
        let bytes = column.is_valid(row).then(|| column.as_binary::<i32>().value(row));
        Ok(bytes.and_then(Profile::from_bytes).unwrap_or_default())
    }
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Why a column cannot be measured so, for a person.
pub(super) type Unfit = String;

fn kind<'a>(schema: &'a Schema, column: &str) -> Result<&'a DataType, Unfit> {
    schema.field_with_name(column).map(|f| f.data_type()).map_err(|_| format!("there is no column `{column}`"))
}

const fn is_text(kind: &DataType) -> bool {
    matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The column, if it is there.
pub(super) fn any(schema: &Schema, column: &str) -> Result<String, Unfit> {
    kind(schema, column).map(|_| quoted(column))
}

/// The column as a DOUBLE; a text that is no number has none.
pub(super) fn number(schema: &Schema, column: &str) -> Result<String, Unfit> {
    match kind(schema, column)? {
        kind if is_text(kind) => Ok(format!("TRY_CAST({} AS DOUBLE)", quoted(column))),
        kind if kind.is_numeric() => Ok(format!("CAST({} AS DOUBLE)", quoted(column))),
        kind => Err(format!("`{column}` is {kind}, and no number")),
    }
}

/// The column as a moment; a text that is none has none.
pub(super) fn moment(schema: &Schema, column: &str) -> Result<String, Unfit> {
    match kind(schema, column)? {
        kind if is_text(kind) => Ok(format!("arrow_cast(TRY_CAST({} AS TIMESTAMP), '{MOMENT}')", quoted(column))),
        DataType::Date32 | DataType::Timestamp(..) => Ok(format!("arrow_cast({}, '{MOMENT}')", quoted(column))),
        kind => Err(format!("`{column}` is {kind}, and no time")),
    }
}

/// Microseconds since 1970, as [`moment`] gives them.
pub(super) fn moment_at(micros: i64) -> String {
    format!("arrow_cast({micros}, '{MOMENT}')")
}

pub(super) fn profile_of(number: &str) -> String {
    format!("{PROFILE}({number})")
}

pub(super) fn distinct_of(column: &str) -> String {
    format!("{DISTINCT}(arrow_cast({column}, 'Utf8'))")
}
