//! How often a webhook may be called: a bucket of calls that fills again with time.
//!
//! Called by `hooks.rs`. Each process counts for itself.

use alluvium_spec::Rate;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// In millionths of a call.
    level: u64,
    at: Timestamp,
}

const CALL: u64 = 1_000_000;

impl Bucket {
    pub(super) fn full(rate: Rate, now: Timestamp) -> Self {
        Self { rate, level: u64::from(rate.limit) * CALL, at: now }
    }

    /// Takes one call, or tells after how long there is one.
    pub(super) fn take(&mut self, now: Timestamp) -> Result<(), Duration> {
        let limit = u64::from(self.rate.limit);
        let period = u64::try_from(self.rate.period.micros()).unwrap_or(u64::MAX).max(1);
        let passed = u64::try_from(now.duration_since(self.at).as_micros()).unwrap_or(0);
        let gained = u128::from(passed) * u128::from(limit) * u128::from(CALL) / u128::from(period);
        let most = u128::from(limit * CALL);
        let level = u128::from(self.level) + gained;
        if level >= most || now < self.at {
            // A clock that was set back fills nothing, and from now on counts anew.
            self.at = now;
        } else {
            // Only the time that gave something is used up.
            let used = gained * u128::from(period) / most;
            self.at += SignedDuration::from_micros(i64::try_from(used).unwrap_or(0));
        }
        self.level = u64::try_from(level.min(most)).unwrap_or(self.level);
        if self.level >= CALL {
            self.level -= CALL;
            return Ok(());
        }
        let missing = u128::from(CALL - self.level) * u128::from(period) / (u128::from(limit) * u128::from(CALL));
        Err(Duration::from_micros(u64::try_from(missing).unwrap_or(u64::MAX).max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_model::Span;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_microsecond(1_700_000_000_000_000 + micros).expect("a time")
    }

    #[test]
    fn it_empties_and_fills() {
        let rate = Rate { limit: 2, period: Span::from_secs(1) };
        let mut bucket = Bucket::full(rate, at(0));
        assert_eq!(bucket.take(at(0)), Ok(()));
        assert_eq!(bucket.take(at(0)), Ok(()));
        assert_eq!(bucket.take(at(0)), Err(Duration::from_millis(500)));
        assert_eq!(bucket.take(at(250_000)), Err(Duration::from_millis(250)));
        assert_eq!(bucket.take(at(500_000)), Ok(()));
        assert!(bucket.take(at(500_000)).is_err());
        // A long pause is not saved up beyond the limit.
        assert_eq!(bucket.take(at(3_600_000_000)), Ok(()));
        assert_eq!(bucket.take(at(3_600_000_000)), Ok(()));
        assert!(bucket.take(at(3_600_000_000)).is_err());
        assert!(bucket.take(at(0)).is_err(), "a clock that is set back gives nothing");
        assert_eq!(bucket.take(at(500_000)), Ok(()));
    }

    #[test]
    fn many_small_steps_of_time_lose_nothing() {
        let mut bucket = Bucket::full(Rate { limit: 1, period: Span::from_secs(86_400) }, at(0));
        assert_eq!(bucket.take(at(0)), Ok(()));
        let mut taken = 0;
        for second in 1..=86_400_i64 {
            taken += u32::from(bucket.take(at(second * 1_000_000)).is_ok());
        }
        assert_eq!(taken, 1);
    }
}
