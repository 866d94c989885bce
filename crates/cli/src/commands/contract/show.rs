//! `alluvium contract show`: a contract for people, in a terminal.

use super::find;
use crate::{
    args::{Format, Global},
    error::CliError,
    output::{print, print_json},
    render::{self, Align, Style, Table, printable},
};
use alluvium_model::{DatasetName, Exit};
use alluvium_spec::{
    Rule, Terms,
    export::{Line, lines},
    read_contract, readers,
};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

#[derive(Debug, Serialize)]
struct Answer<'a> {
    file: &'a Path,
    id: &'a str,
    version: &'a str,
    terms: &'a Terms,
    fields: Vec<Line<'a>>,
    rules: Vec<Told<'a>>,
    /// Datasets of the project that have this contract.
    used_by: Vec<DatasetName>,
    /// Datasets that read columns of those.
    read_by: Vec<ReadBy>,
}

#[derive(Debug, Serialize)]
struct Told<'a> {
    rule: &'a str,
    action: &'static str,
    severity: &'static str,
    description: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ReadBy {
    dataset: DatasetName,
    columns: BTreeSet<String>,
}

pub fn show(global: &Global, named: &Path) -> Result<Exit, CliError> {
    let path = find::file(global, named)?;
    let read = read_contract(&path).map_err(CliError::Definitions)?;
    render::diagnostic::warnings(&read.notes, global.format);
    let stem = path.to_str().map(find::stem).unwrap_or_default();
    let object = read.shape.object(stem).ok_or_else(|| CliError::NoObject(path.clone()))?;
    let around = Around::of(global, &path, stem, object.fields.iter().map(|f| f.name.clone()).collect());
    // Those of the project look at other datasets, too.
    let own = read.contract.as_ref().map(|c| c.rules.as_slice()).unwrap_or_default();
    let rules = if around.rules.is_empty() { own } else { &around.rules };
    let told = |r| -> Told<'_> {
        let r: &Rule = r;
        let (action, severity) = (r.action.word(), r.severity.word());
        Told { rule: &r.id, action, severity, description: r.description.as_deref() }
    };
    let answer = Answer {
        file: &path,
        id: &read.shape.id,
        version: &read.shape.version,
        terms: &read.terms,
        fields: lines(object),
        rules: rules.iter().map(told).collect(),
        used_by: around.used_by,
        read_by: around.read_by,
    };
    match global.format {
        Format::Json => print_json(&answer)?,
        Format::Human => print(&text(&answer, &global.env, Style::stdout()))?,
    }
    Ok(Exit::Done)
}

/// What the project says of the contract, if the command runs in one that has this file.
#[derive(Default)]
struct Around {
    rules: Vec<Rule>,
    used_by: Vec<DatasetName>,
    read_by: Vec<ReadBy>,
}

impl Around {
    fn of(global: &Global, path: &Path, stem: &str, columns: BTreeSet<String>) -> Self {
        let Ok(folder) = global.folder(None) else { return Self::default() };
        if !folder.join("alluvium.yaml").is_file() {
            return Self::default();
        }
        let reading = alluvium_spec::read(&folder, &global.environment());
        let Some(contract) = reading.project.contracts.get(stem) else { return Self::default() };
        let same = |file: &PathBuf| path.canonicalize().ok() == folder.join(file).canonicalize().ok();
        if !same(&contract.file) {
            return Self::default();
        }
        let users = reading.project.datasets.values().filter(|d| d.contract.as_deref() == Some(stem));
        let used_by: Vec<DatasetName> = users.map(|d| d.name.clone()).collect();
        let found = readers(&reading, stem, &columns).into_iter().filter(|r| !used_by.contains(&r.dataset));
        let read_by = found.map(|r| ReadBy { dataset: r.dataset, columns: r.columns }).collect();
        Self { rules: contract.rules.clone(), used_by, read_by }
    }
}

fn text(a: &Answer<'_>, environment: &str, style: Style) -> String {
    let t = a.terms;
    let status = t.status.as_deref().map_or_else(String::new, |s| format!(", {}", printable(s)));
    let mut out = format!("{} {}{status}\n", style.bold(&printable(a.id)), printable(a.version));
    let mut about = |label: &str, text: String| {
        if !text.is_empty() {
            out.push_str(&format!("{label:<12}{}\n", printable(&text)));
        }
    };
    t.told(environment).into_iter().for_each(|(label, said)| about(label, said.join(", ")));
    about("used by", a.used_by.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    for r in &a.read_by {
        about("read by", format!("{}: {}", r.dataset, r.columns.iter().cloned().collect::<Vec<_>>().join(", ")));
    }
    out.push('\n');
    out.push_str(&fields(&a.fields, style));
    if !a.rules.is_empty() {
        let names = ["rule", "action", "severity", "description"].map(|n| (n, Align::Left));
        let mut table = Table::new(names);
        for r in &a.rules {
            let description = r.description.map(printable).unwrap_or_default();
            table.row(vec![printable(r.rule), r.action.to_owned(), r.severity.to_owned(), description]);
        }
        out.push_str(&format!("\n{}", table.without(&["description"], str::is_empty).text(style)));
    }
    out
}

fn fields(fields: &[Line<'_>], style: Style) -> String {
    let names = ["field", "type", "required", "limits", "class", "description"].map(|n| (n, Align::Left));
    let mut table = Table::new(names);
    for f in fields {
        table.row(vec![
            printable(&f.path),
            f.kind.clone(),
            f.need.word().to_owned(),
            printable(&f.limits.join("; ")),
            f.classification.map(printable).unwrap_or_default(),
            f.description.map(|d| printable(d.trim_end())).unwrap_or_default(),
        ]);
    }
    table.without(&["class", "description", "limits"], str::is_empty).text(style)
}
