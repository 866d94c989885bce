//! The words every crate shares: names, ids, windows, balances, error kinds and exit codes.
//!
//! Called by all crates; it does no I/O and knows neither tokio nor Arrow.

mod balance;
mod bytes;
mod clock;
mod crash;
mod duration;
mod exit;
mod fault;
mod ids;
mod lake_url;
mod name;
mod state;
mod stride;
mod text;
mod window;

pub use balance::{Balance, Unbalanced};
pub use bytes::{ByteSize, InvalidByteSize};
pub use clock::{Clock, Entropy, ManualClock, SeededEntropy, SystemClock, SystemEntropy};
pub use crash::{CRASH_POINTS, CrashPoint, crash_point};
pub use duration::{InvalidSpan, Span};
pub use exit::Exit;
pub use fault::{Blame, Fault, RetryClass};
pub use ids::{ContentHash, DefinitionVersion, EventId, RunId, StepKey, StepKeyBuilder};
pub use lake_url::{Cloud, InvalidLakeUrl, LakeUrl};
pub use name::{DatasetName, InvalidName, Layer};
pub use state::{InvalidPostgresUrl, PostgresUrl, StatePlace, Tls};
pub use stride::{InvalidStride, Stride};
pub use text::{grouped, is_unseen};
pub use window::Window;
