//! `show versions`: the definitions that each dataset has had.

use super::listing::{Column, list};
use crate::{
    args::Global,
    error::CliError,
    render::{Align, brief_time, json_time_if_any},
    wire::Wired,
};
use jiff::Timestamp;
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Line {
    dataset: String,
    version: String,
    #[serde(serialize_with = "json_time_if_any")]
    first_seen: Option<Timestamp>,
    /// The newest rows were made under it.
    active: bool,
    /// As the project defines it now.
    defined: bool,
}

const COLUMNS: &[Column<Line>] = &[
    ("dataset", Align::Left, |l| l.dataset.clone()),
    ("version", Align::Left, |l| l.version.chars().take(8).collect()),
    ("first seen", Align::Left, |l| l.first_seen.map_or_else(|| "never used".to_owned(), brief_time)),
    ("", Align::Left, |l| {
        match (l.active, l.defined) {
            (true, true) => "active",
            (true, false) => "active, defined differently now",
            (false, true) => "defined now",
            (false, false) => "",
        }
        .to_owned()
    }),
];

pub async fn show(global: &Global, wired: &Wired) -> Result<(), CliError> {
    let known = wired.store.versions().await?;
    let mut lines: Vec<Line> = known
        .iter()
        .map(|v| Line {
            dataset: v.dataset.to_string(),
            version: v.version.to_string(),
            first_seen: Some(v.first_seen),
            active: v.active,
            defined: wired.project.datasets.get(&v.dataset).is_some_and(|d| d.version == v.version),
        })
        .collect();
    for d in wired.project.datasets.values() {
        if !known.iter().any(|v| v.dataset == d.name && v.version == d.version) {
            let (dataset, version) = (d.name.to_string(), d.version.to_string());
            lines.push(Line { dataset, version, first_seen: None, active: false, defined: true });
        }
    }
    lines.sort_by(|a, b| {
        (&a.dataset, a.first_seen.is_none(), a.first_seen).cmp(&(&b.dataset, b.first_seen.is_none(), b.first_seen))
    });
    list(global, COLUMNS, &lines, "this project has no datasets yet")
}
