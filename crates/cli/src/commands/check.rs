//! `alluvium check`: every mistake of a project at once, or a word that there is none.

use crate::{
    args::{Format, Global},
    contracts,
    error::CliError,
    load,
    output::{print, print_json},
    render::{self, plural},
};
use alluvium_model::Exit;
use alluvium_spec::{Diagnostic, Reading};
use serde_json::json;
use std::path::PathBuf;

pub async fn check(global: &Global, dir: Option<&PathBuf>, accept: &[String]) -> Result<Exit, CliError> {
    let reading = load::look(global, dir).await?;
    let back = contracts::looked_back(&reading, accept).await?;
    let Reading { project, flawed, found } = reading;
    let failed = alluvium_lake::try_cases(&project.library).await;
    let found = found.with(back.0).with(load::diagnostics(&project, failed));
    let (datasets, of_contracts) = (project.datasets.len() + flawed.len(), project.contracts.len());
    let functions = project.library.functions().count();
    let cases = project.library.functions().map(|f| f.cases.len()).sum();
    let wrong = found.has_errors();
    match global.format {
        Format::Json => print_json(&json!({
            "ok": !wrong,
            "datasets": datasets,
            "contracts": of_contracts,
            "functions": functions,
            "cases": cases,
            "diagnostics": found,
        }))?,
        Format::Human if wrong => return Err(CliError::Definitions(found)),
        Format::Human => {
            render::diagnostic::warnings(&found, Format::Human);
            let (library, warned) = (tried(functions, cases), warned(&found.0));
            print(&format!("ok: {datasets} datasets, {of_contracts} contracts{library}{warned}\n"))?;
        }
    }
    Ok(if wrong { Exit::BadInput } else { Exit::Done })
}

/// What is in the library; nothing where there is none.
fn tried(functions: usize, cases: usize) -> String {
    let all = plural(functions as u64, "function");
    match (functions, cases) {
        (0, _) => String::new(),
        (_, 0) => format!(", {all}"),
        (_, cases) => format!(", {all} with {}", plural(cases as u64, "case")),
    }
}

fn warned(found: &[Diagnostic]) -> String {
    match found.len() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        n => format!(", {n} warnings"),
    }
}
