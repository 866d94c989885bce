//! One look at rows: all that is measured of them is asked for first, and then computed by one query.

use super::{
    aggregates::{self, DISTINCT, PROFILE},
    profile::Profile,
};
use crate::{beyond, engine::LakeEngine, error::LakeError, files::Files, query::read_only, session};
use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
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
pub(super) struct Seen {
    rows: usize,
    /// Each as [`plain`] has it, so that no cell has to be cast.
    columns: Vec<ArrayRef>,
}

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
        let batches = beyond::collect(frame).await?;
        let schema = batches.first().map_or(schema, RecordBatch::schema);
        let all = concat_batches(&schema, &batches)?;
        Ok(Seen { rows: all.num_rows(), columns: all.columns().iter().map(plain).collect::<Result<_, _>>()? })
    }
}

/// One kind for all numbers, for all texts, for all times and for all bytes.
fn plain(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        kind if is_text(kind) => cast(column, &DataType::Utf8),
        kind if kind.is_numeric() => cast(column, &DataType::Float64),
        DataType::Timestamp(..) => cast(column, &DataType::Timestamp(TimeUnit::Microsecond, None)),
        DataType::BinaryView | DataType::LargeBinary => cast(column, &DataType::Binary),
        _ => Ok(column.clone()),
    }
}

fn other(column: &ArrayRef, than: &str) -> ArrowError {
    ArrowError::CastError(format!("what was asked for is {}, and no {than}", column.data_type()))
}

impl Seen {
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn number(&self, place: usize, row: usize) -> Result<Option<f64>, ArrowError> {
        let column = &self.columns[place];
        let values = column.as_primitive_opt::<Float64Type>().ok_or_else(|| other(column, "number"))?;
        Ok(values.is_valid(row).then(|| values.value(row)))
    }

    pub(super) fn count(&self, place: usize, row: usize) -> Result<u64, ArrowError> {
        Ok(self.number(place, row)?.unwrap_or(0.0) as u64)
    }

    pub(super) fn text(&self, place: usize, row: usize) -> Result<Option<String>, ArrowError> {
        let column = &self.columns[place];
        let values = column.as_string_opt::<i32>().ok_or_else(|| other(column, "text"))?;
        Ok(values.is_valid(row).then(|| values.value(row).to_owned()))
    }

    /// Microseconds since 1970.
    pub(super) fn moment(&self, place: usize, row: usize) -> Result<Option<i64>, ArrowError> {
        let column = &self.columns[place];
        let values = column.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| other(column, "time"))?;
        Ok(values.is_valid(row).then(|| values.value(row)))
    }

    pub(super) fn profile(&self, place: usize, row: usize) -> Result<Profile, ArrowError> {
        let column = &self.columns[place];
        let values = column.as_binary_opt::<i32>().ok_or_else(|| other(column, "profile"))?;
        let bytes = values.is_valid(row).then(|| values.value(row));
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

/// The column, if each of its values is one text: what is nested is none, and bytes need not be.
pub(super) fn single(schema: &Schema, column: &str) -> Result<String, Unfit> {
    use DataType::{Binary, BinaryView, FixedSizeBinary, LargeBinary};
    match kind(schema, column)? {
        kind if kind.is_nested() || matches!(kind, Binary | BinaryView | LargeBinary | FixedSizeBinary(_)) => {
            Err(format!("`{column}` is {kind}, and no single value"))
        }
        _ => Ok(quoted(column)),
    }
}

/// The sum as a DOUBLE. That of decimals and of whole numbers is exact before that.
pub(super) fn sum(schema: &Schema, column: &str) -> Result<String, Unfit> {
    let number = number(schema, column)?;
    let (kind, quoted) = (kind(schema, column)?, quoted(column));
    Ok(match kind {
        kind if kind.is_integer() => format!("CAST(sum(CAST({quoted} AS DECIMAL(38, 0))) AS DOUBLE)"),
        kind if kind.is_decimal() => format!("CAST(sum({quoted}) AS DOUBLE)"),
        _ => format!("sum({number})"),
    })
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

/// Where the span of so many microseconds begins that the moment lies in, counted from 1970. In whole numbers, because the engine's own
/// function for it knows the years 1677 to 2262 only.
pub(super) fn span(moment: &str, size: i64) -> String {
    let micros = format!("arrow_cast({moment}, 'Int64')");
    let begin = format!("{micros} - {micros} % {size} - CASE WHEN {micros} % {size} < 0 THEN {size} ELSE 0 END");
    format!("arrow_cast({begin}, '{MOMENT}')")
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
