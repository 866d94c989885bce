//! What one run did, as one value: printed as text, or as JSON with the same fields.

use super::heard::Heard;
use alluvium_flow::{DatasetSummary, Summary};
use alluvium_model::{Balance, DatasetName, Layer};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Serialize)]
pub struct RunSummary {
    pub run: Option<String>,
    /// Everything that could be done was done.
    pub complete: bool,
    pub nothing_to_do: bool,
    pub objects: Objects,
    pub failed_steps: u64,
    pub datasets: Vec<DatasetLine>,
    #[serde(rename = "details")]
    pub heard: Heard,
    pub wall_micros: u64,
    pub peak_memory_bytes: Option<u64>,
}

/// Landing objects.
#[derive(Debug, Serialize)]
pub struct Objects {
    pub new: u64,
    pub duplicate: u64,
    pub refused: u64,
    pub unsettled: u64,
    pub dead: u64,
}

#[derive(Debug, Serialize)]
pub struct DatasetLine {
    pub dataset: String,
    /// Made by a query over other tables: its rows are written, not received, and may come by windows.
    #[serde(skip)]
    pub computed: bool,
    pub steps: u64,
    pub balance: Balance,
    /// Rows that the commits wrote.
    pub written: u64,
    pub windows: u64,
    pub wall_micros: u64,
    pub rows_in: u64,
    pub rules: Vec<RuleLine>,
    pub notes: Vec<Note>,
}

#[derive(Debug, Serialize)]
pub struct RuleLine {
    pub rule: String,
    pub action: String,
    pub violations: u64,
}

#[derive(Debug, Serialize)]
pub struct Note {
    pub text: String,
    pub times: u64,
}

impl RunSummary {
    /// `order`: the project's, in which datasets are listed.
    pub fn new(summary: &Summary, order: &[DatasetName], heard: Heard, wall_micros: u64, peak: Option<u64>) -> Self {
        let datasets =
            order.iter().filter_map(|n| summary.datasets.get(n).map(|d| DatasetLine::new(n, d, &heard))).collect();
        Self {
            run: summary.run.as_ref().map(ToString::to_string),
            complete: summary.complete(),
            nothing_to_do: summary.did_nothing()
                && summary.not_taken.is_empty()
                && summary.complete()
                && summary.objects_duplicate == 0,
            objects: Objects {
                new: summary.objects_new,
                duplicate: summary.objects_duplicate,
                refused: summary.objects_refused(),
                unsettled: summary.objects_unsettled(),
                dead: summary.objects_dead,
            },
            failed_steps: summary.failed_steps,
            datasets,
            heard,
            wall_micros,
            peak_memory_bytes: peak,
        }
    }
}

impl DatasetLine {
    fn new(name: &DatasetName, d: &DatasetSummary, heard: &Heard) -> Self {
        let mut notes = BTreeMap::<&str, u64>::new();
        for note in &d.notes {
            *notes.entry(note).or_default() += 1;
        }
        let rules = d.rules.iter().map(|(id, r)| RuleLine {
            rule: id.clone(),
            action: r.action.clone(),
            violations: r.violations,
        });
        Self {
            dataset: name.to_string(),
            computed: name.layer() == Layer::Gold,
            steps: d.steps,
            balance: d.balance,
            written: heard.written.get(name).copied().unwrap_or(0),
            windows: d.windows,
            wall_micros: d.wall_micros,
            rows_in: d.rows_in,
            rules: rules.collect(),
            notes: notes.into_iter().map(|(t, times)| Note { text: t.to_owned(), times }).collect(),
        }
    }
}
