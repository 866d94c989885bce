//! `accept.volume`: whether a step adds about as many rows as the commits before it did.
//!
//! What came before is read from the table's own log: no measure is kept for it, and what was dropped or held is not in it.

use super::{
    before::{self, Usual},
    found::{Found, Measured, ratio},
};
use crate::{error::LakeError, table::Table};
use alluvium_spec::{Beyond, Volume};

pub(super) async fn judge(volume: Volume, table: &Table, added: u64, found: &mut Found) -> Result<(), LakeError> {
    let history = history(table, volume.of_last).await?;
    let Some((note, beyond)) = verdict(volume, added, history) else { return Ok(()) };
    let violations = u64::from(beyond.is_some());
    let (rule, dimension) = ("accept:volume".into(), "completeness");
    let of = Measured { rule, dimension, checked: added, violations, note, figure: None };
    found.judge(of, beyond, ratio);
    Ok(())
}

/// Rows that the last commits added, as far back as the log goes.
async fn history(table: &Table, of_last: u64) -> Result<Vec<f64>, LakeError> {
    let mut rows = Vec::new();
    for version in before::versions(table, of_last) {
        let changes = match table.changes(version - 1, version).await {
            Err(LakeError::LogGone { .. }) => break,
            changes => changes?,
        };
        let added = changes.iter().flat_map(|c| &c.added).map(|a| a.rows).sum::<u64>();
        if added > 0 {
            rows.push(added as f64);
        }
        if rows.len() as u64 == of_last {
            break;
        }
    }
    Ok(rows)
}

/// The figure in words, and the level that it passed; `None`: there is too little history.
fn verdict(volume: Volume, added: u64, history: Vec<f64>) -> Option<(String, Option<Beyond>)> {
    let (share, told) = Usual::of(history)?.share(added as f64);
    Some((format!("the step adds {added} rows, {told}"), volume.levels.beyond(share)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_spec::Levels;

    const LEVELS: Levels =
        Levels { warn_below: Some(0.5), error_below: Some(0.1), warn_above: Some(3.0), error_above: Some(10.0) };
    const VOLUME: Volume = Volume { of_last: 10, levels: LEVELS };

    /// Whether it is held back; `None`: it is as those before it.
    fn judged(added: u64) -> Option<bool> {
        let (_, beyond) = verdict(VOLUME, added, vec![90.0, 100.0, 5000.0, 110.0]).expect("a history");
        beyond.map(|b| b.is_error)
    }

    #[test]
    fn a_step_is_compared_with_the_median_of_those_before_it() {
        // The median is 105.
        assert_eq!([judged(105), judged(53), judged(315)], [None; 3]);
        assert_eq!([judged(52), judged(316), judged(11), judged(1050)], [Some(false); 4]);
        assert_eq!([judged(10), judged(0), judged(1051)], [Some(true); 3]);
        let (told, _) = verdict(VOLUME, 10, vec![100.0; 3]).expect("a history");
        assert_eq!(told, "the step adds 10 rows, 10 % of 100, the median of the last 3 commits");
    }

    #[test]
    fn without_a_history_nothing_is_judged() {
        assert_eq!(verdict(VOLUME, 0, vec![100.0; 2]), None);
    }
}
