//! Values as counts: exact while there are few different ones, in fine bins beyond that, in bounded memory.
//!
//! A bin is the leading bits of a value's order. All bins are halved in number at once, as often as needed, so the same values give the same bins
//! in any order and however they are split: what a gate says of a step does not depend on how its rows were read.

use hashbrown::HashMap;

/// Bins at most; so many different values are told apart exactly.
pub(super) const MOST_BINS: usize = 4096;
/// Written for each bin.
const BYTES_PER_BIN: usize = 16;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Profile {
    /// Bits of a value that are left out.
    shift: u32,
    /// Values by the bits that are not.
    bins: HashMap<u64, u64>,
}

/// A value as a number whose order is that of the values.
fn place(value: f64) -> u64 {
    // There is one zero.
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The least value of that place.
fn value_at(place: u64) -> f64 {
    f64::from_bits(if place >> 63 == 1 { place & !(1 << 63) } else { !place })
}

impl Profile {
    /// What is no number is left out.
    pub(super) fn add(&mut self, value: f64) {
        if !value.is_nan() {
            self.count(place(value) >> self.shift, 1);
        }
    }

    fn count(&mut self, bin: u64, values: u64) {
        *self.bins.entry(bin).or_default() += values;
        while self.bins.len() > MOST_BINS {
            self.coarsen(self.shift + 1);
        }
    }

    fn coarsen(&mut self, shift: u32) {
        let by = shift - self.shift;
        let mut coarse = HashMap::with_capacity(self.bins.len());
        for (bin, values) in std::mem::take(&mut self.bins) {
            *coarse.entry(bin.checked_shr(by).unwrap_or(0)).or_default() += values;
        }
        (self.shift, self.bins) = (shift, coarse);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if other.shift > self.shift {
            self.coarsen(other.shift);
        }
        for (bin, values) in &other.bins {
            self.count(bin >> (self.shift - other.shift), *values);
        }
    }

    pub(super) fn values(&self) -> u64 {
        self.bins.values().sum()
    }

    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.bins.capacity() * 2 * BYTES_PER_BIN
    }

    fn sorted(&self) -> Vec<(u64, u64)> {
        let mut bins: Vec<(u64, u64)> = self.bins.iter().map(|(b, n)| (*b, *n)).collect();
        bins.sort_unstable();
        bins
    }

    /// The least value of the bin up to which `percent` of the values lie; of few different values, the value itself.
    pub(super) fn percentile(&self, percent: f64) -> Option<f64> {
        let rank = (percent / 100.0 * self.values() as f64).ceil().max(1.0);
        let mut upto = 0;
        for (bin, values) in self.sorted() {
            upto += values;
            if upto as f64 >= rank {
                return Some(value_at(bin << self.shift));
            }
        }
        None
    }

    /// Of both, the values up to each bin that one of them has, as shares; in order.
    pub(super) fn beside(&self, other: &Self) -> Vec<(f64, f64)> {
        let (mut a, mut b) = (self.clone(), other.clone());
        let shift = a.shift.max(b.shift);
        a.coarsen(shift);
        b.coarsen(shift);
        let (all_a, all_b) = (a.values() as f64, b.values() as f64);
        let mut bins: Vec<u64> = a.bins.keys().chain(b.bins.keys()).copied().collect();
        bins.sort_unstable();
        bins.dedup();
        let (mut upto_a, mut upto_b) = (0, 0);
        let mut upto = |bin: &u64| {
            upto_a += a.bins.get(bin).copied().unwrap_or(0);
            upto_b += b.bins.get(bin).copied().unwrap_or(0);
            (upto_a as f64 / all_a, upto_b as f64 / all_b)
        };
        bins.iter().map(&mut upto).collect()
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.shift.to_le_bytes().to_vec();
        for (bin, values) in self.sorted() {
            bytes.extend(bin.to_le_bytes());
            bytes.extend(values.to_le_bytes());
        }
        bytes
    }

    /// What [`Profile::to_bytes`] wrote.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (shift, bins) = bytes.split_first_chunk::<4>()?;
        let mut profile = Self { shift: u32::from_le_bytes(*shift), bins: HashMap::new() };
        for pair in bins.chunks(BYTES_PER_BIN) {
            let (bin, values) = pair.split_first_chunk::<8>()?;
            profile.bins.insert(u64::from_le_bytes(*bin), u64::from_le_bytes(values.try_into().ok()?));
        }
        Some(profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> Profile {
        let mut profile = Profile::default();
        values.iter().for_each(|v| profile.add(*v));
        profile
    }

    #[test]
    fn few_different_values_are_exact() {
        let all: Vec<f64> = (0..MOST_BINS).map(|i| i as f64 * 0.37 - 300.0).collect();
        let profile = of(&all);
        for percent in [0.01, 1.0, 25.0, 50.0, 95.0, 99.99] {
            let rank = (percent / 100.0 * all.len() as f64).ceil() as usize;
            assert_eq!(profile.percentile(percent), Some(all[rank - 1]), "{percent}");
        }
        assert_eq!(of(&[0.0, -0.0]).bins.len(), 1);
        assert_eq!(of(&[]).percentile(50.0), None);
    }

    #[test]
    fn many_different_values_stay_in_bounds() {
        let all: Vec<f64> = (0..300_000).map(|i| f64::from(i).mul_add(0.001, 1000.0)).collect();
        let profile = of(&all);
        assert!(profile.bins.len() <= MOST_BINS && profile.bins.len() > MOST_BINS / 4, "{}", profile.bins.len());
        let median = profile.percentile(50.0).expect("values");
        assert!((median - 1150.0).abs() < 0.5, "{median}");
    }

    proptest! {
        /// Any order and any split, and by way of bytes: the same bins.
        #[test]
        fn a_profile_is_that_of_its_values(
            mut values in proptest::collection::vec(any::<f64>().prop_filter("a number", |v| !v.is_nan()), 1..6000),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = of(&values);
            values.reverse();
            let (left, right) = values.split_at(cut.index(values.len()));
            let mut merged = Profile::from_bytes(&of(left).to_bytes()).expect("its own bytes");
            merged.merge(&of(right));
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(whole.values(), values.len() as u64);
        }
    }
}
