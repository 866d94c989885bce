//! One column into its contract type: the way for each kind of input.

use super::Format;
use super::{number, time, typed};
use super::{parse_integer, parse_number};
use crate::refine::{
    RefineError,
    text::{is_text, to_text},
    types::arrow_type,
};
use alluvium_spec::ColumnType;
use arrow::{
    array::{
        Array, ArrayRef, ArrowPrimitiveType, BooleanArray, BooleanBufferBuilder, PrimitiveArray, StringArray,
        StringBuilder,
    },
    buffer::{BooleanBuffer, NullBuffer},
    datatypes::{DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType},
};
use serde::de::IgnoredAny;
use std::sync::Arc;

/// A column in its contract type.
#[derive(Debug)]
pub(in crate::refine) struct Cast {
    pub array: ArrayRef,
    /// Rows that held a value which does not fit; `None` if there are none.
    pub failed: Option<BooleanBuffer>,
}

impl Cast {
    pub(super) fn clean(array: ArrayRef) -> Self {
        Self { array, failed: None }
    }
}

/// `format` is for text only: the form in which `parse` says dates and times are written.
pub(in crate::refine) fn cast(
    array: &ArrayRef,
    kind: ColumnType,
    format: Option<&Format>,
) -> Result<Cast, RefineError> {
    if is_text(array.data_type()) {
        return Ok(from_text(&to_text(array)?, kind, format));
    }
    if array.data_type() == &DataType::Null {
        return Ok(Cast::clean(arrow::array::new_null_array(&arrow_type(kind), array.len())));
    }
    if let Some(cast) = typed::cast(array, kind)? {
        return Ok(cast);
    }
    // By way of the text that the value would have in a text format.
    let text = to_text(array)?;
    let unreadable = lost(array, &text);
    let cast = from_text(&text, kind, None);
    Ok(Cast { array: cast.array, failed: either(unreadable, cast.failed) })
}

/// One constant of a definition; `None` if it does not fit.
pub(in crate::refine) fn cast_constant(text: &str, kind: ColumnType) -> Option<ArrayRef> {
    let cast = from_text(&StringArray::from(vec![text]), kind, None);
    cast.failed.is_none().then_some(cast.array)
}

fn from_text(text: &StringArray, kind: ColumnType, format: Option<&Format>) -> Cast {
    match (kind, format) {
        (ColumnType::String, _) => Cast::clean(Arc::new(text.clone())),
        (ColumnType::Integer, _) => primitive::<Int64Type>(text, kind, parse_integer),
        (ColumnType::Int32, _) => primitive::<Int32Type>(text, kind, |t| i32::try_from(parse_integer(t)?).ok()),
        (ColumnType::Number, _) => primitive::<Float64Type>(text, kind, parse_number),
        (ColumnType::Decimal { precision, scale }, _) => {
            primitive::<Decimal128Type>(text, kind, |t| number::parse_decimal(t, precision, scale))
        }
        (ColumnType::Boolean, _) => boolean(text),
        (ColumnType::Date, None) => primitive::<Date32Type>(text, kind, time::parse_date),
        (ColumnType::Date, Some(f)) => primitive::<Date32Type>(text, kind, |t| f.date(t)),
        (ColumnType::Timestamp, None) => primitive::<TimestampMicrosecondType>(text, kind, time::timestamp_parser()),
        (ColumnType::Timestamp, Some(f)) => primitive::<TimestampMicrosecondType>(text, kind, |t| f.timestamp(t)),
        (ColumnType::Time, None) => checked_text(text, |t| time::is_time(t.as_bytes())),
        (ColumnType::Time, Some(f)) => reworded_time(text, f),
        (ColumnType::Json, _) => checked_text(text, is_json_container),
    }
}

fn is_json_container(text: &str) -> bool {
    text.trim_start_matches([' ', '\t', '\r', '\n']).starts_with(['{', '['])
        && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Parses every value that is there; the slots of nulls and failures hold the type's zero.
fn primitive<T: ArrowPrimitiveType>(
    text: &StringArray,
    kind: ColumnType,
    mut parse: impl FnMut(&[u8]) -> Option<T::Native>,
) -> Cast {
    let (offsets, data) = (text.value_offsets(), text.value_data());
    let mut failed = Vec::new();
    let mut values = Vec::with_capacity(text.len());
    for (row, ends) in offsets.windows(2).enumerate() {
        let value = match text.is_valid(row) {
            true => parse(&data[ends[0] as usize..ends[1] as usize]).unwrap_or_else(|| {
                failed.push(row);
                T::Native::default()
            }),
            false => T::Native::default(),
        };
        values.push(value);
    }
    let failed = mask_of(&failed, text.len());
    let nulls = without(text.nulls(), failed.as_ref());
    let array = PrimitiveArray::<T>::new(values.into(), nulls).with_data_type(arrow_type(kind));
    Cast { array: Arc::new(array), failed }
}

fn boolean(text: &StringArray) -> Cast {
    let mut values = BooleanBufferBuilder::new(text.len());
    let mut failed = Vec::new();
    for row in 0..text.len() {
        let value = text.is_valid(row).then(|| number::parse_boolean(text.value(row)));
        if value == Some(None) {
            failed.push(row);
        }
        values.append(value.flatten().unwrap_or_default());
    }
    let failed = mask_of(&failed, text.len());
    let nulls = without(text.nulls(), failed.as_ref());
    Cast { array: Arc::new(BooleanArray::new(values.finish(), nulls)), failed }
}

fn checked_text(text: &StringArray, fits: impl Fn(&str) -> bool) -> Cast {
    let failed: Vec<usize> = (0..text.len()).filter(|&r| text.is_valid(r) && !fits(text.value(r))).collect();
    let failed = mask_of(&failed, text.len());
    let nulls = without(text.nulls(), failed.as_ref());
    let array = StringArray::new(text.offsets().clone(), text.values().clone(), nulls);
    Cast { array: Arc::new(array), failed }
}

fn reworded_time(text: &StringArray, format: &Format) -> Cast {
    let mut out = StringBuilder::with_capacity(text.len(), text.len() * 8);
    let mut failed = Vec::new();
    for (row, value) in text.iter().enumerate() {
        let time = value.map(|v| format.time(v.as_bytes()));
        if time == Some(None) {
            failed.push(row);
        }
        out.append_option(time.flatten());
    }
    Cast { array: Arc::new(out.finish()), failed: mask_of(&failed, text.len()) }
}

fn mask_of(rows: &[usize], len: usize) -> Option<BooleanBuffer> {
    if rows.is_empty() {
        return None;
    }
    let mut bits = BooleanBufferBuilder::new(len);
    bits.append_n(len, false);
    for &row in rows {
        bits.set_bit(row, true);
    }
    Some(bits.finish())
}

pub(super) fn either(a: Option<BooleanBuffer>, b: Option<BooleanBuffer>) -> Option<BooleanBuffer> {
    match (a, b) {
        (Some(a), Some(b)) => Some(&a | &b),
        (a, b) => a.or(b),
    }
}

pub(super) fn without(nulls: Option<&NullBuffer>, failed: Option<&BooleanBuffer>) -> Option<NullBuffer> {
    match (nulls, failed) {
        (n, None) => n.cloned(),
        (None, Some(f)) => Some(NullBuffer::new(!f)),
        (Some(n), Some(f)) => Some(NullBuffer::new(n.inner() & &!f)),
    }
}

/// Rows that have a value in `before` and none in `after`.
pub(super) fn lost(before: &ArrayRef, after: &dyn Array) -> Option<BooleanBuffer> {
    let (before, after) = (before.logical_nulls(), after.logical_nulls());
    let lost = match (before, after) {
        (_, None) => return None,
        (None, Some(a)) => !a.inner(),
        (Some(b), Some(a)) => b.inner() & &!a.inner(),
    };
    (lost.count_set_bits() > 0).then_some(lost)
}
