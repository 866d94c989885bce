//! What can go wrong with a call out of a process, and the error that a process is told.

use crate::executor::Sim;
use alluvium_flow::HELD;
use alluvium_model::{Blame, DatasetName, Fault, RetryClass};
use alluvium_spec::FROZEN;

/// How often something goes wrong: once in so many calls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Odds {
    pub(crate) reject: u64,
    pub(crate) lose: u64,
    pub(crate) hold: u64,
}

impl Odds {
    pub(crate) const STORE: Self = Self { reject: 150, lose: 200, hold: 250 };
    pub(crate) const ENGINE: Self = Self { reject: 12, lose: 10, hold: 12 };
    /// Each run looks into every folder before it does anything else.
    pub(crate) const LANDING: Self = Self { reject: 12, lose: 10, hold: 60 };
}

/// Nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("told to fail")]
pub(crate) struct Rejected;

/// It was done, or not: the answer did not come.
#[derive(Debug, thiserror::Error)]
#[error("the answer was lost")]
pub(crate) struct ReplyLost;

/// Nobody can commit anything for a while.
#[derive(Debug, thiserror::Error)]
#[error("the lake takes nothing in")]
pub(crate) struct Fallen;

/// Another commit came first.
#[derive(Debug, thiserror::Error)]
#[error("another commit came in between")]
pub(crate) struct Late;

/// A swap was checked against an older version of the table.
#[derive(Debug, thiserror::Error)]
#[error("the table has moved")]
pub(crate) struct Moved;

/// What a backfill made was taken away.
#[derive(Debug, thiserror::Error)]
#[error("there is nothing beside the table")]
pub(crate) struct Gone;

/// A file has a field that the definition does not know.
#[derive(Debug, thiserror::Error)]
#[error("its fields are not those of the table")]
pub(crate) struct Frozen;

/// The gate holds a step back.
#[derive(Debug, thiserror::Error)]
#[error("the gate of {dataset} refuses {rows} rows")]
pub(crate) struct Refused {
    pub(crate) dataset: DatasetName,
    pub(crate) rows: usize,
}

macro_rules! faults {
    ($($error:ty, $code:expr, $class:ident, $blame:ident;)*) => {
        $(impl Fault for $error {
            fn code(&self) -> &'static str {
                $code
            }

            fn class(&self) -> RetryClass {
                RetryClass::$class
            }

            fn remedy(&self) -> &'static str {
                "none: the simulation made it"
            }

            fn blames(&self) -> Blame {
                Blame::$blame
            }
        })*
    };
}

faults! {
    Rejected, "SIM1", Transient, Nothing;
    ReplyLost, "SIM2", Transient, Nothing;
    Late, "SIM3", Transient, Nothing;
    Moved, "SIM4", Data, Nothing;
    Gone, "SIM5", Internal, Nothing;
    Fallen, "SIM6", Transient, Lake;
    Frozen, FROZEN, Schema, Nothing;
    Refused, HELD, Data, Nothing;
}

const MILLI: u64 = 1_000;
const SECOND: u64 = 1_000 * MILLI;

/// The way there or back: mostly short, seldom longer than a lease.
pub(crate) async fn way(sim: &Sim, odds: Option<Odds>) {
    let micros = match odds {
        Some(odds) if sim.once_in(odds.hold) => 20 * SECOND + sim.below(100 * SECOND),
        Some(_) if sim.once_in(10) => sim.below(200 * MILLI),
        _ => sim.below(2 * MILLI),
    };
    sim.sleep(i64::try_from(micros).expect("a few minutes")).await;
}
