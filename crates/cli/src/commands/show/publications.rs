//! `show publications`: what waits for each sink, and why.

use super::listing::{Column, list, or_dash};
use crate::{
    args::Global,
    error::CliError,
    render::{Align, brief_time, grouped, json_time_if_any, printable},
    wire::Wired,
};
use alluvium_store::Lane;
use jiff::Timestamp;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct Line {
    /// Or `runs`.
    dataset: String,
    sink: String,
    waiting: u64,
    /// When the oldest waiting one was made.
    #[serde(serialize_with = "json_time_if_any")]
    oldest: Option<Timestamp>,
    /// Of the oldest, in a row.
    failures: u32,
    #[serde(serialize_with = "json_time_if_any")]
    next_try: Option<Timestamp>,
    /// The receiver wants no more.
    off: bool,
    /// Whether the project still has the sink.
    defined: bool,
    error: Option<String>,
}

const COLUMNS: &[Column<Line>] = &[
    ("dataset", Align::Left, |l| l.dataset.clone()),
    ("sink", Align::Left, |l| l.sink.clone()),
    ("waiting", Align::Right, |l| grouped(l.waiting)),
    ("oldest", Align::Left, |l| or_dash(l.oldest.map(brief_time))),
    ("failures", Align::Right, |l| l.failures.to_string()),
    ("next try", Align::Left, |l| match (l.defined, l.off) {
        (false, _) => "no such sink now".to_owned(),
        (true, true) => "off".to_owned(),
        (true, false) => or_dash(l.next_try.map(brief_time)),
    }),
    ("error", Align::Left, |l| or_dash(l.error.as_deref().map(printable))),
];

pub async fn show(global: &Global, wired: &Wired) -> Result<(), CliError> {
    list(global, COLUMNS, &lines(wired).await?, "nothing was published yet")
}

pub async fn lines(wired: &Wired) -> Result<Vec<Line>, CliError> {
    let now = wired.clock.now();
    let lanes = wired.store.lanes().await?.into_iter();
    let line = |l: Lane| Line {
        defined: wired.project.sinks.contains_key(&l.sink),
        dataset: l.topic.to_string(),
        next_try: next_try(&l, now),
        sink: l.sink,
        waiting: l.waiting,
        oldest: l.oldest,
        failures: l.failures,
        off: l.off.is_some(),
        error: l.error,
    };
    Ok(lanes.map(line).collect())
}

/// `None`: nothing waits, or it is due by now.
fn next_try(lane: &Lane, now: Timestamp) -> Option<Timestamp> {
    (lane.waiting > 0 && lane.next_at > now).then_some(lane.next_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_has_passed_is_no_next_try() {
        let at = |s: i64| Timestamp::from_second(s).expect("a time");
        let lane = |waiting: u64, next_at: i64| Lane {
            topic: "silver.a".parse().expect("a topic"),
            sink: "hook".to_owned(),
            waiting,
            oldest: None,
            failures: 1,
            next_at: at(next_at),
            error: None,
            off: None,
        };
        assert_eq!(next_try(&lane(1, 11), at(10)), Some(at(11)));
        assert_eq!(next_try(&lane(1, 10), at(10)), None);
        assert_eq!(next_try(&lane(1, 0), at(10)), None);
        assert_eq!(next_try(&lane(0, 11), at(10)), None);
    }
}
