//! Dataset files as written: read and checked each for itself, before names are resolved.

mod accept;
mod belongs;
mod bronze;
mod draft;
mod drift;
mod effort;
mod gold;
mod normalize;
mod publish;
mod push;
mod silver;
mod turns;
mod watermark;
mod webhook;
mod when;
mod write;

use belongs::{Unusable, belongs};
pub(crate) use bronze::read as read_bronze;
pub(crate) use draft::{
    Body, BronzeDraft, ColumnUse, Draft, EnrichDraft, GoldDraft, Needs, NormalizeDraft, SilverDraft, StepDraft,
    TrackedDraft, WriteDraft,
};
pub(crate) use effort::{EffortDraft, defaults as read_defaults};
pub(crate) use gold::read as read_gold;
pub(crate) use publish::{read as read_publish, read_key as read_sinks};
pub(crate) use silver::read as read_silver;
pub(crate) use turns::TurnsDraft;

/// In the design, not in this version.
const NOT_YET: [&str; 3] = ["canary", "functions", "policies"];
