//! How often and how long a step is tried: what is written, what follows from it, and what is refused.

use crate::folder;
use alluvium_model::Span;
use alluvium_spec::{Diagnostics, Effort, Environment, Jitter, Project, TimeoutSource, load};

const CONTRACT: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: t\nname: t\nversion: 1.0.0\nstatus: active
schema:\n  - name: t\n    properties:\n      - { name: id, logicalType: integer }\n";

/// Of a project with these lines in its own file, in `silver.t` and in the contract.
fn project(own: &str, silver: &str, contract: &str) -> Result<Project, Diagnostics> {
    let dir = folder(&[
        ("alluvium.yaml", &format!("name: p\n{own}")),
        ("datasets/bronze/t.yaml", "source: { files: landing/ }\n"),
        ("datasets/silver/t.yaml", &format!("from: bronze.t\ncontract: t\n{silver}")),
        ("datasets/gold/t.sql", "/* timeout: 1 hour */ SELECT count(*) AS n FROM silver.t\n"),
        ("contracts/t.odcs.yaml", &format!("{CONTRACT}{contract}")),
    ]);
    load(dir.path(), &Environment::default())
}

fn effort(own: &str, silver: &str, contract: &str) -> Effort {
    let project = project(own, silver, contract).unwrap_or_else(|d| panic!("{d}"));
    project.datasets[&"silver.t".parse().expect("a name")].effort
}

fn span(text: &str) -> Span {
    text.parse().expect("a span")
}

#[test]
fn without_a_word_a_step_is_tried_for_half_a_day() {
    let effort = effort("", "", "");
    assert_eq!((effort.timeout, effort.retries_per_day), (None, None));
    let backoff = effort.retry.transient;
    assert_eq!((backoff.max_attempts, backoff.interval, backoff.max_delay), (100, span("1s"), span("15m")));
    assert_eq!((backoff.backoff_rate, backoff.jitter), (2.0, Jitter::Full));
    assert_eq!((effort.retry.throttled, effort.retry.timeout), (backoff, backoff));
}

#[test]
fn a_dataset_says_it_over_the_project_and_a_class_over_all() {
    let own = "defaults:
  retry: { max_attempts: 7, interval: 5s, jitter: none, on: { throttled: { interval: 1m } } }
  timeout: 1 hour
  budget: { retries_per_day: 9 }
";
    let plain = effort(own, "", "");
    assert_eq!((plain.retry.transient.interval, plain.retry.throttled.interval), (span("5s"), span("1m")));
    assert_eq!((plain.retry.throttled.max_attempts, plain.retry.throttled.jitter), (7, Jitter::None));
    assert_eq!(plain.retries_per_day, Some(9));
    assert_eq!(plain.timeout.map(|t| (t.after, t.source)), Some((span("1h"), TimeoutSource::Project)));

    let silver = "retry: { interval: 2s, backoff_rate: 1.5, on: { timeout: { max_attempts: 2 } } }
timeout: 10m
budget: { retries_per_day: 3 }
";
    let own = effort(own, silver, "");
    assert_eq!((own.retry.transient.interval, own.retry.throttled.interval), (span("2s"), span("2s")));
    assert_eq!((own.retry.timeout.max_attempts, own.retry.transient.max_attempts), (2, 7));
    assert_eq!((own.retry.timeout.backoff_rate, own.retries_per_day), (1.5, Some(3)));
    assert_eq!(own.timeout.map(|t| (t.after, t.source)), Some((span("10m"), TimeoutSource::Dataset)));
}

#[test]
fn a_long_interval_is_no_shorter_than_the_longest_delay() {
    let effort = effort("", "retry: { interval: 1 hour }\n", "");
    assert_eq!(effort.retry.transient.max_delay, span("1h"));
}

#[test]
fn a_timeout_follows_from_the_service_level_agreement() {
    let sla = |lines: &str| format!("slaProperties:\n{lines}");
    let agreed = |lines: &str| {
        let timeout = effort("defaults: { timeout: 7d }\n", "", &sla(lines)).timeout.expect("a timeout");
        (timeout.after, timeout.source)
    };
    let latency = "  - { property: latency, value: 4, unit: h }\n";
    assert_eq!(agreed(latency), (span("4h"), TimeoutSource::Contract));
    let both = format!("{latency}  - {{ property: frequency, value: 30, unit: minutes, element: t.id }}\n");
    assert_eq!(agreed(&both).0, span("30m"));
    let other = format!("{latency}  - {{ property: frequency, value: 1, unit: s, element: \"u.id, v.id\" }}\n");
    assert_eq!(agreed(&other).0, span("4h"), "of other tables");
    for (unit, time) in [("d", "1d"), ("yr", "365d"), ("hr", "1h"), ("days", "1d")] {
        assert_eq!(agreed(&format!("  - {{ property: Latency, value: 1, unit: {unit} }}\n")).0, span(time), "{unit}");
    }
    assert_eq!(agreed("  - { property: retention, value: 3, unit: s }\n"), (span("7d"), TimeoutSource::Project));
    let own = effort("", "timeout: 2m\n", &sla(latency)).timeout.expect("a timeout");
    assert_eq!(own.source, TimeoutSource::Dataset);
}

#[test]
fn an_agreement_that_says_no_time_is_noted() {
    let project = project("", "", "slaProperties: [ { property: latency, value: soon } ]\n").expect("a warning only");
    let notes: Vec<&str> = project.notes.0.iter().map(|d| d.code).collect();
    assert_eq!(notes, ["W0002"]);
}

#[test]
fn gold_takes_the_same_keys_and_no_row_depends_on_them() {
    let (plain, other) = (project("", "", ""), project("defaults: { timeout: 1s }\n", "timeout: 2s\n", ""));
    let (plain, other) = (plain.expect("a project"), other.expect("a project"));
    let gold = &plain.datasets[&"gold.t".parse().expect("a name")];
    assert_eq!(gold.effort.timeout.map(|t| t.after), Some(span("1h")));
    for (name, dataset) in &plain.datasets {
        assert_eq!(dataset.version, other.datasets[name].version, "{name}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    for (own, silver, said) in [
        ("", "retry: { max_atempts: 5 }\n", "E0007 2:10 did you mean `max_attempts`?"),
        ("", "retry: { max_attempts: 0 }\n", "E0009 2:24 with `max_attempts: 1` a step is tried once"),
        ("", "retry: { interval: 0s }\n", "E0009 2:20 "),
        ("", "retry: { interval: soon }\n", "E0009 2:20 "),
        ("", "retry: { backoff_rate: 0.5 }\n", "E0009 2:24 each delay is the one before times this, as in `2`"),
        ("", "retry: { jitter: ful }\n", "E0010 2:18 did you mean `full`?"),
        ("", "retry: { interval: 5m, max_delay: 1m }\n", "E0109 2:8 `interval` is the first delay"),
        ("", "retry: { on: { data: {} } }\n", "E0007 2:16 errors of class `data` are never tried again"),
        ("", "retry: { on: { throtled: {} } }\n", "E0007 2:16 did you mean `throttled`?"),
        ("", "budget: { retries_per_day: 0 }\n", "E0009 2:28 "),
        ("", "budget: {}\n", "E0008 2:9 "),
        ("", "timeout: never\n", "E0009 2:10 "),
        ("retry: {}\n", "", "E0007 2:1 write it as `defaults: { retry: … }`"),
        ("defaults: { timeot: 1s }\n", "", "E0007 2:13 did you mean `timeout`?"),
        ("defaults: { concurrency: [] }\n", "", "E0011 2:13 remove it"),
    ] {
        let found = project(own, &format!("{silver}steps: [validate]\n"), "").expect_err(silver);
        let all: Vec<String> = found
            .0
            .iter()
            .map(|d| {
                format!(
                    "{} {}:{} {}",
                    d.code,
                    d.line - usize::from(!silver.is_empty()),
                    d.column,
                    d.help.as_deref().unwrap_or_default()
                )
            })
            .collect();
        assert!(all.len() == 1 && all[0].starts_with(said), "{own}{silver}: {all:#?}");
    }
}
