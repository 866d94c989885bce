//! An attempt begins.

use super::super::{Refusal, Step};
use crate::StepState;
use jiff::Timestamp;

/// The next number, unless the delay of the last one has not passed.
pub(in super::super) fn claim(step: Step, now: Timestamp) -> Result<Step, Refusal> {
    match step.retry_at {
        Some(until) if now < until => Err(Refusal::NotYet { until }),
        Some(_) | None => Ok(Step { state: StepState::Running, attempts: step.attempts.saturating_add(1), ..step }),
    }
}
