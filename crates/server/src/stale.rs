//! Tells when a dataset's newest event is older than its `accept.freshness` allows: what a gate cannot tell, because nothing comes to it.
//!
//! Called by the loop in `service.rs`, and by cli at the end of a run. A table is read only when it has another version than at the last look, and then one column of it.

use alluvium_flow::{Ages, Flow, FlowError, Signal};
use alluvium_model::{DatasetName, Span};
use alluvium_spec::{Freshness, Project};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;

/// Between two looks for what other processes committed, and the shortest time between two looks.
const LONGEST: SignedDuration = SignedDuration::from_secs(60);
const SHORTEST: SignedDuration = SignedDuration::from_secs(1);
/// How often work that ends looks again because others told something meanwhile.
const TRIES: u32 = 4;

pub(crate) struct Stale {
    watched: BTreeMap<DatasetName, Watched>,
    next: Timestamp,
    /// Something changed while a look went on, which may have passed it already.
    again: bool,
    /// Alerts are judged by what the last look found: what a later one finds would be overtaken.
    judging: bool,
}

struct Watched {
    of: Freshness,
    /// Of the table, and its newest event time; `None`: it was not there.
    seen: Option<(i64, Option<Timestamp>)>,
    /// The age that was told.
    told: Option<Span>,
}

/// What a look found.
pub(crate) struct Age {
    dataset: DatasetName,
    version: i64,
    newest: Option<Timestamp>,
}

impl Stale {
    pub(crate) fn new(project: &Project, now: Timestamp) -> Self {
        let watched = project.datasets.values().filter_map(|d| {
            let of = d.accept.freshness.clone()?;
            Some((d.name.clone(), Watched { of, seen: None, told: None }))
        });
        let watched: BTreeMap<_, _> = watched.collect();
        let next = if watched.is_empty() { Timestamp::MAX } else { now };
        Self { watched, next, again: false, judging: false }
    }

    /// When to look.
    pub(crate) const fn next(&self) -> Timestamp {
        if self.judging { Timestamp::MAX } else { self.next }
    }

    /// Alerts were judged by what was found, unless it was overtaken.
    pub(crate) fn judged(&mut self, is_judged: bool, now: Timestamp) {
        self.judging = false;
        if !is_judged {
            self.next = self.next.min(after(now, SHORTEST));
        }
    }

    /// Something was committed, perhaps.
    pub(crate) fn changed(&mut self, now: Timestamp) {
        if self.next == Timestamp::MAX {
            self.again = true;
        } else {
            self.next = self.next.min(now);
        }
    }

    /// No other look begins before this one is told.
    pub(crate) fn look<'f>(&mut self, flow: &'f Flow<'f>) -> impl Future<Output = Vec<Age>> + use<'f> {
        self.next = Timestamp::MAX;
        let all = self.watched.iter().map(|(name, w)| (name.clone(), w.of.clone(), w.seen)).collect::<Vec<_>>();
        async move {
            let mut ages = Vec::new();
            for (dataset, of, seen) in all {
                let version = match flow.engine.head(&dataset).await {
                    Ok(Some(version)) => version,
                    // What was never published is not old.
                    Ok(None) => continue,
                    Err(error) => {
                        tracing::warn!(code = error.code(), error = %error, %dataset, "its age cannot be told now");
                        continue;
                    }
                };
                let newest = match seen {
                    Some((same, newest)) if same == version => Ok(newest),
                    _ => flow.engine.newest(&dataset, &of).await,
                };
                match newest {
                    Ok(newest) => ages.push(Age { dataset, version, newest }),
                    Err(error) => {
                        tracing::warn!(code = error.code(), error = %error, %dataset, "its age cannot be told now");
                    }
                }
            }
            ages
        }
    }

    /// Each passing of a level once, and its end. What is known now of tables, for alerts.
    pub(crate) fn tell(&mut self, ages: Vec<Age>, flow: &Flow<'_>) -> Ages {
        let (now, mut known) = (flow.clock.now(), Ages::new());
        for Age { dataset, version, newest } in ages {
            let Some(watched) = self.watched.get_mut(&dataset) else { continue };
            watched.seen = Some((version, newest));
            if let Some(signal) = watched.judge(&dataset, newest, now) {
                flow.report.signal(signal);
            }
            known.insert(dataset, newest);
        }
        let again = std::mem::take(&mut self.again);
        let passes = self.watched.values().filter_map(|w| w.passes_at(now));
        let soonest = passes.chain(again.then_some(now)).min().unwrap_or(Timestamp::MAX);
        self.next = soonest.min(after(now, LONGEST)).max(after(now, SHORTEST));
        self.judging = !known.is_empty();
        known
    }
}

/// What is too old now, told once, and its alerts. For work that ends.
///
/// # Errors
/// When the state store fails.
pub async fn tell_stale(flow: &Flow<'_>) -> Result<(), FlowError> {
    let mut stale = Stale::new(flow.project, flow.clock.now());
    for _ in 0..TRIES {
        let ages = stale.look(flow).await;
        if flow.tell_ages(&stale.tell(ages, flow)).await? {
            break;
        }
    }
    Ok(())
}

impl Watched {
    fn judge(&mut self, dataset: &DatasetName, newest: Option<Timestamp>, now: Timestamp) -> Option<Signal> {
        let age = newest.map_or(i64::MAX, |n| now.as_microsecond().saturating_sub(n.as_microsecond()));
        let beyond = self.of.beyond(age);
        let before = std::mem::replace(&mut self.told, beyond.map(|(after, _)| after));
        let (dataset, column) = (dataset.clone(), self.of.column.clone());
        match beyond {
            Some((after, _)) if before == Some(after) => None,
            Some((after, is_error)) => Some(Signal::Stale { dataset, column, newest, after, is_error }),
            None => before.map(|_| Signal::Fresh { dataset }),
        }
    }

    /// When the next level is passed, if nothing comes.
    fn passes_at(&self, now: Timestamp) -> Option<Timestamp> {
        let newest = self.seen?.1?;
        let levels = [self.of.warn_after, self.of.error_after].into_iter().flatten();
        let passes = levels.map(|l| after(newest, SignedDuration::from_micros(l.micros().saturating_add(1))));
        passes.filter(|p| *p > now).min()
    }
}

fn after(time: Timestamp, wait: SignedDuration) -> Timestamp {
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    fn watched() -> Watched {
        let (warn_after, error_after) = (Some(Span::from_secs(10)), Some(Span::from_secs(60)));
        let of = Freshness { column: "at".to_owned(), warn_after, error_after };
        Watched { of, seen: None, told: None }
    }

    #[test]
    fn each_level_is_told_once_and_so_is_its_end() {
        let name: DatasetName = "silver.a".parse().expect("a name");
        let mut watched = watched();
        let mut told = |newest: i64, now: i64| match watched.judge(&name, Some(at(newest)), at(now)) {
            Some(Signal::Stale { after, is_error, .. }) => format!("{after} {is_error}"),
            Some(Signal::Fresh { .. }) => "fresh".to_owned(),
            Some(other) => panic!("{other:?}"),
            None => String::new(),
        };
        let said = [told(100, 110), told(100, 111), told(100, 150), told(100, 161), told(100, 999), told(990, 999)];
        assert_eq!(said, ["", "10s false", "", "60s true", "", "fresh"].map(|s| s.replace("60s", "1m")));
        assert_eq!(told(990, 999), "");
    }

    #[test]
    fn a_table_without_a_time_is_stale_and_levels_are_waited_for() {
        let name: DatasetName = "silver.a".parse().expect("a name");
        let mut watched = watched();
        assert!(matches!(watched.judge(&name, None, at(0)), Some(Signal::Stale { is_error: true, newest: None, .. })));
        assert_eq!(watched.passes_at(at(100)), None);
        watched.seen = Some((3, Some(at(100))));
        let next = |now| watched.passes_at(now).map(|t| t.as_second());
        assert_eq!([next(at(105)), next(at(120)), next(at(161))], [Some(110), Some(160), None]);
    }
}
