//! Reads and checks the project that a command works on. All of its mistakes come at once.

use crate::{args::Global, error::CliError, render};
use alluvium_lake::Mistake;
use alluvium_spec::{Diagnostic, Level, Project, Reading};
use std::{fs, path::PathBuf};

/// For commands that only read: the definitions are complete, the SQL is not typed.
pub fn project(global: &Global, dir: Option<&PathBuf>) -> Result<Project, CliError> {
    alluvium_spec::load(&global.folder(dir)?, &global.environment()).map_err(CliError::Definitions)
}

/// For commands that execute definitions: every expression is typed too. Warnings are shown.
pub async fn checked(global: &Global, dir: Option<&PathBuf>) -> Result<Project, CliError> {
    let Reading { project, found, .. } = look(global, dir).await?;
    if found.has_errors() {
        return Err(CliError::Definitions(found));
    }
    render::diagnostic::warnings(&found, global.format);
    Ok(project)
}

/// What could be read, with all that is to be said about it: of the files, and of every expression that can be typed.
pub async fn look(global: &Global, dir: Option<&PathBuf>) -> Result<Reading, CliError> {
    let mut reading = alluvium_spec::read(&global.folder(dir)?, &global.environment());
    let typed = alluvium_lake::check(&reading).await;
    reading.found = reading.found.with(diagnostics(&reading.project, typed));
    Ok(reading)
}

/// As those of the files, with the line that each is about.
pub fn diagnostics(project: &Project, mistakes: Vec<Mistake>) -> Vec<Diagnostic> {
    mistakes.into_iter().map(|m| diagnostic(project, m)).collect()
}

fn diagnostic(project: &Project, m: Mistake) -> Diagnostic {
    let text = fs::read_to_string(project.root.join(&m.file)).unwrap_or_default();
    let source_line = m.line.checked_sub(1).and_then(|n| text.lines().nth(n)).unwrap_or_default();
    Diagnostic {
        code: m.code,
        severity: Level::Error,
        message: render::printable(&m.message),
        source_line: render::printable(&source_line.replace('\t', " ")),
        file: m.file,
        line: m.line,
        column: m.column.max(1),
        length: m.length.max(1),
        help: m.help.map(|h| render::printable(&h)),
    }
}
