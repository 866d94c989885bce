//! What waits in quarantine, and dead letters, once more: because a person says so, who waits for it or asks a service for it.

mod asked;
mod discard;
mod held;
mod letters;
mod outcome;
mod quarantine;
mod request;
mod rescued;

pub use discard::Discard;
pub use held::{HELD, Settle, is_held};
pub use letters::{Letters, Replayed, Version};
pub use outcome::{ReplayOutcome, Tried};
pub use request::Replay;
