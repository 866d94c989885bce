//! A dead letter comes back.

use super::super::{Refusal, Step};
use crate::StepState;

/// As if it had never failed.
pub(in super::super) fn replay(step: Step) -> Step {
    Step { state: StepState::Planned, failures: 0, retry_at: None, ..step }
}

/// Of several verdicts on one state of things one counts.
pub(in super::super) fn pass_verdict(step: Step, is_as_held: bool) -> Result<Step, Refusal> {
    if is_as_held { Ok(replay(step)) } else { Err(Refusal::NotAsHeld) }
}
