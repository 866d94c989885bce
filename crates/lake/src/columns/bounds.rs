//! The least and the greatest of a column's texts, as a footer has them. Called by the text columns.

use parquet::{
    data_type::ByteArray,
    file::statistics::{Statistics, ValueStatistics},
};

/// Longer ones are cut.
const MOST_BYTES: usize = 64;

/// Of what was seen; `None` before anything was.
#[derive(Default)]
pub(super) struct Bounds(Option<(Vec<u8>, Vec<u8>)>);

impl Bounds {
    pub(super) fn see(&mut self, value: &[u8]) {
        match &mut self.0 {
            None => self.0 = Some((value.to_vec(), value.to_vec())),
            Some((least, _)) if value < least.as_slice() => value.clone_into(least),
            Some((_, most)) if value > most.as_slice() => value.clone_into(most),
            Some(_) => {}
        }
    }

    /// `utf8`: they are text, and stay so where they are cut.
    pub(super) fn told(self, nulls: u64, utf8: bool) -> Statistics {
        let exact = |v: &[u8]| v.len() <= MOST_BYTES;
        let told = self.0.and_then(|(least, most)| {
            let (whole_least, whole_most) = (exact(&least), exact(&most));
            let most = if whole_most { most } else { above(cut(&most, utf8), utf8)? };
            let least = if whole_least { least } else { cut(&least, utf8).to_vec() };
            Some(((least, whole_least), (most, whole_most)))
        });
        let (least, most) = told.unzip();
        let (whole_least, whole_most) = (least.as_ref().is_none_or(|l| l.1), most.as_ref().is_none_or(|m| m.1));
        let [least, most] = [least, most].map(|bound| bound.map(|b| ByteArray::from(b.0)));
        let statistics = ValueStatistics::new(least, most, None, Some(nulls), false);
        statistics.with_min_is_exact(whole_least).with_max_is_exact(whole_most).into()
    }
}

/// The start of a value that is longer.
fn cut(value: &[u8], utf8: bool) -> &[u8] {
    // A byte that goes on with a character cannot be the first one that is left out.
    let splits = |at: &usize| !utf8 || value[*at] & 0b1100_0000 != 0b1000_0000;
    &value[..(1..=MOST_BYTES).rev().find(splits).unwrap_or(0)]
}

/// What is greater than all that begin with `start`; `None` where nothing is.
fn above(start: &[u8], utf8: bool) -> Option<Vec<u8>> {
    if !utf8 {
        let last = start.iter().rposition(|b| *b < u8::MAX)?;
        let mut above = start[..=last].to_vec();
        above[last] += 1;
        return Some(above);
    }
    let text = std::str::from_utf8(start).ok()?;
    let next = |(at, c): (usize, char)| {
        let next = char::from_u32(u32::from(c) + 1).filter(|n| n.len_utf8() == c.len_utf8())?;
        Some(format!("{}{next}", &text[..at]).into_bytes())
    };
    text.char_indices().rev().find_map(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(values: &[&[u8]], utf8: bool) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let mut all = Bounds::default();
        values.iter().for_each(|v| all.see(v));
        let told = all.told(0, utf8);
        (told.min_bytes_opt().map(<[u8]>::to_vec), told.max_bytes_opt().map(<[u8]>::to_vec))
    }

    #[test]
    fn long_ones_are_cut_to_what_still_bounds_them() {
        let pair = |a: &[u8], b: &[u8]| (Some(a.to_vec()), Some(b.to_vec()));
        assert_eq!(bounds(&[b"b", b"c", b"a"], true), pair(b"a", b"c"));
        assert_eq!(bounds(&[], true), (None, None));
        // The 64th byte is the first of two.
        let long = format!("{}é{}", "x".repeat(63), "y".repeat(9));
        let expected = format!("{}y", "x".repeat(62));
        assert_eq!(bounds(&[long.as_bytes()], true), pair("x".repeat(63).as_bytes(), expected.as_bytes()));
        let bytes = [7; 70];
        assert_eq!(bounds(&[&bytes], false), pair(&[7; 64], &[&[7; 63][..], &[8]].concat()));
        // Nothing is above these.
        assert_eq!(bounds(&[&[255; 70]], false), (None, None));
        assert_eq!(bounds(&["\u{10FFFF}".repeat(20).as_bytes()], true), (None, None));
    }
}
