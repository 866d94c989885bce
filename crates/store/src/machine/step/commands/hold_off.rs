//! No attempt that began counts any more.

use super::super::Step;

/// The number that is counted belongs to no attempt: all that there were are older, and the next one is newer. Without any there is
/// nothing to hold off.
pub(in super::super) fn hold_off(step: Step) -> Step {
    match step.attempts {
        0 => step,
        attempts => Step { attempts: attempts.saturating_add(1), ..step },
    }
}
