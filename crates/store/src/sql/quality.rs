//! Results of rules and of acceptance criteria: of a step that committed, or of one that its gate held back.
//!
//! Called by `finish.rs` and `steps.rs`, inside the transaction in which the step changes.

use super::{
    Arg, Session,
    codec::{ROWS_PER_STATEMENT, number, signed},
};
use crate::{QualityResult, StoreError};
use serde::Serialize;

#[derive(Serialize)]
struct QualityRow<'a> {
    step: &'a str,
    ordinal: i64,
    rule: &'a str,
    action: &'a str,
    severity: &'a str,
    dimension: Option<&'a str>,
    checked: i64,
    violations: i64,
    passed: i64,
    note: Option<&'a str>,
    figure: Option<f64>,
}

impl<'a> QualityRow<'a> {
    fn new(step: &'a str, ordinal: usize, q: &'a QualityResult) -> Self {
        Self {
            step,
            ordinal: number(ordinal),
            rule: &q.rule,
            action: &q.action,
            severity: &q.severity,
            dimension: q.dimension.as_deref(),
            checked: signed(q.checked),
            violations: signed(q.violations),
            passed: i64::from(q.passed),
            note: q.note.as_deref(),
            figure: q.figure.filter(|f| f.is_finite()),
        }
    }
}

/// What an earlier attempt of these steps left.
pub(super) async fn forget(tx: &mut Session<'_>, steps: &[&str]) -> Result<(), StoreError> {
    if steps.is_empty() {
        return Ok(());
    }
    let sql = "DELETE FROM quality WHERE step IN (SELECT value ->> 0 FROM json_each($1))";
    tx.execute(sql, &[Arg::column(steps)]).await?;
    Ok(())
}

pub(super) async fn insert(tx: &mut Session<'_>, results: &[(&str, &[QualityResult])]) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    for (step, all) in results {
        rows.extend(all.iter().enumerate().map(|(n, q)| QualityRow::new(step, n, q)));
    }
    for chunk in rows.chunks(ROWS_PER_STATEMENT) {
        tx.execute(
            "INSERT INTO quality (step, ordinal, rule, action, severity, dimension, checked, violations, passed, note, figure)
             SELECT value ->> 'step', CAST(value ->> 'ordinal' AS BIGINT), value ->> 'rule', value ->> 'action',
                    value ->> 'severity', value ->> 'dimension', CAST(value ->> 'checked' AS BIGINT),
                    CAST(value ->> 'violations' AS BIGINT), CAST(value ->> 'passed' AS BIGINT), value ->> 'note',
                    CAST(value ->> 'figure' AS DOUBLE PRECISION)
             FROM json_each($1)",
            &[Arg::list(chunk)],
        )
        .await?;
    }
    Ok(())
}
