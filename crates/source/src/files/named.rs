//! Files that a person names: one, a folder with all that is in it, or a pattern as a source has it.

use super::{FilesError, walk};
use alluvium_flow::Refused;
use std::path::{Path, PathBuf};

const EVERYTHING: &str = "**";

/// What a path on the command line means.
#[derive(Debug)]
pub struct Named {
    /// By name.
    pub files: Vec<PathBuf>,
    /// What matched and can be no landing object.
    pub refused: Vec<Refused>,
    /// It is the path of the only one.
    pub is_file: bool,
    /// The folder and the pattern with which a source reads the same files; `None`: every file that lies in the folder itself.
    pub folder: PathBuf,
    pub glob: Option<String>,
}

/// No files where nothing has this path. Nothing is opened.
///
/// # Errors
/// When it is a pattern that cannot be read.
pub fn named(path: &Path) -> Result<Named, FilesError> {
    if path.is_dir() {
        let mut found = under(path, EVERYTHING)?;
        let deep = found.files.iter().any(|f| f.parent() != Some(path));
        found.glob = deep.then(|| EVERYTHING.to_owned());
        return Ok(found);
    }
    if path.exists() {
        let folder = path.parent().map(|p| if p.as_os_str().is_empty() { Path::new(".") } else { p });
        return Ok(Named {
            files: vec![path.to_owned()],
            refused: Vec::new(),
            is_file: true,
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
            glob: path.file_name().and_then(|n| n.to_str()).map(globset::escape),
        });
    }
    let is_pattern = |part: &Path| part.to_string_lossy().contains(['*', '?', '[', '{']);
    let parts: Vec<_> = path.components().collect();
    let first = parts.iter().position(|p| is_pattern(p.as_ref()));
    let (folder, pattern) = parts.split_at(first.unwrap_or(parts.len()));
    let folder: PathBuf = if folder.is_empty() { PathBuf::from(".") } else { folder.iter().collect() };
    let pattern: PathBuf = pattern.iter().collect();
    if first.is_none() || !folder.is_dir() {
        return Ok(Named { files: Vec::new(), refused: Vec::new(), is_file: false, folder, glob: None });
    }
    under(&folder, &pattern.to_string_lossy())
}

fn under(folder: &Path, pattern: &str) -> Result<Named, FilesError> {
    let walked = walk::walk(folder, &walk::pattern(pattern)?);
    let files = walked.files.into_iter().map(|f| folder.join(f.path)).collect();
    // A folder that a pattern for everything matches is no mistake.
    let refused = if pattern == EVERYTHING { Vec::new() } else { walked.refused };
    Ok(Named { files, refused, is_file: false, folder: folder.to_owned(), glob: Some(pattern.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_file_a_folder_and_a_pattern() {
        let t = tempfile::tempdir().expect("a folder");
        let root = t.path();
        fs::create_dir(root.join("deep")).expect("a folder");
        for file in ["b.csv", "a.csv", "deep/c.csv", "d[1].txt"] {
            fs::write(root.join(file), "x\n").expect("a file");
        }
        let of = |path: &str| {
            let found = named(&root.join(path)).expect("a pattern");
            let names = found.files.iter().map(|f| f.strip_prefix(root).expect("inside").display().to_string());
            (names.collect::<Vec<_>>(), found.glob)
        };
        assert_eq!(
            of(""),
            (vec!["a.csv".into(), "b.csv".into(), "d[1].txt".into(), "deep/c.csv".into()], Some("**".into()))
        );
        assert_eq!(of("deep"), (vec!["deep/c.csv".into()], None));
        assert_eq!(of("*.csv"), (vec!["a.csv".into(), "b.csv".into()], Some("*.csv".into())));
        assert_eq!(of("**/*.csv").0.len(), 3);
        assert_eq!(of("d[1].txt"), (vec!["d[1].txt".into()], Some("d[[]1[]].txt".into())));
        assert_eq!(of("missing"), (Vec::new(), None));
        assert_eq!(of("gone/*.csv"), (Vec::new(), None));
        assert!(named(&root.join("*.{csv")).is_err());
    }
}
