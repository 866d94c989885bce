//! How many steps a process executes at once.

use tokio::sync::{Semaphore, SemaphorePermit};

/// So many small steps share a hand.
const SHARES: usize = 2;

/// A step takes a hand, with all cores and the memory limit. A small one takes half of one: much of its time it waits for files and the state.
#[derive(Debug)]
pub struct Hands(Semaphore);

/// Held while a step is executed.
pub(crate) type Held<'h> = SemaphorePermit<'h>;

impl Hands {
    pub fn new(hands: usize) -> Self {
        Self(Semaphore::new(hands.saturating_mul(SHARES).min(Semaphore::MAX_PERMITS)))
    }

    pub(crate) async fn take(&self, small: bool) -> Held<'_> {
        self.0.acquire_many(shares(small)).await.expect("nobody closes it")
    }

    pub(crate) fn try_take(&self, small: bool) -> Option<Held<'_>> {
        self.0.try_acquire_many(shares(small)).ok()
    }
}

fn shares(small: bool) -> u32 {
    if small { 1 } else { SHARES as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_steps_share_a_hand_and_others_do_not() {
        let hands = Hands::new(1);
        let held = hands.try_take(false).expect("a free hand");
        assert!(hands.try_take(true).is_none() && hands.try_take(false).is_none());
        drop(held);
        let first = hands.try_take(true).expect("a free hand");
        assert!(hands.try_take(false).is_none(), "half of it is taken");
        let _second = hands.try_take(true).expect("half a hand");
        assert!(hands.try_take(true).is_none());
        drop(first);
    }
}
