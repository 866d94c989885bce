//! The columns that a step works on: those of the batch, filled up with what bronze put aside in `_rescued`.

use super::{RefineError, frame::Frame, text::to_text, types::RESCUED};
use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use serde_json::value::RawValue;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Takes the columns `wanted`. One that is absent or null in the batch and present in a row's `_rescued` has its value
/// from there, as text.
pub(super) fn frame_of(bronze: &RecordBatch, wanted: &BTreeSet<String>) -> Result<Frame, RefineError> {
    let mut frame = Frame::new(bronze, |name| wanted.contains(name));
    let Some(rescued) = bronze.column_by_name(RESCUED).filter(|c| c.logical_null_count() < c.len()) else {
        return Ok(frame);
    };
    let rescued = to_text(rescued)?;
    let mut found: BTreeMap<&str, Vec<(usize, String)>> = BTreeMap::new();
    for row in (0..rescued.len()).filter(|r| rescued.is_valid(*r)) {
        // What is no JSON object holds no fields.
        let fields: BTreeMap<String, &RawValue> = serde_json::from_str(rescued.value(row)).unwrap_or_default();
        for (name, value) in fields {
            if let (Some(name), Some(text)) = (wanted.get(&name), text_of(value)) {
                found.entry(name).or_default().push((row, text));
            }
        }
    }
    for (name, values) in found {
        if let Some(column) = filled(frame.get(name), values, bronze.num_rows())? {
            frame.set(name, column);
        }
    }
    Ok(frame)
}

/// A JSON value as a text format would have it; `None` for null.
pub(super) fn text_of(value: &RawValue) -> Option<String> {
    match value.get() {
        "null" => None,
        text if text.starts_with('"') => serde_json::from_str(text).ok(),
        text => Some(text.to_owned()),
    }
}

/// `None` if every row has a value already.
fn filled(
    column: Option<&ArrayRef>,
    values: Vec<(usize, String)>,
    rows: usize,
) -> Result<Option<ArrayRef>, RefineError> {
    let present = column.map(to_text).transpose()?;
    let mut merged: Vec<Option<&str>> = match &present {
        Some(text) => text.iter().collect(),
        None => vec![None; rows],
    };
    let mut changed = false;
    // A value that is there but is no text (bytes that are no UTF-8) is not missing.
    let missing = |row: usize| column.is_none_or(|c| c.is_null(row));
    for (row, value) in values.iter().filter(|(row, _)| missing(*row)) {
        merged[*row] = Some(value);
        changed = true;
    }
    Ok(changed.then(|| Arc::new(StringArray::from(merged)) as ArrayRef))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Int64Array};

    #[test]
    fn rescued_fields_fill_what_is_missing() {
        let a: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, None]));
        let rescued: ArrayRef = Arc::new(StringArray::from(vec![
            Some(r#"{"a": 9, "b": "x\n"}"#),
            Some(r#"{"a": 2, "c": 1}"#),
            Some("[1]"),
        ]));
        let batch = RecordBatch::try_from_iter_with_nullable([("a", a, true), (RESCUED, rescued, true)]).unwrap();
        let wanted = ["a", "b"].map(str::to_owned).into();
        let frame = frame_of(&batch, &wanted).unwrap();
        let text = |name: &str| frame.get(name).unwrap().as_string::<i32>().iter().collect::<Vec<_>>();
        assert_eq!(text("a"), [Some("1"), Some("2"), None]);
        assert_eq!(text("b"), [Some("x\n"), None, None]);
        assert!(frame.get("c").is_none());
    }
}
