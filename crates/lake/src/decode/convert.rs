//! A typed array into a bronze column's type: value by value where that loses nothing. What does not fit is told, for the
//! Parquet reader to rescue, and written as JSON.

use super::json_text;
use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, make_comparator, new_null_array},
    buffer::BooleanBuffer,
    compute::{CastOptions, SortOptions, can_cast_types, cast_with_options, nullif},
    datatypes::{DataType, Float32Type, Float64Type, Int64Type},
    error::ArrowError,
    util::display::{ArrayFormatter, FormatOptions},
};
use std::{cmp::Ordering, sync::Arc};

pub(super) struct Converted {
    pub(super) array: ArrayRef,
    /// The rows, null in `array`, whose value does not fit.
    pub(super) lossy: Option<BooleanBuffer>,
}

/// Values that do not fit become null, and are marked.
pub(super) fn convert(values: &ArrayRef, to: &DataType) -> Result<Converted, ArrowError> {
    let from = values.data_type();
    if from == to {
        return Ok(Converted { array: Arc::clone(values), lossy: None });
    }
    let options = CastOptions { safe: true, ..CastOptions::default() };
    if same_values(from, to) {
        return Ok(Converted { array: cast_with_options(values, to, &options)?, lossy: None });
    }
    // A value fits if it comes back from the type unchanged.
    let there = can_cast_types(from, to).then(|| cast_with_options(values, to, &options));
    let Some(Ok(there)) = there else { return Ok(nothing_fits(values, to)) };
    let back = can_cast_types(to, from).then(|| cast_with_options(&there, from, &options));
    let Some(Ok(back)) = back else { return Ok(nothing_fits(values, to)) };
    let Ok(compare) = make_comparator(values, &back, SortOptions::default()) else {
        return Ok(nothing_fits(values, to));
    };
    let nulls = values.logical_nulls();
    let mut lossy = BooleanBufferBuilder::new(values.len());
    let mut any = false;
    for row in 0..values.len() {
        let lost = nulls.as_ref().is_none_or(|n| n.is_valid(row)) && compare(row, row) != Ordering::Equal;
        any |= lost;
        lossy.append(lost);
    }
    if !any {
        return Ok(Converted { array: there, lossy: None });
    }
    let lossy = lossy.finish();
    let array = nullif(&there, &BooleanArray::new(lossy.clone(), None))?;
    Ok(Converted { array, lossy: Some(lossy) })
}

fn nothing_fits(values: &ArrayRef, to: &DataType) -> Converted {
    let lossy = match values.logical_nulls() {
        Some(nulls) => nulls.inner().clone(),
        None => BooleanBuffer::new_set(values.len()),
    };
    Converted { array: new_null_array(to, values.len()), lossy: (lossy.count_set_bits() > 0).then_some(lossy) }
}

/// Whether every value of one type is a value of the other, so that nothing needs to be compared.
fn same_values(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Decimal32, Decimal64, Decimal128, Dictionary, Duration, FixedSizeBinary, Float16, Float32,
        Float64, Int8, Int16, Int32, Int64, LargeBinary, LargeUtf8, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };
    match (from, to) {
        (Utf8View | LargeUtf8, Utf8) | (BinaryView | LargeBinary | FixedSizeBinary(_), Binary) => true,
        (Int8 | UInt8, Int16 | Int32 | Int64) | (Int16 | UInt16, Int32 | Int64) | (Int32 | UInt32, Int64) => true,
        (UInt64, Decimal128(p, 0)) => *p >= 20,
        (Duration(_), Int64) | (Float16, Float32) | (Float16 | Float32, Float64) => true,
        (Decimal32(p, s) | Decimal64(p, s) | Decimal128(p, s), Decimal128(to_p, to_s)) => s == to_s && to_p >= p,
        (Dictionary(_, value), to) => **value == *to || same_values(value, to),
        _ => false,
    }
}

/// The value at `row` as JSON: numbers with their digits, binary as hexadecimal text, other types without a form in JSON
/// as text, and points in time beyond the years of a calendar as the number they are stored as.
pub(super) fn write_json(values: &dyn Array, row: usize, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    if values.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match values.data_type() {
        DataType::List(_) => write_list(&values.as_list::<i32>().value(row), out),
        DataType::LargeList(_) => write_list(&values.as_list::<i64>().value(row), out),
        DataType::FixedSizeList(_, _) => write_list(&values.as_fixed_size_list().value(row), out),
        DataType::Struct(_) => {
            let values = values.as_struct();
            let members = values.column_names().into_iter().zip(values.columns());
            write_members(members.map(|(name, v)| (name, v, row)), out)
        }
        DataType::Map(_, _) => {
            let entries = values.as_map().value(row);
            if *entries.column(0).data_type() != DataType::Utf8 {
                return write_list(&entries, out);
            }
            let keys = entries.column(0).as_string::<i32>();
            write_members((0..entries.len()).map(|i| (keys.value(i), entries.column(1), i)), out)
        }
        _ => write_scalar(values, row, out),
    }
}

fn write_list(items: &dyn Array, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    out.push(b'[');
    for i in 0..items.len() {
        if i > 0 {
            out.push(b',');
        }
        write_json(items, i, out)?;
    }
    out.push(b']');
    Ok(())
}

fn write_members<'a>(
    members: impl Iterator<Item = (&'a str, &'a ArrayRef, usize)>,
    out: &mut Vec<u8>,
) -> Result<(), ArrowError> {
    out.push(b'{');
    for (i, (name, values, row)) in members.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&json_text::key(name));
        write_json(values, row, out)?;
    }
    out.push(b'}');
    Ok(())
}

fn write_scalar(values: &dyn Array, row: usize, out: &mut Vec<u8>) -> Result<(), ArrowError> {
    let t = values.data_type();
    let digits = match t {
        DataType::Float32 => values.as_primitive::<Float32Type>().value(row).is_finite(),
        DataType::Float64 => values.as_primitive::<Float64Type>().value(row).is_finite(),
        _ => t.is_numeric() || *t == DataType::Boolean,
    };
    let text = ArrayFormatter::try_new(values, &FormatOptions::default())?.value(row).try_to_string();
    match text {
        Ok(text) if digits => out.extend_from_slice(text.as_bytes()),
        Ok(text) => json_text::string(text.as_bytes(), out),
        Err(_) => {
            let number = cast_with_options(&values.slice(row, 1), &DataType::Int64, &CastOptions::default())?;
            out.extend_from_slice(number.as_primitive::<Int64Type>().value(0).to_string().as_bytes());
        }
    }
    Ok(())
}
