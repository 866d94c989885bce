//! A key is planned again.

use super::super::Step;

/// It goes on with the number of the attempts: its table may be closed to those that there were.
pub(in super::super) fn plan_again(step: Step) -> Step {
    Step { attempts: step.attempts, ..Step::NEW }
}
