//! The lease ends, and the step is open again.

use super::super::Step;
use crate::StepState;

/// What the attempt did to its process, it may do to the next one: it has failed.
pub(in super::super) fn lose(step: Step) -> Step {
    Step { state: StepState::Planned, failures: step.failures.saturating_add(1), ..step }
}

/// It was stopped by whoever began it, and has not failed.
pub(in super::super) fn hand_back(step: Step) -> Step {
    Step { state: StepState::Planned, ..step }
}
