//! Whether a service that is to end by itself has had nothing to do for long enough.
//!
//! Called by the loop in `service.rs`.

use crate::resting::LOOK_EVERY;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Idle {
    /// `None`: it never ends by itself.
    after: Option<SignedDuration>,
    since: Option<Timestamp>,
    requests: u64,
}

impl Idle {
    /// The state is asked at least once before it ends.
    pub(crate) fn new(after: Option<Duration>) -> Self {
        let after = after.map(|a| SignedDuration::try_from(a.max(LOOK_EVERY * 2)).unwrap_or(SignedDuration::MAX));
        Self { after, since: None, requests: 0 }
    }

    /// When the service ends if nothing comes meanwhile. `requests`: how many there were so far that may bring work.
    pub(crate) fn ends(&mut self, is_quiet: bool, requests: u64, now: Timestamp) -> Timestamp {
        let Some(after) = self.after else { return Timestamp::MAX };
        if !is_quiet || requests != self.requests {
            self.since = None;
            self.requests = requests;
        }
        match is_quiet {
            true => self.since.get_or_insert(now).checked_add(after).unwrap_or(Timestamp::MAX),
            false => Timestamp::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_after_a_quiet_time_without_a_break() {
        let at = |s: i64| Timestamp::from_second(s).expect("a time");
        let mut idle = Idle::new(Some(Duration::from_secs(10)));
        assert_eq!(idle.ends(false, 0, at(0)), Timestamp::MAX);
        assert_eq!(idle.ends(true, 0, at(5)), at(15));
        assert_eq!(idle.ends(true, 0, at(9)), at(15));
        assert_eq!(idle.ends(true, 1, at(12)), at(22), "a request came and went");
        assert_eq!(idle.ends(false, 1, at(13)), Timestamp::MAX);
        assert_eq!(idle.ends(true, 1, at(14)), at(24));
        assert_eq!(Idle::new(Some(Duration::ZERO)).ends(true, 0, at(0)), at(2), "the state may hold something");
        assert_eq!(Idle::new(None).ends(true, 0, at(0)), Timestamp::MAX);
    }
}
