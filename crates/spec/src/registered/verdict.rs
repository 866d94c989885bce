//! What a new version of a project's contract breaks, as diagnostics: the change, whom it breaks, and the way out.
//!
//! Called by cli, which knows the earlier versions.

use crate::{
    codes::{self, Code},
    compatibility::{Change, Comparison, Mode, Path, Reader, readers},
    definition::EventSchema,
    diagnostic::{Diagnostic, Sink},
    load::Reading,
    source_file::{Place, SourceFile},
    yaml::{self, Node, Value},
};
use std::collections::BTreeSet;

/// Of the project's contract of this name beside earlier versions, newest first, by their numbers. `declared` is the mode that
/// the contract itself asks for; without one nothing is refused, and what breaks BACKWARD is a warning.
///
/// # Panics
/// If the project has no such contract.
pub fn verdict(
    reading: &Reading,
    contract: &str,
    against: &[(u32, Comparison)],
    declared: Option<Mode>,
) -> Vec<Diagnostic> {
    let of_project = reading.project.contracts.get(contract).expect("it is a contract of the project");
    let file = SourceFile::new(&of_project.file, &*of_project.text);
    let mode = declared.unwrap_or(Mode::Backward);
    let code = if declared.is_some() { codes::INCOMPATIBLE } else { codes::UNPROMISED };
    let columns: BTreeSet<String> =
        against.iter().flat_map(|(_, c)| c.breaking(mode)).filter_map(|c| Some(c.path.column()?.to_owned())).collect();
    let readers = readers(reading, contract, &columns);
    told(&file, code, mode, against, |change| {
        let way_out = declared.map(|_| accept(contract));
        (place(&file, &change.path), read_by(change, &readers) + &way_out.unwrap_or_default())
    })
}

/// As above, of the schema of a type of events.
pub fn event_verdict(event_type: &str, schema: &EventSchema, against: &[(u32, Comparison)]) -> Vec<Diagnostic> {
    let file = SourceFile::new(&schema.file, &*schema.text);
    told(&file, codes::INCOMPATIBLE, schema.mode, against, |_| (Place::START, accept(event_type)))
}

fn told(
    file: &SourceFile,
    code: Code,
    mode: Mode,
    against: &[(u32, Comparison)],
    more: impl Fn(&Change) -> (Place, String),
) -> Vec<Diagnostic> {
    let (mut sink, mut told) = (Sink::default(), BTreeSet::new());
    for (number, comparison) in against {
        for change in comparison.breaking(mode) {
            // The same change against an older version says nothing more.
            if !told.insert((&change.path, change.what)) {
                continue;
            }
            let message = format!("{} breaks {mode} against version {number}", said(change));
            let (place, more) = more(change);
            sink.report(code, file, place, message, comparison.fix(change, mode).unwrap_or_default() + &more);
        }
    }
    sink.finish().0
}

fn accept(subject: &str) -> String {
    format!("; or accept the change once: `alluvium run --accept {subject}`")
}

/// The state of the project could not be asked for earlier versions.
pub fn not_compared(why: &str) -> Diagnostic {
    let mut sink = Sink::default();
    let file = SourceFile::new("alluvium.yaml", "");
    let message = format!("the contracts are not compared with earlier versions: {why}");
    let help = Some("`alluvium run` compares them before it works".to_owned());
    sink.report(codes::NOT_COMPARED, &file, Place::WHOLE, message, help);
    sink.finish().0.remove(0)
}

fn said(change: &Change) -> String {
    let (path, what) = (&change.path, change.what.words());
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("`{path}` {what} ({before} to {after})"),
        (None, Some(only)) | (Some(only), None) => format!("`{path}` {what} ({only})"),
        (None, None) => format!("`{path}` {what}"),
    }
}

fn read_by(change: &Change, readers: &[Reader]) -> String {
    let reads = |r: &&Reader| change.path.column().is_some_and(|column| r.columns.contains(column));
    let names: BTreeSet<String> = readers
        .iter()
        .filter(reads)
        .flat_map(|r| std::iter::once(&r.dataset).chain(&r.downstream))
        .map(ToString::to_string)
        .collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("; read by {}", names.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

/// Where the contract has it, or the nearest that is there of what it lies in.
fn place(file: &SourceFile, path: &Path) -> Place {
    let Some(root) = yaml::parse(&file.text, file, &mut Sink::default()) else { return Place::START };
    let mut place = Place::START;
    let (mut list, mut at) = (root.get("schema"), None);
    for part in path.parts() {
        let found = match part.as_str() {
            "[]" => at.and_then(|n: &Node| n.get("items")),
            name => list.and_then(|l| named(l, name)),
        };
        let Some(found) = found else { break };
        place = found.get("name").map_or(place, |n| n.place);
        list = found.get("properties");
        at = Some(found);
    }
    place
}

fn named<'a>(list: &'a Node, name: &str) -> Option<&'a Node> {
    let Value::List(all) = &list.value else { return None };
    let is = |n: &&Node| matches!(n.get("name").map(|n| &n.value), Some(Value::Scalar(s)) if s.text == name);
    all.iter().find(is)
}
