//! Whether a failed step is tried again, and when: pure functions over the dataset's policy.
//!
//! Called by `step.rs`. How often the step failed is in the state; nothing here remembers anything.

use alluvium_model::RetryClass;
use alluvium_spec::{Backoff, Jitter, Retry};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The policy for errors of this class; `None`: they stay until somebody mends their cause.
pub(crate) fn policy(retry: &Retry, class: RetryClass) -> Option<&Backoff> {
    match class {
        RetryClass::Transient => Some(&retry.transient),
        RetryClass::Throttled => Some(&retry.throttled),
        RetryClass::Timeout => Some(&retry.timeout),
        RetryClass::Auth | RetryClass::Schema | RetryClass::Data | RetryClass::Internal => None,
    }
}

/// How long to wait after so many failures; `random` is any number.
pub(crate) fn delay(backoff: &Backoff, failures: u32, random: u64) -> Duration {
    let (first, most) = (Duration::from(backoff.interval), Duration::from(backoff.max_delay));
    let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
    let seconds = first.as_secs_f64() * backoff.backoff_rate.powi(exponent);
    let whole = Duration::try_from_secs_f64(seconds).map_or(most, |d| d.min(most));
    match backoff.jitter {
        Jitter::None => whole,
        Jitter::Full => {
            let micros = u64::try_from(whole.as_micros()).unwrap_or(u64::MAX - 1);
            Duration::from_micros(random % (micros + 1))
        }
    }
}

pub(crate) fn after(time: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_model::Span;

    const STRICT: Backoff = Backoff {
        max_attempts: 5,
        interval: Span::from_secs(2),
        backoff_rate: 3.0,
        max_delay: Span::from_secs(60),
        jitter: Jitter::None,
    };

    fn millis(backoff: &Backoff, failures: u32, random: u64) -> u128 {
        delay(backoff, failures, random).as_millis()
    }

    #[test]
    fn delays_grow_up_to_the_longest() {
        let delays: Vec<u128> = (1..=6).map(|n| millis(&STRICT, n, 0)).collect();
        assert_eq!(delays, [2_000, 6_000, 18_000, 54_000, 60_000, 60_000]);
        assert_eq!(millis(&STRICT, u32::MAX, 0), 60_000);
        let steady = Backoff { backoff_rate: 1.0, ..STRICT };
        assert_eq!((millis(&steady, 1, 0), millis(&steady, 1_000, 0)), (2_000, 2_000));
    }

    #[test]
    fn full_jitter_lies_anywhere_up_to_the_delay() {
        let jittered = Backoff { jitter: Jitter::Full, ..STRICT };
        assert_eq!((millis(&jittered, 2, 0), millis(&jittered, 2, 6_000_000)), (0, 6_000));
        assert_eq!(millis(&jittered, 2, 6_000_001), 0, "the longest delay is one of them");
        let endless = Backoff { max_delay: Span::from_secs(i64::MAX / 1_000_000), ..jittered };
        assert!(delay(&endless, 10_000, u64::MAX) > Duration::ZERO);
    }

    #[test]
    fn only_errors_that_may_pass_have_a_policy() {
        use RetryClass::{Auth, Data, Internal, Schema, Throttled, Timeout, Transient};
        let retry = Retry {
            transient: STRICT,
            throttled: Backoff { max_attempts: 7, ..STRICT },
            timeout: Backoff { max_attempts: 2, ..STRICT },
        };
        for class in [Transient, Throttled, Auth, Schema, Data, Timeout, Internal] {
            assert_eq!(policy(&retry, class).is_some(), class.may_pass(), "{class}");
        }
        let most = |class| policy(&retry, class).expect("a policy").max_attempts;
        assert_eq!((most(Transient), most(Throttled), most(Timeout)), (5, 7, 2));
    }
}
