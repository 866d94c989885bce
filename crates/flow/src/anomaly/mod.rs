//! What is unusual against a dataset's own history, without configuration.
//!
//! Called by cli. Pure: made of the past that the state tells, and the time.

mod baseline;
mod days;
mod figures;
mod found;
mod silence;
#[cfg(test)]
mod tests;

pub use days::{HISTORY_DAYS, anomalies};
pub use found::{Anomaly, Unusual, Watched};
