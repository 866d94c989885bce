//! Which windows a backfill has, and its steps: pure functions.

use super::Windowed;
use crate::FlowError;
use alluvium_model::{DatasetName, StepKeyBuilder, Stride, Window};
use alluvium_store::{BackfillRecord, Claimed, NewStep, StepKind};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// More than that take longer windows.
const MOST_WINDOWS: usize = 10_000;

/// The range, cut. Each of its windows holds whole windows of the table.
pub(super) fn windows(of: Windowed<'_>, range: Window, stride: Stride) -> Result<Vec<Window>, FlowError> {
    let refuse = |reason: String| FlowError::Range { dataset: of.dataset.name.clone(), reason };
    if range.from >= range.to {
        return Err(refuse(format!("{range} is empty: --from has to lie before --to")));
    }
    let windows = stride.split(range, MOST_WINDOWS);
    let windows = windows.ok_or_else(|| refuse(format!("it has more than {MOST_WINDOWS} windows of {stride}")))?;
    let size = of.gold.window.as_ref().ok_or_else(|| FlowError::NoWindow(of.dataset.name.clone()))?.size;
    let edges = windows.iter().map(|w| w.from).chain([range.to]);
    match edges.into_iter().find(|at| at.rem_euclid(size.micros()) != 0) {
        None => Ok(windows),
        Some(at) => {
            let cut = Window::holding(at, size);
            Err(refuse(format!(
                "{} lies inside of the window {cut} of the table",
                Timestamp::from_microsecond(at).map_or_else(|_| at.to_string(), |t| t.to_string())
            )))
        }
    }
}

/// The windows that it was begun with, whatever the definition says by now.
pub(super) fn cut(record: &BackfillRecord) -> Vec<Window> {
    record.stride.split(record.range, MOST_WINDOWS).unwrap_or_default()
}

/// One window over these versions of the inputs.
pub(super) fn window_step(
    record: &BackfillRecord,
    window: Window,
    inputs: &BTreeMap<DatasetName, i64>,
    now: Timestamp,
) -> NewStep {
    let key = inputs.iter().fold(key("backfill", record), |k, (n, v)| k.input(n, *v, *v)).window(&window);
    NewStep {
        key: key.finish(),
        kind: StepKind::Backfill,
        lookups: inputs.clone(),
        windows: Some(vec![window]),
        ..empty(record, now)
    }
}

/// These windows take their place in the live table as it was at version `live`. `None`: as the whole table, which then shows
/// the inputs as far as `consumed` says.
pub(super) fn swap_step(
    record: &BackfillRecord,
    windows: Option<Vec<Window>>,
    live: i64,
    consumed: BTreeMap<DatasetName, Claimed>,
    now: Timestamp,
) -> NewStep {
    let mut lookups = record.inputs.clone();
    lookups.insert(record.dataset.clone(), live);
    let key = lookups.iter().fold(key("swap", record), |k, (n, v)| k.input(n, *v, *v));
    let key = windows.iter().flatten().fold(key, |k, w| k.window(w)).finish();
    NewStep { key, kind: StepKind::Swap, inputs: consumed, lookups, windows, ..empty(record, now) }
}

/// Another backfill over the same input is other work.
fn key(word: &str, record: &BackfillRecord) -> StepKeyBuilder {
    StepKeyBuilder::new(&format!("{word} {}", record.id), &record.dataset, &record.version)
}

fn empty(record: &BackfillRecord, now: Timestamp) -> NewStep {
    NewStep {
        key: key("", record).finish(),
        run: record.id.clone(),
        kind: StepKind::Backfill,
        dataset: record.dataset.clone(),
        version: record.version.clone(),
        events: Vec::new(),
        inputs: BTreeMap::new(),
        lookups: BTreeMap::new(),
        windows: None,
        watermark: None,
        planned_at: now,
    }
}

/// Neighbours become one.
pub(super) fn merged(windows: impl IntoIterator<Item = Window>) -> Vec<Window> {
    let mut ranges: Vec<Window> = Vec::new();
    for w in windows {
        match ranges.last_mut() {
            Some(last) if last.to == w.from => last.to = w.to,
            _ => ranges.push(w),
        }
    }
    ranges
}

/// Whether so many windows that are not made are more than is tolerated.
pub(super) fn too_many(missing: usize, of: usize, tolerated: u32) -> bool {
    missing as u128 * 10_000 > of as u128 * u128::from(tolerated)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_put_in_place_as_one() {
        let w = |from, to| Window { from, to };
        assert_eq!(merged([w(0, 1), w(1, 2), w(3, 4)]), [w(0, 2), w(3, 4)]);
        assert_eq!(merged([]), []);
    }

    #[test]
    fn what_is_tolerated_is_a_share_of_the_windows() {
        assert!(!too_many(0, 12, 0));
        assert!(too_many(1, 12, 0));
        assert!(!too_many(1, 12, 834));
        assert!(too_many(1, 12, 833), "a twelfth is more than 8.33 %");
        assert!(!too_many(12, 12, 10_000));
    }
}
