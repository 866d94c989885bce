//! What the commits before a step measured, and what is usual by that.
//!
//! It is read from the table's own log, so what was dropped or held is not in it, and a table that is restored has its history.

use super::found::figure;
use crate::{error::LakeError, table::Table};
use std::collections::BTreeMap;

/// A median of fewer says nothing; then the step is not judged.
const FEWEST: usize = 3;
/// Versions that are looked at for each that may count: most of the others are merged files.
const LOOKS: i64 = 4;

/// Figures by their rule, as `mean(amount)`.
pub(super) type Figures = BTreeMap<String, f64>;

/// The versions that may count, newest first.
pub(super) fn versions(table: &Table, of_last: u64) -> impl Iterator<Item = i64> + use<> {
    let (newest, most) = (table.version(), i64::try_from(of_last).unwrap_or(i64::MAX).saturating_mul(LOOKS));
    (newest.saturating_sub(most).max(0)..=newest).rev()
}

/// What the last commits measured, newest first, as far back as the log goes.
pub(super) async fn figures(table: &Table, of_last: u64) -> Result<Vec<Figures>, LakeError> {
    let mut found = Vec::new();
    for version in versions(table, of_last) {
        let memory = match table.memory(version).await {
            Err(LakeError::LogGone { .. }) => break,
            memory => memory?,
        };
        found.extend(memory.map(|m| m.figures).filter(|f| !f.is_empty()));
        if found.len() as u64 == of_last {
            break;
        }
    }
    Ok(found)
}

/// The median of some commits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usual {
    median: f64,
    commits: usize,
}

impl Usual {
    /// `None`: there is too little history.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Self> {
        if values.len() < FEWEST {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self { median: (low + high) / 2.0, commits: values.len() })
    }

    /// The value as a share of it, and that in words. Of nothing all but nothing is beyond every share.
    pub(super) fn share(self, value: f64) -> (f64, String) {
        let Self { median, commits } = self;
        if median == 0.0 {
            let share = if value == 0.0 { 1.0 } else { value.signum() * f64::INFINITY };
            return (share, format!("and 0 is the median of the last {commits} commits"));
        }
        let share = value / median;
        (share, format!("{:.0} % of {}, the median of the last {commits} commits", share * 100.0, figure(median)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_share_of_the_median() {
        assert_eq!(Usual::of(vec![1.0, 2.0]), None, "too little history");
        let usual = Usual::of(vec![90.0, 100.0, 5000.0, 110.0]).expect("a history");
        assert_eq!(usual.share(52.5), (0.5, "50 % of 105, the median of the last 4 commits".to_owned()));
        // A loss that is twice the usual one.
        assert_eq!(Usual::of(vec![-10.0; 3]).expect("a history").share(-20.0).0, 2.0);
    }

    #[test]
    fn of_nothing_only_nothing_is_usual() {
        let usual = Usual::of(vec![0.0; 3]).expect("a history");
        let shares = [0.0, 0.1, -0.1].map(|v| usual.share(v).0);
        assert_eq!(shares, [1.0, f64::INFINITY, f64::NEG_INFINITY]);
        assert_eq!(usual.share(0.1).1, "and 0 is the median of the last 3 commits");
    }
}
