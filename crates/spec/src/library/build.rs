//! Drafts of functions to a library: names, circles, and each expression with the functions that it calls written out.

use super::function::{Function, Library};
use crate::{
    codes,
    diagnostic::Sink,
    source_file::{Place, SourceFile},
    sql::{self, FunctionDraft, Size, is_built_in},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Of a project. Each is planned by itself whenever it is checked.
const MOST_FUNCTIONS: usize = 1_000;
/// Of all functions together, each with what it calls written out.
const MOST_WRITTEN: Size = Size { expressions: 100_000, bytes: 4 << 20 };
/// More names of a circle help nobody.
const MOST_SHOWN: usize = 10;

type Drafts = BTreeMap<String, (Arc<SourceFile>, FunctionDraft)>;

/// The functions of these files, each as far as it is right; what is not is reported.
pub(crate) fn build(files: &[Arc<SourceFile>], sink: &mut Sink) -> Library {
    let mut library = Library::default();
    let mut drafts = read(files, &mut library.flawed, sink);
    let mut waits: Waits = drafts.iter().map(|(name, (_, d))| (name.clone(), of(&drafts, d))).collect();
    let mut callers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, called) in &waits {
        called.iter().for_each(|c| callers.entry(c.clone()).or_default().push(name.clone()));
    }
    let mut ready: BTreeSet<String> = waits.iter().filter(|(_, w)| w.is_empty()).map(|(n, _)| n.clone()).collect();
    let (mut written, mut full) = (Size::default(), false);
    while let Some(next) = ready.pop_first() {
        waits.remove(&next);
        for caller in callers.remove(&next).unwrap_or_default() {
            let Some(w) = waits.get_mut(&caller) else { continue };
            w.remove(&next);
            if w.is_empty() {
                ready.insert(caller);
            }
        }
        let Some((file, draft)) = drafts.remove(&next) else { continue };
        match function(&draft, &file, &library, sink) {
            Some(f) if written.plus(f.size).fits(MOST_WRITTEN) => {
                written = written.plus(f.size);
                library.functions.insert(next, f);
            }
            found => {
                if found.is_some() && !full {
                    too_long(&file, draft.name.place, sink);
                    full = true;
                }
                library.flawed.insert(next);
            }
        }
    }
    circles(&waits, &drafts, sink);
    library.flawed.extend(waits.into_keys());
    library
}

/// The functions as they stand in the files. Names of what cannot be used go to `flawed`.
fn read(files: &[Arc<SourceFile>], flawed: &mut BTreeSet<String>, sink: &mut Sink) -> Drafts {
    let mut drafts = Drafts::new();
    let mut full = false;
    for file in files {
        let found = sql::functions(&file.text);
        for m in found.mistakes {
            sink.report(m.code, file, m.place, m.message, m.help);
        }
        flawed.extend(found.flawed);
        for draft in found.sound {
            let fits = drafts.len() < MOST_FUNCTIONS;
            if !fits && !full {
                let message = format!("the library has more than {MOST_FUNCTIONS} functions");
                sink.report(
                    codes::TOO_LARGE,
                    file,
                    draft.name.place,
                    message,
                    "remove those that nobody calls".to_owned(),
                );
                full = true;
            }
            if fits && name(&draft, file, &drafts, sink) {
                drafts.insert(draft.name.value.clone(), (file.clone(), draft));
            } else {
                flawed.insert(draft.name.value);
            }
        }
    }
    // A second function of a name makes the first doubtful too.
    drafts.retain(|name, _| !flawed.contains(name));
    drafts
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
    Some(Function {
        name: draft.name.value.clone(),
        parameters: draft.parameters.clone(),
        aggregates: sql::aggregates(&expr),
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
        size: Size::of(&expr),
        expr,
    })
}

fn too_long(file: &SourceFile, place: Place, sink: &mut Sink) {
    let Size { expressions, bytes } = MOST_WRITTEN;
    let message =
        format!("the functions of the library, written out, have more than {expressions} parts or {bytes} bytes");
    let help = "call long functions from fewer others, or keep long lists in a table".to_owned();
    sink.report(codes::TOO_LARGE, file, place, message, help);
}

/// Each circle once, at the first of its functions by name. What only calls into one is no mistake of its own.
fn circles(waits: &Waits, drafts: &Drafts, sink: &mut Sink) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for start in waits.keys() {
        let (mut path, mut at) = (Vec::new(), start.as_str());
        // Each waits for another that waits, so walking on comes back: to this path, or to one that was walked before.
        while seen.insert(at) {
            path.push(at);
            at = waits.get(at).and_then(BTreeSet::first).map_or("", String::as_str);
        }
        let Some(from) = path.iter().position(|n| *n == at) else { continue };
        let mut circle = path.split_off(from);
        let first = circle.iter().enumerate().min_by_key(|(_, n)| **n).map_or(0, |(i, _)| i);
        circle.rotate_left(first);
        if let Some((file, draft)) = drafts.get(circle[0]) {
            report(&circle, file, draft.name.place, sink);
        }
    }
}

fn report(circle: &[&str], file: &SourceFile, place: Place, sink: &mut Sink) {
    let left_out = circle.len().saturating_sub(MOST_SHOWN);
    let more = (left_out > 0).then(|| format!("{left_out} more"));
    let shown: Vec<&str> =
        circle.iter().take(MOST_SHOWN).copied().chain(more.as_deref()).chain(circle.first().copied()).collect();
    let message = format!("functions call each other in a circle: {}", shown.join(" → "));
    sink.report(codes::FUNCTION_SIZE, file, place, message, "remove one of these calls".to_owned());
}
