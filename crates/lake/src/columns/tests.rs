//! What is written is read back by the library's reader, as a whole and by rows picked through the index of pages.

use super::FileWriter;
use arrow::{
    array::{
        Array, ArrayRef, BinaryArray, DictionaryArray, Int32Array, Int64Array, ListArray, RecordBatch, StringArray,
    },
    compute::{cast, concat, filter},
    datatypes::{DataType, Field, Int32Type, Schema, SchemaRef},
};
use bytes::Bytes;
use parquet::{
    arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector},
    basic::{Compression, Encoding, ZstdLevel},
    file::{
        metadata::{PageIndexPolicy, ParquetMetaData},
        properties::{EnabledStatistics, WriterProperties},
    },
    schema::types::ColumnPath,
};
use proptest::prelude::*;
use std::sync::Arc;

#[derive(Debug, Clone, Copy)]
struct Form {
    compression: Compression,
    encoding: Encoding,
    dictionary: bool,
    row_group: usize,
}

fn zstd() -> Compression {
    Compression::ZSTD(ZstdLevel::try_new(1).expect("a level"))
}

fn plain(form: Form) -> Form {
    Form { dictionary: false, ..form }
}

const DICTIONARY: Form = Form {
    compression: Compression::SNAPPY,
    encoding: Encoding::DELTA_LENGTH_BYTE_ARRAY,
    dictionary: true,
    row_group: 100_000,
};

fn write(form: Form, schema: &SchemaRef, batches: &[RecordBatch]) -> (Bytes, ParquetMetaData) {
    let properties = WriterProperties::builder()
        .set_compression(form.compression)
        .set_dictionary_enabled(form.dictionary)
        .set_column_encoding(ColumnPath::from("c"), form.encoding)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(form.row_group))
        .build();
    let mut writer = FileWriter::new(Vec::new(), schema.clone(), properties).expect("a writer");
    batches.iter().for_each(|b| writer.write(b).expect("written"));
    let metadata = writer.finish().expect("finished");
    (writer.inner().clone().into(), metadata)
}

fn one(values: &ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("c", values.clone(), true)]).expect("a column")
}

fn read(file: &Bytes, selection: Option<RowSelection>) -> ArrayRef {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
    let mut reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file.clone(), options).expect("a footer");
    let kind = reader.schema().field(0).data_type().clone();
    if let Some(selection) = selection {
        reader = reader.with_row_selection(selection);
    }
    let batches: Vec<RecordBatch> = reader.build().expect("a reader").map(|b| b.expect("a batch")).collect();
    let columns: Vec<&dyn Array> = batches.iter().map(|b| b.column(0).as_ref()).collect();
    if columns.is_empty() { arrow::array::new_empty_array(&kind) } else { concat(&columns).expect("one column") }
}

/// Writes batches of one column, and reads them back in both ways.
fn round(form: Form, kind: &DataType, parts: &[ArrayRef]) -> ParquetMetaData {
    let schema = Arc::new(Schema::new(vec![Field::new("c", kind.clone(), true)]));
    let (file, metadata) = write(form, &schema, &parts.iter().map(one).collect::<Vec<_>>());
    let expected: Vec<ArrayRef> = parts.iter().map(|p| cast(p, kind).expect("its own type")).collect();
    let expected = concat(&expected.iter().map(AsRef::as_ref).collect::<Vec<_>>()).expect("one column");
    assert!(*read(&file, None) == *expected, "{form:?}");
    let picked = |row: usize| row % 7 == 3 || row % 30_000 > 29_000;
    let mask = (0..expected.len()).map(|row| Some(picked(row))).collect();
    let selectors = (0..expected.len()).map(|row| RowSelector { row_count: 1, skip: !picked(row) });
    let some = read(&file, Some(selectors.collect::<Vec<_>>().into()));
    assert!(*some == *filter(&expected, &mask).expect("picked"), "{form:?}");
    metadata
}

fn texts(rows: usize, of: impl Fn(usize) -> Option<String>) -> ArrayRef {
    Arc::new((0..rows).map(of).collect::<StringArray>())
}

/// Whether pages of this encoding are in the only row group.
fn has(metadata: &ParquetMetaData, encoding: Encoding) -> bool {
    metadata.row_group(0).column(0).encodings().any(|e| e == encoding)
}

#[test]
fn what_is_no_text_is_refused_and_not_made_null() {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("c", DataType::Utf8, true)]));
    let properties = WriterProperties::builder().set_dictionary_enabled(true).build();
    let bytes: ArrayRef =
        Arc::new(BinaryArray::from(vec![Some(b"text".as_slice()), None, Some(b"\xff\xfe".as_slice())]));
    let keys = Int32Array::from(vec![0, 2, 1]);
    let known: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(keys, bytes.clone()));
    let texts: ArrayRef = Arc::new(BinaryArray::from(vec![Some(b"text".as_slice()), None]));
    for (values, is_text) in [(&texts, true), (&bytes, false), (&known, false)] {
        let mut writer = FileWriter::new(Vec::new(), schema.clone(), properties.clone()).expect("a writer");
        assert_eq!(writer.write(&one(values)).is_ok(), is_text, "{}", values.data_type());
    }
}

#[test]
fn pages_end_by_rows_and_by_bytes() {
    let some_null = |i: usize| (!(i / 50).is_multiple_of(3)).then(|| format!("2026-11-27T{:07}", i * 37 % 86_400));
    for encoding in [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
        for compression in [zstd(), Compression::SNAPPY, Compression::UNCOMPRESSED] {
            let form = Form { encoding, compression, ..plain(DICTIONARY) };
            let metadata = round(form, &DataType::Utf8, &[texts(50_000, some_null), texts(3, |_| None)]);
            let pages = |m: &ParquetMetaData| m.offset_index().expect("indexes")[0][0].page_locations().len();
            assert_eq!(pages(&metadata), 3);
            // Five of half a MiB, and one that is longer than a page.
            let long =
                |i: usize| Some(char::from(b'a' + i as u8).to_string().repeat(if i == 3 { 2 << 20 } else { 1 << 19 }));
            let metadata = round(form, &DataType::Utf8, &[texts(6, long), texts(6, long)]);
            assert!(pages(&metadata) > 4, "{}", pages(&metadata));
        }
    }
}

#[test]
fn a_dictionary_is_given_up_when_it_is_full() {
    // 30,000 of 40 bytes are more than a MiB.
    let wide = |i: usize| Some(format!("{i:040}"));
    for compression in [zstd(), Compression::SNAPPY, Compression::UNCOMPRESSED] {
        let form = Form { compression, ..DICTIONARY };
        let metadata = round(form, &DataType::Utf8, &[texts(60_000, wide), texts(20_000, |i| wide(i % 3))]);
        assert!(has(&metadata, Encoding::RLE_DICTIONARY) && has(&metadata, Encoding::DELTA_LENGTH_BYTE_ARRAY));
        let bounds = metadata.row_group(0).column(0).statistics().expect("statistics");
        assert_eq!(bounds.min_bytes_opt(), wide(0).as_deref().map(str::as_bytes));
        assert_eq!(bounds.max_bytes_opt(), wide(59_999).as_deref().map(str::as_bytes));
        // The rows that come after it fall back from a dictionary of the batch, too.
        let keys = Int32Array::from_iter((0..45_000).map(|i| (i % 11 > 0).then_some(i % 30_000)));
        let known: ArrayRef = Arc::new(DictionaryArray::new(keys, texts(30_000, wide)));
        round(form, &DataType::Utf8, &[known.clone(), known.slice(7, 30_000)]);
    }
}

#[test]
fn one_value_for_all_rows_takes_no_room() {
    let constant: ArrayRef =
        Arc::new(DictionaryArray::new(Int32Array::from_value(0, 90_000), texts(1, |_| Some("a run".into()))));
    let other: ArrayRef =
        Arc::new(DictionaryArray::new(Int32Array::from_value(0, 9_000), texts(1, |_| Some("another".into()))));
    let metadata = round(DICTIONARY, &DataType::Utf8, &[constant.clone(), other, constant.slice(0, 1)]);
    assert!(metadata.row_group(0).column(0).uncompressed_size() < 400);
    round(DICTIONARY, &DataType::Utf8, &[texts(70_000, |_| None)]);
    round(plain(DICTIONARY), &DataType::Utf8, &[constant, texts(70_000, |_| None)]);
}

#[test]
fn texts_come_in_other_forms() {
    let some = texts(300, |i| (i % 7 > 0).then(|| format!("text {}", i % 40)));
    let keys = Int32Array::from_iter((0..300).map(|i| (i % 5 > 0).then_some(i % 3)));
    // A null by its key, or by what the key names.
    let nulls: ArrayRef = Arc::new(DictionaryArray::new(keys, texts(3, |i| (i > 0).then(|| i.to_string()))));
    let known = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    for form in [DICTIONARY, plain(DICTIONARY)] {
        let mut parts = vec![some.slice(9, 200), nulls.clone(), nulls.slice(7, 90)];
        for kind in [&DataType::LargeUtf8, &DataType::Utf8View, &known] {
            parts.push(cast(&some, kind).expect("as text").slice(3, 290));
        }
        round(form, &DataType::Utf8, &parts);
    }
}

#[test]
fn other_columns_are_the_librarys_beside_it() {
    let list = |row: usize| Some((0..row % 3).map(|i| Some(i as i32)).collect::<Vec<_>>());
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int64Array::from_iter_values(0..5_000))),
        ("c", texts(5_000, |i| (i % 5 > 0).then(|| i.to_string()))),
        ("l", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>((0..5_000).map(list)))),
        ("b", Arc::new(BinaryArray::from_iter_values((0..5_000).map(|i: u32| i.to_le_bytes())))),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).expect("columns");
    let form = Form { row_group: 1_999, compression: zstd(), ..plain(DICTIONARY) };
    let (file, metadata) = write(form, &batch.schema(), &[batch.slice(0, 2_500), batch.slice(2_500, 2_500)]);
    assert_eq!(metadata.num_row_groups(), 3);
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a footer").with_batch_size(5_000);
    let back = reader.build().expect("a reader").next().expect("rows").expect("a batch");
    assert_eq!(back.num_rows(), 5_000);
    for (a, b) in back.columns().iter().zip(batch.columns()) {
        assert!(*cast(a, b.data_type()).expect("its own type") == **b);
    }
    // A text that may not be null has no levels.
    let schema = Arc::new(Schema::new(vec![Field::new("c", DataType::Utf8, false)]));
    let values = texts(100, |i| Some(i.to_string()));
    let batch = RecordBatch::try_new(schema.clone(), vec![values.clone()]).expect("a column");
    for form in [DICTIONARY, plain(DICTIONARY)] {
        assert!(*read(&write(form, &schema, std::slice::from_ref(&batch)).0, None) == *values);
    }
    // Nor could a reader tell which rows have none.
    let mut writer = FileWriter::new(Vec::new(), schema, WriterProperties::default()).expect("a writer");
    let written = writer.write(&one(&texts(3, |i| (i > 0).then(|| i.to_string()))));
    assert!(written.and_then(|()| writer.finish()).is_err());
}

fn value() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        1 => Just(None),
        4 => "[ab]{0,3}".prop_map(Some),
        2 => "\\PC{0,40}".prop_map(Some),
        1 => "x{60,80}".prop_map(Some),
    ]
}

/// A batch in one of the forms in which values come.
fn batch() -> impl Strategy<Value = (Vec<Option<String>>, bool)> {
    (prop::collection::vec(value(), 0..40), any::<bool>())
        .prop_flat_map(|(values, runs)| (1..(if runs { 50_usize } else { 2 }), Just(values)))
        .prop_map(|(times, values)| values.into_iter().flat_map(|v| std::iter::repeat_n(v, times)).collect())
        .prop_flat_map(|values: Vec<Option<String>>| (Just(values), any::<bool>()))
}

fn form() -> impl Strategy<Value = Form> {
    let compression = prop_oneof![Just(zstd()), Just(Compression::SNAPPY), Just(Compression::UNCOMPRESSED)];
    let encoding = prop_oneof![Just(Encoding::DELTA_LENGTH_BYTE_ARRAY), Just(Encoding::DELTA_BYTE_ARRAY)];
    (compression, encoding, any::<bool>(), 1..300_usize).prop_map(|(compression, encoding, dictionary, row_group)| {
        Form { compression, encoding, dictionary, row_group }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn what_is_written_is_read_back(form in form(), batches in prop::collection::vec(batch(), 1..4), binary in any::<bool>()) {
        let kind = if binary { DataType::Binary } else { DataType::Utf8 };
        let known = DataType::Dictionary(Box::new(DataType::Int32), Box::new(kind.clone()));
        let parts: Vec<ArrayRef> = batches
            .iter()
            .map(|(values, as_known)| {
                let texts: ArrayRef = Arc::new(StringArray::from(values.clone()));
                let own = cast(&texts, &kind).expect("text as bytes");
                if *as_known { cast(&own, &known).expect("a dictionary") } else { own }
            })
            .collect();
        let metadata = round(form, &kind, &parts);
        let values: Vec<&Option<String>> = batches.iter().flat_map(|(values, _)| values).collect();
        let mut row = 0;
        for group in metadata.row_groups() {
            let here = &values[row..row + group.num_rows() as usize];
            row += here.len();
            let told = group.column(0).statistics().expect("statistics");
            prop_assert_eq!(told.null_count_opt(), Some(here.iter().filter(|v| v.is_none()).count() as u64));
            let here = || here.iter().filter_map(|v| v.as_deref().map(str::as_bytes));
            prop_assert_eq!(told.min_bytes_opt().is_some(), here().next().is_some());
            if let (Some(least), Some(most)) = (told.min_bytes_opt(), told.max_bytes_opt()) {
                prop_assert!(here().all(|v| least <= v && v <= most));
                let exact = here().all(|v| v.len() <= 64);
                prop_assert!(!exact || (here().min() == Some(least) && here().max() == Some(most)));
            }
        }
    }
}

#[test]
fn bytes_that_values_begin_with() {
    for (a, b, same) in [("", "", 0), ("abc", "abd", 2), ("12345678", "12345678", 8), ("123456789a", "123456789b", 9)] {
        assert_eq!(super::shared(a.as_bytes(), b.as_bytes()), same, "{a} {b}");
    }
}

/// Memory is that of an open row group, and what is read at once is of one.
#[test]
fn a_row_group_ends_when_it_is_large() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(200); 3]));
    let batch = RecordBatch::try_from_iter([("c", texts)]).expect("a column");
    let properties =
        WriterProperties::builder().set_max_row_group_row_count(Some(14)).set_max_row_group_bytes(Some(1_000)).build();
    let mut writer = FileWriter::new(Vec::new(), batch.schema(), properties).expect("a writer");
    (0..5).for_each(|_| writer.write(&batch).expect("written"));
    let footer = writer.finish().expect("finished");
    let rows: Vec<i64> = footer.row_groups().iter().map(|g| g.num_rows()).collect();
    assert_eq!(rows, [6, 6, 3]);
}
