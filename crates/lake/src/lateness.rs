//! What a silver step has to say about late rows and event time, beside the rows themselves.
//!
//! Called by `silver.rs` with the counts of all lanes, and by `commit.rs` when it reads a commit back.

use crate::{commit::Staged, refine::Tally};
use alluvium_spec::{Late, Silver};
use alluvium_store::{QualityResult, Reached, StepKind, StepRecord};
use jiff::Timestamp;

pub(crate) fn tell(silver: &Silver, step: &StepRecord, tally: &Tally, staged: &mut Staged) {
    let Some(watermark) = &silver.watermark else { return };
    staged.reached = tally.reached.and_then(|micros| reached(&watermark.column, micros));
    staged.late_aside = tally.late_aside;
    if tally.ahead > 0 {
        let (rows, column) = (tally.ahead, &watermark.column);
        staged
            .notes
            .push(format!("rows whose `{column}` lies after their arrival, which do not move the watermark: {rows}"));
    }
    match step.kind {
        StepKind::Rebuild if watermark.late != Late::Recompute => {
            staged.notes.push(format!("a rebuild judges no row late: `late: {}` had no effect", watermark.late.word()));
        }
        _ => {}
    }
    let Some(count) = tally.rules.get(&watermark.rule()) else { return };
    staged.quality.push(QualityResult {
        rule: watermark.rule(),
        action: watermark.late.word().into(),
        severity: "warning".into(),
        dimension: Some("timeliness".into()),
        checked: count.checked,
        violations: count.violations,
        passed: count.violations == 0,
        note: step.watermark.map(|w| format!("the watermark was {w}, {} allowed", watermark.allowed_lateness)),
        figure: None,
    });
}

/// `None` for a time before the calendar: it holds no watermark.
pub(crate) fn reached(event_time: &str, micros: i64) -> Option<Reached> {
    let upto = Timestamp::from_microsecond(micros).ok()?;
    Some(Reached { event_time: event_time.to_owned(), upto })
}
