//! Keeps the paths that a project names inside the project, or below what it was allowed.

use std::path::{Component, Path, PathBuf};

#[derive(Debug)]
pub(crate) struct Fence {
    /// Canonical.
    root: PathBuf,
    allowed: Vec<PathBuf>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PathMistake {
    /// A URL where a folder has to be.
    Remote,
    /// Empty, or with a NUL.
    Unusable,
    Outside,
}

impl Fence {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), allowed: Vec::new() }
    }

    /// `path` is absolute.
    pub(crate) fn allow(&mut self, path: &Path) {
        self.allowed.push(real(&lexical(path)));
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The absolute path that `written` names. Symbolic links on the part that exists are followed before the check.
    pub(crate) fn resolve(&self, written: &str) -> Result<PathBuf, PathMistake> {
        if written.contains("://") {
            return Err(PathMistake::Remote);
        }
        if written.trim().is_empty() || written.contains('\0') || written.len() > 4_096 {
            return Err(PathMistake::Unusable);
        }
        let path = real(&lexical(&self.root.join(written)));
        let inside = |fence: &PathBuf| path.starts_with(fence);
        if inside(&self.root) || self.allowed.iter().any(inside) { Ok(path) } else { Err(PathMistake::Outside) }
    }

    /// Whether a file found in the project is really in it.
    pub(crate) fn holds(&self, path: &Path) -> bool {
        real(path).starts_with(&self.root)
    }
}

/// `.` and `..` taken out without looking at the disk; `..` above the root stays at the root.
fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(part),
        }
    }
    out
}

/// The longest part that exists made canonical, with the rest behind it.
fn real(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let Ok(found) = ancestor.canonicalize() {
            return match path.strip_prefix(ancestor) {
                Ok(rest) if rest != Path::new("") => found.join(rest),
                // With nothing behind it `join` would end it with a slash, as the name of a folder.
                Ok(_) | Err(_) => found,
            };
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_leave_the_project() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = dir.path().canonicalize().expect("canonical").join("p");
        std::fs::create_dir_all(root.join("landing")).expect("created");
        std::fs::create_dir_all(dir.path().join("other")).expect("created");
        let mut fence = Fence::new(&root);
        assert_eq!(fence.resolve("landing/a"), Ok(root.join("landing/a")));
        std::fs::write(root.join("landing/a"), "").expect("written");
        let there = fence.resolve("landing/a").map(PathBuf::into_os_string);
        assert_eq!(there, Ok(root.join("landing/a").into_os_string()), "a file, whatever paths are equal");
        assert_eq!(fence.resolve("landing/../lake"), Ok(root.join("lake")));
        for bad in ["..", "landing/../../other", "/etc", "/"] {
            assert_eq!(fence.resolve(bad), Err(PathMistake::Outside), "{bad}");
        }
        assert_eq!(fence.resolve("s3://bucket"), Err(PathMistake::Remote));
        assert_eq!(fence.resolve("a\0b"), Err(PathMistake::Unusable));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("../other", root.join("link")).expect("linked");
            assert_eq!(fence.resolve("link/x"), Err(PathMistake::Outside));
        }
        fence.allow(&dir.path().join("other"));
        assert!(fence.resolve("../other/x").is_ok());
    }
}
