//! `alluvium check`: every mistake of a project at once, or a word that there is none.

use crate::{
    args::{Format, Global},
    error::CliError,
    load,
    output::{print, print_json},
    render,
};
use alluvium_model::Exit;
use alluvium_spec::{Diagnostic, Diagnostics, Level};
use serde_json::json;
use std::path::PathBuf;

pub async fn check(global: &Global, dir: Option<&PathBuf>) -> Result<Exit, CliError> {
    let (found, datasets, contracts) = match load::project(global, dir) {
        Ok(project) => {
            let mistakes = load::mistakes(&project).await;
            let found = if mistakes.is_empty() { project.notes.0.clone() } else { mistakes };
            (found, project.datasets.len(), project.contracts.len())
        }
        Err(CliError::Definitions(Diagnostics(found))) => (found, 0, 0),
        Err(e) => return Err(e),
    };
    let wrong = found.iter().any(|d| d.severity == Level::Error);
    match global.format {
        Format::Json => print_json(&json!({
            "ok": !wrong,
            "datasets": datasets,
            "contracts": contracts,
            "diagnostics": found,
        }))?,
        Format::Human if wrong => return Err(CliError::Definitions(Diagnostics(found))),
        Format::Human => {
            render::diagnostic::warnings(&Diagnostics(found.clone()), Format::Human);
            print(&format!("ok: {datasets} datasets, {contracts} contracts{}\n", warned(&found)))?;
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
