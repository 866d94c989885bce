//! The two byte searches that decide the speed of the text formats: sixteen bytes at a time with SSE2, which every x86-64
//! has, one by one elsewhere. Called by the CSV and JSON scanners.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8, _mm_setzero_si128,
};

const LANES: usize = 16;

/// One bit for each byte of the block that equals one of `bytes`, or is below `0x20` if `control`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn find<const N: usize>(block: &[u8; LANES], bytes: [u8; N], control: bool) -> u32 {
    // SAFETY: every x86-64 processor has SSE2, which is all that these need; the block has the sixteen bytes loaded.
    unsafe {
        let x = _mm_loadu_si128(block.as_ptr().cast());
        let mut found = _mm_setzero_si128();
        if control {
            found = _mm_cmpeq_epi8(_mm_min_epu8(x, _mm_set1_epi8(0x1F)), x);
        }
        for b in bytes {
            found = _mm_or_si128(found, _mm_cmpeq_epi8(x, _mm_set1_epi8(b.cast_signed())));
        }
        _mm_movemask_epi8(found).cast_unsigned()
    }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn find<const N: usize>(block: &[u8; LANES], bytes: [u8; N], control: bool) -> u32 {
    let found = |b: u8| bytes.contains(&b) || (control && b < 0x20);
    block.iter().enumerate().fold(0, |mask, (i, &b)| mask | (u32::from(found(b)) << i))
}

/// Appends to `marks` the index, counted from `base`, of every delimiter, quote, line feed and carriage return.
pub(super) fn mark_csv(bytes: &[u8], base: u32, delimiter: u8, quote: u8, marks: &mut Vec<u32>) {
    let (blocks, tail) = bytes.as_chunks::<LANES>();
    let mut at = base;
    for block in blocks {
        let mut found = find(block, [delimiter, quote, b'\n', b'\r'], false);
        while found != 0 {
            marks.push(at + found.trailing_zeros());
            found &= found - 1;
        }
        at += LANES as u32;
    }
    for (i, &b) in (at..).zip(tail) {
        if b == delimiter || b == quote || b == b'\n' || b == b'\r' {
            marks.push(i);
        }
    }
}

/// Index of the first byte at or after `from` that ends plain JSON string content: a quote, a backslash, or a control
/// character; the length where there is none.
#[inline(always)]
pub(super) fn string_special(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(block) = bytes.get(at..at + LANES) {
        let found = find(block.try_into().expect("sixteen bytes"), [b'"', b'\\'], true);
        if found != 0 {
            return at + found.trailing_zeros() as usize;
        }
        at += LANES;
    }
    let tail = bytes.get(at..).unwrap_or_default();
    at + tail.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20).unwrap_or(tail.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_plain_loop_finds(bytes in prop::collection::vec(prop_oneof![Just(b','), Just(b'"'), Just(b'\n'), any::<u8>()], 0..200)) {
            let mut marks = Vec::new();
            mark_csv(&bytes, 7, b',', b'"', &mut marks);
            let plain: Vec<u32> = bytes.iter().enumerate().filter(|(_, b)| b",\"\n\r".contains(b)).map(|(i, _)| i as u32 + 7).collect();
            prop_assert_eq!(marks, plain);
            for from in 0..=bytes.len() {
                let special = |b: &u8| *b == b'"' || *b == b'\\' || *b < 0x20;
                let plain = bytes[from..].iter().position(special).map_or(bytes.len(), |i| from + i);
                prop_assert_eq!(string_special(&bytes, from), plain);
            }
        }
    }
}
