//! The values of a column that come again, each once. Called by the text columns.

use super::bounds::Bounds;
use hashbrown::HashMap;
use std::ops::Range;

/// Numbers by value, in the order in which they came.
#[derive(Default)]
pub(super) struct Dictionary {
    short: HashMap<Short, u32>,
    /// With the places in the page.
    long: HashMap<Box<[u8]>, (Range<usize>, u32)>,
    /// The long one that came last, which mostly comes again.
    last: Option<(Range<usize>, u32)>,
    /// All of them, as the file's page of values has them.
    page: Vec<u8>,
}

fn put(value: &[u8], page: &mut Vec<u8>) {
    page.extend_from_slice(&(value.len() as u32).to_le_bytes());
    page.extend_from_slice(value);
}

/// A value of up to sixteen bytes: its length, and its bytes, some of them twice. Compared without a call.
#[derive(PartialEq, Eq, Hash)]
struct Short(u64, u64, usize);

impl Short {
    #[inline]
    fn of(value: &[u8]) -> Option<Self> {
        let length = value.len();
        let (first, last) = match length {
            8..=16 => (u64::from_le_bytes(*value.first_chunk()?), u64::from_le_bytes(*value.last_chunk()?)),
            4..=7 => {
                let half = |bytes: &[u8; 4]| u64::from(u32::from_le_bytes(*bytes));
                (half(value.first_chunk()?), half(value.last_chunk()?))
            }
            0..=3 => (value.iter().fold(0, |all, b| all << 8 | u64::from(*b)), 0),
            _ => return None,
        };
        Some(Self(first, last, length))
    }
}

impl Dictionary {
    #[inline]
    pub(super) fn number(&mut self, value: &[u8]) -> u32 {
        let next = self.len() as u32;
        match Short::of(value) {
            Some(short) => *self.short.entry(short).or_insert_with(|| {
                put(value, &mut self.page);
                next
            }),
            None => self.long(value, next),
        }
    }

    fn long(&mut self, value: &[u8], next: u32) -> u32 {
        if let Some((place, number)) = &self.last
            && self.page[place.clone()] == *value
        {
            return *number;
        }
        let (place, number) = match self.long.get(value) {
            Some(found) => found.clone(),
            None => {
                put(value, &mut self.page);
                let place = self.page.len() - value.len()..self.page.len();
                self.long.entry(value.into()).or_insert((place, next)).clone()
            }
        };
        self.last = Some((place, number));
        number
    }

    pub(super) fn len(&self) -> usize {
        self.short.len() + self.long.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.page.len()
    }

    /// All values, each with its length before it.
    pub(super) fn page(&self) -> &[u8] {
        &self.page
    }

    pub(super) fn see(&self, bounds: &mut Bounds) {
        let mut rest = self.page.as_slice();
        while let Some((length, after)) = rest.split_first_chunk() {
            let (value, next) = after.split_at(u32::from_le_bytes(*length) as usize);
            bounds.see(value);
            rest = next;
        }
    }
}
