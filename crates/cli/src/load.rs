//! Reads and checks the project that a command works on. All of its mistakes come at once.

use crate::{args::Global, error::CliError, render};
use alluvium_lake::Mistake;
use alluvium_spec::{Diagnostic, Diagnostics, Level, Project};
use std::{fs, path::PathBuf};

/// For commands that only read: the definitions are complete, the SQL is not typed.
pub fn project(global: &Global, dir: Option<&PathBuf>) -> Result<Project, CliError> {
    alluvium_spec::load(&global.folder(dir)?, &global.environment()).map_err(CliError::Definitions)
}

/// For commands that execute definitions: every expression is typed too. Warnings are shown.
pub async fn checked(global: &Global, dir: Option<&PathBuf>) -> Result<Project, CliError> {
    let project = project(global, dir)?;
    let found = mistakes(&project).await;
    if !found.is_empty() {
        return Err(CliError::Definitions(Diagnostics(found)));
    }
    render::diagnostic::warnings(&project.notes, global.format);
    Ok(project)
}

/// What typing every expression finds, beside the project's own notes.
pub async fn mistakes(project: &Project) -> Vec<Diagnostic> {
    let found = alluvium_lake::check(project).await;
    if found.is_empty() {
        return Vec::new();
    }
    let mut all: Vec<_> =
        project.notes.0.iter().cloned().chain(found.into_iter().map(|m| diagnostic(project, m))).collect();
    all.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    all
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
