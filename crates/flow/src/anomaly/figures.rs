//! Series of days out of what steps measured: rows of gold tables, and the figures of columns that `accept` asks for.
//!
//! A day without steps says nothing here; that nothing came is told by what arrives.

use super::{
    Anomaly, Watched,
    baseline::{self, Day, Scale, median},
    days::date,
};
use alluvium_model::DatasetName;
use alluvium_store::{DayFigure, ROWS, ROWS_PER_WINDOW};
use std::collections::BTreeMap;

/// So many times the usual distance from the middle a value is still seen as it is.
const WIDE: f64 = 10.0;

type Days<'a> = BTreeMap<i64, &'a DayFigure>;

pub(super) fn anomalies(figures: &[DayFigure], today: i64) -> impl Iterator<Item = Anomaly> {
    let mut measured: BTreeMap<(&DatasetName, &str), Days<'_>> = BTreeMap::new();
    // Today may bring more.
    for figure in figures.iter().filter(|f| f.day < today) {
        measured.entry((&figure.dataset, &figure.rule)).or_default().insert(figure.day, figure);
    }
    measured.into_iter().flat_map(move |((dataset, rule), days)| of_rule(dataset, rule, &days, today))
}

fn of_rule(dataset: &DatasetName, rule: &str, days: &Days<'_>, today: i64) -> Vec<Anomaly> {
    let Some(first) = days.keys().next().copied() else { return Vec::new() };
    let measure = match rule {
        ROWS => Watched::Rows,
        ROWS_PER_WINDOW => Watched::RowsPerWindow,
        rule => Watched::Figure(rule.strip_prefix("accept:").unwrap_or(rule).to_owned()),
    };
    let series = series(&measure, days, first..today);
    let at = |place: usize| date(first + place as i64);
    let anomaly = |f: baseline::Finding| Anomaly {
        dataset: dataset.clone(),
        measure: measure.clone(),
        kind: f.kind,
        first: at(f.first),
        last: at(f.last),
        open: f.last + 1 == series.len(),
        seen: f.seen,
        expected: f.expected,
        between: f.between,
    };
    baseline::findings(scale(&measure, &series), &series).into_iter().map(anomaly).collect()
}

fn series(measure: &Watched, days: &Days<'_>, of: std::ops::Range<i64>) -> Vec<Option<Day>> {
    let mut before = None;
    let day = |day: i64| {
        let figure = days.get(&day)?;
        let value = match measure {
            // Of a table that grows the rows alone say little.
            Watched::Rows => figure.mean / before.replace(figure.mean).filter(|rows| *rows > 0.0)?,
            // However many files bring it.
            Watched::Figure(name) if name.starts_with("sum(") => figure.sum,
            _ => figure.mean,
        };
        Some(Day { value, of: figure.checked as f64 })
    };
    of.map(day).collect()
}

fn scale(measure: &Watched, series: &[Option<Day>]) -> Scale {
    if measure.is_share() {
        return Scale::Share;
    }
    let values = || series.iter().flatten().map(|d| d.value);
    let size = median(values().map(f64::abs).filter(|size| *size > 0.0)).unwrap_or(1.0);
    // What varies around zero is seen as it is, however little its middle is.
    let centre = median(values()).unwrap_or(0.0);
    let spread = median(values().map(|v| (v - centre).abs())).unwrap_or(0.0);
    Scale::Number { unit: size.max(spread * WIDE) }
}
