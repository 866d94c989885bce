//! `watermark:` how far the event time of a silver dataset has come, and what becomes of rows that lie before it.

use super::draft::WatermarkDraft;
use crate::{
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
    let allowed = f.take("allowed_lateness").map_or(Some(Span::ZERO), |n| r.parsed::<Span>(n).map(|s| s.value));
    let late = f.take("late").map_or(Some(Late::Recompute), |n| r.choice(n, &LATE).map(|c| c.value));
    f.finish(r);
    match (column, allowed, late) {
        (Some(column), Some(allowed_lateness), Some(late)) => Ok(Some(WatermarkDraft {
            spec: Watermark { column: column.value, allowed_lateness, late },
            column_place: column.place,
        })),
        _ => Err(super::Unusable),
    }
}
