//! An attempt ends the step.

use super::super::{Refusal, Step};
use crate::StepState;

/// A commit is the step's, whichever attempt made it. That there is nothing to commit a newer attempt may see otherwise.
pub(in super::super) fn finish(step: Step, attempt: u32, has_committed: bool) -> Result<Step, Refusal> {
    if !has_committed && attempt < step.attempts {
        return Err(Refusal::OtherAttempt);
    }
    Ok(Step { state: StepState::Done, ..step })
}
