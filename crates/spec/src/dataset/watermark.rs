//! `watermark:` how far the event time of a silver dataset has come, and what becomes of rows that lie before it.

use super::draft::WatermarkDraft;
use crate::{
    codes,
    definition::{Late, Watermark},
    yaml::{Fields, Reader},
};
use alluvium_model::Span;

const LATE: [(&str, Late); 4] =
    [("recompute", Late::Recompute), ("quarantine", Late::Quarantine), ("drop", Late::Drop), ("fail", Late::Fail)];

/// `Err`: written, and reported.
pub(super) fn read(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Result<Option<WatermarkDraft>, super::Unusable> {
    let Some(node) = f.take("watermark") else { return Ok(None) };
    let wanted = "a mapping such as `{ column: placed_at, allowed_lateness: 2 days, late: quarantine }`";
    let mut f = r.fields(node, wanted).ok_or(super::Unusable)?;
    let column = f.require("column", r).and_then(|n| r.name(n));
    let mut span = |key, r: &mut Reader<'_>| f.take(key).map(|n| (n.place, r.parsed::<Span>(n).map(|s| s.value)));
    let (allowed, idle) = (span("allowed_lateness", r), span("idle_timeout", r));
    // The same in one word less.
    let short = span("lateness", r);
    if let (Some(_), Some((place, _))) = (allowed, short) {
        let help = Some("keep `allowed_lateness`".to_owned());
        r.error(codes::CONTRADICTION, place, "how late a row may be is said twice", help);
    }
    let allowed = allowed.or(short).map_or(Some(Span::ZERO), |(_, span)| span);
    let idle = idle.map_or(Some(None), |(place, span)| {
        let positive = span.is_none_or(|s| s.micros() > 0);
        if !positive {
            let help = Some("write one above zero, as in `1 hour`".to_owned());
            r.error(codes::INVALID_VALUE, place, "it has to have a length", help);
        }
        span.filter(|_| positive).map(Some)
    });
    let late = f.take("late").map_or(Some(Late::Recompute), |n| r.choice(n, &LATE).map(|c| c.value));
    f.finish(r);
    match (column, allowed, late, idle) {
        (Some(column), Some(allowed_lateness), Some(late), Some(idle_timeout)) => Ok(Some(WatermarkDraft {
            spec: Watermark { column: column.value, allowed_lateness, late, idle_timeout },
            column_place: column.place,
        })),
        _ => Err(super::Unusable),
    }
}
