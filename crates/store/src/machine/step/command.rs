//! What can be wanted of a step, and why it may not be had.

use jiff::Timestamp;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// It is planned, under a key that was there before.
    Plan,
    /// An attempt begins. Nobody else has the lease.
    Claim { now: Timestamp },
    /// Its lease does not hold any more, and nobody said how its attempt ended.
    Lose,
    /// Its run ends in order, and goes on with none of its attempts.
    HandBack,
    /// Nobody executes it as far as the state can say; whoever does so all the same is of an older attempt from now on.
    HoldOff,
    /// This attempt failed.
    Fail {
        attempt: u32,
        /// With so many failures it is a dead letter.
        most: u32,
        /// `None`: the error stays.
        retry_at: Option<Timestamp>,
    },
    /// This attempt committed, or had nothing to commit.
    Finish { attempt: u32, has_committed: bool },
    /// A person wants a dead letter tried again.
    Replay,
    /// A person releases or drops what a gate held.
    Verdict {
        /// It is held as the person saw it.
        is_as_held: bool,
    },
    /// Its input is planned anew. Its table is closed to so many attempts.
    Supersede { attempts: u32 },
    /// The backfill that it is a window of has come to its end.
    GiveUp,
    /// The backfill that it is a window of is forgotten.
    Forget,
}

/// Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is planned already.
    There,
    /// An attempt has its lease.
    Held,
    /// No attempt has its lease.
    NotHeld,
    /// No attempt begins before then.
    NotYet { until: Timestamp },
    /// Another attempt is its newest.
    OtherAttempt,
    /// Only a replay, or a verdict, brings it back.
    Dead,
    /// It is no dead letter.
    NotDead,
    /// It is held for another reason than the one that was judged.
    NotAsHeld,
    /// It is done, for good.
    Done,
    /// It never runs, for good.
    Superseded,
}
