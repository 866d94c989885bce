//! `show ledger`: what each dataset's work has used, over all runs.

use super::listing::{Column, list};
use crate::{
    args::Global,
    error::CliError,
    render::{Align, grouped, seconds, size},
    wire::Wired,
};
use alluvium_store::{TableDump, Value};
use serde::Serialize;
use std::collections::BTreeMap;

/// Sums over attempts; the peak is the greatest of them.
#[derive(Debug, Default, Serialize)]
struct Line {
    dataset: String,
    attempts: u64,
    wall_micros: u64,
    cpu_micros: u64,
    peak_memory_bytes: u64,
    bytes_read: u64,
    bytes_written: u64,
    store_reads: u64,
    store_writes: u64,
    store_lists: u64,
    retries: u64,
    rows_in: u64,
    rows_out: u64,
}

const COLUMNS: &[Column<Line>] = &[
    ("dataset", Align::Left, |l| l.dataset.clone()),
    ("attempts", Align::Right, |l| grouped(l.attempts)),
    ("seconds", Align::Right, |l| seconds(l.wall_micros)),
    ("cpu seconds", Align::Right, |l| seconds(l.cpu_micros)),
    ("peak memory", Align::Right, |l| size(l.peak_memory_bytes)),
    ("read", Align::Right, |l| size(l.bytes_read)),
    ("written", Align::Right, |l| size(l.bytes_written)),
    ("requests", Align::Right, |l| grouped(l.store_reads + l.store_writes + l.store_lists)),
    ("rows in", Align::Right, |l| grouped(l.rows_in)),
    ("rows out", Align::Right, |l| grouped(l.rows_out)),
];

pub async fn show(global: &Global, wired: &Wired) -> Result<(), CliError> {
    let tables = wired.store.tables(&wired.watch()).await?;
    let sums = tables.iter().find(|t| t.name == "ledger").map(sum).unwrap_or_default();
    let order = |name: &str| wired.project.order.iter().position(|n| n.to_string() == name);
    let mut lines: Vec<Line> = sums.into_values().collect();
    lines.sort_by_key(|l| order(&l.dataset).unwrap_or(usize::MAX));
    list(global, COLUMNS, &lines, "no step has finished yet")
}

fn sum(table: &TableDump) -> BTreeMap<String, Line> {
    let mut sums = BTreeMap::<String, Line>::new();
    let Some(dataset) = table.columns.iter().position(|(c, _)| *c == "dataset") else { return sums };
    for row in &table.rows {
        let Value::Text(name) = &row[dataset] else { continue };
        let line = sums.entry(name.clone()).or_insert_with(|| Line { dataset: name.clone(), ..Line::default() });
        line.attempts += 1;
        for ((column, _), value) in table.columns.iter().zip(row) {
            if let Value::Integer(n) = value {
                line.add(column, n.unsigned_abs());
            }
        }
    }
    sums
}

impl Line {
    fn add(&mut self, column: &str, n: u64) {
        let sum = match column {
            "wall_micros" => &mut self.wall_micros,
            "cpu_micros" => &mut self.cpu_micros,
            "bytes_read" => &mut self.bytes_read,
            "bytes_written" => &mut self.bytes_written,
            "store_reads" => &mut self.store_reads,
            "store_writes" => &mut self.store_writes,
            "store_lists" => &mut self.store_lists,
            "retries" => &mut self.retries,
            "rows_in" => &mut self.rows_in,
            "rows_out" => &mut self.rows_out,
            "peak_memory_bytes" => {
                self.peak_memory_bytes = self.peak_memory_bytes.max(n);
                return;
            }
            _ => return,
        };
        *sum = sum.saturating_add(n);
    }
}
