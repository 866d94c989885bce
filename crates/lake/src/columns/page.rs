//! A page of text while it is filled, and its form in the file. Called by the text columns.

use super::{bits, dictionary::Dictionary};
use arrow::array::BooleanBufferBuilder;
use parquet::basic::Encoding;

/// The page types of Parquet.
const DATA: i64 = 0;
const VALUES: i64 = 2;
/// Types and fields of Thrift's compact form.
const NUMBER: u8 = 5;
const STRUCT: u8 = 12;

/// What came for one page.
#[derive(Default)]
pub(super) struct Page {
    pub(super) rows: usize,
    pub(super) nulls: usize,
    /// Which rows have a value, from the first null on.
    valid: Option<BooleanBufferBuilder>,
    /// Of each value: its number in the dictionary, or its length and the bytes.
    pub(super) numbers: Vec<u32>,
    pub(super) lengths: Vec<i32>,
    pub(super) bytes: Vec<u8>,
    /// Of each value, the bytes that it shares with the one before; then they are not in `bytes`, nor in `lengths`.
    pub(super) shared: Vec<i32>,
    /// The value that came last.
    pub(super) last: Vec<u8>,
}

impl Page {
    /// So many rows more, which have values or have not.
    pub(super) fn rows(&mut self, rows: usize, values: bool) {
        if !values && self.valid.is_none() {
            let mut valid = BooleanBufferBuilder::new(self.rows + rows);
            valid.append_n(self.rows, true);
            self.valid = Some(valid);
        }
        if let Some(valid) = &mut self.valid {
            valid.append_n(rows, values);
        }
        self.rows += rows;
        self.nulls += if values { 0 } else { rows };
    }

    /// All of it but `bytes`, which come last.
    pub(super) fn head(&self, optional: bool, encoding: Encoding, dictionary: Option<&Dictionary>) -> Vec<u8> {
        let mut head = Vec::with_capacity(self.rows / 4 + 256);
        if optional {
            self.levels(&mut head);
        }
        if let Some(dictionary) = dictionary {
            let width = bits::width((dictionary.len() as u32).saturating_sub(1));
            head.push(width as u8);
            bits::runs(&self.numbers, width, &mut head);
            return head;
        }
        if encoding == Encoding::DELTA_BYTE_ARRAY {
            bits::differences(&self.shared, &mut head);
        }
        bits::differences(&self.lengths, &mut head);
        head
    }

    fn levels(&self, to: &mut Vec<u8>) {
        let at = to.len();
        to.extend_from_slice(&[0; 4]);
        match &self.valid {
            Some(valid) if self.nulls < self.rows => {
                bits::packed_head(self.rows.div_ceil(8), to);
                to.extend_from_slice(valid.as_slice());
            }
            _ => bits::run(u32::from(self.nulls == 0), self.rows, 1, to),
        }
        let length = (to.len() - at - 4) as u32;
        to[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// Begins the next one. Its bytes may have been taken.
    pub(super) fn clear(&mut self) {
        (self.rows, self.nulls, self.valid) = (0, 0, None);
        self.numbers.clear();
        self.lengths.clear();
        self.shared.clear();
        self.bytes.clear();
        self.last.clear();
    }
}

/// What a page of rows has before it: its whole size, its size as packed.
pub(super) fn head_of_rows(rows: usize, encoding: Encoding, sizes: [i32; 2]) -> Vec<u8> {
    let mut head = sizes_of(DATA, sizes);
    head.push(2 << 4 | STRUCT);
    let levels = Encoding::RLE as i64;
    for n in [rows as i64, encoding as i64, levels, levels] {
        number(n, &mut head);
    }
    head.extend_from_slice(&[0, 0]);
    head
}

/// What a dictionary's page has before it.
pub(super) fn head_of_values(values: usize, sizes: [i32; 2]) -> Vec<u8> {
    let mut head = sizes_of(VALUES, sizes);
    head.push(4 << 4 | STRUCT);
    for n in [values as i64, Encoding::PLAIN as i64] {
        number(n, &mut head);
    }
    head.extend_from_slice(&[0, 0]);
    head
}

fn sizes_of(kind: i64, [whole, packed]: [i32; 2]) -> Vec<u8> {
    let mut head = Vec::with_capacity(32);
    for n in [kind, whole.into(), packed.into()] {
        number(n, &mut head);
    }
    head
}

/// The next field.
fn number(n: i64, to: &mut Vec<u8>) {
    to.push(1 << 4 | NUMBER);
    bits::varint(bits::zigzag(n), to);
}
