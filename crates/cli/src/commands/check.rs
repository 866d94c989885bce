//! `alluvium check`: every mistake of a project at once, or a word that there is none.

use crate::{
    args::{Format, Global},
    contracts,
    error::CliError,
    load,
    output::{print, print_json},
    render,
};
use alluvium_model::Exit;
use alluvium_spec::{Diagnostic, Reading};
use serde_json::json;
use std::path::PathBuf;

pub async fn check(global: &Global, dir: Option<&PathBuf>, accept: &[String]) -> Result<Exit, CliError> {
    let reading = load::look(global, dir).await?;
    let back = contracts::looked_back(&reading, accept).await?;
    let Reading { project, flawed, found } = reading;
    let found = found.with(back.0);
    let (datasets, of_contracts) = (project.datasets.len() + flawed.len(), project.contracts.len());
    let wrong = found.has_errors();
    match global.format {
        Format::Json => print_json(&json!({
            "ok": !wrong,
            "datasets": datasets,
            "contracts": of_contracts,
            "diagnostics": found,
        }))?,
        Format::Human if wrong => return Err(CliError::Definitions(found)),
        Format::Human => {
            render::diagnostic::warnings(&found, Format::Human);
            print(&format!("ok: {datasets} datasets, {of_contracts} contracts{}\n", warned(&found.0)))?;
        }
    }
    Ok(if wrong { Exit::BadInput } else { Exit::Done })
}

fn warned(found: &[Diagnostic]) -> String {
    match found.len() {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        n => format!(", {n} warnings"),
    }
}
