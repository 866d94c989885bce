//! Parquet.

use super::*;
use ::parquet::{arrow::ArrowWriter, basic::Compression, file::properties::WriterProperties};
use arrow::{
    array::{
        ArrayRef, BinaryArray, BinaryBuilder, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
        DurationMillisecondArray, FixedSizeListArray, Float64Array, Int32Array, Int64Array, LargeStringArray,
        ListArray, MapBuilder, StringArray, StringBuilder, StructArray, Time64MicrosecondArray,
        TimestampMillisecondArray, TimestampNanosecondArray, UInt16Array, UInt64Array,
    },
    datatypes::{Int32Type, TimeUnit},
};

fn write(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_dictionary_page_size_limit(8 * 1024 * 1024)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    Arc::new(Schema::new(fields.iter().map(|(n, t)| Field::new(*n, t.clone(), true)).collect::<Vec<_>>()))
}

fn own(bytes: &[u8]) -> All {
    decode_own(bytes, &options(Format::Parquet)).unwrap()
}

fn many_types() -> Vec<u8> {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    let inner: ArrayRef = Arc::new(UInt16Array::from(vec![Some(7), None]));
    let record = StructArray::from(vec![(Arc::new(Field::new("u", DataType::UInt16, true)), inner)]);
    write(vec![
        ("u64", Arc::new(UInt64Array::from(vec![u64::MAX, 1])) as ArrayRef),
        ("u16", Arc::new(UInt16Array::from(vec![Some(u16::MAX), None]))),
        ("dict", Arc::new(DictionaryArray::<Int32Type>::from_iter([Some("x"), None]))),
        ("large", Arc::new(LargeStringArray::from(vec!["l", "m"]))),
        ("bin", Arc::new(BinaryArray::from_vec(vec![b"\xFF", b""]))),
        ("ns", Arc::new(TimestampNanosecondArray::from(vec![1_000, 1_001]).with_timezone("+02:00"))),
        ("ms", Arc::new(TimestampMillisecondArray::from(vec![5, i64::MAX]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![3_600_000_000, 1]))),
        ("dur", Arc::new(DurationMillisecondArray::from(vec![5, -5]))),
        ("dec", Arc::new(Decimal128Array::from(vec![1_25, -1]).with_precision_and_scale(12, 2).unwrap())),
        ("bool", Arc::new(BooleanArray::from(vec![true, false]))),
        ("day", Arc::new(Date32Array::from(vec![0, 20_000]))),
        ("list", Arc::new(list)),
        ("rec", Arc::new(record)),
        ("", Arc::new(Int32Array::from(vec![1, 2]))),
    ])
}

#[test]
fn types_become_those_of_delta_and_values_stay() {
    let bytes = many_types();
    let fields = discover(file(&bytes), &options(Format::Parquet)).unwrap();
    let types: Vec<(String, DataType)> = fields.iter().map(|f| (f.name().clone(), f.data_type().clone())).collect();
    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    let of = |name: &str| types.iter().find(|(n, _)| n == name).unwrap().1.clone();
    assert_eq!(of("u64"), DataType::Decimal128(20, 0));
    assert_eq!((of("u16"), of("dict"), of("large")), (DataType::Int32, DataType::Utf8, DataType::Utf8));
    assert_eq!((of("bin"), of("ns"), of("ms")), (DataType::Binary, micros(Some("UTC")), micros(None)));
    assert_eq!((of("time"), of("dur"), of("column_15")), (DataType::Utf8, DataType::Int64, DataType::Int32));
    let all = own(&bytes);
    assert_eq!(all.column("dict"), ["x", "∅"]);
    assert_eq!(all.column("time"), ["01:00:00", "00:00:00.000001"]);
    assert_eq!(all.positions(), [0, 1]);
    let rescued: serde_json::Value = serde_json::from_str(all.column("_rescued")[1]).unwrap();
    assert_eq!(all.column("_rescued")[0], "∅");
    assert_eq!(rescued["ns"], "1970-01-01T02:00:00.000001001+02:00");
    assert_eq!(rescued.as_object().unwrap().len(), 2, "{rescued}");
    assert_eq!(rescued["ms"], i64::MAX);
    assert_eq!(all.drift.rescued["ns"].retyped, 1);
    let decimal = all.batch.column_by_name("u64").unwrap().as_primitive::<arrow::datatypes::Decimal128Type>();
    assert_eq!(decimal.value(0), i128::from(u64::MAX));
}

#[test]
fn other_types_are_cast_only_where_nothing_is_lost() {
    let bytes = write(vec![
        ("f", Arc::new(Float64Array::from(vec![Some(2.0), Some(2.5), Some(f64::NAN), None])) as ArrayRef),
        ("i", Arc::new(Int64Array::from(vec![1, (1 << 53) + 1, 3, 4]))),
        ("s", Arc::new(StringArray::from(vec!["12", "012", "x", "-7"]))),
        ("l", Arc::new(Int64Array::from(vec![1, 2, 3, i64::MAX]))),
        ("gone", Arc::new(StringArray::from(vec![Some("a\"b"), None, None, None]))),
    ]);
    let columns = schema(&[
        ("f", DataType::Int64),
        ("i", DataType::Float64),
        ("s", DataType::Int32),
        ("l", DataType::Utf8),
        ("absent", DataType::Date32),
    ]);
    let all = decode(&bytes, &options(Format::Parquet), &columns).unwrap();
    assert_eq!(
        all.column("_rescued"),
        [r#"{"gone":"a\"b"}"#, r#"{"f":2.5,"i":9007199254740993,"s":"012"}"#, r#"{"f":"NaN","s":"x"}"#, "∅",]
    );
    assert_eq!(all.column("l"), ["1", "2", "3", "9223372036854775807"]);
    assert_eq!(all.drift.missing, ["absent"]);
    assert_eq!((all.drift.new_fields["gone"], all.drift.rescued["f"].retyped), (1, 2));
    assert_eq!(all.batch.column_by_name("absent").unwrap().null_count(), 4);
}

#[test]
fn nested_values_that_do_not_fit_are_json() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), Some(vec![]), None]);
    let bytes = write(vec![("l", Arc::new(list) as ArrayRef)]);
    let all = decode(&bytes, &options(Format::Parquet), &text(&["other"])).unwrap();
    assert_eq!(all.column("_rescued"), [r#"{"l":[1,null]}"#, r#"{"l":[]}"#, "∅"]);
    let number: ArrayRef = Arc::new(Float64Array::from(vec![1.5, f64::INFINITY]));
    let list: ArrayRef =
        Arc::new(FixedSizeListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), Some(2)]), None], 2));
    let record = StructArray::from(vec![
        (Arc::new(Field::new("n", DataType::Float64, true)), number),
        (Arc::new(Field::new("l", list.data_type().clone(), true)), list),
    ]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), BinaryBuilder::new());
    map.keys().append_value("k\"");
    map.values().append_value(b"\xFF");
    map.append(true).unwrap();
    map.append(false).unwrap();
    let bytes = write(vec![("r", Arc::new(record) as ArrayRef), ("m", Arc::new(map.finish()))]);
    let all = decode(&bytes, &options(Format::Parquet), &text(&["other"])).unwrap();
    assert_eq!(
        all.column("_rescued"),
        [r#"{"r":{"n":1.5,"l":[1,2]},"m":{"k\"":"ff"}}"#, r#"{"r":{"n":"inf","l":null}}"#,]
    );
    assert_eq!(own(&bytes).column("_rescued"), ["∅", "∅"]);
}

#[test]
fn batches_are_cut_by_rows_and_by_bytes() {
    let bytes = write(vec![("n", Arc::new(Int64Array::from_iter_values(0..2_500)) as ArrayRef)]);
    let all = own(&bytes);
    assert_eq!((all.batches, all.batch.num_rows()), (3, 2_500));
    // One long value for many rows: small in the file, large in memory.
    let value = "z".repeat(1024 * 1024);
    let bytes = write(vec![("s", Arc::new(StringArray::from(vec![value.as_str(); 100])) as ArrayRef)]);
    assert!(bytes.len() < 4 * 1024 * 1024);
    let all = own(&bytes);
    assert_eq!((all.batches, all.batch.num_rows()), (7, 100));
    assert_each_once(&all);
}

#[test]
fn a_file_without_rows_or_bytes_has_no_records() {
    let bytes = write(vec![("n", Arc::new(Int64Array::from(Vec::<i64>::new())) as ArrayRef)]);
    assert_eq!(own(&bytes).batches, 0);
    assert_eq!(own(b"").batches, 0);
}

#[test]
fn every_cut_is_an_error() {
    let bytes = many_types();
    for end in 1..bytes.len() {
        let cut = &bytes[..end];
        let error = decode_own(cut, &options(Format::Parquet)).err().expect("a cut file is refused");
        let truncated = matches!(error, DecodeError::Truncated { .. });
        assert!(truncated || matches!(error, DecodeError::Corrupt { .. }), "{end}: {error:?}");
    }
    let foreign = decode(b"a,b\n1,2\n1,2\n", &options(Format::Parquet), &text(&["a"]));
    assert!(matches!(foreign, Err(DecodeError::WrongFormat { .. })));
}

#[test]
fn damaged_bytes_never_panic() {
    let bytes = many_types();
    for at in 0..bytes.len() {
        for flip in [0x01, 0x80, 0xFF] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            if let Ok(all) = decode_own(&damaged, &options(Format::Parquet)) {
                assert_each_once(&all);
            }
        }
    }
}
