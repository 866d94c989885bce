//! Every column that a silver or gold file names exists at that point.

use super::names::{Names, check_column};
use crate::{
    codes,
    contract::ColumnType,
    dataset::{Draft, EnrichDraft, GoldDraft, NormalizeDraft, SilverDraft, StepDraft, TrackedDraft, WriteDraft},
    definition::VERSION_COLUMNS,
    diagnostic::{Sink, quoted},
    odcs::ObjectDraft,
    source_file::{Place, SourceFile, Spanned},
};
use std::collections::BTreeSet;

pub(super) fn silver(draft: &Draft, silver: &SilverDraft, names: &Names<'_>, sink: &mut Sink) {
    let Some(object) = names.object_of(draft) else { return };
    let whose = format!("the contract {}", quoted(&object.name.value));
    for (i, step) in silver.steps.iter().enumerate() {
        match step {
            StepDraft::Normalize(n) => normalize(n, &silver.steps[i + 1..], object, &whose, &draft.file, sink),
            StepDraft::Enrich(e) => enrich(e, silver, object, names, &whose, &draft.file, sink),
            StepDraft::Validate | StepDraft::Sql { .. } => {}
        }
    }
    for c in &silver.cluster_by {
        check_column(&c.value, object.column_names(), (&draft.file, c.place), &whose, sink);
    }
    if let Some(watermark) = &silver.watermark {
        let at = (&*draft.file, watermark.column_place);
        time_column("the watermark's column", &watermark.spec.column, object, at, &whose, sink);
    }
    if let WriteDraft::Upsert { keys, sequence_by, history, .. } = &silver.write {
        let conditions = silver.write.conditions().flat_map(|e| &e.uses);
        for c in keys.iter().chain(sequence_by).chain(conditions) {
            check_column(&c.value, object.column_names(), (&draft.file, c.place), &whose, sink);
        }
        if let Some(tracked) = history {
            self::history(draft, keys, tracked, object, &whose, sink);
        }
    }
}

fn history(
    draft: &Draft,
    keys: &[Spanned<String>],
    tracked: &TrackedDraft,
    object: &ObjectDraft,
    whose: &str,
    sink: &mut Sink,
) {
    for c in tracked.names() {
        let at = (&*draft.file, c.place);
        let known = check_column(&c.value, object.column_names(), at, whose, sink);
        if known && keys.iter().any(|k| k.value == c.value) {
            let message = format!("{} is a key, which is the same in all versions", quoted(&c.value));
            sink.report(codes::CONTRADICTION, at.0, at.1, message, "leave it out".to_owned());
        }
    }
    let taken = object.column_names().find(|c| VERSION_COLUMNS.contains(c));
    if let (Some(taken), Some(contract)) = (taken, &draft.contract) {
        let message = format!("{whose} has a column {}, which a history makes itself", quoted(taken));
        sink.report(codes::CONTRADICTION, &draft.file, contract.place, message, "rename the column".to_owned());
    }
}

/// Columns that SQL steps read or make; what passes through them need not be in the contract.
fn of_sql(steps: &[StepDraft]) -> BTreeSet<&str> {
    steps
        .iter()
        .filter_map(|s| match s {
            StepDraft::Sql { query, .. } => Some(query.uses.iter().map(|u| &u.value).chain(&query.makes)),
            StepDraft::Normalize(_) | StepDraft::Validate | StepDraft::Enrich(_) => None,
        })
        .flatten()
        .map(String::as_str)
        .collect()
}

fn normalize(
    n: &NormalizeDraft,
    later: &[StepDraft],
    object: &ObjectDraft,
    whose: &str,
    file: &SourceFile,
    sink: &mut Sink,
) {
    let later_renames = later.iter().flat_map(|s| match s {
        StepDraft::Normalize(n) => n.renames.as_slice(),
        StepDraft::Validate | StepDraft::Enrich(_) | StepDraft::Sql { .. } => &[],
    });
    let on = later.iter().flat_map(|s| match s {
        StepDraft::Enrich(e) => e.on.as_slice(),
        StepDraft::Normalize(_) | StepDraft::Validate | StepDraft::Sql { .. } => &[],
    });
    let mut known: BTreeSet<&str> = object.column_names().collect();
    known.extend(later_renames.map(|(old, _)| old.value.as_str()));
    known.extend(on.map(|(here, _)| here.value.as_str()));
    known.extend(of_sql(later));
    for (_, new) in &n.renames {
        check_column(&new.value, known.iter().copied(), (file, new.place), whose, sink);
    }
    for u in &n.uses {
        let renamed = n.renames.iter().find(|(old, _)| old.value == u.value);
        match renamed {
            Some((_, new)) if !known.contains(u.value.as_str()) => {
                let message = format!("{} has another name here", quoted(&u.value));
                let help = format!("`rename` comes first: write {}", quoted(&new.value));
                sink.report(codes::UNKNOWN_COLUMN, file, u.place, message, help);
            }
            _ => {
                check_column(&u.value, known.iter().copied(), (file, u.place), whose, sink);
            }
        }
    }
}

fn enrich(
    e: &EnrichDraft,
    silver: &SilverDraft,
    object: &ObjectDraft,
    names: &Names<'_>,
    whose: &str,
    file: &SourceFile,
    sink: &mut Sink,
) {
    let sql = of_sql(&silver.steps);
    for (new, _) in e.take.iter().filter(|(new, _)| !sql.contains(new.value.as_str())) {
        check_column(&new.value, object.column_names(), (file, new.place), whose, sink);
    }
    // A column that no rule speaks of may come straight from bronze, so only a near miss of a known name is a mistake.
    let mut known: BTreeSet<&str> = object.column_names().collect();
    known.extend(&sql);
    for (here, _) in &e.on {
        let near = crate::nearest::nearest(&here.value, known.iter().copied());
        if near.is_some() {
            check_column(&here.value, known.iter().copied(), (file, here.place), whose, sink);
        }
    }
    let Some(there) = names.columns(&e.lookup.value) else { return };
    let lookup = e.lookup.value.to_string();
    for (_, column) in e.on.iter().chain(&e.take) {
        check_column(&column.value, there.iter().copied(), (file, column.place), &lookup, sink);
    }
}

/// The window's column is an output of type date or timestamp, as far as that can be seen.
pub(super) fn gold(draft: &Draft, gold: &GoldDraft, names: &Names<'_>, sink: &mut Sink) {
    let Some(window) = &gold.window else { return };
    let at = (&*draft.file, window.column_place);
    let column = &window.spec.column;
    if let Some(object) = names.object_of(draft) {
        let whose = format!("the contract {}", quoted(&object.name.value));
        time_column("the window's column", column, object, at, &whose, sink);
    }
    if let Some(outputs) = &gold.outputs {
        check_column(column, outputs.iter().map(String::as_str), at, "the query's output", sink);
    }
}

/// The contract has the column, as a date or timestamp.
fn time_column(
    role: &str,
    column: &str,
    object: &ObjectDraft,
    (file, place): (&SourceFile, Place),
    whose: &str,
    sink: &mut Sink,
) {
    if !check_column(column, object.column_names(), (file, place), whose, sink) {
        return;
    }
    let timely = |kind| matches!(kind, ColumnType::Date | ColumnType::Timestamp);
    if !object.columns.iter().any(|c| c.column.name == *column && timely(c.column.kind)) {
        let message = format!("{role} {} is neither date nor timestamp", quoted(column));
        sink.report(codes::CONTRADICTION, file, place, message, None);
    }
}
