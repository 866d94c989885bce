//! Dataset files as written: read and checked each for itself, before names are resolved.

mod accept;
mod bronze;
mod draft;
mod gold;
mod normalize;
mod publish;
mod silver;
mod webhook;
mod write;

pub(crate) use bronze::read as read_bronze;
pub(crate) use draft::{
    Body, BronzeDraft, Draft, EnrichDraft, GoldDraft, NormalizeDraft, SilverDraft, StepDraft, WriteDraft,
};
pub(crate) use gold::read as read_gold;
pub(crate) use silver::read as read_silver;

/// In the design, not in this version.
const NOT_YET: [&str; 12] = [
    "retry",
    "concurrency",
    "throttle",
    "timeout",
    "budget",
    "canary",
    "freshness",
    "late",
    "watermark",
    "backfill",
    "functions",
    "policies",
];
