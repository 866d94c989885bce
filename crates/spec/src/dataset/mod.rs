//! Dataset files as written: read and checked each for itself, before names are resolved.

mod accept;
mod bronze;
mod draft;
mod effort;
mod gold;
mod normalize;
mod publish;
mod silver;
mod watermark;
mod webhook;
mod write;

pub(crate) use bronze::read as read_bronze;
pub(crate) use draft::{
    Body, BronzeDraft, Draft, EnrichDraft, GoldDraft, NormalizeDraft, SilverDraft, StepDraft, TrackedDraft, WriteDraft,
};
pub(crate) use effort::{EffortDraft, defaults as read_defaults};
pub(crate) use gold::read as read_gold;
pub(crate) use silver::read as read_silver;

/// In the design, not in this version.
const NOT_YET: [&str; 6] = ["concurrency", "throttle", "canary", "backfill", "functions", "policies"];

/// Written, and reported.
struct Unusable;

/// Where a key belongs that stands in another place of the design.
fn belongs(key: &str) -> Option<String> {
    let help = match key {
        "watermark" => "a watermark belongs to the silver dataset whose rows carry the time",
        "allowed_lateness" | "late" => "write it inside of the silver dataset's `watermark: { column: … }`",
        "freshness" => "arrivals are collected where they come in: write it in the bronze dataset",
        _ => return None,
    };
    Some(help.to_owned())
}
