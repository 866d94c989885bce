//! Log lines on standard error, apart from what a command says. Each line of a step carries its run, dataset and step.

use crate::args::{Global, LogFormat};
use std::io;
use tracing_subscriber::{EnvFilter, fmt::format::FmtSpan};

const FILTER: &str = "ALLUVIUM_LOG";
const OWN: [&str; 7] = [
    "alluvium",
    "alluvium_flow",
    "alluvium_lake",
    "alluvium_server",
    "alluvium_source",
    "alluvium_spec",
    "alluvium_store",
];

/// Whether log lines may come at any time, so that nothing may draw over them.
pub fn is_on(global: &Global) -> bool {
    global.verbose > 0 || std::env::var_os(FILTER).is_some()
}

pub fn start(global: &Global) {
    let filter = match std::env::var(FILTER) {
        Ok(text) => EnvFilter::builder().parse_lossy(text),
        Err(_) => EnvFilter::builder().parse_lossy(directives(global.verbose)),
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    // One line at the end of each step, with its time.
    let lines = lines.with_span_events(FmtSpan::CLOSE);
    match global.log_format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().with_current_span(true).with_span_list(false).flatten_event(true).init(),
    }
}

fn directives(verbose: u8) -> String {
    let (own, others) = match verbose {
        0 => ("warn", "off"),
        1 => ("info", "error"),
        2 => ("debug", "warn"),
        _ => ("trace", "debug"),
    };
    let own: Vec<String> = OWN.iter().map(|name| format!("{name}={own}")).collect();
    format!("{others},{}", own.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_a_filter() {
        for verbose in 0..4 {
            assert!(EnvFilter::builder().parse(directives(verbose)).is_ok());
        }
    }
}
