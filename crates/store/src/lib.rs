//! The durable state: events, runs, steps, leases, positions, definition versions, quality results and the ledger.
//!
//! Called by flow and cli. Tables hold no row data and no secret.

mod alerts;
mod audit;
mod backfills;
mod decisions;
mod discards;
mod endings;
mod error;
mod lanes;
mod machine;
mod measures;
mod place;
mod postgres;
mod records;
mod registry;
mod replays;
mod sql;
mod sqlite;
mod store;
mod verdicts;

pub use alerts::{Alert, AlertChange, AlertKind, Alerts, DeadGroup, Troubles, Waiting, Warned};
pub use audit::{Refusal, RefusalKind};
pub use backfills::{BackfillRecord, BackfillState, Forgotten, OpenWindows};
pub use decisions::{Commits, Decision};
pub use discards::{Discard, QuarantineNote, Selection};
pub use endings::{EndedRun, EndedSteps, Ending};
pub use error::StoreError;
pub use lanes::{Lane, LaneEnd, NewPublication, Publication, Topic};
pub use measures::{DatasetMeasures, DayFigure, Hour, Measures, Past, ROWS, ROWS_PER_WINDOW};
pub use place::StateStore;
pub use postgres::PostgresStore;
pub use records::{
    AfterFailure, Claim, Claimed, DeadLetter, EventRecord, EventState, Failure, HeldOff, InboxBound, InboxPart,
    InboxRecord, LedgerEntry, NewEvent, NewStep, NotYet, Owner, Planned, Pushed, PushedEvent, PushedList,
    QualityResult, Rate, Reached, Recorded, RunRecord, RunState, RunStep, Slot, StepDone, StepKind, StepRecord,
    StepState, TableDump, Terms, Value, VersionRecord, Watch, WatermarkRecord,
};
pub use registry::{InForce, NewSchema, Registered, Registry, SchemaVersion};
pub use replays::{AskedReplay, NewReplay, News, ReplayRecord, Stamp};
pub use sqlite::SqliteStore;
pub use store::Store;
pub use verdicts::{Verdict, VerdictKind};
