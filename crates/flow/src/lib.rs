//! Durable orchestration: what has to be done (planner), doing it step by step (drain), and what each needs as traits.
//!
//! Called by cli. It knows neither Arrow nor Delta: the lake provides [`Engine`], the sources provide [`Landing`].

mod agenda;
mod alert;
mod anomaly;
mod arrivals;
mod assist;
mod backfill;
mod behind;
mod branch;
mod breaker;
mod drain;
mod elsewhere;
mod endings;
mod error;
mod event_types;
mod hands;
mod inbox;
mod life;
mod maintain;
mod original;
mod own_lake;
mod payload;
mod plan;
mod ports;
mod publication;
pub mod registry;
mod replay;
mod report;
mod retire;
mod retry;
mod step;
mod summary;

pub use agenda::{Agenda, Arrived, made_from};
pub use alert::{ALERT_CODES, Ages, Judged, runbook};
pub use anomaly::{Anomaly, HISTORY_DAYS, Unusual, Watched, anomalies};
pub use assist::Refused as RefusedSteps;
pub use backfill::{
    Backfill, Backfilled, Beside, Compared, Comparison, Difference, Extent, Measure, Part, Shared as SharedWindows,
    Windowed, parts as backfill_parts,
};
pub use branch::{numbers, what_waits};
pub use breaker::{Breakers, Dependency};
pub use drain::{Flow, Left, Options, Turn};
pub use error::{FlowError, StepError};
pub use event_types::{EVENT_TYPES, EventType};
pub use hands::Hands;
pub use original::NotKept;
pub use ports::{
    Arrival, Buckets, Copies, Engine, Increment, Job, Landing, Listed, Look, Maintained, Outcome, Reader, Received,
    Refused, Timer, Usage,
};
pub use replay::{Discard, HELD, Letters, Replay, ReplayOutcome, Replayed, Settle, Tried, Version, is_held};
pub use report::{DatasetSummary, NotTaken, Report, Signal, StepWait, Waiting};
pub use summary::Summary;
