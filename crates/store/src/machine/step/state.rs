//! A step as far as it decides what becomes of it.

use super::{Command, Refusal, states};
use crate::StepState;
use jiff::Timestamp;

/// While it is running, and only then, an attempt has its lease: that of the newest number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) state: StepState,
    pub(crate) attempts: u32,
    pub(crate) failures: u32,
    pub(crate) retry_at: Option<Timestamp>,
}

impl Step {
    /// As it is planned under a key that was never there.
    pub(crate) const NEW: Self = Self { state: StepState::Planned, attempts: 0, failures: 0, retry_at: None };

    /// # Errors
    /// Why it stays as it is.
    pub(crate) fn after(self, command: Command) -> Result<Self, Refusal> {
        match self.state {
            StepState::Planned => states::planned::after(self, command),
            StepState::Running => states::running::after(self, command),
            StepState::Failed => states::failed::after(self, command),
            StepState::Dead => states::dead::after(self, command),
            StepState::Done => states::done::after(command),
            StepState::Superseded => states::superseded::after(self, command),
        }
    }
}

impl StepState {
    /// Somebody executes it, or is to execute it.
    pub fn is_open(self) -> bool {
        match self {
            Self::Planned | Self::Running | Self::Failed => true,
            Self::Done | Self::Dead | Self::Superseded => false,
        }
    }

    /// Nothing becomes of it any more. A dead letter is neither open nor over.
    pub fn is_over(self) -> bool {
        match self {
            Self::Done | Self::Superseded => true,
            Self::Planned | Self::Running | Self::Failed | Self::Dead => false,
        }
    }

    /// As one reads whose lease does not hold any more, before somebody takes it.
    pub(crate) fn without_lease(self) -> Self {
        Step { state: self, ..Step::NEW }.after(Command::Lose).map_or(self, |step| step.state)
    }
}
