//! `rate`: how often a source takes calls, or a sink is called; and the keys by which rates are shared.
//!
//! Called by the readers of sources, of sinks and of `throttle`.

use crate::{
    codes,
    definition::Rate,
    diagnostic::quoted,
    source_file::Spanned,
    yaml::{Node, Reader},
};
use alluvium_model::Span;

/// The key that means a dataset itself.
pub(crate) const OWN: &str = "dataset";
const LONGEST_KEY: usize = 63;
const MOST: u32 = 1_000_000;

/// Limit, period and burst.
pub(crate) type Said = (u32, Span, u32);

impl Rate {
    pub(crate) fn said(&self) -> Said {
        (self.limit, self.period, self.burst)
    }
}

/// `burst`: how many at once where nothing is said of that, from the limit.
pub(crate) fn read(node: &Node, burst: fn(u32) -> u32, r: &mut Reader<'_>) -> Option<Rate> {
    let mut f = r.fields(node, "a mapping such as `{ limit: 100, period: 1s }`")?;
    let limit = f.require("limit", r).and_then(|n| r.whole::<u32>(n));
    let period = f.require("period", r).and_then(|n| r.parsed::<Span>(n));
    let key = f.take("key").map_or(Some(None), |n| shared(n, r).map(Some));
    let written = f.take("burst").map_or(Some(None), |n| r.whole::<u32>(n).map(Some));
    f.finish(r);
    let (limit, period, written, key) = (limit?, period?, written?, key?);
    let burst = written.unwrap_or_else(|| burst(limit));
    if limit == 0 || burst == 0 || period.value <= Span::ZERO {
        r.error(codes::INVALID_VALUE, node.place, "a rate of nothing lets nothing through", None);
        return None;
    }
    if limit.max(burst) > MOST {
        r.error(codes::INVALID_VALUE, node.place, format!("a rate counts up to {MOST}"), None);
        return None;
    }
    Some(Rate { key, limit, period: period.value, burst })
}

/// Whoever names none has a rate of its own.
fn shared(node: &Node, r: &mut Reader<'_>) -> Option<String> {
    let key = key(node, r)?;
    if key.value == OWN {
        let help = Some("name a key of your own, as in `key: partner`, or leave it out".to_owned());
        r.error(codes::CONTRADICTION, key.place, "`dataset` is each dataset's own key", help);
        return None;
    }
    Some(key.value)
}

pub(crate) fn key(node: &Node, r: &mut Reader<'_>) -> Option<Spanned<String>> {
    let key = r.name(node)?;
    let fits = key.value.len() <= LONGEST_KEY
        && key.value.starts_with(|c: char| c.is_ascii_lowercase())
        && key.value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    if !fits {
        let help = "write `dataset`, or a name of lower case letters, digits, `_` and `-`".to_owned();
        r.error(codes::INVALID_VALUE, key.place, format!("{} is no key", quoted(&key.value)), Some(help));
        return None;
    }
    Some(key)
}
