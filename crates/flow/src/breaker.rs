//! Circuit breakers: what many steps share is left alone for a while after it failed several times in a row.
//!
//! Called by `step.rs` around each attempt. A process has its own; it knows no clock and no store.

use crate::retry::after;
use jiff::Timestamp;
use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Mutex, time::Duration};

/// Failures in a row, of whatever steps.
const OPENS_AFTER: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What a step needs beside itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependency {
    /// The store of tables.
    Lake,
    /// A folder where landing objects lie.
    Folder(PathBuf),
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lake => f.write_str("the lake"),
            Self::Folder(path) => write!(f, "the landing folder {}", path.display()),
        }
    }
}

/// One for each dependency; all are closed at first.
#[derive(Debug, Default)]
pub struct Breakers(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    breakers: BTreeMap<Dependency, Breaker>,
    /// When each answered last.
    answered: BTreeMap<Dependency, Timestamp>,
}

/// What this process can say of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// It is left alone, since it failed then.
    Open {
        since: Timestamp,
    },
    Answered {
        at: Timestamp,
    },
}

/// Closed while `open` is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Breaker {
    /// In a row.
    failures: u32,
    open: Option<Open>,
}

/// Until then nothing is tried. Then one attempt is, and until that ends, or another wait is over, nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Open {
    since: Timestamp,
    until: Timestamp,
    wait: Duration,
}

impl Breakers {
    /// Whether an attempt may begin that needs all of these. Otherwise tells which of them is left alone, and until when.
    pub(crate) fn ask(&self, uses: &[Dependency], now: Timestamp) -> Result<(), (Dependency, Timestamp)> {
        let all = &self.0.lock().expect("no holder of this lock panics").breakers;
        let open = |d: &Dependency| all.get(d).and_then(|b| b.open).map(|o| o.until).filter(|until| now < *until);
        if let Some((until, dependency)) = uses.iter().filter_map(|d| Some((open(d)?, d))).max() {
            return Err((dependency.clone(), until));
        }
        Ok(())
    }

    /// An attempt begins that needs all of these.
    pub(crate) fn begins(&self, uses: &[Dependency], now: Timestamp) {
        let all = &mut self.0.lock().expect("no holder of this lock panics").breakers;
        for dependency in uses {
            if let Some(breaker) = all.get_mut(dependency) {
                breaker.begins(now);
            }
        }
    }

    /// An attempt failed because of it. `Some`: it is left alone until then.
    pub(crate) fn failed(&self, dependency: &Dependency, now: Timestamp) -> Option<Timestamp> {
        let all = &mut self.0.lock().expect("no holder of this lock panics").breakers;
        all.entry(dependency.clone()).or_default().failed(now)
    }

    /// An attempt succeeded that needed all of these. Answers those that had been left alone.
    pub(crate) fn succeeded(&self, uses: &[Dependency], now: Timestamp) -> Vec<Dependency> {
        let mut known = self.0.lock().expect("no holder of this lock panics");
        known.answered.extend(uses.iter().map(|d| (d.clone(), now)));
        uses.iter().filter(|d| known.breakers.remove(*d).is_some_and(|b| b.open.is_some())).cloned().collect()
    }

    /// Of each dependency that this process has had to do with.
    pub(crate) fn words(&self) -> BTreeMap<Dependency, Word> {
        let known = self.0.lock().expect("no holder of this lock panics");
        let answered = known.answered.iter().map(|(d, at)| (d.clone(), Word::Answered { at: *at }));
        let open = known.breakers.iter().filter_map(|(d, b)| Some((d.clone(), Word::Open { since: b.open?.since })));
        answered.chain(open).collect()
    }
}

impl Breaker {
    /// Half open: whoever asks next has to wait for what this attempt finds.
    fn begins(&mut self, now: Timestamp) {
        if let Some(open) = &mut self.open {
            open.until = after(now, open.wait);
        }
    }

    fn failed(&mut self, now: Timestamp) -> Option<Timestamp> {
        self.failures = self.failures.saturating_add(1);
        let wait = match self.open {
            Some(open) => (open.wait * 2).min(LONGEST_WAIT),
            None if self.failures >= OPENS_AFTER => FIRST_WAIT,
            None => return None,
        };
        let until = after(now, wait);
        self.open = Some(Open { since: now, until, wait });
        Some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAKE: &[Dependency] = &[Dependency::Lake];

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("an instant")
    }

    /// Asks, and begins if it may.
    fn try_at(breakers: &Breakers, uses: &[Dependency], second: i64) -> Result<(), (Dependency, Timestamp)> {
        breakers.ask(uses, at(second)).inspect(|()| breakers.begins(uses, at(second)))
    }

    fn opened() -> Breakers {
        let breakers = Breakers::default();
        for n in 1..OPENS_AFTER {
            assert_eq!(breakers.failed(&Dependency::Lake, at(0)), None, "{n}");
        }
        assert_eq!(breakers.failed(&Dependency::Lake, at(0)), Some(at(30)));
        breakers
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_starts_the_count_anew() {
        let breakers = Breakers::default();
        for _ in 0..3 {
            for _ in 1..OPENS_AFTER {
                assert_eq!(breakers.failed(&Dependency::Lake, at(0)), None);
            }
            assert!(breakers.succeeded(LAKE, at(0)).is_empty(), "it was never open");
        }
        assert_eq!(try_at(&opened(), LAKE, 29), Err((Dependency::Lake, at(30))));
    }

    #[test]
    fn after_the_wait_one_attempt_decides_for_all() {
        let breakers = opened();
        assert_eq!(try_at(&breakers, LAKE, 30), Ok(()));
        assert_eq!(try_at(&breakers, LAKE, 31), Err((Dependency::Lake, at(60))), "one is at it");
        assert_eq!(breakers.failed(&Dependency::Lake, at(40)), Some(at(100)), "twice as long");
        assert_eq!(try_at(&breakers, LAKE, 99), Err((Dependency::Lake, at(100))));
        assert_eq!(try_at(&breakers, LAKE, 100), Ok(()));
        assert_eq!(breakers.succeeded(LAKE, at(0)), LAKE);
        assert_eq!((try_at(&breakers, LAKE, 100), try_at(&breakers, LAKE, 100)), (Ok(()), Ok(())));
        assert_eq!(breakers.failed(&Dependency::Lake, at(101)), None, "the count starts anew");
    }

    #[test]
    fn an_attempt_that_says_nothing_is_not_waited_for_without_end() {
        let breakers = opened();
        assert_eq!(try_at(&breakers, LAKE, 30), Ok(()));
        assert_eq!(try_at(&breakers, LAKE, 60), Ok(()), "it was stopped, or failed for a reason of its own");
    }

    #[test]
    fn the_newest_word_on_a_dependency_is_told() {
        let breakers = opened();
        assert_eq!(breakers.words(), BTreeMap::from([(Dependency::Lake, Word::Open { since: at(0) })]));
        breakers.succeeded(LAKE, at(40));
        assert_eq!(breakers.words(), BTreeMap::from([(Dependency::Lake, Word::Answered { at: at(40) })]));
        assert_eq!(breakers.failed(&Dependency::Lake, at(50)), None);
        assert_eq!(breakers.words()[&Dependency::Lake], Word::Answered { at: at(40) }, "one failure opens nothing");
    }

    #[test]
    fn waits_have_an_end() {
        let breakers = opened();
        let mut now = 0;
        for wait in [60, 120, 240, 300, 300] {
            assert_eq!(breakers.failed(&Dependency::Lake, at(now)), Some(at(now + wait)));
            now += wait;
        }
    }

    #[test]
    fn what_is_not_needed_does_not_matter() {
        let breakers = opened();
        let folder = Dependency::Folder("landing".into());
        assert_eq!(try_at(&breakers, std::slice::from_ref(&folder), 1), Ok(()));
        assert_eq!(try_at(&breakers, &[folder.clone(), Dependency::Lake], 1), Err((Dependency::Lake, at(30))));
        assert_eq!(breakers.failed(&folder, at(1)), None);
    }
}
