//! What a service does, line by line on standard error. Keeps nothing of it but what need not be told twice.

use super::{Style, printable, progress};
use crate::output::say;
use alluvium_flow::{Report, Signal, Waiting};
use std::{collections::BTreeSet, sync::Mutex};

/// Refused files and held datasets are told once; after so many of them, anew.
const MOST_TOLD: usize = 10_000;

pub struct Lines {
    /// For programs, which ask over HTTP.
    quiet: bool,
    style: Style,
    told: Mutex<BTreeSet<String>>,
}

impl Lines {
    pub fn new(quiet: bool) -> Self {
        Self { quiet, style: Style::stderr(), told: Mutex::default() }
    }

    pub fn tell(&self, line: &str) {
        if !self.quiet {
            say(&format!("{line}\n"));
        }
    }

    fn once(&self, line: String) {
        let mut told = self.told.lock().expect("no holder of this lock panics");
        if told.len() >= MOST_TOLD {
            told.clear();
        }
        if !told.contains(&line) {
            self.tell(&line);
            told.insert(line);
        }
    }
}

impl Report for Lines {
    fn signal(&self, signal: Signal) {
        match &signal {
            Signal::Refused { dataset, path, code, reason } => {
                let head = self.style.yellow(&format!("refused[{code}]"));
                self.once(format!("{head} {dataset}: {}: {}", printable(path), printable(reason)));
            }
            Signal::Held { dataset, active, now, waiting: Waiting::Input | Waiting::Quarantine, .. } => {
                let head = self.style.yellow("held");
                let (active, now) = (active.brief(), now.brief());
                self.once(format!(
                    "{head} {dataset}: its definition changed from {active} to {now}, and new input waits; \
                     `alluvium run` with --adopt or --rebuild says how to go on"
                ));
            }
            // Each turn comes upon them.
            Signal::StepDead { .. } | Signal::StepWaits { .. } | Signal::Elsewhere { .. } => {
                progress::line(&signal, self.style).into_iter().for_each(|line| self.once(line));
            }
            Signal::RunFinished { run } => self.tell(&format!("run {run} ended")),
            // A file that settles is waited for without a word.
            Signal::Settling { .. } => {}
            signal => {
                if let Some(line) = progress::line(signal, self.style) {
                    self.tell(&line);
                }
            }
        }
    }
}
