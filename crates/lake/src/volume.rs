//! `accept.volume`: whether a step adds about as many rows as the commits before it did.
//!
//! Called by the gate. What came before is read from the table's own log: no measure is kept for it, and what was dropped or held is not in it.

use crate::{commit::Staged, error::LakeError, stage::StagedFile, table::Table};
use alluvium_spec::{Action, Volume};
use alluvium_store::QualityResult;

/// A median of fewer says nothing; then the step is not judged.
const FEWEST: usize = 3;
/// Versions that are looked at for each that may count: most of the others are merged files.
const LOOKS: i64 = 4;

pub(crate) async fn judge(
    volume: Volume,
    table: Option<&Table>,
    staged: &mut Staged,
    breaches: &mut Vec<String>,
) -> Result<(), LakeError> {
    let Some(table) = table else { return Ok(()) };
    let added = staged.add.iter().map(StagedFile::live).sum::<u64>();
    let history = history(table, volume.of_last).await?;
    let Some(Verdict { note, warns, fails }) = verdict(volume, added, history) else { return Ok(()) };
    if fails {
        breaches.push(note.clone());
    } else if warns {
        staged.notes.push(note.clone());
    }
    let passed = !(warns || fails);
    staged.quality.push(QualityResult {
        rule: "accept:volume".into(),
        action: Action::Warn.word().into(),
        severity: "warning".into(),
        dimension: Some("completeness".into()),
        checked: added,
        violations: u64::from(!passed),
        passed,
        note: (!passed).then_some(note),
    });
    Ok(())
}

/// Rows that the last commits added, as far back as the log goes.
async fn history(table: &Table, of_last: u64) -> Result<Vec<u64>, LakeError> {
    let (mut rows, newest) = (Vec::new(), table.version());
    let most = i64::try_from(of_last).unwrap_or(i64::MAX).saturating_mul(LOOKS);
    for version in (newest.saturating_sub(most).max(0)..=newest).rev() {
        let changes = match table.changes(version - 1, version).await {
            Err(LakeError::LogGone { .. }) => break,
            changes => changes?,
        };
        let added = changes.iter().flat_map(|c| &c.added).map(|a| a.rows).sum::<u64>();
        if added > 0 {
            rows.push(added);
        }
        if rows.len() as u64 == of_last {
            break;
        }
    }
    Ok(rows)
}

#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    note: String,
    warns: bool,
    fails: bool,
}

fn verdict(volume: Volume, added: u64, mut history: Vec<u64>) -> Option<Verdict> {
    if history.len() < FEWEST {
        return None;
    }
    history.sort_unstable();
    let (low, high) = (history[(history.len() - 1) / 2], history[history.len() / 2]);
    let median = (low as f64 + high as f64) / 2.0;
    let share = added as f64 / median;
    let beyond = |below: Option<f64>, above: Option<f64>| {
        below.filter(|l| share < *l).map(|l| ("below", l)).or(above.filter(|l| share > *l).map(|l| ("above", l)))
    };
    let error = beyond(volume.error_below, volume.error_above);
    let warning = beyond(volume.warn_below, volume.warn_above);
    let mut note = format!(
        "the step adds {added} rows, {:.0} % of {median}, the median of the last {} commits",
        share * 100.0,
        history.len()
    );
    if let Some((side, limit)) = error.or(warning) {
        note.push_str(&format!(", {side} {:.0} %", limit * 100.0));
    }
    Some(Verdict { note, warns: warning.is_some(), fails: error.is_some() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOLUME: Volume = Volume {
        of_last: 10,
        warn_below: Some(0.5),
        error_below: Some(0.1),
        warn_above: Some(3.0),
        error_above: Some(10.0),
    };

    fn judged(added: u64) -> (bool, bool) {
        let verdict = verdict(VOLUME, added, vec![90, 100, 5000, 110]).expect("a history");
        (verdict.warns, verdict.fails)
    }

    #[test]
    fn a_step_is_compared_with_the_median_of_those_before_it() {
        // The median is 105.
        assert_eq!([judged(105), judged(53), judged(315)], [(false, false); 3]);
        assert_eq!([judged(52), judged(316)], [(true, false); 2]);
        assert_eq!([judged(10), judged(0), judged(1051)], [(true, true); 3]);
        let told = verdict(VOLUME, 10, vec![100, 100, 100]).expect("a history").note;
        assert_eq!(told, "the step adds 10 rows, 10 % of 100, the median of the last 3 commits, below 50 %");
    }

    #[test]
    fn without_a_history_nothing_is_judged() {
        assert_eq!(verdict(VOLUME, 0, vec![100, 100]), None);
    }
}
