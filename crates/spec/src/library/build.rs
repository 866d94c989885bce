//! Drafts of functions to a library: names, circles, and each expression with the functions that it calls written out.

use super::function::{Function, Library, Parameter};
use crate::{
    codes,
    diagnostic::Sink,
    source_file::{Place, SourceFile},
    sql::{self, FunctionDraft, is_built_in},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

type Drafts = BTreeMap<String, (Arc<SourceFile>, FunctionDraft)>;

/// The functions of these files, each as far as it is right; what is not is reported.
pub(crate) fn build(files: &[Arc<SourceFile>], sink: &mut Sink) -> Library {
    let mut library = Library::default();
    let mut drafts: Drafts = BTreeMap::new();
    for file in files {
        let found = sql::functions(&file.text);
        for m in found.mistakes {
            sink.report(m.code, file, m.place, m.message, m.help);
        }
        library.flawed.extend(found.flawed);
        for draft in found.sound {
            if !name(&draft, file, &drafts, sink) {
                library.flawed.insert(draft.name.value.clone());
                continue;
            }
            drafts.insert(draft.name.value.clone(), (file.clone(), draft));
        }
    }
    // A second function of a name makes the first doubtful too.
    let flawed = library.flawed.clone();
    drafts.retain(|name, _| !flawed.contains(name));
    let mut waits: Waits = drafts.iter().map(|(name, (_, d))| (name.clone(), of(&drafts, d))).collect();
    while let Some(next) = waits.iter().find(|(_, w)| w.is_empty()).map(|(n, _)| n.clone()) {
        waits.remove(&next);
        waits.values_mut().for_each(|w| {
            w.remove(&next);
        });
        let Some((file, draft)) = drafts.remove(&next) else { continue };
        match function(&draft, &file, &library, sink) {
            Some(f) => {
                library.functions.insert(next, f);
            }
            None => {
                library.flawed.insert(next);
            }
        }
    }
    circles(&waits, &drafts, sink);
    library.flawed.extend(waits.into_keys());
    library
}

/// Functions, and those of the library that each still waits for.
type Waits = BTreeMap<String, BTreeSet<String>>;

fn of(drafts: &Drafts, draft: &FunctionDraft) -> BTreeSet<String> {
    draft.calls().into_iter().filter(|name| drafts.contains_key(name)).collect()
}

/// Whether the name is free.
fn name(draft: &FunctionDraft, file: &SourceFile, drafts: &Drafts, sink: &mut Sink) -> bool {
    let (name, place) = (&draft.name.value, draft.name.place);
    let message = if let Some((other, first)) = drafts.get(name) {
        let at = format!("{}:{}", other.path.display(), first.name.place.line);
        format!("a second function is named `{name}`; the first is {at}")
    } else if is_built_in(name) {
        format!("`{name}` is a function of the engine, and would mean something else")
    } else if !draft.can_be_called() {
        format!("`{name}` is a word of SQL")
    } else {
        return true;
    };
    sink.report(codes::FUNCTION_NAME, file, place, message, "give it another name".to_owned());
    false
}

fn function(draft: &FunctionDraft, file: &SourceFile, library: &Library, sink: &mut Sink) -> Option<Function> {
    let (expanded, expr) = match sql::body(&draft.body, &draft.expr, library) {
        Ok(body) => body,
        Err(mistakes) => {
            for m in mistakes {
                sink.report(m.code, file, m.place.within(draft.start), m.message, m.help);
            }
            return None;
        }
    };
    let parameters = draft.parameters.iter().map(|(p, kind)| Parameter { name: p.value.clone(), kind: *kind });
    Some(Function {
        name: draft.name.value.clone(),
        parameters: parameters.collect(),
        returns: draft.returns,
        file: file.path.clone(),
        line: draft.name.place.line,
        column: draft.name.place.column,
        body: expanded.text,
        body_line: draft.start.line,
        body_column: draft.start.column,
        origins: expanded.origins,
        cases: Vec::new(),
        calls: expanded.calls,
        used_by: BTreeSet::new(),
        uses: draft.uses_of(&expr),
        size: sql::size(&expr),
        expr,
    })
}

/// Each circle once, at the first of its functions by name. What only calls into one is no mistake of its own.
fn circles(waits: &Waits, drafts: &Drafts, sink: &mut Sink) {
    let mut told: BTreeSet<&str> = BTreeSet::new();
    for start in waits.keys() {
        let mut path: Vec<&str> = vec![start];
        // Each waits for another that waits, so walking on comes back.
        while let Some(next) = path.last().and_then(|last| waits.get(*last)?.iter().next()) {
            let Some(from) = path.iter().position(|n| n == next) else {
                path.push(next);
                continue;
            };
            let circle = path.split_off(from);
            let first = circle.iter().enumerate().min_by_key(|(_, n)| **n).map_or(0, |(i, _)| i);
            let shown: Vec<&str> = circle.iter().cycle().skip(first).take(circle.len() + 1).copied().collect();
            if told.insert(shown[0])
                && let Some((file, draft)) = drafts.get(shown[0])
            {
                report(&shown, file, draft.name.place, sink);
            }
            break;
        }
    }
}

fn report(circle: &[&str], file: &SourceFile, place: Place, sink: &mut Sink) {
    let message = format!("functions call each other in a circle: {}", circle.join(" → "));
    sink.report(codes::FUNCTION_SIZE, file, place, message, "remove one of these calls".to_owned());
}
