//! The life of a backfill.

use crate::BackfillState;

impl BackfillState {
    /// In which none of a dataset's backfills hinders the next one.
    pub(crate) const END: Self = Self::Swapped;

    /// What it becomes when somebody says how far it has come; `None`: it has come to its end.
    pub(crate) fn after(self, next: Self) -> Option<Self> {
        match self {
            Self::Building | Self::Failed | Self::Built => Some(next),
            Self::Swapped => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [BackfillState; 4] =
        [BackfillState::Building, BackfillState::Failed, BackfillState::Built, BackfillState::Swapped];

    #[test]
    fn one_that_took_its_place_stays_so() {
        for (state, next) in STATES.into_iter().flat_map(|state| STATES.map(|next| (state, next))) {
            let goes_on = state != BackfillState::END;
            assert_eq!(state.after(next), goes_on.then_some(next), "{state:?} to {next:?}");
        }
    }
}
