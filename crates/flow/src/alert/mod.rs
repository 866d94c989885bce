//! What somebody has to know while it lasts: told once when it begins, and once when it is over.
//!
//! Called by `life.rs` when a run ends, and by services now and then.

mod changes;
mod conditions;
mod event;
mod tell;
#[cfg(test)]
mod tests;

pub use conditions::ALERT_CODES;
pub use event::runbook;
pub use tell::{Ages, Judged};
