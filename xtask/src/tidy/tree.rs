//! The workspace's text files. Reads them; follows no link and enters no build folder.

use super::Problem;
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use walkdir::{DirEntry, WalkDir};

const SKIPPED_FOLDERS: [&str; 7] = ["target", ".git", "lake", ".alluvium", "node_modules", "__pycache__", ".venv"];
/// In a second checkout of a repository `.git` is a file.
const SKIPPED_FILES: [&str; 3] = ["Cargo.lock", "LICENSE", ".git"];
/// Larger files are data.
const LARGEST_BYTES: u64 = 2 << 20;

pub struct Tree {
    pub files: Vec<TextFile>,
}

pub struct TextFile {
    /// Relative to the workspace.
    pub path: PathBuf,
    pub text: String,
}

impl Tree {
    pub fn read(root: &Path, problems: &mut Vec<Problem>) -> Self {
        let mut files = Vec::new();
        for entry in WalkDir::new(root).sort_by_file_name().into_iter().filter_entry(is_ours) {
            let entry = match entry {
                Ok(e) if e.file_type().is_file() => e,
                Ok(_) => continue,
                Err(e) => {
                    problems.push(Problem::new(e.path().unwrap_or(root), 1, format!("cannot be read: {e}")));
                    continue;
                }
            };
            let path = entry.path().strip_prefix(root).expect("the walk stays below its root").to_owned();
            match read_text(entry.path()) {
                Ok(Some(text)) => files.push(TextFile { path, text }),
                Ok(None) => {}
                Err(e) => problems.push(Problem::new(path, 1, format!("cannot be read: {e}"))),
            }
        }
        Self { files }
    }
}

fn is_ours(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    if entry.file_type().is_dir() {
        // `crates/lake` is source; a folder `lake` anywhere else holds tables.
        !SKIPPED_FOLDERS.contains(&name.as_ref()) || entry.path().join("Cargo.toml").exists()
    } else {
        !SKIPPED_FILES.contains(&name.as_ref())
    }
}

/// `None` for data: what is large, has a NUL, or is not UTF-8.
fn read_text(path: &Path) -> io::Result<Option<String>> {
    if fs::metadata(path)?.len() > LARGEST_BYTES {
        return Ok(None);
    }
    let bytes = fs::read(path)?;
    Ok(if bytes.contains(&0) { None } else { String::from_utf8(bytes).ok() })
}

impl TextFile {
    pub fn extension(&self) -> &str {
        self.path.extension().and_then(|e| e.to_str()).unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.path.file_name().and_then(|e| e.to_str()).unwrap_or_default()
    }

    /// Compiled for tests only, as the place tells.
    pub fn is_test(&self) -> bool {
        self.name() == "tests.rs"
            || self.path.parent().is_some_and(|p| p.components().any(|c| c.as_os_str() == "tests"))
    }

    /// Whether the path starts with these parts, where `*` stands for any one.
    pub fn is_below(&self, parts: &[&str]) -> bool {
        let own: Vec<_> = self.path.components().map(|c| c.as_os_str().to_string_lossy()).collect();
        own.len() > parts.len() && own.iter().zip(parts).all(|(o, p)| *p == "*" || o == p)
    }
}
