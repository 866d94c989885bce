//! `write:` how accepted rows go into a silver table.

use super::draft::{TrackedDraft, WriteDraft};
use crate::{
    codes,
    diagnostic::quoted,
    nearest,
    source_file::{Place, Spanned},
    sql,
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
    let (sequence, deleted, truncated) = (f.take("sequence_by"), f.take("delete_when"), f.take("truncate_when"));
    let snapshots = f.take("snapshot_by");
    let sequence_by = match snapshots {
        Some(n) => {
            snapshots_alone(&[sequence, deleted, truncated], r);
            r.text(n).map(|column| vec![column])
        }
        None => sequence.map_or_else(|| Some(Vec::new()), |n| r.names(n)),
    };
    let delete_when = deleted.map(|n| condition(n, r));
    let truncate_when = truncated.map(|n| condition(n, r));
    let change_feed = f.take("change_feed").and_then(|n| r.boolean(n)).unwrap_or(false);
    let stored_as = f.take("stored_as").map_or(Some(StoredAs::Scd1), |n| stored_as(n, r));
    let tracked = f.take("track_history_on");
    f.not_yet(&["ignore_null_updates"], r);
    f.finish(r);
    let history = match stored_as? {
        StoredAs::Scd1 => {
            if let Some(n) = tracked {
                let help = Some("add `stored_as: scd2`, or remove it".to_owned());
                r.error(codes::CONTRADICTION, n.place, "`scd1` keeps no history to track", help);
            }
            None
        }
        StoredAs::Scd2(place) => Some(history(place, tracked, sequence_by.as_deref(), r)?),
    };
    let (keys, sequence_by) = (keys?, sequence_by?);
    if keys.is_empty() {
        r.error(codes::MISSING_KEY, node.place, "an upsert needs at least one key column", None);
        return None;
    }
    if let (Some(_), Some(column)) = (snapshots, sequence_by.first())
        && keys.iter().any(|k| k.value == column.value)
    {
        let message = format!("{} is a key, so no two snapshots have a row in common", quoted(&column.value));
        r.error(codes::CONTRADICTION, column.place, message, Some("take it out of `keys`".to_owned()));
    }
    if let Some(n) = truncated.filter(|_| snapshots.is_none()) {
        truncates(n.place, &keys, &sequence_by, history.is_some(), r);
    }
    let (delete_when, truncate_when) = (read_or_none(delete_when)?, read_or_none(truncate_when)?);
    let snapshots = snapshots.is_some();
    Some(WriteDraft::Upsert { keys, sequence_by, snapshots, delete_when, truncate_when, change_feed, history })
}

/// What a snapshot has, and what it has no longer, says all that these would.
fn snapshots_alone(others: &[Option<&Node>], r: &mut Reader<'_>) {
    for n in others.iter().flatten() {
        let message = "with `snapshot_by` the snapshots tell the order, and what is gone";
        r.error(codes::CONTRADICTION, n.place, message, Some("remove it, or `snapshot_by`".to_owned()));
    }
}

/// `None`: it was written and could not be read.
fn read_or_none<T>(read: Option<Option<T>>) -> Option<Option<T>> {
    match read {
        None => Some(None),
        Some(read) => read.map(Some),
    }
}

/// A truncate ends what has an earlier sequence, so there has to be one, and of a history one that is no part of its keys.
fn truncates(
    place: Place,
    keys: &[Spanned<String>],
    sequence_by: &[Spanned<String>],
    history: bool,
    r: &mut Reader<'_>,
) {
    if sequence_by.is_empty() {
        let message = "`truncate_when` needs `sequence_by`: a truncate ends what has an earlier sequence";
        r.error(codes::MISSING_KEY, place, message, Some("add `sequence_by: <column>`".to_owned()));
    }
    if let Some(key) = keys.iter().find(|k| history && sequence_by.iter().any(|s| s.value == k.value)) {
        let message = format!("{} is a key and the sequence, so a truncate ends no version", quoted(&key.value));
        r.error(codes::CONTRADICTION, key.place, message, Some("take it out of `keys`".to_owned()));
    }
}

fn condition(node: &Node, r: &mut Reader<'_>) -> Option<sql::RowExpression> {
    let text = r.text(node)?;
    match sql::row_expression(&text.value, r.library) {
        Ok(mut e) => {
            for u in &mut e.uses {
                u.place = node.place_of_inner(u.place);
            }
            Some(e)
        }
        Err(mistakes) => {
            for m in mistakes {
                r.error(m.code, node.place_of_inner(m.place), m.message, m.help);
            }
            None
        }
    }
}

enum StoredAs {
    Scd1,
    /// Where it is written.
    Scd2(Place),
}

fn stored_as(node: &Node, r: &mut Reader<'_>) -> Option<StoredAs> {
    let text = r.text(node)?;
    match text.value.as_str() {
        "scd1" => Some(StoredAs::Scd1),
        "scd2" => Some(StoredAs::Scd2(text.place)),
        other => {
            let help = nearest::help(other, ["scd1", "scd2"]);
            r.error(codes::NOT_A_CHOICE, text.place, format!("{} is not known here", quoted(other)), help);
            None
        }
    }
}

/// `sequence_by`: `None` when it could not be read, which is told already.
fn history(
    place: Place,
    tracked: Option<&Node>,
    sequence_by: Option<&[Spanned<String>]>,
    r: &mut Reader<'_>,
) -> Option<TrackedDraft> {
    match sequence_by {
        Some([]) => {
            let message = "a history needs `sequence_by`: its versions start and end at a sequence";
            r.error(codes::MISSING_KEY, place, message, Some("add `sequence_by: <column>`".to_owned()));
        }
        Some([_, second, ..]) => {
            let help = Some("use one column, made by a `sql` step where it takes several to tell the order".to_owned());
            r.error(codes::CONTRADICTION, second.place, "a history has one sequence column", help);
        }
        Some([_]) | None => {}
    }
    match tracked {
        None => Some(TrackedDraft::Except(Vec::new())),
        Some(node) => track(node, r),
    }
}

/// A list of columns, or `{ except: […] }`.
fn track(node: &Node, r: &mut Reader<'_>) -> Option<TrackedDraft> {
    let (names, tracked): (_, fn(_) -> _) = match &node.value {
        Value::Map(_) => {
            let mut f = r.fields(node, "a list of columns, or `{ except: […] }`")?;
            let names = f.require("except", r).and_then(|n| r.names(n));
            f.finish(r);
            (names?, TrackedDraft::Except)
        }
        Value::Scalar(_) | Value::List(_) => (r.names(node)?, TrackedDraft::Only),
    };
    if names.is_empty() {
        r.error(codes::MISSING_KEY, node.place, "at least one column is needed here", None);
        return None;
    }
    Some(tracked(names))
}
