//! The criteria that are counts, and the parts of all.

use super::{
    levels::{Figure, Sides, levels, levels_of, of_last},
    measures::{self, Against},
};
use crate::{
    acceptance::{Freshness, Levels, Volume, is_person},
    codes,
    dataset::draft::{AcceptDraft, ColumnUse, Needs},
    diagnostic::quoted,
    yaml::{Fields, Node, Reader},
};
use alluvium_model::Span;

/// Commits whose median a step is compared with.
const OF_LAST: u64 = 10;

/// The columns that criteria name, and what they need of them.
pub(super) type Uses = Vec<ColumnUse>;

pub(in crate::dataset) fn read(f: &mut Fields<'_>, r: &mut Reader<'_>) -> AcceptDraft {
    let mut draft = AcceptDraft::default();
    let Some(node) = f.take("accept") else { return draft };
    let Some(mut f) = r.fields(node, "a mapping with `invalid`, `rows` and other criteria") else { return draft };
    let (accept, uses) = (&mut draft.accept, &mut draft.uses);
    accept.invalid = f.take("invalid").map(|n| levels(n, Figure::Share, Sides::Above, r)).unwrap_or_default();
    accept.rows = f.take("rows").map(|n| rows(n, r)).unwrap_or_default();
    accept.volume = f.take("volume").and_then(|n| volume(n, r));
    accept.columns = measures::figures(&mut f, Against::Commits, uses, r);
    accept.by = f.take("by").map(|n| measures::by(n, uses, r)).unwrap_or_default();
    accept.distribution = f.take("distribution").map(|n| measures::distribution(n, uses, r)).unwrap_or_default();
    accept.freshness = f.take("freshness").and_then(|n| freshness(n, uses, r));
    if let Some(n) = f.take("totals") {
        draft.totals_place = Some(n.place);
        accept.totals = Some(levels(n, Figure::Ratio, Sides::Above, r));
    }
    accept.decided_by = f.take("decided_by").map(|n| people(n, r)).unwrap_or_default();
    f.finish(r);
    draft
}

/// Names of tokens, or of users of a machine: one, or a list of them.
fn people(node: &Node, r: &mut Reader<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for node in measures::each(node) {
        let Some(name) = r.text(node) else { continue };
        if is_person(&name.value) {
            names.push(name.value);
        } else {
            let help = Some("write the name of a token or a user, as in `anna`: letters, digits and `-_.@`".to_owned());
            r.error(codes::INVALID_VALUE, name.place, format!("{} is no name of a person", quoted(&name.value)), help);
        }
    }
    if names.is_empty() {
        let help = Some("leave it out where anybody may".to_owned());
        r.error(codes::MISSING_KEY, node.place, "nobody could decide", help);
    }
    names
}

/// `min` and `max` are the levels at which rows are held back, in fewer words.
fn rows(node: &Node, r: &mut Reader<'_>) -> Levels {
    let Some(mut f) = r.fields(node, "a mapping with `min` and `max`") else { return Levels::default() };
    let mut whole = |key| f.take(key).and_then(|n| r.whole::<u64>(n));
    let (min, max) = (whole("min"), whole("max"));
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        let help = Some("`min` is the lower one".to_owned());
        r.error(codes::CONTRADICTION, node.place, format!("`min` {min} is above `max` {max}"), help);
    }
    let min = min.filter(|min| max.is_none_or(|max| *min <= max));
    let short = Levels { error_below: min.map(|n| n as f64), error_above: max.map(|n| n as f64), ..Levels::default() };
    levels_of(f, node, Figure::Count, Sides::Both, short, r)
}

fn volume(node: &Node, r: &mut Reader<'_>) -> Option<Volume> {
    let mut f = r.fields(node, "a mapping with `error_below`, `warn_below`, `warn_above` or `error_above`")?;
    let of_last = f.take("of_last").and_then(|n| of_last(n, r)).unwrap_or(OF_LAST);
    let levels = levels_of(f, node, Figure::Ratio, Sides::Both, Levels::default(), r);
    Some(Volume { of_last, levels })
}

fn freshness(node: &Node, uses: &mut Uses, r: &mut Reader<'_>) -> Option<Freshness> {
    let mut f = r.fields(node, "a mapping such as `{ column: at, warn_after: 2 hours, error_after: 1 day }`")?;
    let column = f.require("column", r).and_then(|n| r.name(n));
    let mut after = |key| f.take(key).and_then(|n| r.parsed::<Span>(n)).map(|s| s.value);
    let (warn_after, error_after) = (after("warn_after"), after("error_after"));
    f.finish(r);
    if let (Some(warn), Some(error)) = (warn_after, error_after)
        && warn > error
    {
        let help = Some("`warn_after` is the shorter one".to_owned());
        r.error(codes::CONTRADICTION, node.place, "it would fail before it warns", help);
    }
    if warn_after.is_none() && error_after.is_none() {
        let help = Some("write how old it may become, as in `error_after: 1 day`".to_owned());
        r.error(codes::MISSING_KEY, node.place, "there is no level in it", help);
    }
    let column = column?;
    uses.push(ColumnUse { column: column.clone(), needs: Needs::Time });
    Some(Freshness { column: column.value, warn_after, error_after })
}
