//! Parquet's encodings of small whole numbers: runs and packed bits, and differences. Called by the pages.

/// Numbers that share a least difference, and parts of them that share a width.
const BLOCK: usize = 128;
const PART: usize = 32;
/// Fewer equal numbers than this are packed like others.
const RUN: usize = 16;
/// Packed numbers come in these many.
const GROUP: usize = 8;

pub(super) fn varint(mut n: u64, to: &mut Vec<u8>) {
    while n >= 0x80 {
        to.push(n as u8 | 0x80);
        n >>= 7;
    }
    to.push(n as u8);
}

/// Small numbers of either sign as small ones without.
pub(super) fn zigzag(n: i64) -> u64 {
    ((n << 1) ^ (n >> 63)).cast_unsigned()
}

/// Bits that hold every number up to `most`.
pub(super) fn width(most: u32) -> u32 {
    u32::BITS - most.leading_zeros()
}

/// Numbers of so many bits, one after another, the lowest bits first.
fn pack(numbers: impl Iterator<Item = u32>, width: u32, to: &mut Vec<u8>) {
    let (mut bits, mut held) = (0_u64, 0);
    for n in numbers {
        bits |= u64::from(n) << held;
        held += width;
        if held >= u32::BITS {
            to.extend_from_slice(&(bits as u32).to_le_bytes());
            bits >>= u32::BITS;
            held -= u32::BITS;
        }
    }
    to.extend_from_slice(&bits.to_le_bytes()[..held.div_ceil(8) as usize]);
}

/// `DELTA_BINARY_PACKED`.
pub(super) fn differences(numbers: &[i32], to: &mut Vec<u8>) {
    for n in [BLOCK, BLOCK / PART, numbers.len()] {
        varint(n as u64, to);
    }
    let mut before = numbers.first().copied().unwrap_or(0);
    varint(zigzag(before.into()), to);
    let mut all = [0_i64; BLOCK];
    for block in numbers.get(1..).unwrap_or_default().chunks(BLOCK) {
        let differences = &mut all[..block.len()];
        for (difference, n) in differences.iter_mut().zip(block) {
            *difference = i64::from(*n) - i64::from(before);
            before = *n;
        }
        let least = differences.iter().copied().min().unwrap_or(0);
        varint(zigzag(least), to);
        let widths = to.len();
        to.extend_from_slice(&[0; BLOCK / PART]);
        for (i, part) in differences.chunks(PART).enumerate() {
            let above = || part.iter().map(|d| (d - least) as u32);
            let width = width(above().fold(0, |all, n| all | n));
            to[widths + i] = width as u8;
            pack(above().chain(std::iter::repeat_n(0, PART - part.len())), width, to);
        }
    }
}

/// `RLE`: what comes again and again as runs, the rest packed.
pub(super) fn runs(numbers: &[u32], width: u32, to: &mut Vec<u8>) {
    let (mut packed, mut at) = (0, 0);
    while at < numbers.len() {
        let same = numbers[at..].iter().take_while(|n| **n == numbers[at]).count();
        if same >= RUN {
            packed_run(&numbers[packed..at], width, to);
            run(numbers[at], same, width, to);
            at += same;
            packed = at;
        } else {
            // A packed run that another one follows has whole groups.
            at = (at + GROUP).min(numbers.len());
        }
    }
    packed_run(&numbers[packed..], width, to);
}

/// One number so many times.
pub(super) fn run(number: u32, times: usize, width: u32, to: &mut Vec<u8>) {
    varint((times as u64) << 1, to);
    to.extend_from_slice(&number.to_le_bytes()[..width.div_ceil(8) as usize]);
}

fn packed_run(numbers: &[u32], width: u32, to: &mut Vec<u8>) {
    if !numbers.is_empty() {
        let groups = numbers.len().div_ceil(GROUP);
        packed_head(groups, to);
        let padding = std::iter::repeat_n(0, groups * GROUP - numbers.len());
        pack(numbers.iter().copied().chain(padding), width, to);
    }
}

/// What comes before packed numbers.
pub(super) fn packed_head(groups: usize, to: &mut Vec<u8>) {
    varint((groups as u64) << 1 | 1, to);
}
