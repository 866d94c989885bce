//! How many live steps a process executes at once.

use tokio::sync::{Semaphore, SemaphorePermit};

/// So many small steps share a hand.
const SHARES: usize = 2;

/// A step takes a hand, with all cores and the memory limit. A small one takes half of one: much of its time it waits for files and the state.
#[derive(Debug)]
pub struct Hands(Semaphore);

/// What a step takes of the hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Whole,
    Small,
    /// A window of a backfill takes nothing from the live work: its backfill says how many are made at once.
    Window,
}

/// Held while a step is executed.
pub(crate) type Held<'h> = Option<SemaphorePermit<'h>>;

impl Hands {
    pub fn new(hands: usize) -> Self {
        Self(Semaphore::new(hands.saturating_mul(SHARES).min(Semaphore::MAX_PERMITS)))
    }

    pub(crate) async fn take(&self, size: Size) -> Held<'_> {
        match shares(size) {
            0 => None,
            shares => Some(self.0.acquire_many(shares).await.expect("nobody closes it")),
        }
    }

    /// `None`: they are full.
    pub(crate) fn try_take(&self, size: Size) -> Option<Held<'_>> {
        match shares(size) {
            0 => Some(None),
            shares => self.0.try_acquire_many(shares).ok().map(Some),
        }
    }
}

fn shares(size: Size) -> u32 {
    match size {
        Size::Whole => SHARES as u32,
        Size::Small => 1,
        Size::Window => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_steps_share_a_hand_and_others_do_not() {
        let hands = Hands::new(1);
        let held = hands.try_take(Size::Whole).expect("a free hand");
        assert!(hands.try_take(Size::Small).is_none() && hands.try_take(Size::Whole).is_none());
        assert!(hands.try_take(Size::Window).is_some(), "it needs none");
        drop(held);
        let first = hands.try_take(Size::Small).expect("a free hand");
        assert!(hands.try_take(Size::Whole).is_none(), "half of it is taken");
        let _second = hands.try_take(Size::Small).expect("half a hand");
        assert!(hands.try_take(Size::Small).is_none());
        drop(first);
    }
}
