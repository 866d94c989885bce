//! The step never runs again.

use super::super::{Refusal, Step};
use crate::StepState;

/// Unless somebody took it since its table was closed.
pub(in super::super) fn supersede(step: Step, attempts: u32) -> Result<Step, Refusal> {
    if attempts == step.attempts { Ok(give_up(step)) } else { Err(Refusal::OtherAttempt) }
}

pub(in super::super) fn give_up(step: Step) -> Step {
    Step { state: StepState::Superseded, ..step }
}
