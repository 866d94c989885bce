//! `alluvium contract diff`: what a new version of a contract changes, whom that breaks, and the way out.

use super::find;
use crate::{
    args::{Format, Global},
    error::CliError,
    output::{print, print_json},
    render::{self, Align, Style, Table, printable},
};
use alluvium_flow::registry::schema_of;
use alluvium_model::{DatasetName, Exit};
use alluvium_spec::{Change, Comparison, Mode, Reader, Reading, SchemaFile, What, read_schema, readers};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Longer texts in the table are cut; JSON has them whole.
const MOST_SHOWN: usize = 40;

#[derive(Debug, Serialize)]
struct Answer<'a> {
    new: &'a Path,
    mode: Mode,
    compatible: bool,
    /// One for each old version that the mode looks at, oldest first.
    against: Vec<Against<'a>>,
    /// Datasets with mistakes of their own: what they read is not known.
    not_looked_at: Vec<&'a DatasetName>,
}

#[derive(Debug, Serialize)]
struct Against<'a> {
    old: &'a Path,
    compatible: bool,
    changes: Vec<Told<'a>>,
}

#[derive(Debug, Serialize)]
struct Told<'a> {
    path: String,
    what: What,
    before: Option<&'a str>,
    after: Option<&'a str>,
    breaks_backward: bool,
    breaks_forward: bool,
    /// Of what the mode asks for.
    breaks: bool,
    fix: Option<String>,
    read_by: Vec<ReadBy<'a>>,
}

/// A dataset of the project that reads the column.
#[derive(Debug, Serialize)]
struct ReadBy<'a> {
    dataset: &'a DatasetName,
    downstream: &'a [DatasetName],
}

pub async fn diff(global: &Global, files: &[PathBuf], mode: Option<Mode>) -> Result<Exit, CliError> {
    let (mut paths, mut all) = (Vec::new(), Vec::new());
    for named in files {
        let (path, schema) = match find::version(global, named).await? {
            Some(version) => (named.clone(), schema_of(&version)),
            None => {
                let path = find::file(global, named)?;
                let schema = read_schema(&path);
                (path, schema)
            }
        };
        paths.push(path);
        all.push(schema.map_err(CliError::Definitions)?);
    }
    let versions: Vec<(&PathBuf, &SchemaFile)> = paths.iter().zip(&all).collect();
    let ((new_path, new), old) = versions.split_last().expect("the command line takes two files at least");
    new.notes().into_iter().for_each(|n| render::diagnostic::warnings(n, global.format));
    let mode = mode.or(new.mode()).unwrap_or(Mode::Backward);
    let looked_at = if mode.transitive() { 0 } else { old.len() - 1 };
    let found =
        old[looked_at..].iter().map(|(path, schema)| Ok((path.as_path(), compared(path, schema, new_path, new)?)));
    let found = found.collect::<Result<Vec<(&Path, Comparison)>, CliError>>()?;
    let project = Around::of(global, &paths, found.iter().map(|(_, c)| c));
    let answer = Answer {
        new: new_path,
        mode,
        compatible: found.iter().all(|(_, c)| c.is_compatible(mode)),
        against: found.iter().map(|(old, c)| against(old, c, mode, &project.readers)).collect(),
        not_looked_at: project.flawed.iter().collect(),
    };
    match global.format {
        Format::Json => print_json(&answer)?,
        Format::Human => print(&text(&answer, Style::stdout()))?,
    }
    Ok(if answer.compatible { Exit::Done } else { Exit::FailedWork })
}

fn compared(old: &Path, a: &SchemaFile, new: &Path, b: &SchemaFile) -> Result<Comparison, CliError> {
    a.compare(b).ok_or_else(|| CliError::TwoLanguages {
        old: old.to_owned(),
        old_language: a.language(),
        new: new.to_owned(),
        new_language: b.language(),
    })
}

/// What the project says of the contract, if the command runs in one that has it.
#[derive(Default)]
struct Around {
    readers: Vec<Reader>,
    flawed: Vec<DatasetName>,
}

impl Around {
    fn of<'c>(global: &Global, paths: &[PathBuf], found: impl Iterator<Item = &'c Comparison>) -> Self {
        let Ok(folder) = global.folder(None) else { return Self::default() };
        if !folder.join("alluvium.yaml").is_file() {
            return Self::default();
        }
        // A new version can make mistakes of definitions that still read what it lacks, so the project may have some.
        let reading = alluvium_spec::read(&folder, &global.environment());
        let stems = paths.iter().rev().filter_map(|p| Some(find::stem(p.to_str()?)));
        let stems = stems.map(|s| s.rsplit_once('@').map_or(s, |(name, _)| name));
        let known = |stem: &&str| is_contract(&reading, stem);
        let Some(stem) = stems.into_iter().find(known) else { return Self::default() };
        let columns: BTreeSet<String> =
            found.flat_map(|c| &c.changes).filter_map(|c| Some(c.path.column()?.to_owned())).collect();
        Self { readers: readers(&reading, stem, &columns), flawed: reading.flawed.keys().cloned().collect() }
    }
}

fn is_contract(reading: &Reading, stem: &str) -> bool {
    reading.project.contracts.contains_key(stem) || reading.flawed.values().any(|c| c.as_deref() == Some(stem))
}

fn against<'a>(old: &'a Path, found: &'a Comparison, mode: Mode, readers: &'a [Reader]) -> Against<'a> {
    let told = |c: &'a Change| {
        let reads = |r: &&Reader| c.path.column().is_some_and(|column| r.columns.contains(column));
        Told {
            path: c.path.to_string(),
            what: c.what,
            before: c.before.as_deref(),
            after: c.after.as_deref(),
            breaks_backward: c.breaks_backward,
            breaks_forward: c.breaks_forward,
            breaks: c.breaks(mode),
            fix: found.fix(c, mode),
            read_by: readers
                .iter()
                .filter(reads)
                .map(|r| ReadBy { dataset: &r.dataset, downstream: &r.downstream })
                .collect(),
        }
    };
    Against { old, compatible: found.is_compatible(mode), changes: found.changes.iter().map(told).collect() }
}

fn text(answer: &Answer<'_>, style: Style) -> String {
    let mut out = String::new();
    for a in &answer.against {
        if answer.against.len() > 1 {
            out.push_str(&format!("{}\n", style.bold(&printable(&format!("against {}", a.old.display())))));
        }
        out.push_str(&changes(&a.changes, style));
    }
    let breaking: usize = answer.against.iter().flat_map(|a| &a.changes).filter(|c| c.breaks).count();
    let all: usize = answer.against.iter().map(|a| a.changes.len()).sum();
    let counted = match (all, breaking) {
        (0, _) => "no change".to_owned(),
        (1, 0) => "1 change".to_owned(),
        (_, 0) => format!("{all} changes"),
        _ => format!("{breaking} of {all} changes {}", if breaking == 1 { "breaks it" } else { "break it" }),
    };
    let verdict = if answer.compatible { style.green("compatible") } else { style.red("incompatible") };
    if !answer.not_looked_at.is_empty() {
        let names: Vec<String> = answer.not_looked_at.iter().map(ToString::to_string).collect();
        out.push_str(&format!("not looked at, for mistakes of their own: {}\n", names.join(", ")));
    }
    out + &format!("{verdict} under {}: {counted}\n", answer.mode)
}

fn changes(changes: &[Told<'_>], style: Style) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let names = ["change", "before", "after", "breaks"].map(|n| (n, Align::Left));
    let mut table = Table::new([("where", Align::Left)].into_iter().chain(names));
    for c in changes {
        let breaks = match (c.breaks_backward, c.breaks_forward) {
            (true, true) => "BACKWARD, FORWARD",
            (true, false) => "BACKWARD",
            (false, true) => "FORWARD",
            (false, false) => "-",
        };
        let cell = |text: Option<&str>| text.map_or_else(|| "-".to_owned(), shown);
        table.row(vec![
            printable(&c.path),
            c.what.words().to_owned(),
            cell(c.before),
            cell(c.after),
            breaks.to_owned(),
        ]);
    }
    let mut out = table.text(style) + "\n";
    for c in changes.iter().filter(|c| c.breaks || !c.read_by.is_empty()) {
        let mut lines: Vec<String> =
            c.fix.iter().map(|f| format!("  {} {}", style.cyan("fix:"), printable(f))).collect();
        lines.extend(c.read_by.iter().map(|r| format!("  read by {}", reader(r))));
        if !lines.is_empty() {
            out.push_str(&format!("{} {}\n{}\n", printable(&c.path), c.what.words(), lines.join("\n")));
        }
    }
    out + "\n"
}

fn reader(r: &ReadBy<'_>) -> String {
    let downstream: Vec<String> = r.downstream.iter().map(ToString::to_string).collect();
    match downstream.is_empty() {
        true => r.dataset.to_string(),
        false => format!("{}, and from it {}", r.dataset, downstream.join(", ")),
    }
}

fn shown(text: &str) -> String {
    let cut: String = text.chars().take(MOST_SHOWN).collect();
    let more = if text.chars().nth(MOST_SHOWN).is_some() { "…" } else { "" };
    printable(&cut) + more
}
