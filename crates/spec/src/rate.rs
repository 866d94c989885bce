//! `rate`: how often a webhook may be called, one of ours by others or one of others by us.
//!
//! Called by the readers of sources and of sinks.

use crate::{
    codes,
    definition::Rate,
    yaml::{Node, Reader},
};
use alluvium_model::Span;

const MOST: u32 = 1_000_000;

/// `burst`: how many at once where nothing is said of that, from the limit.
pub(crate) fn read(node: &Node, burst: fn(u32) -> u32, r: &mut Reader<'_>) -> Option<Rate> {
    let mut f = r.fields(node, "a mapping such as `{ limit: 100, period: 1s }`")?;
    let limit = f.require("limit", r).and_then(|n| r.whole::<u32>(n));
    let period = f.require("period", r).and_then(|n| r.parsed::<Span>(n));
    let written = f.take("burst").map_or(Some(None), |n| r.whole::<u32>(n).map(Some));
    f.finish(r);
    let (limit, period, written) = (limit?, period?, written?);
    let burst = written.unwrap_or_else(|| burst(limit));
    if limit == 0 || burst == 0 || period.value <= Span::ZERO {
        r.error(codes::INVALID_VALUE, node.place, "a rate of nothing lets nothing through", None);
        return None;
    }
    if limit.max(burst) > MOST {
        r.error(codes::INVALID_VALUE, node.place, format!("a rate counts up to {MOST}"), None);
        return None;
    }
    Some(Rate { limit, period: period.value, burst })
}
