//! `GET /metrics`: the state's counts in the text format of Prometheus, version 0.0.4.
//!
//! They are counted in the state when they are asked for, and so right over restarts and for all processes together.

use super::{api::State, problem::Problem};
use alluvium_model::Balance;
use alluvium_store::{DatasetMeasures, Lane, Measures};
use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use std::fmt::Write;

const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn metrics(state: axum::extract::State<State>) -> Result<Response, Problem> {
    let failed = |error: super::views::ApiError| Problem::failed(error.as_ref());
    let (measures, lanes) = state.views.measures().await.map_err(failed)?;
    Ok(([(header::CONTENT_TYPE, KIND)], text(&measures, &lanes, state.clock.now())).into_response())
}

/// One measure of each dataset, or nothing.
type OfDataset = fn(&DatasetMeasures, Timestamp) -> Option<f64>;

/// A part of a balance, and of a lane.
type OfBalance = fn(&Balance) -> u64;
type OfLane = fn(&Lane) -> f64;

const BALANCES: [(&str, OfBalance); 6] = [
    ("loaded", |b| b.loaded),
    ("quarantined", |b| b.quarantined),
    ("dropped", |b| b.dropped),
    ("dead", |b| b.dead),
    ("duplicate", |b| b.duplicates),
    ("late", |b| b.late),
];

fn text(measures: &Measures, lanes: &[Lane], now: Timestamp) -> String {
    let mut out = Text::default();
    out.head("alluvium_info", "gauge", "The version that answers.");
    out.line("alluvium_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    out.head("alluvium_runs", "gauge", "Runs by state.");
    for (state, number) in &measures.runs {
        out.line("alluvium_runs", &[("state", word(state).as_str())], *number as f64);
    }
    out.head("alluvium_steps", "gauge", "Steps by dataset and state.");
    for (dataset, m) in &measures.datasets {
        for (state, number) in &m.steps {
            let labels = [("dataset", dataset.to_string()), ("state", word(state))];
            out.line("alluvium_steps", &labels, *number as f64);
        }
    }
    out.head("alluvium_landing_objects", "gauge", "Landing objects by dataset and state; `dead` are dead letters.");
    for (dataset, m) in &measures.datasets {
        for (state, number) in &m.objects {
            let labels = [("dataset", dataset.to_string()), ("state", word(state))];
            out.line("alluvium_landing_objects", &labels, *number as f64);
        }
    }
    let help = "Records that finished steps received, by where they ended.";
    out.head("alluvium_records_total", "counter", help);
    for (dataset, m) in &measures.datasets {
        for (end, count) in BALANCES {
            let labels = [("dataset", dataset.to_string()), ("end", end.to_owned())];
            out.line("alluvium_records_total", &labels, count(&m.balance) as f64);
        }
    }
    let each: [(&str, &str, &str, OfDataset); 6] = [
        ("alluvium_records_received_total", "counter", "Records that finished steps received.", |m, _| {
            Some(m.balance.received as f64)
        }),
        ("alluvium_step_retries_total", "counter", "Attempts beyond the first of each step.", |m, _| {
            Some(m.retries as f64)
        }),
        ("alluvium_inbox_events", "gauge", "Events that were acknowledged and wait.", |m, _| {
            Some(m.inbox_events as f64)
        }),
        ("alluvium_inbox_bytes", "gauge", "Their size.", |m, _| Some(m.inbox_bytes as f64)),
        ("alluvium_last_commit_timestamp_seconds", "gauge", "When the last step with a commit ended.", |m, _| {
            m.last_commit.map(|t| t.as_microsecond() as f64 / 1e6)
        }),
        ("alluvium_freshness_seconds", "gauge", "How long ago that is.", |m, now| {
            m.last_commit.map(|t| now.duration_since(t).as_secs_f64().max(0.0))
        }),
    ];
    for (name, kind, help, value) in each {
        out.head(name, kind, help);
        for (dataset, m) in &measures.datasets {
            if let Some(value) = value(m, now) {
                out.line(name, &[("dataset", dataset.to_string())], value);
            }
        }
    }
    told(&mut out, lanes);
    let help = "Calls that were refused, as far as the audit holds them.";
    out.head("alluvium_refused_calls", "gauge", help);
    for (kind, number) in &measures.refused {
        out.line("alluvium_refused_calls", &[("kind", kind.word())], *number as f64);
    }
    out.0
}

fn told(out: &mut Text, lanes: &[Lane]) {
    let each: [(&str, &str, OfLane); 3] = [
        ("alluvium_publications_waiting", "Publications that wait, by dataset and sink.", |l| l.waiting as f64),
        ("alluvium_publication_failures", "Failures in a row of the oldest of them.", |l| f64::from(l.failures)),
        ("alluvium_sink_off", "1 where the receiver wants no more.", |l| f64::from(u8::from(l.off.is_some()))),
    ];
    for (name, help, value) in each {
        out.head(name, "gauge", help);
        for lane in lanes {
            out.line(name, &[("dataset", lane.topic.to_string()), ("sink", lane.sink.clone())], value(lane));
        }
    }
}

/// As the state's tables have it.
fn word<T: serde::Serialize>(state: &T) -> String {
    serde_json::to_value(state).ok().and_then(|v| Some(v.as_str()?.to_owned())).unwrap_or_default()
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line<V: AsRef<str>>(&mut self, name: &str, labels: &[(&str, V)], value: f64) {
        let label = |(name, value): &(&str, V)| format!("{name}=\"{}\"", escaped(value.as_ref()));
        let labels: Vec<String> = labels.iter().map(label).collect();
        let _ = writeln!(self.0, "{name}{{{}}} {value}", labels.join(","));
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_store::{EventState, RefusalKind, RunState, StepState, Topic};

    #[test]
    fn the_text_is_that_of_prometheus() {
        let now = Timestamp::from_second(1_700_000_060).expect("a time");
        let dataset = DatasetMeasures {
            steps: [(StepState::Done, 2)].into(),
            balance: Balance { received: 5, loaded: 4, quarantined: 1, ..Balance::default() },
            retries: 1,
            last_commit: Timestamp::from_millisecond(1_700_000_000_500).ok(),
            objects: [(EventState::Dead, 1)].into(),
            inbox_events: 3,
            inbox_bytes: 99,
        };
        let name: alluvium_model::DatasetName = "silver.a".parse().expect("a name");
        let measures = Measures {
            runs: [(RunState::Interrupted, 7)].into(),
            datasets: [(name.clone(), dataset)].into(),
            refused: [(RefusalKind::TooLarge, 2)].into(),
        };
        let lane = Lane {
            topic: Topic::Dataset(name),
            sink: "a\"b\\c".to_owned(),
            waiting: 4,
            oldest: None,
            failures: 2,
            next_at: now,
            error: None,
            off: None,
        };
        let text = text(&measures, &[lane], now);
        for line in [
            "alluvium_runs{state=\"interrupted\"} 7",
            "alluvium_steps{dataset=\"silver.a\",state=\"done\"} 2",
            "alluvium_landing_objects{dataset=\"silver.a\",state=\"dead\"} 1",
            "alluvium_records_total{dataset=\"silver.a\",end=\"quarantined\"} 1",
            "alluvium_records_received_total{dataset=\"silver.a\"} 5",
            "alluvium_last_commit_timestamp_seconds{dataset=\"silver.a\"} 1700000000.5",
            "alluvium_freshness_seconds{dataset=\"silver.a\"} 59.5",
            "alluvium_publications_waiting{dataset=\"silver.a\",sink=\"a\\\"b\\\\c\"} 4",
            "alluvium_refused_calls{kind=\"too_large\"} 2",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        well_formed(&text);
    }

    /// As a scraper reads it: a head before its samples, each series once, and values that are numbers.
    fn well_formed(text: &str) {
        let mut kinds = std::collections::BTreeMap::new();
        let mut seen = std::collections::BTreeSet::new();
        let mut present = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a name and a kind");
                assert!(kinds.insert(name, kind).is_none(), "{name} has two heads");
                assert!(matches!(kind, "counter" | "gauge"), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
                present = name;
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                assert!(rest.split_once(' ').is_some_and(|(_, help)| help.ends_with('.')), "{line}");
            } else {
                let (series, value) = line.rsplit_once(' ').expect("a series and a value");
                let (name, labels) = series.split_once('{').expect("labels");
                assert_eq!(name, present, "{line} is below its head");
                assert!(labels.ends_with('}') && seen.insert(series), "{line}");
                assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
            }
        }
        assert!(kinds.len() > 10);
    }
}
