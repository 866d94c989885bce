//! The lake: tables, and the embedded engine that fills them.
//!
//! The only crate that names DataFusion and Delta. Called by cli, and by flow through [`alluvium_flow::Engine`]. A
//! reader sees only what a commit published; a commit happens once for each step key.

mod accept;
mod admit;
mod ahead;
mod apart;
mod aside;
#[doc(hidden)]
pub mod bench;
mod beside;
mod beyond;
mod check;
mod columns;
mod commit;
mod comparing;
mod curate;
mod decode;
mod describe;
mod discard;
mod drift;
mod encoding;
mod engine;
mod error;
mod fence;
mod files;
mod gate;
mod held;
mod history;
mod in_order;
mod incremental;
mod ingest;
mod lanes;
mod lateness;
mod library;
mod maintain;
mod meter;
mod name;
mod objects;
mod payload;
mod pool;
mod profile;
mod quarantine;
mod query;
mod redrive;
mod refine;
mod refining;
mod remote;
mod rewrite;
mod scan;
mod session;
mod silver;
mod snapshots;
mod stage;
mod statistics;
mod syncs;
mod table;
mod trial;
mod truncated;
mod upsert;
mod vector;
mod waiting;
mod windows;

pub use check::{Mistake, check};
pub use describe::{DatasetInfo, describe};
pub use engine::LakeEngine;
pub use error::LakeError;
pub use held::{HeldStep, held};
pub use library::try_cases;
pub use profile::{Look, Looked, RowHashes, profile};
pub use query::{QueryResult, SendableBatches, query};
pub use refine::quarantine_schema;
pub use trial::{Given, Trial, trial};
