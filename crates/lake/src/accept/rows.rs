//! `invalid` and `rows`, and what gold keeps for its history: counts that are known without a look at rows.

use super::found::{Found, Measured, figure};
use alluvium_model::Balance;
use alluvium_spec::{Beyond, Levels};
use alluvium_store::{ROWS, ROWS_PER_WINDOW};

/// `late_aside`: quarantined rows that only came late, and are as valid as any other.
pub(crate) fn invalid(levels: Levels, balance: &Balance, late_aside: u64, found: &mut Found) {
    if levels.is_none() || balance.received == 0 {
        return;
    }
    let violations = balance.quarantined - late_aside + balance.dropped;
    let (rule, checked) = ("accept:invalid".to_owned(), balance.received);
    let share = violations as f64 / checked as f64;
    let note = format!("{:.2} % of {checked} rows are invalid", share * 100.0);
    let words = |b: Beyond| {
        let limit = b.limit * 100.0;
        if b.is_error { format!("above the {limit:.2} % that are accepted") } else { format!("above {limit:.2} %") }
    };
    let of = Measured { rule, dimension: "conformity", checked, violations, note, figure: None };
    found.judge(of, levels.beyond(share), words);
}

/// Rows that the table would have after the commit.
pub(crate) fn bounds(levels: Levels, rows: u64, found: &mut Found) {
    if levels.is_none() {
        return;
    }
    let beyond = levels.beyond(rows as f64);
    let note = format!("the table would have {rows} rows");
    let (rule, violations) = ("accept:rows".to_owned(), u64::from(beyond.is_some()));
    let of = Measured { rule, dimension: "completeness", checked: rows, violations, note, figure: None };
    found.judge(of, beyond, |b| format!("{} than {}", if b.is_above { "more" } else { "fewer" }, b.limit));
}

/// Rows of a gold table, or those that were made for each of its windows. No level is asked for them; the dataset's own history is one.
pub(crate) fn made(rows: u64, by_window: Option<(u64, u64)>, found: &mut Found) {
    let (rule, checked, value, note) = match by_window {
        // Windows that went are no measure of those that are made.
        Some((_, 0)) | Some((0, _)) => return,
        Some((made, windows)) => {
            let value = made as f64 / windows as f64;
            (ROWS_PER_WINDOW, windows, value, format!("{made} rows in {windows} windows, {} in each", figure(value)))
        }
        None => (ROWS, 1, rows as f64, format!("the table has {rows} rows")),
    };
    let rule = rule.to_owned();
    found.say(Measured { rule, dimension: "completeness", checked, violations: 0, note, figure: Some(value) }, None);
}
