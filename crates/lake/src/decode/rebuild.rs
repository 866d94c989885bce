//! The record as received, from a row: "the columns overlaid by `_rescued`". The proof, in tests, that rows of NDJSON
//! objects lose nothing.

use super::{json_scan, ndjson::is_duplicates_key};
use arrow::array::{Array, AsArray, RecordBatch};
use serde_json::{Map, Value};

/// The JSON object that row `row` of a batch decoded from NDJSON was.
pub fn rebuild_json(batch: &RecordBatch, row: usize) -> Value {
    let mut object = Map::new();
    let schema = batch.schema();
    for (field, values) in schema.fields().iter().zip(batch.columns()) {
        if matches!(field.name().as_str(), "_rescued" | "_position") || values.is_null(row) {
            continue;
        }
        let text = values.as_string::<i32>().value(row);
        let value = if json_scan::reads_as_other_value(text.as_bytes()) {
            serde_json::from_str(text).expect("a JSON value")
        } else {
            Value::from(text)
        };
        object.insert(field.name().clone(), value);
    }
    let rescued = batch.column_by_name("_rescued").expect("every batch has it").as_string::<i32>();
    if rescued.is_valid(row) {
        let overlay: Map<String, Value> = serde_json::from_str(rescued.value(row)).expect("a JSON object");
        for (key, value) in overlay {
            if key == "_duplicates" {
                continue;
            }
            let moved = is_duplicates_key(key.as_bytes());
            object.insert(if moved { key[1..].to_owned() } else { key }, value);
        }
    }
    Value::Object(object)
}
