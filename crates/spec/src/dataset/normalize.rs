//! `normalize:` text as received to text as wanted.

use super::draft::NormalizeDraft;
use crate::{
    codes,
    definition::{Columns, Normalize, NullIf},
    diagnostic::quoted,
    source_file::Spanned,
    yaml::{Fields, Node, Reader, Value},
};
use std::collections::BTreeMap;

pub(super) fn read(node: &Node, r: &mut Reader<'_>) -> Option<NormalizeDraft> {
    let mut f = r.fields(node, "a mapping such as `{ trim: \"*\", null_if: [\"NA\"] }`")?;
    let mut uses = Vec::new();
    let renames = f.take("rename").and_then(|n| r.pairs(n)).unwrap_or_default();
    let trim = f.take("trim").map_or(Columns::None, |n| columns(n, &mut uses, r));
    let null_if = f.take("null_if").map_or_else(Vec::new, |n| null_if(n, &mut uses, r));
    let lower = f.take("lower").map_or(Columns::None, |n| columns(n, &mut uses, r));
    let upper = f.take("upper").map_or(Columns::None, |n| columns(n, &mut uses, r));
    let map = maps(&mut f, &mut uses, r);
    let parse = texts(&mut f, "parse", &mut uses, r);
    let default = texts(&mut f, "default", &mut uses, r);
    f.finish(r);
    for (column, format) in &parse {
        if !format.contains('%') {
            let help = Some("write it in strftime's signs, as in `%Y-%m-%d %H:%M`".to_owned());
            let message = format!("{} is no format for {}", quoted(format), quoted(column));
            r.error(codes::INVALID_VALUE, node.place, message, help);
        }
    }
    if lower == Columns::All && upper == Columns::All {
        r.error(codes::CONTRADICTION, node.place, "`lower` and `upper` both apply to every column", None);
    }
    rename_once(&renames, r);
    let rename = renames.iter().map(|(old, new)| (old.value.clone(), new.value.clone())).collect();
    let step = Normalize { rename, trim, null_if, lower, upper, map, parse, default };
    Some(NormalizeDraft { step, renames, uses })
}

fn rename_once(renames: &[(Spanned<String>, Spanned<String>)], r: &mut Reader<'_>) {
    let mut seen = BTreeMap::new();
    for (old, new) in renames {
        if let Some(first) = seen.insert(new.value.as_str(), old.value.as_str()) {
            let message =
                format!("{} and {} would both be named {}", quoted(first), quoted(&old.value), quoted(&new.value));
            r.error(codes::CONTRADICTION, new.place, message, None);
        }
    }
}

/// `"*"`, a column or a list of columns.
fn columns(node: &Node, uses: &mut Vec<Spanned<String>>, r: &mut Reader<'_>) -> Columns {
    let Some(names) = r.names(node) else { return Columns::None };
    if names.iter().any(|n| n.value == "*") {
        return Columns::All;
    }
    uses.extend(names.iter().cloned());
    Columns::Named(names.into_iter().map(|n| n.value).collect())
}

/// Texts for every column, or `{ columns, values }`, or a list with both.
fn null_if(node: &Node, uses: &mut Vec<Spanned<String>>, r: &mut Reader<'_>) -> Vec<NullIf> {
    let items: Vec<&Node> = match &node.value {
        Value::List(items) => items.iter().collect(),
        Value::Map(_) | Value::Scalar(_) => vec![node],
    };
    let mut everywhere = Vec::new();
    let mut out = Vec::new();
    for item in items {
        if !matches!(item.value, Value::Map(_)) {
            everywhere.extend(r.text(item).map(|t| t.value));
            continue;
        }
        let Some(mut f) = r.fields(item, "a mapping with `columns` and `values`") else { continue };
        let columns = f.require("columns", r).map_or(Columns::None, |n| columns(n, uses, r));
        let values = f.require("values", r).map_or_else(Vec::new, |n| texts_of(n, r));
        f.finish(r);
        out.push(NullIf { columns, values });
    }
    if !everywhere.is_empty() {
        out.insert(0, NullIf { columns: Columns::All, values: everywhere });
    }
    out
}

fn texts_of(node: &Node, r: &mut Reader<'_>) -> Vec<String> {
    match &node.value {
        Value::List(items) => items.iter().filter_map(|n| r.text(n)).map(|t| t.value).collect(),
        Value::Map(_) | Value::Scalar(_) => r.text(node).map(|t| t.value).into_iter().collect(),
    }
}

fn maps(
    f: &mut Fields<'_>,
    uses: &mut Vec<Spanned<String>>,
    r: &mut Reader<'_>,
) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut out = BTreeMap::new();
    for e in f.take("map").and_then(|n| r.entries(n)).unwrap_or_default() {
        let Some(pairs) = r.pairs(&e.value) else { continue };
        uses.push(e.key.clone());
        out.insert(e.key.value.clone(), pairs.into_iter().map(|(from, to)| (from.value, to.value)).collect());
    }
    out
}

fn texts(
    f: &mut Fields<'_>,
    key: &'static str,
    uses: &mut Vec<Spanned<String>>,
    r: &mut Reader<'_>,
) -> BTreeMap<String, String> {
    let pairs = f.take(key).and_then(|n| r.pairs(n)).unwrap_or_default();
    uses.extend(pairs.iter().map(|(column, _)| column.clone()));
    pairs.into_iter().map(|(column, text)| (column.value, text.value)).collect()
}
