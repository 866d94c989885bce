//! Half-open ranges of time.

use crate::Span;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// `[from, to)`, microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    pub from: i64,
    pub to: i64,
}

impl Window {
    /// The window of length `size` that holds `micros`; windows start at multiples of `size` from 1970-01-01.
    pub fn holding(micros: i64, size: Span) -> Self {
        let from = micros.div_euclid(size.micros()) * size.micros();
        Self { from, to: from + size.micros() }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |m| Timestamp::from_microsecond(m).map_or_else(|_| m.to_string(), |t| t.to_string());
        write!(f, "[{}, {})", show(self.from), show(self.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_before_1970_fall_into_their_own_window() {
        let day: Span = "1 day".parse().expect("a day");
        assert_eq!(Window::holding(-1, day), Window { from: -86_400_000_000, to: 0 });
        assert_eq!(Window::holding(0, day).from, 0);
    }
}
