//! A column of text or bytes of one row group. Called by the file's writer.
//!
//! A batch has its texts one after another already, so that a page takes them over as they lie, with their lengths. The library goes from value
//! to value, and took a fifth of a bulk load's time for it.

use super::{
    bounds::Bounds,
    dictionary::Dictionary,
    pack::Packer,
    page::{self, Page},
};
use crate::error::LakeError;
use arrow::{
    array::{Array, ArrayRef, AsArray, DictionaryArray, GenericByteArray},
    buffer::NullBuffer,
    compute::{CastOptions, cast_with_options},
    datatypes::{ByteArrayType, DataType, Int32Type},
    error::ArrowError,
};
use bytes::Bytes;
use parquet::{
    basic::{Compression, Encoding, PageType},
    column::writer::ColumnCloseResult,
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, OffsetIndexBuilder, PageEncodingStats},
        properties::{EnabledStatistics, WriterProperties},
        reader::{ChunkReader, Length},
    },
    schema::types::ColumnDescPtr,
};
use std::{collections::VecDeque, ops::Range};

/// A page ends with this many rows, or about so many bytes.
const PAGE_ROWS: usize = 20_000;
const PAGE_BYTES: usize = 1 << 20;
/// A dictionary of more is given up.
const DICTIONARY_BYTES: usize = 1 << 20;

/// Whether [`TextColumn`] takes columns of this type.
pub(super) fn is_text(t: &DataType) -> bool {
    matches!(t, DataType::Utf8 | DataType::Binary)
}

pub(super) struct TextColumn {
    at: usize,
    column: ColumnDescPtr,
    utf8: bool,
    compression: Compression,
    /// What has no dictionary.
    encoding: Encoding,
    dictionary: Option<Dictionary>,
    /// The dictionary that was given up.
    full: Option<Dictionary>,
    /// `None`: they are not wanted.
    bounds: Option<Bounds>,
    page: Page,
    done: Pages,
    index: OffsetIndexBuilder,
    totals: Totals,
}

#[derive(Default)]
struct Totals {
    rows: usize,
    nulls: usize,
    whole_bytes: usize,
    /// Of values before they are encoded.
    text_bytes: usize,
    /// With and without a dictionary.
    pages: [i32; 2],
}

/// A column chunk, page by page.
#[derive(Default, Clone)]
pub(super) struct Pages {
    parts: VecDeque<Bytes>,
    bytes: usize,
}

/// One batch's values, as they lie.
struct Texts<'a> {
    ends: &'a [i32],
    data: &'a [u8],
    nulls: Option<&'a NullBuffer>,
}

impl<'a> Texts<'a> {
    fn of<T: ByteArrayType<Offset = i32>>(values: &'a GenericByteArray<T>) -> Self {
        let nulls = values.nulls().filter(|n| n.null_count() > 0);
        Self { ends: values.value_offsets(), data: values.value_data(), nulls }
    }

    fn rows(&self) -> usize {
        self.ends.len() - 1
    }

    fn bytes(&self, rows: &Range<usize>) -> &'a [u8] {
        &self.data[self.ends[rows.start] as usize..self.ends[rows.end] as usize]
    }

    fn lengths(&self, rows: &Range<usize>) -> impl Iterator<Item = i32> + use<'a> {
        self.ends[rows.start..=rows.end].windows(2).map(|pair| pair[1] - pair[0])
    }

    fn each(&self, rows: &Range<usize>) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let data = self.data;
        self.ends[rows.start..=rows.end].windows(2).map(move |pair| &data[pair[0] as usize..pair[1] as usize])
    }

    /// From row `from` on: the end of at most `most` rows that have about a page's bytes, at least of one row.
    fn step(&self, from: usize, most: usize) -> usize {
        let ends = &self.ends[from + 1..=(from + most).min(self.rows())];
        let room = i64::from(self.ends[from]) + PAGE_BYTES as i64;
        from + ends.partition_point(|end| i64::from(*end) <= room).max(1)
    }
}

impl TextColumn {
    pub(super) fn new(at: usize, column: ColumnDescPtr, kind: &DataType, properties: &WriterProperties) -> Self {
        let path = column.path();
        let wanted = properties.statistics_enabled(path) != EnabledStatistics::None;
        Self {
            at,
            utf8: *kind == DataType::Utf8,
            compression: properties.compression(path),
            encoding: match properties.encoding(path) {
                Some(Encoding::DELTA_BYTE_ARRAY) => Encoding::DELTA_BYTE_ARRAY,
                _ => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            },
            dictionary: properties.dictionary_enabled(path).then(Dictionary::default),
            full: None,
            bounds: wanted.then(Bounds::default),
            page: Page::default(),
            done: Pages::default(),
            index: OffsetIndexBuilder::new(),
            totals: Totals::default(),
            column,
        }
    }

    /// Of the values that came.
    pub(super) fn bytes(&self) -> usize {
        self.totals.text_bytes
    }

    /// `values`: of the column's type, or a dictionary of it.
    pub(super) fn write(&mut self, values: &ArrayRef, packer: &mut Packer) -> Result<(), LakeError> {
        match values.data_type() {
            DataType::Utf8 if self.utf8 => self.texts(&Texts::of(values.as_string::<i32>()), packer),
            DataType::Binary if !self.utf8 => self.texts(&Texts::of(values.as_binary::<i32>()), packer),
            DataType::Dictionary(key, _) if **key == DataType::Int32 && self.dictionary.is_some() => {
                let values = values.as_dictionary::<Int32Type>();
                let plain = self.plain_of(values.values())?;
                match (self.utf8, plain.null_count()) {
                    (true, 0) => self.known(values, &Texts::of(plain.as_string::<i32>()), packer),
                    (false, 0) => self.known(values, &Texts::of(plain.as_binary::<i32>()), packer),
                    _ => self.write(&self.plain_of(values)?, packer),
                }
            }
            _ => self.write(&self.plain_of(values)?, packer),
        }
    }

    /// # Errors
    /// For a value that is none of the column's: it would be null otherwise.
    fn plain_of(&self, values: &dyn Array) -> Result<ArrayRef, ArrowError> {
        let kind = if self.utf8 { &DataType::Utf8 } else { &DataType::Binary };
        cast_with_options(values, kind, &CastOptions { safe: false, ..CastOptions::default() })
    }

    fn texts(&mut self, texts: &Texts<'_>, packer: &mut Packer) -> Result<(), LakeError> {
        let mut from = 0;
        while from < texts.rows() {
            let to = texts.step(from, PAGE_ROWS - self.page.rows);
            match texts.nulls {
                None => self.values(texts, &(from..to)),
                Some(nulls) => {
                    let mut at = from;
                    for (start, end) in nulls.slice(from, to - from).valid_slices() {
                        self.page.rows(from + start - at, false);
                        self.values(texts, &(from + start..from + end));
                        at = from + end;
                    }
                    self.page.rows(to - at, false);
                }
            }
            self.end_page_if_full(packer)?;
            from = to;
        }
        Ok(())
    }

    /// Rows that all have a value.
    fn values(&mut self, texts: &Texts<'_>, rows: &Range<usize>) {
        let page = &mut self.page;
        page.rows(rows.len(), true);
        self.totals.text_bytes += texts.bytes(rows).len();
        if let Some(dictionary) = &mut self.dictionary {
            page.numbers.extend(texts.each(rows).map(|value| dictionary.number(value)));
            return;
        }
        if let Some(bounds) = &mut self.bounds {
            texts.each(rows).for_each(|value| bounds.see(value));
        }
        if self.encoding == Encoding::DELTA_BYTE_ARRAY {
            let before = std::mem::take(&mut page.last);
            let mut last = before.as_slice();
            for value in texts.each(rows) {
                let shared = shared(last, value);
                page.shared.push(shared as i32);
                page.lengths.push((value.len() - shared) as i32);
                page.bytes.extend_from_slice(&value[shared..]);
                last = value;
            }
            page.last = last.to_vec();
        } else {
            page.lengths.extend(texts.lengths(rows));
            page.bytes.extend_from_slice(texts.bytes(rows));
        }
    }

    /// Rows that name one of `texts`, all of which are values.
    fn known(
        &mut self,
        rows: &DictionaryArray<Int32Type>,
        texts: &Texts<'_>,
        packer: &mut Packer,
    ) -> Result<(), LakeError> {
        let mut numbers = vec![None; texts.rows()];
        let mut from = 0;
        while from < rows.len() {
            let Some(dictionary) = &mut self.dictionary else {
                return self.write(&self.plain_of(&rows.slice(from, rows.len() - from))?, packer);
            };
            let to = rows.len().min(from + PAGE_ROWS - self.page.rows);
            let keys = &rows.keys().values()[from..to];
            let (page, text_bytes) = (&mut self.page, &mut self.totals.text_bytes);
            let mut known = |page: &mut Page, keys: &[i32]| {
                page.rows(keys.len(), true);
                page.numbers.extend(keys.iter().map(|key| {
                    let key = *key as usize;
                    let value = texts.bytes(&(key..key + 1));
                    *text_bytes += value.len();
                    *numbers[key].get_or_insert_with(|| dictionary.number(value))
                }));
            };
            match rows.nulls().filter(|n| n.null_count() > 0) {
                None => known(page, keys),
                Some(nulls) => {
                    for (valid, key) in nulls.slice(from, to - from).iter().zip(keys) {
                        match valid {
                            true => known(page, std::slice::from_ref(key)),
                            false => page.rows(1, false),
                        }
                    }
                }
            }
            self.end_page_if_full(packer)?;
            from = to;
        }
        Ok(())
    }

    fn end_page_if_full(&mut self, packer: &mut Packer) -> Result<(), LakeError> {
        let full = self.dictionary.as_ref().is_some_and(|d| d.bytes() >= DICTIONARY_BYTES);
        if full || self.page.rows >= PAGE_ROWS || self.page.bytes.len() >= PAGE_BYTES {
            self.end_page(packer)?;
        }
        if full {
            self.full = self.dictionary.take();
        }
        Ok(())
    }

    fn end_page(&mut self, packer: &mut Packer) -> Result<(), LakeError> {
        let Page { rows, nulls, .. } = self.page;
        if rows == 0 {
            return Ok(());
        }
        let optional = self.column.max_def_level() > 0;
        if nulls > 0 && !optional {
            return Err(LakeError::Worker("a column of text that must have values has none in some rows"));
        }
        let head = self.page.head(optional, self.encoding, self.dictionary.as_ref());
        let encoding = if self.dictionary.is_some() { Encoding::RLE_DICTIONARY } else { self.encoding };
        let before = self.done.bytes;
        let head_of = |sizes| page::head_of_rows(rows, encoding, sizes);
        self.totals.whole_bytes += match self.compression {
            Compression::UNCOMPRESSED => {
                // The next page has about as many.
                let next = Vec::with_capacity(self.page.bytes.len() / 16 * 17);
                self.done.plain(head_of, &head, std::mem::replace(&mut self.page.bytes, next))?
            }
            compression => {
                let parts = [head.as_slice(), &self.page.bytes];
                let whole = parts.map(<[u8]>::len).iter().sum();
                self.done.packed(head_of, whole, packer.pack((self.at, encoding), compression, parts)?)?
            }
        };
        self.index.append_row_count(rows as i64);
        let size = i32::try_from(self.done.bytes - before).map_err(ParquetError::from)?;
        self.index.append_offset_and_size(before as i64, size);
        self.totals.rows += rows;
        self.totals.nulls += nulls;
        self.totals.pages[usize::from(self.dictionary.is_none())] += 1;
        self.page.clear();
        Ok(())
    }

    /// The whole column, and what the file has to know of it.
    pub(super) fn close(mut self, packer: &mut Packer) -> Result<(Pages, ColumnCloseResult), LakeError> {
        self.end_page(packer)?;
        let dictionary = self.full.take().or(self.dictionary.take());
        let mut all = Pages::default();
        if let Some(dictionary) = &dictionary {
            let head_of = |sizes| page::head_of_values(dictionary.len(), sizes);
            self.totals.whole_bytes += match self.compression {
                Compression::UNCOMPRESSED => all.plain(head_of, &[], dictionary.page().to_vec())?,
                compression => {
                    let packed = packer.pack((self.at, Encoding::PLAIN), compression, [dictionary.page(), &[]])?;
                    all.packed(head_of, dictionary.bytes(), packed)?
                }
            };
            self.bounds.iter_mut().for_each(|b| dictionary.see(b));
        }
        let values = all.bytes;
        all.append(self.done);
        let metadata = ColumnChunkMetaData::builder(self.column)
            .set_compression(self.compression)
            .set_encodings(encodings(dictionary.is_some(), self.encoding, self.totals.pages))
            .set_page_encoding_stats(pages(dictionary.is_some(), self.encoding, self.totals.pages))
            .set_total_compressed_size(all.bytes as i64)
            .set_total_uncompressed_size(self.totals.whole_bytes as i64)
            .set_num_values(self.totals.rows as i64)
            .set_data_page_offset(values as i64)
            .set_dictionary_page_offset(dictionary.is_some().then_some(0));
        let metadata = match self.bounds {
            Some(bounds) => metadata
                .set_statistics(bounds.told(self.totals.nulls as u64, self.utf8))
                .set_unencoded_byte_array_data_bytes(Some(self.totals.text_bytes as i64)),
            None => metadata,
        };
        let mut index = self.index.build();
        index.page_locations.iter_mut().for_each(|place| place.offset += values as i64);
        let result = ColumnCloseResult {
            bytes_written: all.bytes as u64,
            rows_written: self.totals.rows as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(index),
        };
        Ok((all, result))
    }
}

fn encodings(dictionary: bool, without: Encoding, [_, plain]: [i32; 2]) -> Vec<Encoding> {
    let with = [Encoding::PLAIN, Encoding::RLE_DICTIONARY].into_iter().filter(|_| dictionary);
    with.chain((plain > 0).then_some(without)).chain([Encoding::RLE]).collect()
}

fn pages(dictionary: bool, without: Encoding, [with, plain]: [i32; 2]) -> Vec<PageEncodingStats> {
    let of = |page_type, encoding, count| PageEncodingStats { page_type, encoding, count };
    let all = [
        of(PageType::DICTIONARY_PAGE, Encoding::PLAIN, i32::from(dictionary)),
        of(PageType::DATA_PAGE, Encoding::RLE_DICTIONARY, with),
        of(PageType::DATA_PAGE, without, plain),
    ];
    all.into_iter().filter(|p| p.count > 0).collect()
}

/// How many bytes two values begin with alike.
pub(crate) fn shared(a: &[u8], b: &[u8]) -> usize {
    let (eights_a, eights_b) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    let mut same = 0;
    for (a, b) in eights_a.iter().zip(eights_b) {
        let differ = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differ != 0 {
            return same + differ.trailing_zeros() as usize / 8;
        }
        same += 8;
    }
    same + a[same..].iter().zip(&b[same..]).take_while(|(a, b)| a == b).count()
}

impl Pages {
    /// Answers the bytes of the page before it was packed, with its head; here it is not packed.
    fn plain(&mut self, head: impl Fn([i32; 2]) -> Vec<u8>, start: &[u8], rest: Vec<u8>) -> Result<usize, LakeError> {
        let size = i32::try_from(start.len() + rest.len()).map_err(ParquetError::from)?;
        let mut head = head([size, size]);
        head.extend_from_slice(start);
        let whole = head.len() + rest.len();
        self.push(head.into());
        self.push(rest.into());
        Ok(whole)
    }

    fn packed(&mut self, head: impl Fn([i32; 2]) -> Vec<u8>, whole: usize, packed: &[u8]) -> Result<usize, LakeError> {
        let size = |n: usize| i32::try_from(n).map_err(ParquetError::from);
        let mut page = head([size(whole)?, size(packed.len())?]);
        let whole = whole + page.len();
        page.reserve_exact(packed.len());
        page.extend_from_slice(packed);
        self.push(page.into());
        Ok(whole)
    }

    fn push(&mut self, part: Bytes) {
        self.bytes += part.len();
        self.parts.push_back(part);
    }

    fn append(&mut self, mut other: Self) {
        self.bytes += other.bytes;
        self.parts.append(&mut other.parts);
    }
}

impl std::io::Read for Pages {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        while let Some(first) = self.parts.front_mut() {
            if first.is_empty() {
                self.parts.pop_front();
                continue;
            }
            let some = first.split_to(first.len().min(to.len()));
            to[..some.len()].copy_from_slice(&some);
            return Ok(some.len());
        }
        Ok(0)
    }
}

impl Length for Pages {
    fn len(&self) -> u64 {
        self.bytes as u64
    }
}

/// What the library asks of a chunk that it takes over: its bytes from the start.
impl ChunkReader for Pages {
    type T = Self;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self> {
        let mut read = self.clone();
        std::io::copy(&mut std::io::Read::take(&mut read, start), &mut std::io::sink())?;
        Ok(read)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let mut bytes = vec![0; length];
        std::io::Read::read_exact(&mut self.get_read(start)?, &mut bytes)?;
        Ok(bytes.into())
    }
}
