//! `show gaps`: windows of a table that have no rows, between its first and its newest, and up to where its watermark has closed them.
//!
//! The table is the ledger: what is missing is what is not there, whoever loaded, dropped or corrected the rest.

use super::listing::{Column, list};
use crate::{
    args::Global,
    commands::query::ask,
    error::CliError,
    output::say,
    render::{Align, grouped, json_time, results::json_rows},
    wire::Wired,
};
use alluvium_model::{DatasetName, Span};
use alluvium_spec::{Dataset, Kind, Silver};
use alluvium_store::WatermarkRecord;
use arrow::array::RecordBatch;
use futures::TryStreamExt;
use jiff::Timestamp;
use serde::Serialize;

/// Gaps of one dataset; the newest are shown.
const MOST: usize = 1_000;

#[derive(Debug, Serialize)]
pub struct Line {
    dataset: String,
    column: String,
    /// Half-open.
    #[serde(serialize_with = "json_time")]
    from: Timestamp,
    #[serde(serialize_with = "json_time")]
    to: Timestamp,
    window: String,
    windows: u64,
    /// `closed`: what comes for it now is late; `open`: it is not; none: no watermark says so.
    state: Option<&'static str>,
}

const COLUMNS: &[Column<Line>] = &[
    ("dataset", Align::Left, |l| l.dataset.clone()),
    ("from", Align::Left, |l| l.from.to_string()),
    ("to", Align::Left, |l| l.to.to_string()),
    ("windows", Align::Right, |l| grouped(l.windows)),
    ("of", Align::Left, |l| l.window.clone()),
    ("", Align::Left, |l| l.state.unwrap_or("-").to_owned()),
];

/// What is looked for: windows by this column, of so many microseconds.
struct Windows<'a> {
    dataset: &'a Dataset,
    column: &'a str,
    size: Span,
    /// Before then they are closed.
    bound: Option<i64>,
}

pub async fn show(
    global: &Global,
    wired: &Wired,
    only: Option<&DatasetName>,
    size: Option<Span>,
) -> Result<(), CliError> {
    let lines = lines(wired, only, size).await?;
    let alone = only.and_then(|name| wired.project.datasets.get(name));
    if let Some(dataset) = alone.filter(|d| windows(wired, d, size, &[], wired.clock.now()).is_none()) {
        say(&format!(
            "{} has no windows: gold has a `window`, and silver a `watermark` and the agreed `frequency` of its contract, or --window\n",
            dataset.name
        ));
    }
    list(global, COLUMNS, &lines, "no window is missing")
}

/// `size`: of the windows, where another is wanted than the usual one.
pub async fn lines(wired: &Wired, only: Option<&DatasetName>, size: Option<Span>) -> Result<Vec<Line>, CliError> {
    if let Some(name) = only
        && !wired.project.datasets.contains_key(name)
    {
        return Err(CliError::UnknownDataset(name.to_string()));
    }
    let (watermarks, now) = (wired.store.watermarks().await?, wired.clock.now());
    let mut lines = Vec::new();
    for dataset in wired.project.order.iter().filter_map(|name| wired.project.datasets.get(name)) {
        if only.is_some_and(|name| *name != dataset.name) {
            continue;
        }
        if let Some(windows) = windows(wired, dataset, size, &watermarks, now) {
            lines.extend(gaps(wired, &windows).await?);
        }
    }
    Ok(lines)
}

fn windows<'a>(
    wired: &'a Wired,
    dataset: &'a Dataset,
    size: Option<Span>,
    watermarks: &[WatermarkRecord],
    now: Timestamp,
) -> Option<Windows<'a>> {
    let closed = |name: &DatasetName, silver: &Silver| closed_before(name, silver, watermarks, now);
    let (column, usual, bound) = match &dataset.kind {
        Kind::Bronze(_) => return None,
        Kind::Silver(silver) => {
            let column = &silver.watermark.as_ref()?.column;
            (column, dataset.frequency, closed(&dataset.name, silver))
        }
        Kind::Gold(gold) => {
            let window = gold.window.as_ref()?;
            let inputs =
                gold.inputs.iter().filter_map(|name| Some((name, wired.project.datasets.get(name)?.silver()?)));
            let marked = inputs.filter(|(_, silver)| silver.watermark.is_some());
            // Each of them may still bring rows.
            let bounds: Option<Vec<i64>> = marked.map(|(name, silver)| closed(name, silver)).collect();
            (&window.column, Some(window.size), bounds.and_then(|b| b.into_iter().min()))
        }
    };
    let size = size.or(usual).filter(|s| s.micros() > 0)?;
    Some(Windows { dataset, column, size, bound })
}

/// The time before which what comes is late. A watermark that has not moved for its idle timeout goes on with the clock.
fn closed_before(name: &DatasetName, silver: &Silver, watermarks: &[WatermarkRecord], now: Timestamp) -> Option<i64> {
    let of = silver.watermark.as_ref()?;
    let record = watermarks.iter().find(|w| w.dataset == *name && w.event_time == of.column)?;
    let (now, mut reached) = (now.as_microsecond(), record.watermark.as_microsecond());
    if let Some(idle) = of.idle_timeout
        && now.saturating_sub(record.moved_at.as_microsecond()) >= idle.micros()
    {
        reached = reached.max(now.saturating_sub(idle.micros()));
    }
    Some(reached.saturating_sub(of.allowed_lateness.micros()))
}

/// Windows that are side by side and missing are one gap, up to where they are closed.
async fn gaps(wired: &Wired, of: &Windows<'_>) -> Result<Vec<Line>, CliError> {
    let batches = match ask(wired, &query(of)).await {
        Err(CliError::NoTable(_)) => return Ok(Vec::new()),
        found => found?.batches.try_collect::<Vec<RecordBatch>>().await?,
    };
    let size = of.size.micros();
    let mut missing = Vec::new();
    for row in batches.iter().map(json_rows).collect::<Result<Vec<_>, _>>()?.concat() {
        let number = |name: &str| row[name].as_str().and_then(|n| n.parse::<i64>().ok());
        match (number("before"), number("at")) {
            (Some(before), Some(at)) => missing.push((before.saturating_add(size), at)),
            // Nothing is there after the newest.
            (Some(newest), None) => {
                let end = of.bound.map_or(newest, |bound| bound.div_euclid(size).saturating_mul(size));
                missing.push((newest.saturating_add(size), end));
            }
            (None, _) => {}
        }
    }
    missing.sort_unstable();
    let split = |(from, to): (i64, i64)| {
        let closed = of.bound.map(|bound| bound.div_euclid(size).saturating_mul(size).clamp(from.min(to), to));
        match closed {
            Some(at) => [(from, at, Some("closed")), (at, to, Some("open"))],
            None => [(from, to, None), (to, to, None)],
        }
    };
    let parts = missing.into_iter().flat_map(split).filter(|(from, to, _)| from < to);
    Ok(parts.filter_map(|(from, to, state)| line(of, from, to, state)).collect())
}

fn line(of: &Windows<'_>, from: i64, to: i64, state: Option<&'static str>) -> Option<Line> {
    Some(Line {
        dataset: of.dataset.name.to_string(),
        column: of.column.to_owned(),
        from: Timestamp::from_microsecond(from).ok()?,
        to: Timestamp::from_microsecond(to).ok()?,
        window: of.size.to_string(),
        windows: to.abs_diff(from) / of.size.micros().unsigned_abs(),
        state,
    })
}

/// The newest gaps, and the newest window, which has none after it. Windows are counted from 1970-01-01 UTC, as those of gold are; in whole
/// numbers, which hold every date.
fn query(of: &Windows<'_>) -> String {
    let name = &of.dataset.name;
    let (column, size) = (of.column.replace('"', "\"\""), of.size.micros());
    format!(
        "WITH times AS (
             SELECT arrow_cast(arrow_cast(\"{column}\", 'Timestamp(Microsecond, None)'), 'Int64') AS micros
             FROM {}.\"{}\" WHERE \"{column}\" IS NOT NULL),
         present AS (
             SELECT DISTINCT micros - micros % {size} - CASE WHEN micros % {size} < 0 THEN {size} ELSE 0 END AS at
             FROM times),
         beside AS (SELECT lag(at) OVER (ORDER BY at) AS before, at FROM present),
         missing AS (SELECT before, at FROM beside WHERE at - before > {size} ORDER BY at DESC LIMIT {MOST})
         SELECT CAST(before AS VARCHAR) AS before, CAST(at AS VARCHAR) AS at FROM missing
         UNION ALL SELECT CAST(max(at) AS VARCHAR), CAST(NULL AS VARCHAR) FROM present",
        name.layer(),
        name.name(),
    )
}
