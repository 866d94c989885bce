//! Which files of a project are definitions, and what each defines. Everything unexpected is said.

use crate::{
    codes,
    diagnostic::{Sink, quoted},
    nearest,
    shelf::Shelf,
    source_file::{Place, SourceFile},
};
use alluvium_model::{DatasetName, Layer};
use std::path::{Path, PathBuf};

/// More files than any project has; the walk ends there.
const MOST_FILES: usize = 10_000;
const MOST_DEPTH: usize = 8;

pub(crate) enum Found {
    Contract {
        stem: String,
        path: PathBuf,
    },
    Dataset {
        name: DatasetName,
        path: PathBuf,
    },
    /// Functions.
    Library {
        path: PathBuf,
    },
    /// What functions have to give.
    Cases {
        path: PathBuf,
    },
}

/// By path, so that every machine reports the same first file.
pub(crate) fn definitions(shelf: &Shelf<'_>, sink: &mut Sink) -> Vec<Found> {
    let mut found = Vec::new();
    for path in files(shelf, "contracts", sink) {
        found.extend(contract(path, sink));
    }
    for path in files(shelf, "datasets", sink) {
        found.extend(dataset(path, sink));
    }
    for path in files(shelf, "library", sink) {
        found.extend(library(path, sink));
    }
    for (folder, code) in
        [("functions", codes::NOT_AVAILABLE), ("policies", codes::NOT_AVAILABLE), ("tests", codes::TESTS_NOT_RUN)]
    {
        if let Some(first) = files(shelf, folder, sink).into_iter().next() {
            let message = format!("`{folder}/` is not available yet in this version");
            sink.report(code, &SourceFile::new(first, ""), Place::WHOLE, message, None);
        }
    }
    found
}

/// Regular files below the folder, relative to the project's root.
fn files(shelf: &Shelf<'_>, folder: &str, sink: &mut Sink) -> Vec<PathBuf> {
    let (root, fence) = match shelf {
        Shelf::Folder { root, fence } => (*root, *fence),
        Shelf::Kept(files) => {
            let paths = files.keys().map(PathBuf::from);
            return paths.filter(|path| path.starts_with(folder)).collect();
        }
    };
    let top = root.join(folder);
    if top.symlink_metadata().is_err() {
        return Vec::new();
    }
    let mut out = Vec::new();
    let walk = walkdir::WalkDir::new(&top).max_depth(MOST_DEPTH).sort_by_file_name().into_iter();
    let visible = |e: &walkdir::DirEntry| e.depth() == 0 || !is_ignored(e.file_name().to_str().unwrap_or("-"));
    for entry in walk.filter_entry(visible).take(MOST_FILES) {
        let mut refuse = |path: &Path, message: String| {
            let shown = path.strip_prefix(root).unwrap_or(path);
            sink.report(codes::UNREADABLE, &SourceFile::new(shown, ""), Place::WHOLE, message, None);
        };
        let entry = match entry {
            Ok(e) => e,
            Err(e) => {
                refuse(e.path().unwrap_or(&top), format!("the folder cannot be read: {e}"));
                continue;
            }
        };
        let path = entry.path();
        if entry.path_is_symlink() && (!fence.holds(path) || path.is_dir()) {
            refuse(path, "this link leads out of the project or to a folder, and is not followed".to_owned());
        } else if path.is_file() {
            match path.strip_prefix(root) {
                Ok(relative) if relative.to_str().is_some() => out.push(relative.to_owned()),
                _ => refuse(path, "the file's name is not UTF-8".to_owned()),
            }
        } else if !entry.file_type().is_dir() {
            refuse(path, "this is no regular file".to_owned());
        }
    }
    out
}

/// Hidden files, editors' copies and notes.
fn is_ignored(name: &str) -> bool {
    name.starts_with('.') || name.ends_with(['~', '#']) || name.ends_with(".md") || name.ends_with(".txt")
}

fn contract(path: PathBuf, sink: &mut Sink) -> Option<Found> {
    let name = path.file_name()?.to_str()?;
    match name.strip_suffix(".odcs.yaml") {
        Some(stem) if !stem.is_empty() => Some(Found::Contract { stem: stem.to_owned(), path }),
        _ => {
            misplaced(path, "a contract's file ends with `.odcs.yaml`".to_owned(), None, sink);
            None
        }
    }
}

fn library(path: PathBuf, sink: &mut Sink) -> Option<Found> {
    let name = path.file_name()?.to_str()?;
    if name.ends_with(".sql") {
        Some(Found::Library { path })
    } else if name.ends_with(".test.yaml") {
        Some(Found::Cases { path })
    } else {
        misplaced(path, "a file of the library ends with `.sql` or `.test.yaml`".to_owned(), None, sink);
        None
    }
}

fn dataset(path: PathBuf, sink: &mut Sink) -> Option<Found> {
    let parts: Vec<&str> = path.iter().filter_map(|p| p.to_str()).collect();
    let (folder, file) = match parts.as_slice() {
        [_, folder, .., file] => (*folder, *file),
        _ => {
            let help = "move it into `datasets/bronze`, `datasets/silver` or `datasets/gold`";
            misplaced(path, "a dataset belongs into the folder of its layer".to_owned(), Some(help.to_owned()), sink);
            return None;
        }
    };
    let Some(layer) = Layer::ALL.into_iter().find(|l| l.as_str() == folder) else {
        let help = nearest::help(folder, Layer::ALL.map(Layer::as_str));
        let message = format!("{} is no layer", quoted(folder));
        misplaced(path, message, help, sink);
        return None;
    };
    let ending = if layer == Layer::Gold { ".sql" } else { ".yaml" };
    let Some(stem) = file.strip_suffix(ending) else {
        misplaced(path, format!("a {layer} dataset's file ends with `{ending}`"), None, sink);
        return None;
    };
    match DatasetName::new(layer, stem) {
        Ok(name) => Some(Found::Dataset { name, path }),
        Err(e) => {
            misplaced(path, e.to_string(), None, sink);
            None
        }
    }
}

fn misplaced(path: PathBuf, message: String, help: Option<String>, sink: &mut Sink) {
    sink.report(codes::MISPLACED, &SourceFile::new(path, ""), Place::WHOLE, message, help);
}
