//! `columns`, `by` and `distribution`: figures of columns.

use super::{
    levels::{Figure, Sides, has_times, levels, levels_of, of_last},
    read::Uses,
};
use crate::{
    acceptance::{ColumnMeasure, Distribution, Levels, MeasureKind, Parts, TimeWindow},
    codes,
    dataset::draft::{ColumnUse, Needs},
    diagnostic::quoted,
    source_file::Spanned,
    yaml::{Fields, Node, Reader, Value},
};
use alluvium_model::Span;

/// Of fewer values, chance alone moves a distribution.
const MIN_ROWS: u64 = 500;
/// Measures of one dataset; each is a column of one query.
const MOST: usize = 200;

/// What takes a look at rows of its own, or makes one text of several columns.
const MOST_LOOKS: usize = 20;
const MOST_TOGETHER: usize = 16;

type Key = (&'static str, MeasureKind, Figure);

const KEYS: [Key; 6] = [
    ("nulls", MeasureKind::Nulls, Figure::Share),
    ("distinct", MeasureKind::Distinct, Figure::Count),
    ("min", MeasureKind::Min, Figure::Number),
    ("max", MeasureKind::Max, Figure::Number),
    ("sum", MeasureKind::Sum, Figure::Number),
    ("mean", MeasureKind::Mean, Figure::Number),
];

/// What the figures of a column can be compared with, beside levels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    /// Those of the commits before, by `of_last`.
    Commits,
    /// A span of time is over when the next one comes, and no other is like it.
    Nothing,
}

/// `columns` and `distinct` of a mapping.
pub(super) fn figures(f: &mut Fields<'_>, against: Against, uses: &mut Uses, r: &mut Reader<'_>) -> Vec<ColumnMeasure> {
    let mut out = Vec::new();
    if let Some(node) = f.take("columns") {
        for e in r.entries(node).unwrap_or_default() {
            column(&e.key, &e.value, against, &mut out, uses, r);
        }
        at_most(node, MOST, &mut out, r);
    }
    if let Some(node) = f.take("distinct") {
        let mut sets: Vec<_> = each(node).iter().filter_map(|n| together(n, against, uses, r)).collect();
        at_most(node, MOST_LOOKS, &mut sets, r);
        out.append(&mut sets);
    }
    out
}

/// One of them, or a list.
pub(super) fn each(node: &Node) -> &[Node] {
    if let Value::List(items) = &node.value { items } else { std::slice::from_ref(node) }
}

fn at_most<T>(node: &Node, most: usize, out: &mut Vec<T>, r: &mut Reader<'_>) {
    if out.len() > most {
        too_many(node, out.len(), most, r);
        out.truncate(most);
    }
}

/// Different values of several columns.
fn together(node: &Node, against: Against, uses: &mut Uses, r: &mut Reader<'_>) -> Option<ColumnMeasure> {
    let mut f = r.fields(node, "a mapping such as `{ columns: [region, day], error_below: 10 }`")?;
    let of = f.require("columns", r)?;
    let mut columns: Vec<Spanned<String>> = r.list(of).unwrap_or_default().iter().filter_map(|n| r.name(n)).collect();
    let (of_last, levels) = compared(f, node, Figure::Count, against, r);
    let repeated = columns.iter().enumerate().find(|(i, c)| columns[..*i].iter().any(|b| b.value == c.value));
    if let Some((_, column)) = repeated {
        r.error(codes::CONTRADICTION, column.place, format!("{} is named twice", quoted(&column.value)), None);
    }
    if !(2..=MOST_TOGETHER).contains(&columns.len()) {
        let help = Some(format!(
            "name two to {MOST_TOGETHER} columns; of a single one write `columns: {{ name: {{ distinct: … }} }}`"
        ));
        let message = format!("different values of {} columns cannot be counted", columns.len());
        r.error(codes::INVALID_VALUE, of.place, message, help);
        return None;
    }
    uses.extend(columns.iter().map(|column| ColumnUse { column: column.clone(), needs: Needs::Any }));
    let column = columns.remove(0).value;
    let and = columns.into_iter().map(|c| c.value).collect();
    Some(ColumnMeasure { column, and, kind: MeasureKind::Distinct, of_last, levels })
}

fn too_many(node: &Node, number: usize, most: usize, r: &mut Reader<'_>) {
    let help = Some("leave out those that matter least, or say more in rules of the contract".to_owned());
    r.error(codes::INVALID_VALUE, node.place, format!("{number} are too many: there are up to {most}"), help);
}

fn column(
    name: &Spanned<String>,
    node: &Node,
    against: Against,
    out: &mut Vec<ColumnMeasure>,
    uses: &mut Uses,
    r: &mut Reader<'_>,
) {
    let Some(mut f) = r.fields(node, "a mapping such as `{ nulls: { error_above: 5% } }`") else { return };
    let before = out.len();
    let mut add = |kind, (of_last, levels)| {
        out.push(ColumnMeasure { column: name.value.clone(), and: Vec::new(), kind, of_last, levels });
    };
    let (mut needs, mut of_times) = (Needs::Any, false);
    for (key, kind, figure) in KEYS {
        let Some(n) = f.take(key) else { continue };
        let (kind, figure) = of_time(kind, n).map_or((kind, figure), |kind| (kind, Figure::Time));
        add(kind, measure(n, figure, against, r));
        match figure {
            Figure::Number => needs = Needs::Number,
            Figure::Time => of_times = true,
            Figure::Share | Figure::Ratio | Figure::Count => {}
        }
    }
    if let Some(n) = f.take("percentiles") {
        needs = Needs::Number;
        for e in r.entries(n).unwrap_or_default() {
            match e.key.value.parse::<f64>() {
                Ok(p) if p > 0.0 && p < 100.0 => {
                    add(MeasureKind::Percentile(p), measure(&e.value, Figure::Number, against, r));
                }
                _ => {
                    let help = Some("a number between 0 and 100, as in `95`".to_owned());
                    let message = format!("{} is no percentile", quoted(&e.key.value));
                    r.error(codes::INVALID_VALUE, e.key.place, message, help);
                }
            }
        }
    }
    f.finish(r);
    if out.len() == before {
        let help = Some("write one of `nulls`, `distinct`, `min`, `max`, `sum`, `mean`, `percentiles`".to_owned());
        r.error(codes::MISSING_KEY, node.place, "nothing is measured of the column", help);
    }
    if of_times {
        uses.push(ColumnUse { column: name.clone(), needs: Needs::Time });
    }
    if needs != Needs::Any || !of_times {
        uses.push(ColumnUse { column: name.clone(), needs });
    }
}

/// The measure of times, where the levels say that it is one. A share of a time would mean nothing.
fn of_time(kind: MeasureKind, node: &Node) -> Option<MeasureKind> {
    let kind = match kind {
        MeasureKind::Min => MeasureKind::First,
        MeasureKind::Max => MeasureKind::Last,
        _ => return None,
    };
    (has_times(node) && node.get("of_last").is_none()).then_some(kind)
}

/// Levels of the figure, or with `of_last` those of its share of what is usual.
fn measure(node: &Node, figure: Figure, against: Against, r: &mut Reader<'_>) -> (Option<u64>, Levels) {
    let wanted = "a mapping with `error_below`, `warn_below`, `warn_above` or `error_above`";
    let Some(f) = r.fields(node, wanted) else { return (None, Levels::default()) };
    compared(f, node, figure, against, r)
}

fn compared(
    mut f: Fields<'_>,
    node: &Node,
    figure: Figure,
    against: Against,
    r: &mut Reader<'_>,
) -> (Option<u64>, Levels) {
    let last = f.take("of_last");
    let figure = if last.is_some() { Figure::Ratio } else { figure };
    let mut compared = None;
    match last {
        Some(n) if against == Against::Nothing => {
            let help = Some("write levels of the figure itself, or compare the whole column under `accept.columns`");
            let message = "spans of time are not compared with the commits before";
            r.error(codes::CONTRADICTION, n.place, message, help.map(str::to_owned));
        }
        Some(n) => compared = of_last(n, r),
        None => {}
    }
    (compared, levels_of(f, node, figure, Sides::Both, Levels::default(), r))
}

pub(super) fn by(node: &Node, uses: &mut Uses, r: &mut Reader<'_>) -> Vec<Parts> {
    let mut items: Vec<&Node> = each(node).iter().collect();
    at_most(node, MOST_LOOKS, &mut items, r);
    items.into_iter().filter_map(|n| parts(n, uses, r)).collect()
}

fn parts(node: &Node, uses: &mut Uses, r: &mut Reader<'_>) -> Option<Parts> {
    let mut f = r.fields(node, "a mapping such as `{ column: region, rows: { error_below: 1 } }`")?;
    let column = f.require("column", r).and_then(|n| r.name(n));
    let size = f.take("size").and_then(|n| length(n, r));
    let against = if node.get("size").is_some() { Against::Nothing } else { Against::Commits };
    let rows = f.take("rows").map(|n| measure(n, Figure::Count, against, r));
    let measures = figures(&mut f, against, uses, r);
    f.finish(r);
    let column = column?;
    let (rows_of_last, rows) = rows.unwrap_or_default();
    if rows.is_none() && measures.is_empty() {
        let help = Some("write `rows`, `columns` or `distinct`".to_owned());
        r.error(codes::MISSING_KEY, node.place, "nothing is measured of each part", help);
    }
    let needs = if size.is_some() { Needs::Time } else { Needs::Any };
    uses.push(ColumnUse { column: column.clone(), needs });
    Some(Parts { column: column.value, size, rows, rows_of_last, columns: measures })
}

fn length(node: &Node, r: &mut Reader<'_>) -> Option<Span> {
    let size = r.parsed::<Span>(node)?;
    if size.value.micros() <= 0 {
        let help = Some("write one above zero, as in `1 day`".to_owned());
        r.error(codes::INVALID_VALUE, size.place, "it has to have a length", help);
        return None;
    }
    Some(size.value)
}

pub(super) fn distribution(node: &Node, uses: &mut Uses, r: &mut Reader<'_>) -> Vec<Distribution> {
    let entries = r.entries(node).unwrap_or_default();
    if entries.len() > MOST_LOOKS {
        too_many(node, entries.len(), MOST_LOOKS, r);
    }
    entries.iter().take(MOST_LOOKS).filter_map(|e| shape(&e.key, &e.value, uses, r)).collect()
}

fn shape(column: &Spanned<String>, node: &Node, uses: &mut Uses, r: &mut Reader<'_>) -> Option<Distribution> {
    let mut f = r.fields(node, "a mapping such as `{ psi: { warn_above: 0.1, error_above: 0.25 } }`")?;
    let psi = f.take("psi").map(|n| levels(n, Figure::Number, Sides::Above, r)).unwrap_or_default();
    let ks = f.take("ks").map(|n| levels(n, Figure::Share, Sides::Above, r)).unwrap_or_default();
    let reference = f.take("reference").and_then(|n| reference(n, uses, r));
    let min_rows = f.take("min_rows").and_then(|n| r.whole::<u64>(n)).unwrap_or(MIN_ROWS).max(1);
    f.finish(r);
    if psi == Levels::default() && ks == Levels::default() {
        let help = Some("write `psi` or `ks`".to_owned());
        r.error(codes::MISSING_KEY, node.place, "nothing is measured of the distribution", help);
    }
    uses.push(ColumnUse { column: column.clone(), needs: Needs::Number });
    Some(Distribution { column: column.value.clone(), psi, ks, reference, min_rows })
}

fn reference(node: &Node, uses: &mut Uses, r: &mut Reader<'_>) -> Option<TimeWindow> {
    let mut f = r.fields(node, "a mapping such as `{ column: at, size: 28 days }`")?;
    let column = f.require("column", r).and_then(|n| r.name(n));
    let size = f.require("size", r).and_then(|n| length(n, r));
    f.finish(r);
    let column = column?;
    uses.push(ColumnUse { column: column.clone(), needs: Needs::Time });
    Some(TimeWindow { column: column.value, size: size? })
}
