//! `alluvium contract lint`: what contracts say that has no effect here, or that the standard has given up.

use super::find;
use crate::{
    args::{Format, Global},
    error::CliError,
    output::{print, print_json},
    render::{self, plural},
};
use alluvium_model::Exit;
use alluvium_spec::{Diagnostics, lint_contract};
use serde_json::json;
use std::path::PathBuf;

pub fn lint(global: &Global, contracts: &[PathBuf]) -> Result<Exit, CliError> {
    let paths = if contracts.is_empty() { of_project(global)? } else { named(global, contracts)? };
    let mut found = Diagnostics::default();
    for path in &paths {
        found = found.with(lint_contract(path).unwrap_or_else(|mistakes| mistakes).0);
    }
    if found.has_errors() {
        return Err(CliError::Definitions(found));
    }
    let (contracts, warnings) = (paths.len(), found.0.len());
    match global.format {
        Format::Json => print_json(&json!({ "contracts": contracts, "warnings": found }))?,
        Format::Human => {
            render::diagnostic::warnings(&found, Format::Human);
            print(&format!("{}, {}\n", plural(contracts as u64, "contract"), plural(warnings as u64, "warning")))?;
        }
    }
    Ok(Exit::Done)
}

fn named(global: &Global, contracts: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    contracts.iter().map(|c| find::file(global, c)).collect()
}

/// The files of all contracts. One with a mistake is told as `check` tells it.
fn of_project(global: &Global) -> Result<Vec<PathBuf>, CliError> {
    let folder = global.folder(None)?;
    let reading = alluvium_spec::read(&folder, &global.environment());
    let of_contracts: Vec<_> = reading.found.0.iter().filter(|d| d.file.starts_with("contracts")).cloned().collect();
    let mistakes = Diagnostics(of_contracts);
    if mistakes.has_errors() || !folder.join("alluvium.yaml").is_file() {
        return Err(CliError::Definitions(if mistakes.has_errors() { mistakes } else { reading.found }));
    }
    Ok(reading.project.contracts.values().map(|c| folder.join(&c.file)).collect())
}
