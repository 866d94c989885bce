//! Casts of typed columns, as Parquet and SQL expressions give them. Lossy values fail: a cast and its way back have
//! to agree.

use super::{Cast, either, lost, time, without};
use crate::refine::{RefineError, types::arrow_type};
use alluvium_spec::ColumnType;
use arrow::{
    array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, make_array},
    buffer::BooleanBuffer,
    compute::{CastOptions, cast_with_options, kernels::cmp::neq},
    datatypes::{DataType, Date32Type, Float64Type, TimeUnit, TimestampMicrosecondType},
    temporal_conversions::{date32_to_datetime, timestamp_us_to_datetime},
};

/// `None` if there is no direct way; the value's text then decides.
pub(super) fn cast(array: &ArrayRef, kind: ColumnType) -> Result<Option<Cast>, RefineError> {
    let target = arrow_type(kind);
    if array.data_type() == &target && !matches!(kind, ColumnType::Time | ColumnType::Json) {
        return Ok(Some(blank(array.clone(), beyond(array, kind))));
    }
    if !is_direct(array.data_type(), kind) {
        return Ok(None);
    }
    let Some((there, failed)) = exactly(array, &target)? else { return Ok(None) };
    let failed = either(failed, beyond(&there, kind));
    Ok(Some(blank(there, failed)))
}

/// In another type, null where that type has no such value; `None` if there is no way from one type to the other.
pub(crate) fn fitting(array: &ArrayRef, target: &DataType) -> Result<Option<ArrayRef>, RefineError> {
    Ok(exactly(array, target)?.map(|(there, failed)| blank(there, failed).array))
}

/// A cast, and the rows on which it or the way back loses something.
fn exactly(array: &ArrayRef, target: &DataType) -> Result<Option<(ArrayRef, Option<BooleanBuffer>)>, RefineError> {
    let Some(there) = convert(array, target)? else { return Ok(None) };
    let Some(back) = convert(&there, array.data_type())? else { return Ok(None) };
    // What was rounded up may be beyond what there is on the way back.
    let missing = either(lost(array, &there), lost(&there, &back));
    let failed = either(missing, differs(array, &back)?);
    Ok(Some((there, failed)))
}

fn is_direct(from: &DataType, kind: ColumnType) -> bool {
    match kind {
        ColumnType::Integer | ColumnType::Int32 | ColumnType::Number | ColumnType::Decimal { .. } => from.is_numeric(),
        ColumnType::Date | ColumnType::Timestamp => {
            matches!(from, DataType::Date32 | DataType::Date64 | DataType::Timestamp(..))
        }
        ColumnType::String | ColumnType::Boolean | ColumnType::Time | ColumnType::Json => false,
    }
}

fn convert(array: &ArrayRef, target: &DataType) -> Result<Option<ArrayRef>, RefineError> {
    let safe = CastOptions { safe: true, ..CastOptions::default() };
    if !arrow::compute::can_cast_types(array.data_type(), target) {
        return Ok(None);
    }
    cast_with_options(array, target, &safe).map(Some).map_err(RefineError::arrow("casting a column"))
}

/// Rows whose value is not the same after the way there and back. `-0.0` and `0.0` are the same.
fn differs(array: &ArrayRef, back: &ArrayRef) -> Result<Option<BooleanBuffer>, RefineError> {
    let differs = if array.data_type().is_floating() {
        let wide = |a: &ArrayRef| convert(a, &DataType::Float64).map(|c| c.expect("floats widen to 64 bits"));
        let (a, b) = (wide(array)?, wide(back)?);
        let (a, b) = (a.as_primitive::<Float64Type>().values(), b.as_primitive::<Float64Type>().values());
        BooleanBuffer::collect_bool(a.len(), |i| a[i] != b[i])
    } else {
        neq(array, back).map_err(RefineError::arrow("comparing a cast"))?.values().clone()
    };
    // A slot without a value before or after holds anything; `lost` has judged those.
    let both = match (array.logical_nulls(), back.logical_nulls()) {
        (None, None) => differs,
        (Some(n), None) | (None, Some(n)) => &differs & n.inner(),
        (Some(a), Some(b)) => &(&differs & a.inner()) & b.inner(),
    };
    Ok((both.count_set_bits() > 0).then_some(both))
}

/// The rows with what the type can hold and no contract has: NaN, infinities, and days and times that a calendar of four-digit years does
/// not name.
fn beyond(array: &ArrayRef, kind: ColumnType) -> Option<BooleanBuffer> {
    match kind {
        ColumnType::Number => outside::<Float64Type>(array, |n| n.is_finite()),
        ColumnType::Date => outside::<Date32Type>(array, |day| time::DAYS.contains(&day)),
        ColumnType::Timestamp => outside::<TimestampMicrosecondType>(array, |at| time::MICROS.contains(&at)),
        _ => None,
    }
}

/// Null where a day or a time is so far away that it has no text at all: whoever asks for one would fail.
pub(crate) fn nameable(array: &ArrayRef) -> ArrayRef {
    let odd = match array.data_type() {
        DataType::Date32 => outside::<Date32Type>(array, |day| date32_to_datetime(day).is_some()),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            outside::<TimestampMicrosecondType>(array, |at| timestamp_us_to_datetime(at).is_some())
        }
        _ => None,
    };
    blank(array.clone(), odd).array
}

fn outside<T: ArrowPrimitiveType>(array: &ArrayRef, fits: impl Fn(T::Native) -> bool) -> Option<BooleanBuffer> {
    let values = array.as_primitive::<T>().values();
    let odd = BooleanBuffer::collect_bool(values.len(), |i| !fits(values[i]));
    let odd = array.nulls().map_or_else(|| odd.clone(), |n| &odd & n.inner());
    (odd.count_set_bits() > 0).then_some(odd)
}

/// Nulls where it failed.
fn blank(array: ArrayRef, failed: Option<BooleanBuffer>) -> Cast {
    if failed.is_none() {
        return Cast::clean(array);
    }
    let nulls = without(array.nulls(), failed.as_ref());
    let data = array.to_data().into_builder().nulls(nulls).build().expect("only the validity changes");
    Cast { array: make_array(data), failed }
}
