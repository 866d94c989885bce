//! `show library`: the functions that the project's SQL can call, and who calls them.

use super::listing::{Column, list};
use crate::{
    args::Global,
    error::CliError,
    render::{Align, printable},
    wire::Wired,
};
use alluvium_model::DatasetName;
use alluvium_spec::Function;
use serde::Serialize;
use std::{collections::BTreeSet, path::PathBuf};

#[derive(Debug, Serialize)]
struct Line {
    function: String,
    signature: String,
    file: PathBuf,
    line: usize,
    cases: usize,
    /// Functions that it calls itself.
    calls: BTreeSet<String>,
    /// Also through other functions, and by their contracts.
    used_by: BTreeSet<DatasetName>,
}

const COLUMNS: &[Column<Line>] = &[
    ("function", Align::Left, |l| printable(&l.signature)),
    ("where", Align::Left, |l| printable(&format!("{}:{}", l.file.display(), l.line))),
    ("cases", Align::Right, |l| l.cases.to_string()),
    ("used by", Align::Left, |l| {
        let users: Vec<String> = l.used_by.iter().map(ToString::to_string).collect();
        if users.is_empty() { "-".to_owned() } else { users.join(", ") }
    }),
];

pub fn show(global: &Global, wired: &Wired) -> Result<(), CliError> {
    let lines: Vec<Line> = wired.project.library.functions().map(line).collect();
    list(global, COLUMNS, &lines, "this project has no functions in `library/`")
}

fn line(f: &Function) -> Line {
    Line {
        function: f.name.clone(),
        signature: f.signature(),
        file: f.file.clone(),
        line: f.line,
        cases: f.cases.len(),
        calls: f.calls.clone(),
        used_by: f.used_by.clone(),
    }
}
