//! `invalid` and `rows`: counts that are known without a look at rows.

use super::found::{Found, Measured};
use alluvium_model::Balance;
use alluvium_spec::{Beyond, Levels};

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
    let of = Measured { rule, dimension: "conformity", checked, violations, note };
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
    let of = Measured { rule, dimension: "completeness", checked: rows, violations, note };
    found.judge(of, beyond, |b| format!("{} than {}", if b.is_above { "more" } else { "fewer" }, b.limit));
}
