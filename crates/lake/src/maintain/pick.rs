//! Which files of a table are worth writing again. Pure.

/// Files below this are small: a quarter of a full one.
pub(super) const SMALL_BYTES: u64 = 32 << 20;
/// So many small files are merged, no fewer.
const FEWEST: usize = 10;
/// Bytes read at once; the rest waits for the next time.
const MOST_BYTES: u64 = 1 << 30;
/// A larger file is written again when more than this share of its rows is gone: then no more is written than is saved, so that all
/// that is ever written again is less than what came.
const WORN_PERCENT: u64 = 50;

/// What counts of a data file.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) bytes: u64,
    pub(super) rows: u64,
    /// Rows that its deletion vector names.
    pub(super) gone: u64,
}

impl Size {
    /// What of the file is left, about.
    fn left(self) -> u64 {
        let all = u128::from(self.rows + self.gone).max(1);
        let left = if self.gone == 0 { all } else { u128::from(self.rows) };
        u64::try_from(u128::from(self.bytes) * left / all).unwrap_or(u64::MAX)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, rows: self.rows + other.rows, gone: self.gone + other.gone }
    }

    fn is_worn(self, small_bytes: u64) -> bool {
        self.bytes >= small_bytes && self.gone * 100 > (self.rows + self.gone) * WORN_PERCENT
    }
}

/// Indices of the files to write again as fewer ones; none when that would not pay. Those below `small_bytes` are small.
///
/// Of the small files the smallest are merged, as long as each is no larger than all that are smaller together. So a row
/// comes into a file of at least twice the size each time it is written: its writes are logarithmic in the data, and
/// what is merged once is not merged again by itself.
pub(super) fn pick(files: &[Size], small_bytes: u64) -> Vec<usize> {
    let (worn, rest): (Vec<usize>, Vec<usize>) = (0..files.len()).partition(|i| files[*i].is_worn(small_bytes));
    let mut small: Vec<usize> = rest.into_iter().filter(|i| files[*i].left() < small_bytes).collect();
    small.sort_by_key(|i| files[*i].left());
    let (mut sum, mut end) = (0, 0);
    for (n, i) in small.iter().enumerate() {
        let left = files[*i].left();
        if n > 0 && left <= sum {
            end = n + 1;
        }
        sum += left;
        if sum > MOST_BYTES {
            break;
        }
    }
    small.truncate(if end < FEWEST { 0 } else { end });
    let mut read = 0;
    let fits = |i: &usize| {
        read += files[*i].bytes;
        read <= MOST_BYTES || read == files[*i].bytes
    };
    small.into_iter().chain(worn).take_while(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(files: &[Size]) -> Vec<usize> {
        super::pick(files, SMALL_BYTES)
    }

    fn whole(bytes: u64) -> Size {
        Size { bytes, rows: bytes, gone: 0 }
    }

    /// Files and bytes written after arrivals of these sizes, merged whenever it pays.
    fn arrived(sizes: impl Iterator<Item = u64>) -> (usize, u64) {
        let (mut files, mut most, mut written) = (Vec::new(), 0, 0);
        for bytes in sizes {
            files.push(whole(bytes));
            let picked = pick(&files);
            if !picked.is_empty() {
                let merged: u64 = picked.iter().map(|i| files[*i].bytes).sum();
                let mut kept: Vec<Size> = (0..files.len()).filter(|i| !picked.contains(i)).map(|i| files[i]).collect();
                kept.push(whole(merged));
                written += merged;
                files = kept;
                assert!(pick(&files).is_empty(), "what was merged is left alone: {files:?}");
            }
            most = most.max(files.iter().filter(|f| f.bytes < SMALL_BYTES).count());
        }
        (most, written)
    }

    #[test]
    fn small_files_stay_few_and_rows_are_seldom_written_again() {
        let (most, written) = arrived((0..5_000).map(|_| 10_000));
        assert!(most <= 20, "{most} small files");
        assert!(written <= 8 * 5_000 * 10_000, "{written} bytes for 50 MB");
        let (most, written) = arrived((0..3_000).map(|i| 1_000 + i * 7_919 % 500_000));
        assert!(most <= 25, "{most} small files");
        assert!(written <= 8 * 3_000 * 250_000, "{written} bytes for 750 MB");
    }

    #[test]
    fn full_files_are_left_alone_until_they_are_worn() {
        let full = |gone| Size { bytes: 128 << 20, rows: 1_000_000 - gone, gone };
        assert!(pick(&vec![full(0); 40]).is_empty());
        assert_eq!(pick(&[full(0), full(500_000), full(500_001)]), [2]);
        // One that is larger than what is read at once is read all the same, alone.
        let huge = Size { bytes: 2 << 30, rows: 1, gone: 9 };
        assert_eq!(pick(&[huge, huge]), [0]);
    }

    #[test]
    fn a_few_small_files_wait_for_more() {
        assert!(pick(&vec![whole(1_000); 9]).is_empty());
        assert_eq!(pick(&vec![whole(1_000); 10]).len(), 10);
        let mut files = vec![whole(1_000); 10];
        files.push(whole(20_000_000));
        assert_eq!(pick(&files).len(), 10, "a file much larger than the others stays");
        assert!(pick(&[]).is_empty());
    }
}
