//! The crate as its callers see it: whole folders in, projects or all their mistakes out.

mod accept;
mod arrivals;
mod compatibility;
mod drift;
mod edges;
mod effort;
mod events;
mod export;
mod hostile;
mod kept;
mod library;
mod lint;
mod mistakes;
mod nested;
mod projects;
mod standard;
mod turns;
mod versions;
mod watermark;

use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures").join(name)
}

/// A folder with these files, for tests that change a project.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        write(dir.path(), path, text.as_bytes());
    }
    dir
}

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("folder made");
    std::fs::write(path, bytes).expect("file written");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("folder made");
    for entry in std::fs::read_dir(from).expect("listed") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("copied");
        }
    }
}

/// The flights project in a folder of its own.
fn flights() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    copy(&fixture("flights"), dir.path());
    dir
}
