//! Pages compressed, in buffers of one file. Called by the text columns.

use crate::error::LakeError;
use hashbrown::HashMap;
use parquet::{
    basic::{Compression, Encoding},
    errors::ParquetError,
};
use zstd::{bulk::Compressor, zstd_safe::CParameter};

/// Ids, times and numbers are random but for their alphabet, of which zstd makes use without a repetition. This few places to look for
/// repetitions, of this many bytes, find those of labels, and waste no time on others.
const NARROW: [CParameter; 2] = [CParameter::HashLog(6), CParameter::MinMatch(7)];
/// The narrow way is taken where it costs less than one byte in so many.
const COSTS: usize = 8;
/// Pages of fewer bytes, as of nulls alone, tell nothing of those that follow.
const TELLS: usize = 1 << 10;

pub(super) struct Packer {
    /// A page before it is compressed, and after.
    page: Vec<u8>,
    packed: Vec<u8>,
    snappy: snap::raw::Encoder,
    zstd: HashMap<(i32, bool), Compressor<'static>>,
    /// By column and encoding: whether the narrow way does, as the first page told. Texts are not like their numbers in a dictionary.
    narrow: HashMap<(usize, Encoding), bool>,
}

impl Packer {
    pub(super) fn new() -> Self {
        Self {
            page: Vec::new(),
            packed: Vec::new(),
            snappy: snap::raw::Encoder::new(),
            zstd: HashMap::new(),
            narrow: HashMap::new(),
        }
    }

    /// A page that consists of these parts, of that column and encoding. Not for what stays as it is.
    pub(super) fn pack(
        &mut self,
        of: (usize, Encoding),
        compression: Compression,
        parts: [&[u8]; 2],
    ) -> Result<&[u8], LakeError> {
        self.page.clear();
        parts.iter().for_each(|part| self.page.extend_from_slice(part));
        match compression {
            Compression::ZSTD(level) => self.zstd(of, level.compression_level())?,
            Compression::SNAPPY => {
                self.packed.resize(snap::raw::max_compress_len(self.page.len()), 0);
                let bytes = self.snappy.compress(&self.page, &mut self.packed).map_err(ParquetError::from)?;
                self.packed.truncate(bytes);
            }
            _ => return Err(LakeError::Worker("tables are compressed with zstd or Snappy")),
        }
        Ok(&self.packed)
    }

    fn zstd(&mut self, of: (usize, Encoding), level: i32) -> Result<(), LakeError> {
        if let Some(narrow) = self.narrow.get(&of) {
            return self.zstd_one_way(level, *narrow);
        }
        self.zstd_one_way(level, false)?;
        let wide = self.packed.len();
        self.zstd_one_way(level, true)?;
        let narrow = self.packed.len() <= wide + wide / COSTS;
        if self.page.len() >= TELLS {
            self.narrow.insert(of, narrow);
        }
        if narrow { Ok(()) } else { self.zstd_one_way(level, false) }
    }

    fn zstd_one_way(&mut self, level: i32, narrow: bool) -> Result<(), LakeError> {
        let compressor = match self.zstd.entry((level, narrow)) {
            hashbrown::hash_map::Entry::Occupied(made) => made.into_mut(),
            hashbrown::hash_map::Entry::Vacant(place) => {
                let mut made = Compressor::new(level).map_err(ParquetError::from)?;
                for parameter in NARROW.into_iter().filter(|_| narrow) {
                    made.set_parameter(parameter).map_err(ParquetError::from)?;
                }
                place.insert(made)
            }
        };
        self.packed.clear();
        self.packed.reserve(zstd::zstd_safe::compress_bound(self.page.len()));
        compressor.compress_to_buffer(&self.page, &mut self.packed).map_err(ParquetError::from)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::basic::ZstdLevel;

    /// Digits without a pattern.
    fn digits(n: u64) -> String {
        let mixed = (n + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        format!("{mixed:016x}{:016x}", mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9))
    }

    #[test]
    fn few_places_are_for_pages_that_hardly_grow_by_it() {
        let zstd = Compression::ZSTD(ZstdLevel::try_new(1).expect("a level"));
        let mut packer = Packer::new();
        let mut packed = |of, page: &str| {
            let packed = packer.pack(of, zstd, [&page.as_bytes()[..5], &page.as_bytes()[5..]]).expect("packed");
            assert!(zstd::bulk::decompress(packed, page.len()).expect("a page") == page.as_bytes());
            packed.len()
        };
        let ids: String = (0..20_000).map(digits).collect();
        // Each comes again after some thousand bytes.
        let names: String = (0..20_000).map(|i| digits(i * i % 499)).collect();
        let [of_ids, of_names, of_others] = [0, 1, 2].map(|column| (column, Encoding::DELTA_LENGTH_BYTE_ARRAY));
        assert!(packed(of_ids, &ids) * 100 < ids.len() * 52, "half a byte a digit");
        let first = packed(of_names, &names);
        assert!(first * 4 < names.len());
        // As the first page told, whatever the next is like.
        assert_eq!(packed(of_names, &names), first);
        assert!(packed(of_ids, &names) > first * 2);
        // Unless that was of another encoding, or of next to nothing.
        assert_eq!(packed((0, Encoding::PLAIN), &names), first);
        packed(of_others, &ids[..1_000]);
        assert_eq!(packed(of_others, &names), first);
    }
}
