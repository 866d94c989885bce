//! Whether a file has rested long enough to be complete.

use alluvium_model::Span;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    Settled,
    /// How long until it is settled.
    Young(Duration),
}

/// `same_as_before`: an earlier look found the file with the same size and time. A time in the future says nothing
/// about the file's rest, so that one look that found it unchanged has to do.
pub(super) fn age(modified_nanos: i64, now_nanos: i128, settle: Span, same_as_before: bool) -> Age {
    let modified = i128::from(modified_nanos);
    let settle_nanos = i128::from(settle.micros()) * 1_000;
    if settle_nanos == 0 {
        return Age::Settled;
    }
    if modified > now_nanos {
        return if same_as_before { Age::Settled } else { Age::Young(settle.into()) };
    }
    match u64::try_from(modified + settle_nanos - now_nanos) {
        Ok(left) if left > 0 => Age::Young(Duration::from_nanos(left)),
        _ => Age::Settled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_file_settles_when_its_time_is_past() {
        let settle = Span::from_secs(2);
        let at = |s: i64| age(100 * SECOND, i128::from(s * SECOND), settle, false);
        assert_eq!(at(100), Age::Young(Duration::from_secs(2)));
        assert_eq!(at(101), Age::Young(Duration::from_secs(1)));
        assert_eq!(at(102), Age::Settled);
        assert_eq!(age(100 * SECOND, i128::from(100 * SECOND), Span::ZERO, false), Age::Settled);
    }

    #[test]
    fn a_time_in_the_future_waits_one_look() {
        let settle = Span::from_secs(2);
        assert_eq!(age(i64::MAX, 0, settle, false), Age::Young(Duration::from_secs(2)));
        assert_eq!(age(i64::MAX, 0, settle, true), Age::Settled);
        assert_eq!(age(i64::MIN, i128::from(i64::MAX), settle, false), Age::Settled);
    }
}
