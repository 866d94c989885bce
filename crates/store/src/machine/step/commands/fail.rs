//! An attempt failed.

use super::super::{Refusal, Step};
use crate::StepState;
use jiff::Timestamp;

/// Only the newest one counts. It is tried again, unless its error stays or it failed too often.
pub(in super::super) fn fail(
    step: Step,
    attempt: u32,
    most: u32,
    retry_at: Option<Timestamp>,
) -> Result<Step, Refusal> {
    if attempt != step.attempts {
        return Err(Refusal::OtherAttempt);
    }
    let failures = step.failures.saturating_add(1);
    let retry_at = retry_at.filter(|_| failures < most);
    let state = if retry_at.is_some() { StepState::Failed } else { StepState::Dead };
    Ok(Step { state, failures, retry_at, ..step })
}
