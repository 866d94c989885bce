//! What `accept` names exists, as far as that can be seen before rows are there.

use super::names::{Names, check_column};
use crate::{
    acceptance::CONTROL_FILE,
    codes,
    contract::ColumnType,
    dataset::{Body, ColumnUse, Draft, Needs},
    definition::VERSION_COLUMNS,
    diagnostic::{Sink, quoted},
    source_file::Place,
};

pub(super) fn check(draft: &Draft, names: &Names<'_>, sink: &mut Sink) {
    let accept = &draft.accept;
    if let Some(place) = accept.totals_place {
        totals(draft, place, sink);
    }
    for u in &accept.uses {
        column(draft, u, names, sink);
    }
}

fn column(draft: &Draft, u: &ColumnUse, names: &Names<'_>, sink: &mut Sink) {
    let at = (&*draft.file, u.column.place);
    let name = u.column.value.as_str();
    let Some(object) = names.object_of(draft) else {
        if let Body::Gold(gold) = &draft.body
            && let Some(outputs) = &gold.outputs
        {
            check_column(name, outputs.iter().map(String::as_str), at, "the query's output", sink);
        }
        return;
    };
    if VERSION_COLUMNS.contains(&name) && matches!(draft.body, Body::Silver(_)) {
        return;
    }
    let whose = format!("the contract {}", quoted(&object.name.value));
    if !check_column(name, object.column_names(), at, &whose, sink) {
        return;
    }
    let Some(kind) = object.columns.iter().find(|c| c.column.name == name).map(|c| c.column.kind) else { return };
    use ColumnType::{Date, Decimal, Int32, Integer, Number, Timestamp};
    let (fits, what) = match u.needs {
        Needs::Any => (true, ""),
        Needs::Number => (matches!(kind, Integer | Int32 | Number | Decimal { .. }), "not a number"),
        Needs::Time => (matches!(kind, Date | Timestamp), "neither date nor timestamp"),
    };
    if !fits {
        sink.report(codes::CONTRADICTION, at.0, at.1, format!("the column {} is {what}", quoted(name)), None);
    }
}

/// Control files stand beside files, and the look into the folder passes them over.
fn totals(draft: &Draft, place: Place, sink: &mut Sink) {
    let mut wrong = |message: &str, help: &str| {
        sink.report(codes::CONTRADICTION, &draft.file, place, message.to_owned(), help.to_owned());
    };
    match &draft.body {
        Body::Unusable => {}
        Body::Bronze(b) if b.folder.is_some() => {
            if b.source.glob.ends_with(CONTROL_FILE) {
                wrong("`glob` takes control files alone", "write one that takes the files beside them, as in `*.csv`");
            }
        }
        Body::Bronze(_) | Body::Silver(_) | Body::Gold(_) => {
            wrong(
                "`totals` compares files with the control files beside them",
                "write it in the bronze dataset that reads files",
            );
        }
    }
}
