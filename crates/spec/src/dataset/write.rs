//! `write:` how accepted rows go into a silver table.

use super::draft::WriteDraft;
use crate::{
    codes,
    diagnostic::quoted,
    nearest, sql,
    yaml::{Fields, Node, Reader, Value},
};

pub(super) fn read(f: &mut Fields<'_>, r: &mut Reader<'_>) -> Option<WriteDraft> {
    let Some(node) = f.take("write") else { return Some(WriteDraft::Append) };
    match &node.value {
        Value::Scalar(_) => {
            let mode = r.text(node)?;
            if mode.value == "append" {
                return Some(WriteDraft::Append);
            }
            let help = nearest::nearest(&mode.value, ["append"])
                .map_or("write `append`, or `{ keys: […], sequence_by: … }`".to_owned(), |n| {
                    format!("did you mean `{n}`?")
                });
            r.error(codes::NOT_A_CHOICE, mode.place, format!("{} is no way to write", quoted(&mode.value)), Some(help));
            None
        }
        Value::Map(_) | Value::List(_) => upsert(node, r),
    }
}

fn upsert(node: &Node, r: &mut Reader<'_>) -> Option<WriteDraft> {
    let mut f = r.fields(node, "`append`, or a mapping with `keys`")?;
    let keys = f.require("keys", r).and_then(|n| r.names(n));
    let sequence_by = f.take("sequence_by").map_or_else(|| Some(Vec::new()), |n| r.names(n));
    let delete_when = f.take("delete_when").map(|n| condition(n, r));
    let change_feed = f.take("change_feed").and_then(|n| r.boolean(n)).unwrap_or(false);
    if let Some(n) = f.take("stored_as") {
        stored_as(n, r);
    }
    f.not_yet(&["track_history_on", "ignore_null_updates", "truncate_when"], r);
    f.finish(r);
    let (keys, sequence_by) = (keys?, sequence_by?);
    if keys.is_empty() {
        r.error(codes::MISSING_KEY, node.place, "an upsert needs at least one key column", None);
        return None;
    }
    let delete_when = match delete_when {
        None => None,
        Some(read) => Some(read?),
    };
    Some(WriteDraft::Upsert { keys, sequence_by, delete_when, change_feed })
}

fn condition(node: &Node, r: &mut Reader<'_>) -> Option<(String, sql::RowExpression)> {
    let text = r.text(node)?;
    match sql::row_expression(&text.value) {
        Ok(mut e) => {
            for u in &mut e.uses {
                u.place = node.place_of_inner(u.place);
            }
            Some((text.value, e))
        }
        Err(mistakes) => {
            for m in mistakes {
                r.error(m.code, node.place_of_inner(m.place), m.message, m.help);
            }
            None
        }
    }
}

fn stored_as(node: &Node, r: &mut Reader<'_>) {
    let Some(text) = r.text(node) else { return };
    match text.value.as_str() {
        "scd1" => {}
        "scd2" => r.error(
            codes::NOT_AVAILABLE,
            text.place,
            "`scd2` is not available yet in this version",
            Some("write `scd1`".to_owned()),
        ),
        other => {
            let help = nearest::help(other, ["scd1"]);
            r.error(codes::NOT_A_CHOICE, text.place, format!("{} is not known here", quoted(other)), help);
        }
    }
}
