//! How a staged file is encoded: each column as its first rows suggest, and compressed as its table is used. Called by
//! `stage` and `commit`.
//!
//! A dictionary pays where values repeat. Where they do not it costs the hashing of every value, only to be given up
//! once it is full; such columns are encoded in the way that their type compresses best. Readers see no difference.

use crate::{columns, error::LakeError, table::Place};
use alluvium_model::Layer;
use arrow::{
    array::{Array, ArrayRef, AsArray, GenericByteArray, RecordBatch},
    compute::filter,
    datatypes::{ByteArrayType, DataType},
};
use datafusion::common::hash_utils::{RandomState, create_hashes};
use hashbrown::HashSet;
use parquet::{
    basic::{Compression, Encoding, ZstdLevel},
    errors::ParquetError,
    file::properties::{EnabledStatistics, WriterPropertiesBuilder},
    schema::types::ColumnPath,
};

/// Rows looked at in each column.
const SAMPLE_ROWS: usize = 4096;
/// With fewer values than this nothing is known about a column.
const SAMPLE_LEAST: usize = 64;
/// A dictionary is worth while if each of the sampled values comes this often, in the mean.
const REPEATS: usize = 4;
/// Snappy is worth while if it takes one byte in so many away.
const SAVES: usize = 5;
/// Values begin alike if one byte in so many is at the start of the value before, too.
const ALIKE: usize = 3;
/// The widest decimal that Parquet holds as an integer.
const INTEGER_DIGITS: u8 = 18;

/// What was received is kept for as long as the lake and read about once, so bytes count; the tables made of it are read
/// again and again, so time counts, and every reader knows Snappy. `docs/decisions/0012` has the figures.
pub(crate) fn compression(place: &Place) -> Compression {
    match place {
        Place::Beside(..) => Compression::SNAPPY,
        Place::Dataset(name) if name.layer() != Layer::Bronze => Compression::SNAPPY,
        Place::Dataset(_) | Place::Quarantine(_) | Place::Tombstones(_) | Place::Fences(_) => {
            Compression::ZSTD(ZstdLevel::try_new(1).expect("1 is a level of zstd"))
        }
    }
}

/// Sets the encodings for a file of this compression that begins with `batch`.
///
/// Texts that hardly repeat have no bounds where they are as received, and elsewhere where they come in no order and begin differently: to find
/// them takes as long as to write them, and of ids, addresses, hashes and numbers as text they tell nothing.
pub(crate) fn choose(
    mut to: WriterPropertiesBuilder,
    compression: Compression,
    batch: &RecordBatch,
) -> Result<WriterPropertiesBuilder, LakeError> {
    to = to.set_compression(compression);
    let received = matches!(compression, Compression::ZSTD(_));
    for (field, values) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let Some(mut encoding) = direct(values.data_type()) else { continue };
        let path = ColumnPath::new(vec![field.name().clone()]);
        if !repeats(values)? {
            to = to.set_column_dictionary_enabled(path.clone(), false);
            if encoding == Encoding::DELTA_LENGTH_BYTE_ARRAY && (received || scattered(values)) {
                to = to.set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
            }
            if received && begin_alike(values) {
                encoding = Encoding::DELTA_BYTE_ARRAY;
            }
            if compression == Compression::SNAPPY && !shrinks(values, encoding)? {
                to = to.set_column_compression(path.clone(), Compression::UNCOMPRESSED);
            }
        }
        // With a dictionary: for what comes when it is full.
        to = to.set_column_encoding(path, encoding);
    }
    Ok(to)
}

/// The encoding without a dictionary; `None` where the writer's own choice is right.
fn direct(t: &DataType) -> Option<Encoding> {
    match t {
        DataType::Utf8 | DataType::Binary => Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Some(Encoding::DELTA_BINARY_PACKED),
        DataType::Date32 | DataType::Timestamp(_, _) => Some(Encoding::DELTA_BINARY_PACKED),
        DataType::Decimal128(digits, _) if *digits <= INTEGER_DIGITS => Some(Encoding::DELTA_BINARY_PACKED),
        DataType::Decimal128(_, _) | DataType::Float32 | DataType::Float64 => Some(Encoding::PLAIN),
        DataType::Dictionary(_, values) => direct(values),
        _ => None,
    }
}

/// Whether Snappy, which only finds repetitions, makes values that hardly repeat much smaller.
fn shrinks(values: &ArrayRef, encoding: Encoding) -> Result<bool, LakeError> {
    if encoding == Encoding::DELTA_BINARY_PACKED {
        return Ok(false);
    }
    let sample = values.slice(0, values.len().min(SAMPLE_ROWS));
    let bytes = match sample.data_type() {
        DataType::Utf8 => text(sample.as_string::<i32>()),
        DataType::Binary => text(sample.as_binary::<i32>()),
        _ => return Ok(true),
    };
    let packed = snap::raw::Encoder::new().compress_vec(bytes).map_err(ParquetError::from)?;
    Ok(packed.len() + bytes.len() / SAVES <= bytes.len())
}

/// Whether the values come in no order, and from so far apart that the bounds of a file would exclude nothing.
fn scattered(values: &ArrayRef) -> bool {
    fn look<T: ByteArrayType>(values: &GenericByteArray<T>) -> bool
    where
        T::Native: AsRef<[u8]>,
    {
        let all: Vec<&[u8]> = values.iter().take(SAMPLE_ROWS).flatten().map(AsRef::as_ref).collect();
        let rises = all.windows(2).filter(|pair| pair[0] <= pair[1]).count();
        let (first, last) = (all.iter().min(), all.iter().max());
        (all.len() / 4..all.len() / 4 * 3).contains(&rises) && first.map(|v| v.first()) != last.map(|v| v.first())
    }
    match values.data_type() {
        DataType::Utf8 => look(values.as_string::<i32>()),
        DataType::Binary => look(values.as_binary::<i32>()),
        _ => false,
    }
}

/// Whether a good part of each value is what the one before began with, as of times and of numbers that grow. Not to write it again costs
/// less than to have it found by a compressor.
fn begin_alike(values: &ArrayRef) -> bool {
    fn look<T: ByteArrayType<Offset = i32>>(values: &GenericByteArray<T>) -> bool
    where
        T::Native: AsRef<[u8]>,
    {
        let all: Vec<&[u8]> = values.iter().flatten().map(AsRef::as_ref).collect();
        let shared: usize = all.windows(2).map(|pair| columns::shared(pair[0], pair[1])).sum();
        shared * ALIKE >= text(values).len()
    }
    let sample = values.slice(0, values.len().min(SAMPLE_ROWS));
    match sample.data_type() {
        DataType::Utf8 => look(sample.as_string::<i32>()),
        DataType::Binary => look(sample.as_binary::<i32>()),
        _ => false,
    }
}

/// All of the values, one after another.
fn text<T: ByteArrayType<Offset = i32>>(values: &GenericByteArray<T>) -> &[u8] {
    let ends = values.value_offsets();
    &values.value_data()[ends[0] as usize..ends[values.len()] as usize]
}

/// Whether the values come again so often that a dictionary pays.
fn repeats(values: &ArrayRef) -> Result<bool, LakeError> {
    let mut sample = values.slice(0, values.len().min(SAMPLE_ROWS));
    if let Some(nulls) = sample.logical_nulls().filter(|n| n.null_count() > 0) {
        sample = filter(&sample, &nulls.inner().clone().into())?;
    }
    if sample.len() < SAMPLE_LEAST {
        return Ok(true);
    }
    let mut hashes = vec![0; sample.len()];
    create_hashes([&sample], &RandomState::with_seed(0), &mut hashes)?;
    let rows = hashes.len();
    let distinct: HashSet<u64> = hashes.into_iter().collect();
    Ok(distinct.len() * REPEATS <= rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::FileWriter;
    use arrow::array::{DictionaryArray, Int32Array, Int64Array, StringArray};
    use parquet::file::properties::WriterProperties;
    use std::sync::Arc;

    fn texts(distinct: usize, rows: usize) -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..rows).map(|i| format!("text {}", i * 7919 % distinct))))
    }

    /// For each column of a written file: whether it has a dictionary, whether this encoding is in it, and whether it has bounds.
    fn written(compression: Compression, columns: Vec<(&str, ArrayRef, Encoding)>) -> Vec<(bool, bool, bool)> {
        let encodings: Vec<_> = columns.iter().map(|c| c.2).collect();
        let batch = RecordBatch::try_from_iter(columns.into_iter().map(|c| (c.0, c.1))).unwrap();
        let properties = choose(WriterProperties::builder(), compression, &batch).unwrap().build();
        let mut writer = FileWriter::new(Vec::new(), batch.schema(), properties).unwrap();
        writer.write(&batch).unwrap();
        let footer = writer.finish().unwrap();
        let of = |(i, e): (usize, &Encoding)| {
            let chunk = footer.row_group(0).column(i);
            let bounds = chunk.statistics().is_some_and(|s| s.min_bytes_opt().is_some());
            (chunk.dictionary_page_offset().is_some(), chunk.encodings().any(|found| found == *e), bounds)
        };
        encodings.iter().enumerate().map(of).collect()
    }

    #[test]
    fn a_dictionary_is_for_values_that_come_again() {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..2_000));
        let one: ArrayRef = Arc::new(DictionaryArray::new(Int32Array::from_value(0, 2_000), texts(1, 1)));
        let mostly_null: ArrayRef =
            Arc::new((0..2_000).map(|i| (i % 10 == 0).then(|| i.to_string())).collect::<StringArray>());
        let columns = vec![
            ("many", texts(2_000, 2_000), Encoding::DELTA_LENGTH_BYTE_ARRAY),
            ("few", texts(20, 2_000), Encoding::RLE_DICTIONARY),
            ("numbers", numbers, Encoding::DELTA_BINARY_PACKED),
            ("one", one, Encoding::RLE_DICTIONARY),
            ("a.dotted name", mostly_null, Encoding::DELTA_LENGTH_BYTE_ARRAY),
        ];
        let dictionary = [false, true, false, true, false];
        assert_eq!(written(Compression::SNAPPY, columns.clone()), dictionary.map(|d| (d, true, true)));
        let bounds = [false, true, true, true, false];
        let expected: Vec<_> = dictionary.into_iter().zip(bounds).map(|(d, b)| (d, true, b)).collect();
        let received = columns.into_iter().map(|(name, values, encoding)| match name {
            "many" | "a.dotted name" => (name, values, Encoding::DELTA_BYTE_ARRAY),
            _ => (name, values, encoding),
        });
        assert_eq!(written(zstd(), received.collect()), expected);
    }

    fn zstd() -> Compression {
        Compression::ZSTD(ZstdLevel::try_new(1).expect("a level"))
    }

    #[test]
    fn what_values_begin_with_alike_is_not_received_twice() {
        let texts =
            |f: &dyn Fn(usize) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..2_000).map(f))) };
        let encodings = |compression, values: &ArrayRef| {
            let batch = RecordBatch::try_from_iter([("c", values.clone())]).expect("a column");
            let properties = choose(WriterProperties::builder(), compression, &batch).expect("choices").build();
            properties.encoding(&ColumnPath::from("c")).expect("an encoding")
        };
        let times = texts(&|i| format!("2026-11-27T{:06}.{:03}Z", i * 17, i % 1000));
        let numbers = texts(&|i| (1_000_000 + i * 3).to_string());
        let of_both = |values: &ArrayRef| (encodings(zstd(), values), encodings(Compression::SNAPPY, values));
        assert_eq!(of_both(&times), (Encoding::DELTA_BYTE_ARRAY, Encoding::DELTA_LENGTH_BYTE_ARRAY));
        assert_eq!(of_both(&numbers), (Encoding::DELTA_BYTE_ARRAY, Encoding::DELTA_LENGTH_BYTE_ARRAY));
        let plain = (Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_LENGTH_BYTE_ARRAY);
        assert_eq!(of_both(&texts(&hash)), plain);
        assert_eq!(of_both(&texts(&|i| format!("id-{}", hash(i)))), plain);
    }

    fn hash(i: usize) -> String {
        format!("{:016x}", (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    #[test]
    fn bounds_are_for_texts_in_order_or_with_a_common_start() {
        let texts =
            |f: &dyn Fn(usize) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values((0..2_000).map(f))) };
        let columns = vec![
            ("hash", texts(&hash), Encoding::DELTA_LENGTH_BYTE_ARRAY),
            ("labelled", texts(&|i| format!("id-{}", hash(i))), Encoding::DELTA_LENGTH_BYTE_ARRAY),
            ("backwards", texts(&|i| format!("{:08}", 60_000_000 - i * 10_000)), Encoding::DELTA_LENGTH_BYTE_ARRAY),
        ];
        let bounds = [false, true, true].map(|b| (false, true, b));
        assert_eq!(written(Compression::SNAPPY, columns), bounds);
    }

    #[test]
    fn snappy_is_for_what_it_makes_smaller() {
        let alike = |i: usize| format!("customer{i}@mail.example.com");
        let texts = |f: &dyn Fn(usize) -> String| -> ArrayRef {
            let padding = StringArray::from_iter_values((0..5_000).map(f));
            Arc::new(padding.slice(500, 4_000))
        };
        let times: ArrayRef = Arc::new(Int64Array::from_iter_values(0..4_000));
        let columns = vec![("unlike", texts(&hash)), ("alike", texts(&alike)), ("times", times)];
        let batch = RecordBatch::try_from_iter(columns).expect("a batch");
        let used = |compression| {
            let properties = choose(WriterProperties::builder(), compression, &batch).expect("choices").build();
            let path = |name: &str| ColumnPath::new(vec![name.to_owned()]);
            ["unlike", "alike", "times"].map(|name| properties.compression(&path(name)))
        };
        let (none, snappy) = (Compression::UNCOMPRESSED, Compression::SNAPPY);
        assert_eq!(used(snappy), [none, snappy, none]);
        assert_eq!(used(zstd()), [zstd(); 3]);
    }

    #[test]
    fn a_few_rows_tell_nothing() {
        let one = vec![("c", texts(63, 63), Encoding::RLE_DICTIONARY)];
        assert_eq!(written(Compression::SNAPPY, one), [(true, true, true)]);
    }
}
