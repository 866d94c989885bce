//! Looks over a Parquet footer before the library reads it: sizes that only a hostile file claims, for which the library
//! would take memory or stack without bound, end here. Called by the Parquet reader; knows no more of Thrift's compact
//! protocol than where values end.

use super::{error::DecodeError, source::io_error};
use std::{fs::File, os::unix::fs::FileExt};

const WHAT: &str = "Parquet file";
/// The footer's length and the magic word.
const TAIL_BYTES: u64 = 8;
const FOOTER_LIMIT_BYTES: u64 = 64 * 1024 * 1024;
/// Of structures in the footer; real ones have six levels.
const DEPTH_LIMIT: u32 = 32;
/// Of groups in the schema.
const SCHEMA_DEPTH_LIMIT: usize = 64;
const SCHEMA_ELEMENTS_LIMIT: usize = 100_000;
const ROW_GROUPS_LIMIT: usize = 32_767;

/// Field numbers of the format.
const SCHEMA: i64 = 2;
const ROW_GROUPS: i64 = 4;
const CHILDREN: i64 = 5;

/// Kinds of values in the compact protocol.
mod kind {
    pub const TRUE: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const I8: u8 = 3;
    pub const I16: u8 = 4;
    pub const I32: u8 = 5;
    pub const I64: u8 = 6;
    pub const DOUBLE: u8 = 7;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const SET: u8 = 10;
    pub const MAP: u8 = 11;
    pub const STRUCT: u8 = 12;
    pub const UUID: u8 = 13;
}

/// `length` is that of the file, which ends in the magic word.
pub(super) fn check(file: &File, length: u64) -> Result<(), DecodeError> {
    let corrupt = |why: &'static str| DecodeError::Corrupt { what: WHAT, source: Some(why.into()) };
    let mut size = [0; 4];
    file.read_exact_at(&mut size, length - TAIL_BYTES).map_err(io_error)?;
    let size = u64::from(u32::from_le_bytes(size));
    if size > FOOTER_LIMIT_BYTES {
        return Err(corrupt("the footer is larger than 64 MiB"));
    }
    let Some(start) = (length - TAIL_BYTES).checked_sub(size) else {
        return Err(corrupt("the footer is larger than the file"));
    };
    let mut footer = vec![0; usize::try_from(size).expect("at most 64 MiB")];
    file.read_exact_at(&mut footer, start).map_err(io_error)?;
    match (Walk { bytes: &footer }).footer() {
        Some(()) => Ok(()),
        None => Err(corrupt("the footer is not well formed")),
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
}

impl Walk<'_> {
    fn footer(&mut self) -> Option<()> {
        let mut id = 0;
        while let Some(kind) = self.field(&mut id)? {
            match (id, kind) {
                (SCHEMA, kind::LIST) => self.schema()?,
                (ROW_GROUPS, kind::LIST) => {
                    let (size, element) = self.list()?;
                    if size > ROW_GROUPS_LIMIT {
                        return None;
                    }
                    (0..size).try_for_each(|_| self.element(element, 1))?;
                }
                _ => self.value(kind, 0)?,
            }
        }
        Some(())
    }

    /// The elements stand in the order of a walk down the tree, each with its number of children.
    fn schema(&mut self) -> Option<()> {
        let (size, element) = self.list()?;
        if size > SCHEMA_ELEMENTS_LIMIT || element != kind::STRUCT {
            return None;
        }
        // Children still to come on each level.
        let mut open: Vec<usize> = Vec::new();
        for index in 0..size {
            while open.last() == Some(&0) {
                open.pop();
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            let children = self.schema_element()?;
            if children > size - index - 1 {
                return None;
            }
            if children > 0 {
                open.push(children);
            }
            if open.len() > SCHEMA_DEPTH_LIMIT {
                return None;
            }
        }
        Some(())
    }

    fn schema_element(&mut self) -> Option<usize> {
        let (mut id, mut children) = (0, 0);
        while let Some(kind) = self.field(&mut id)? {
            if id == CHILDREN && kind == kind::I32 {
                children = usize::try_from(self.zigzag()?).ok()?;
            } else {
                self.value(kind, 1)?;
            }
        }
        Some(children)
    }

    /// The kind of the structure's next field, whose number becomes `id`; `Some(None)` at the structure's end.
    fn field(&mut self, id: &mut i64) -> Option<Option<u8>> {
        let header = self.byte()?;
        if header == 0 {
            return Some(None);
        }
        let delta = i64::from(header >> 4);
        *id = if delta == 0 { self.zigzag()? } else { id.checked_add(delta)? };
        Some(Some(header & 0x0F))
    }

    fn value(&mut self, kind: u8, depth: u32) -> Option<()> {
        if depth > DEPTH_LIMIT {
            return None;
        }
        match kind {
            kind::TRUE | kind::FALSE => Some(()),
            kind::I8 => self.skip(1),
            kind::I16 | kind::I32 | kind::I64 => self.varint().map(drop),
            kind::DOUBLE => self.skip(8),
            kind::UUID => self.skip(16),
            kind::BINARY => {
                let length = self.varint()?;
                self.skip(usize::try_from(length).ok()?)
            }
            kind::LIST | kind::SET => {
                let (size, element) = self.list()?;
                (0..size).try_for_each(|_| self.element(element, depth + 1))
            }
            kind::MAP => {
                let size = self.size()?;
                if size == 0 {
                    return Some(());
                }
                let kinds = self.byte()?;
                (0..size).try_for_each(|_| {
                    self.element(kinds >> 4, depth + 1)?;
                    self.element(kinds & 0x0F, depth + 1)
                })
            }
            kind::STRUCT => {
                let mut id = 0;
                while let Some(kind) = self.field(&mut id)? {
                    self.value(kind, depth + 1)?;
                }
                Some(())
            }
            _ => None,
        }
    }

    /// In a list a boolean takes a byte, where a field has it in its header.
    fn element(&mut self, kind: u8, depth: u32) -> Option<()> {
        if matches!(kind, kind::TRUE | kind::FALSE) { self.skip(1) } else { self.value(kind, depth) }
    }

    fn list(&mut self) -> Option<(usize, u8)> {
        let header = self.byte()?;
        let size = match header >> 4 {
            15 => self.size()?,
            short => usize::from(short),
        };
        (size <= self.bytes.len()).then_some((size, header & 0x0F))
    }

    /// Every element takes at least a byte.
    fn size(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok().filter(|size| *size <= self.bytes.len())
    }

    fn zigzag(&mut self) -> Option<i64> {
        let n = self.varint()?;
        Some((n >> 1).cast_signed() ^ -(n & 1).cast_signed())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(n);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(first)
    }

    fn skip(&mut self, n: usize) -> Option<()> {
        self.bytes = self.bytes.get(n..)?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(bytes: &[u8]) -> Option<()> {
        Walk { bytes }.footer()
    }

    /// A footer with only a schema: groups in groups, each with so many children claimed.
    fn nested(levels: u32, children: u8) -> Vec<u8> {
        let mut bytes = vec![0x29, 0xFC];
        let mut n = levels;
        while n >= 0x80 {
            bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        bytes.push(n as u8);
        for level in 0..levels {
            bytes.extend([0x48, 1, b'a']);
            if level + 1 < levels {
                bytes.extend([0x15, children * 2]);
            }
            bytes.push(0);
        }
        bytes.push(0);
        bytes
    }

    #[test]
    fn deep_schemas_and_impossible_sizes_end_here() {
        assert_eq!(walk(&nested(60, 1)), Some(()));
        assert_eq!(walk(&nested(70, 1)), None);
        assert_eq!(walk(&nested(100_000, 1)), None);
        assert_eq!(walk(&nested(3, 3)), None);
        // Row groups, 2^31 of them.
        assert_eq!(walk(&[0x49, 0xFC, 0x80, 0x80, 0x80, 0x80, 0x08, 0]), None);
        // A structure in a structure, and so on.
        assert_eq!(walk(&[0x1C; 1_000]), None);
        assert_eq!(walk(&[]), None);
        assert_eq!(walk(&[0]), Some(()));
    }
}
