//! `alluvium init`: a new project from a template.

use crate::{
    args::{Format, Global},
    error::CliError,
    output::{print, print_json},
    render::printable,
    templates::{self, FOLDERS, IGNORED, Template},
};
use alluvium_model::Exit;
use serde_json::json;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub fn init(global: &Global, name: &str, dir: Option<&PathBuf>) -> Result<Exit, CliError> {
    let template = templates::find(name).ok_or_else(|| CliError::UnknownTemplate(printable(name)))?;
    let root = dir.or(global.project.as_ref()).cloned().unwrap_or_else(|| PathBuf::from(template.name));
    if !is_free(&root)? {
        return Err(CliError::NotEmpty(root));
    }
    write(&root, template)?;
    match global.format {
        Format::Json => print_json(&json!({ "project": root, "files": template.files.len() }))?,
        Format::Human => {
            let shown = root.display();
            print(&format!("made {shown} with {} files\nnext: alluvium run {shown}\n", template.files.len()))?;
        }
    }
    Ok(Exit::Done)
}

/// Not there yet, or an empty folder.
fn is_free(root: &Path) -> Result<bool, CliError> {
    match fs::read_dir(root) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(e) => Err(CliError::file(root)(e)),
    }
}

fn write(root: &Path, template: &Template) -> Result<(), CliError> {
    for (path, content) in template.files {
        let at = root.join(path);
        folder(at.parent().unwrap_or(root))?;
        fs::write(&at, content).map_err(CliError::file(&at))?;
    }
    let ignored = root.join(".gitignore");
    fs::write(&ignored, IGNORED).map_err(CliError::file(&ignored))?;
    for path in FOLDERS {
        folder(&root.join(path))?;
    }
    // A landing folder without files is in no template.
    if let Ok(project) = alluvium_spec::load(root, &alluvium_spec::Environment::default()) {
        for dataset in project.datasets.values() {
            if let Some(landing) = dataset.folder() {
                folder(landing)?;
            }
        }
    }
    Ok(())
}

fn folder(path: &Path) -> Result<(), CliError> {
    fs::create_dir_all(path).map_err(CliError::file(path))
}
