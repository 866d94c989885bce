//! From the quarantine back to the bronze batch.

use super::*;
use arrow::{
    array::{
        BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, LargeStringArray,
        ListArray, MapArray, StringViewArray, StructArray, TimestampMicrosecondArray, TimestampNanosecondArray,
        UInt64Array,
    },
    buffer::OffsetBuffer,
    datatypes::{DataType, Field, Schema},
};

/// A contract that no row satisfies.
fn nothing() -> Refinery {
    let c = contract(
        &[("never", ColumnType::Integer)],
        vec![rule("never", &["never"], Check::Required, Action::Quarantine)],
    );
    refinery(&silver(vec![]), &c)
}

fn quarantined(batch: &RecordBatch) -> RecordBatch {
    let (refined, _) = refine(&nothing(), batch);
    assert_eq!(refined.valid.num_rows(), 0);
    refined.quarantined.unwrap()
}

#[test]
fn every_type_makes_the_round_trip() {
    let list = ListArray::from_iter_primitive::<arrow::datatypes::Int64Type, _, _>([Some(vec![Some(1), None]), None]);
    let text: DictionaryArray<Int32Type> = vec![Some("a\u{0}\"\\"), None].into_iter().collect();
    let rescued = StringArray::from(vec![Some(r#"{"x": 1.10, "y":"\u00e9"}"#), Some("not json")]);
    let batch = typed_bronze(
        0,
        vec![
            ("text", Arc::new(StringArray::from(vec![Some(""), Some("日\n{}")])) as ArrayRef),
            ("large", Arc::new(LargeStringArray::from(vec![None, Some("NA")]))),
            ("view", Arc::new(StringViewArray::from(vec![Some("a text that is longer than a view"), None]))),
            ("dictionary", Arc::new(text)),
            ("small", Arc::new(Int32Array::from(vec![Some(i32::MIN), None]))),
            ("big", Arc::new(UInt64Array::from(vec![Some(u64::MAX), Some(1 << 60)]))),
            ("int", Arc::new(Int64Array::from(vec![Some(i64::MIN), Some((1 << 53) + 1)]))),
            ("float", Arc::new(Float64Array::from(vec![Some(0.1 + 0.2), Some(f64::NEG_INFINITY)]))),
            ("single", Arc::new(Float32Array::from(vec![Some(0.1), Some(f32::INFINITY)]))),
            ("flag", Arc::new(BooleanArray::from(vec![Some(true), None]))),
            ("bytes", Arc::new(BinaryArray::from(vec![Some(&b"\xff\x00"[..]), None]))),
            ("day", Arc::new(Date32Array::from(vec![Some(20_000), Some(-1)]))),
            ("at", Arc::new(TimestampNanosecondArray::from(vec![Some(1_751_371_200_000_000_001), None]))),
            ("zoned", Arc::new(TimestampNanosecondArray::from(vec![Some(1), None]).with_timezone("UTC"))),
            (
                "price",
                Arc::new(
                    Decimal128Array::from(vec![i128::from(i64::MAX) * 9_999, -1])
                        .with_precision_and_scale(38, 9)
                        .unwrap(),
                ),
            ),
            ("list", Arc::new(list)),
            ("_rescued", Arc::new(rescued)),
        ],
    );
    let rows = quarantined(&batch);
    assert_eq!(unquarantine(&rows, &batch.schema()).unwrap(), batch);
}

/// One of these would make the record no JSON, or one that the whole quarantine is not read with.
#[test]
fn what_json_has_no_words_for_makes_the_round_trip_wherever_it_is() {
    let days: ArrayRef =
        Arc::new(Date32Array::from(vec![Some(i32::MAX), Some(3_000_000), Some(-800_000), None, Some(0)]));
    let micros = vec![Some(i64::MAX), Some(300_000_000_000_000_000), Some(i64::MIN), Some(0), None];
    let zoned: ArrayRef = Arc::new(TimestampMicrosecondArray::from(micros.clone()).with_timezone("UTC"));
    let local: ArrayRef = Arc::new(TimestampMicrosecondArray::from(micros));
    let numbers: ArrayRef =
        Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(0.1 + 0.2), Some(f64::INFINITY), Some(-0.0), None]));
    let single: ArrayRef =
        Arc::new(Float32Array::from(vec![Some(0.1), None, Some(f32::NEG_INFINITY), Some(7.0), None]));
    let named = [("day", &days), ("zoned", &zoned), ("local", &local), ("number", &numbers), ("single", &single)];
    let all = |named: &[(&str, &ArrayRef)]| {
        let fields = named.iter().map(|(n, c)| (Arc::new(Field::new(*n, c.data_type().clone(), true)), Arc::clone(c)));
        StructArray::from(fields.collect::<Vec<_>>())
    };
    let object: ArrayRef = Arc::new(all(&named));
    let item = Arc::new(Field::new("element", object.data_type().clone(), true));
    let list: ArrayRef =
        Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([2, 0, 3, 0, 0]), Arc::clone(&object), None));
    // Nor have objects other keys than texts.
    let keys: ArrayRef = Arc::new(Int32Array::from(vec![1, -2, 3, i32::MAX, i32::MIN]));
    let entry = |n, c: &ArrayRef, nullable| (Arc::new(Field::new(n, c.data_type().clone(), nullable)), Arc::clone(c));
    let entries = StructArray::from(vec![entry("key", &keys, false), entry("value", &zoned, true)]);
    let entry = Arc::new(Field::new("key_value", entries.data_type().clone(), false));
    let map: ArrayRef =
        Arc::new(MapArray::new(entry, OffsetBuffer::from_lengths([1, 1, 1, 1, 1]), entries, None, false));
    let columns = named.iter().map(|(n, c)| (*n, Arc::clone(c)));
    let nested = [("object", object), ("list", list), ("map", map)];
    let batch = typed_bronze(0, columns.chain(nested).collect());
    let back = unquarantine(&quarantined(&batch), &batch.schema()).unwrap();
    for (field, (column, back)) in batch.schema().fields().iter().zip(batch.columns().iter().zip(back.columns())) {
        // NaN is told from all else, and the ends of the calendar are not shown.
        let (a, b) = (column.to_data(), back.to_data());
        assert!(format!("{a:?}") == format!("{b:?}") || a == b, "{}: {a:?}\n{b:?}", field.name());
    }
}

#[test]
fn nan_survives() {
    let values: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, 1.0]));
    let batch = typed_bronze(0, vec![("f", values)]);
    let back = unquarantine(&quarantined(&batch), &batch.schema()).unwrap();
    let back = back["f"].as_primitive::<arrow::datatypes::Float64Type>();
    assert!(back.value(0).is_nan() && back.value(1) == 1.0);
}

#[test]
fn the_record_is_what_was_received() {
    let rescued: ArrayRef = Arc::new(StringArray::from(vec![Some(r#"{"extra":[1]}"#)]));
    let a: ArrayRef = Arc::new(StringArray::from(vec![Some(" 1\t")]));
    let b: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>]));
    let rows = quarantined(&typed_bronze(3, vec![("a", a), ("b", b), ("_rescued", rescued)]));
    let text = |c: &str| rows[c].as_string::<i32>().value(0).to_owned();
    assert_eq!(text("record"), r#"{"a":" 1\t","_rescued":{"extra":[1]}}"#);
    assert_eq!(
        ["record_encoding", "_event_id", "_object", "_run_id", "_step_key", "_definition_version"].map(text),
        ["json", "event-1", "landing/a.csv", "run-1", "step-1", "version-1"]
    );
}

#[test]
fn a_field_that_bronze_no_longer_has_is_rescued() {
    let old = bronze(&[("a", vec![Some("1"), Some("2")]), ("gone", vec![Some("x"), None])]);
    let fields = ["a", "new", "_event_id", "_rescued"].map(|n| Field::new(n, DataType::Utf8, true));
    let now = unquarantine(&quarantined(&old), &Arc::new(Schema::new(fields.to_vec()))).unwrap();
    let text = |c: &str| now[c].as_string::<i32>().iter().map(|v| v.map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!(text("a"), [Some("1".into()), Some("2".into())]);
    assert_eq!(text("new"), [None, None]);
    assert_eq!(text("_rescued"), [Some(r#"{"gone":"x"}"#.into()), None]);
}

#[test]
fn what_was_put_aside_comes_to_its_column_and_loses_nothing() {
    let rescued = r#"{"B":1,"n":"7","word":"true","void":null,"typed":"x","more":2}"#;
    let rescued: ArrayRef = Arc::new(StringArray::from(vec![Some(rescued), None]));
    let a: ArrayRef = Arc::new(StringArray::from(vec![Some("1"), Some("2")]));
    let rows = quarantined(&typed_bronze(0, vec![("a", a), ("_rescued", rescued)]));
    let mut fields: Vec<Field> =
        ["a", "b", "n", "word", "void", "_event_id", "_rescued"].map(|n| Field::new(n, DataType::Utf8, true)).to_vec();
    fields.push(Field::new("typed", DataType::Int64, true));
    let schema = Arc::new(Schema::new(fields));
    let of = |any_case: bool, json: bool| {
        let moved = with_columns(&rows, &schema, any_case, json).unwrap();
        let now = unquarantine(&moved, &schema).unwrap();
        let text = |c: &str| now[c].as_string::<i32>().iter().next().flatten().unwrap_or("∅").to_owned();
        ["b", "n", "word", "void", "_rescued"].map(text)
    };
    // What is no whole number stays where it is, as does what a text column would blur.
    let left = r#"{"n":"7","word":"true","void":null,"typed":"x","more":2}"#;
    assert_eq!(of(true, true), ["1", "7", "true", "∅", left]);
    assert_eq!(of(false, false), ["∅", "7", "true", "∅", r#"{"B":1,"typed":"x","more":2}"#]);
}

#[test]
fn a_damaged_quarantine_is_an_error_not_a_panic() {
    let rows = quarantined(&bronze(&[("a", vec![Some("1")])]));
    let with = |name: &str, value: &str| {
        let mut columns = rows.columns().to_vec();
        columns[rows.schema().index_of(name).unwrap()] = Arc::new(StringArray::from(vec![value]));
        RecordBatch::try_new(rows.schema(), columns).unwrap()
    };
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
    for bad in ["", "[]", "{\"a\":", "{} {}", "null"] {
        let read = unquarantine(&with("record", bad), &schema);
        assert!(matches!(read, Err(RefineError::Record { row: 0, .. })), "{bad}: {read:?}");
    }
    assert!(matches!(unquarantine(&with("record", r#"{"a":"x"}"#), &schema), Err(RefineError::Arrow { .. })));
    let read = unquarantine(&with("record_encoding", "cbor"), &schema);
    assert!(matches!(read, Err(RefineError::RecordEncoding { encoding, .. }) if encoding == "cbor"));
}
