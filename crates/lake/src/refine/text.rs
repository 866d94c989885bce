//! Any Arrow column as text, and small helpers over text columns.

use super::{RefineError, cast::nameable};
use arrow::{
    array::{Array, ArrayRef, AsArray, StringArray, StringBuilder},
    compute::{CastOptions, cast, cast_with_options},
    datatypes::{DataType, Field, FieldRef},
    json::writer::{EncoderOptions, make_encoder},
    util::display::{ArrayFormatter, FormatOptions},
};
use std::sync::Arc;

/// The most characters of a value that a reason repeats; the record has it whole.
const REASON_CHARS: usize = 1024;

/// Whether the column holds text in some encoding of Arrow's.
pub(super) fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

/// As text, null where `array` is null, where its bytes are no UTF-8, and where a day or a time has none.
pub(crate) fn to_text(array: &ArrayRef) -> Result<StringArray, RefineError> {
    match array.data_type() {
        DataType::Utf8 => Ok(array.as_string::<i32>().clone()),
        kind if kind.is_nested() && !matches!(kind, DataType::Dictionary(..)) => json_text(array),
        _ => {
            let safe = CastOptions { safe: true, format_options: FormatOptions::default() };
            let cast = cast_with_options(&nameable(array), &DataType::Utf8, &safe)
                .map_err(RefineError::arrow("reading as text"))?;
            Ok(cast.as_string::<i32>().clone())
        }
    }
}

/// The type as which JSON can be made of values, and read back: keys of maps are texts there. `odd`: also days and times that have no text,
/// as the numbers that they are stored as, and numbers that are none, as texts.
pub(super) fn written_as(kind: &DataType, odd: bool) -> DataType {
    let inner = |f: &FieldRef, kind| Arc::new(f.as_ref().clone().with_data_type(kind));
    let same = |f: &FieldRef| inner(f, written_as(f.data_type(), odd));
    match kind {
        DataType::Float16 | DataType::Float32 | DataType::Float64 if odd => DataType::Utf8,
        DataType::Date32 if odd => DataType::Int32,
        DataType::Timestamp(..) if odd => DataType::Int64,
        DataType::List(item) => DataType::List(same(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(same).collect()),
        DataType::Map(entries, sorted) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                let key = fields[0].data_type();
                let key = if key.is_numeric() || key.is_temporal() { DataType::Utf8 } else { key.clone() };
                let pair = [inner(&fields[0], key), same(&fields[1])];
                DataType::Map(inner(entries, DataType::Struct(pair.into_iter().collect())), *sorted)
            }
            _ => kind.clone(),
        },
        other => other.clone(),
    }
}

/// Nested values as JSON text.
fn json_text(array: &ArrayRef) -> Result<StringArray, RefineError> {
    let array = &cast(array, &written_as(array.data_type(), false)).map_err(RefineError::arrow("writing JSON"))?;
    let field = Arc::new(Field::new("value", array.data_type().clone(), true));
    let options = EncoderOptions::default();
    let mut encoder = make_encoder(&field, array, &options).map_err(RefineError::arrow("writing JSON"))?;
    let mut out = StringBuilder::new();
    let mut buffer = Vec::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            out.append_null();
            continue;
        }
        buffer.clear();
        encoder.encode(row, &mut buffer);
        out.append_value(std::str::from_utf8(&buffer).expect("the JSON encoder writes UTF-8"));
    }
    Ok(out.finish())
}

/// One value for a reason: shortened, `None` for null.
pub(super) fn shown(array: &ArrayRef, row: usize) -> Option<String> {
    if array.is_null(row) {
        return None;
    }
    let options = FormatOptions::default();
    let text = match array.data_type() {
        DataType::Utf8 => return Some(shorten(array.as_string::<i32>().value(row))),
        _ => ArrayFormatter::try_new(array, &options).ok()?.value(row).try_to_string().ok()?,
    };
    Some(shorten(&text))
}

pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(REASON_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The bytes that the values of `array` take, without what a slice left out.
pub(super) fn value_bytes(array: &StringArray) -> &[u8] {
    let offsets = array.value_offsets();
    let (first, last) = (offsets[0], offsets[array.len()]);
    &array.value_data()[first as usize..last as usize]
}
