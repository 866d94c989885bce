//! Lists what lies in a landing folder and sorts it into files to take and things to refuse. Opens nothing.

use super::{FilesError, refusal::Refusal};
use alluvium_flow::Refused;
use globset::{GlobBuilder, GlobMatcher};
use std::{
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};
use walkdir::{DirEntry, WalkDir};

/// Folders below the landing folder; deeper ones are refused.
pub(super) const MOST_LEVELS: usize = 32;

/// What tells, without reading, that a file is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) bytes: u64,
    pub(super) modified_nanos: i64,
    /// Device and inode.
    identity: (u64, u64),
}

impl Stat {
    pub(super) fn of(meta: &Metadata) -> Self {
        let nanos = meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec());
        Self { bytes: meta.len(), modified_nanos: nanos, identity: (meta.dev(), meta.ino()) }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Found {
    /// Relative to the landing folder, `/` between parts.
    pub(super) path: String,
    /// Where to open it, all links resolved.
    pub(super) place: PathBuf,
    pub(super) stat: Stat,
}

#[derive(Debug, Default)]
pub(super) struct Walked {
    pub(super) files: Vec<Found>,
    pub(super) refused: Vec<Refused>,
}

/// `*` and `?` stay inside one folder's name, `**` does not; `{,.gz}` matches with and without the ending.
pub(super) fn pattern(glob: &str) -> Result<GlobMatcher, FilesError> {
    let built = GlobBuilder::new(glob).literal_separator(true).empty_alternates(true).build();
    Ok(built.map_err(|source| FilesError::Glob { glob: glob.to_owned(), source })?.compile_matcher())
}

/// Sorted by path. Never follows a link out of `folder`.
pub(super) fn walk(folder: &Path, glob: &GlobMatcher) -> Walked {
    let mut walked = Walked::default();
    let root = match fs::canonicalize(folder) {
        Ok(root) if root.is_dir() => root,
        Ok(_) => {
            walked.refused.push(Refusal::NoFolder.at(folder));
            return walked;
        }
        Err(e) => {
            walked.refused.push(Refusal::of(&e).unwrap_or(Refusal::NoFolder).at(folder));
            return walked;
        }
    };
    let mut folders = Vec::new();
    let entries = WalkDir::new(&root).min_depth(1).max_depth(MOST_LEVELS + 1).sort_by_file_name();
    for entry in entries.into_iter().filter_entry(|e| !is_unfinished(e)) {
        match entry {
            Ok(entry) => visit(&root, glob, &entry, &mut folders, &mut walked),
            Err(e) => {
                let path = e.path().unwrap_or(&root);
                let refusal = e.io_error().map_or(Some(Refusal::LinkLeavesFolder), Refusal::of);
                walked.refused.extend(refusal.map(|r| r.at(relative(&root, path))));
            }
        }
    }
    walked.files.sort_by(|a, b| a.path.cmp(&b.path));
    refuse_folders(glob, folders, &mut walked);
    walked.refused.sort_by(|a, b| a.path.cmp(&b.path));
    walked
}

/// The file at this path, if there is one, and it lies in the folder.
pub(super) fn find(folder: &Path, path: &str) -> Option<Found> {
    let root = fs::canonicalize(folder).ok()?;
    let place = fs::canonicalize(root.join(path)).ok().filter(|p| p.starts_with(&root))?;
    let meta = fs::symlink_metadata(&place).ok().filter(Metadata::is_file)?;
    Some(Found { path: path.to_owned(), place, stat: Stat::of(&meta) })
}

fn visit(root: &Path, glob: &GlobMatcher, entry: &DirEntry, folders: &mut Vec<PathBuf>, walked: &mut Walked) {
    let path = relative(root, entry.path());
    let matches = glob.is_match(path);
    if entry.file_type().is_dir() {
        if entry.depth() > MOST_LEVELS {
            walked.refused.push(Refusal::TooDeep.at(path));
        } else if matches {
            folders.push(path.to_owned());
        }
        return;
    }
    if !matches {
        return;
    }
    match found(root, path, entry) {
        Ok(Some(file)) => walked.files.push(file),
        Ok(None) => {}
        Err(refusal) => walked.refused.push(refusal.at(path)),
    }
}

/// `None`: the file went away in between.
fn found(root: &Path, path: &Path, entry: &DirEntry) -> Result<Option<Found>, Refusal> {
    let text = path.to_str().ok_or(Refusal::NotUtf8)?;
    let place = match entry.file_type().is_symlink() {
        false => entry.path().to_owned(),
        true => match fs::canonicalize(entry.path()) {
            Ok(target) if target.starts_with(root) => target,
            Ok(_) => return Err(Refusal::LinkLeavesFolder),
            Err(e) => return Err(Refusal::of(&e).unwrap_or(Refusal::LinkToNothing)),
        },
    };
    let meta = match fs::symlink_metadata(&place) {
        Ok(meta) => meta,
        Err(e) => return Refusal::of(&e).map_or(Ok(None), Err),
    };
    if meta.is_dir() {
        return Err(Refusal::IsFolder);
    }
    if !meta.is_file() {
        return Err(Refusal::NotAFile);
    }
    Ok(Some(Found { path: text.to_owned(), place, stat: Stat::of(&meta) }))
}

/// A folder whose name matches stands in a file's place, unless the pattern also reaches into it, as `**` does.
fn refuse_folders(glob: &GlobMatcher, folders: Vec<PathBuf>, walked: &mut Walked) {
    for folder in folders {
        let holds_files = || {
            let inside = |f: &Found| Path::new(&f.path).starts_with(&folder);
            walked.files.iter().any(inside)
        };
        if !glob.is_match(folder.join("any")) && !holds_files() {
            walked.refused.push(Refusal::IsFolder.at(&folder));
        }
    }
}

/// Names by which writers mark what is not, or not yet, for readers.
fn is_unfinished(entry: &DirEntry) -> bool {
    entry.depth() > 0 && says_unfinished(entry.file_name().as_encoded_bytes())
}

/// Of a file or a folder that somebody still works at, by its name.
pub(super) fn says_unfinished(name: &[u8]) -> bool {
    let ending = |e: &[u8]| name.ends_with(e);
    name.starts_with(b".") || name.starts_with(b"_") || ending(b".tmp") || ending(b".part")
}

fn relative<'a>(root: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        ffi::OsStr,
        os::unix::{ffi::OsStrExt, fs::symlink, net::UnixListener},
    };

    fn look(folder: &Path, glob: &str) -> (Vec<String>, Vec<(String, &'static str)>) {
        let w = walk(folder, &pattern(glob).expect("a pattern"));
        let refused = w.refused.into_iter().map(|r| (r.path, r.code)).collect();
        (w.files.into_iter().map(|f| f.path).collect(), refused)
    }

    fn put(folder: &Path, path: &str) {
        let at = folder.join(path);
        fs::create_dir_all(at.parent().expect("a parent")).expect("a folder");
        fs::write(at, path).expect("a file");
    }

    #[test]
    fn a_star_stays_in_its_folder() {
        let t = tempfile::tempdir().expect("a folder");
        for path in ["b.csv", "a.csv", "2013/c.csv", "2013/01/d.csv", "e.txt", "f.csv.gz"] {
            put(t.path(), path);
        }
        assert_eq!(look(t.path(), "*.csv").0, ["a.csv", "b.csv"]);
        assert_eq!(look(t.path(), "*/*.csv").0, ["2013/c.csv"]);
        assert_eq!(look(t.path(), "**/*.csv").0, ["2013/01/d.csv", "2013/c.csv", "a.csv", "b.csv"]);
        assert_eq!(look(t.path(), "*.csv{,.gz}").0, ["a.csv", "b.csv", "f.csv.gz"]);
        assert_eq!(look(t.path(), "**").1, []);
    }

    #[test]
    fn unfinished_files_are_left_alone() {
        let t = tempfile::tempdir().expect("a folder");
        for path in [".a.csv", "_b.csv", "c.csv.tmp", "d.csv.part", "_tmp/e.csv", "f.csv"] {
            put(t.path(), path);
        }
        assert_eq!(look(t.path(), "**"), (vec!["f.csv".to_owned()], vec![]));
    }

    #[test]
    fn what_is_no_file_is_refused_by_name() {
        let t = tempfile::tempdir().expect("a folder");
        put(t.path(), "folder.csv/notes.txt");
        let _socket = UnixListener::bind(t.path().join("socket.csv")).expect("a socket");
        fs::write(t.path().join(OsStr::from_bytes(b"\xff.csv")), "x").expect("a file");
        let (files, refused) = look(t.path(), "*.csv");
        assert_eq!(files, [""; 0]);
        let expected = [("folder.csv", "G0001"), ("socket.csv", "G0002"), ("\u{fffd}.csv", "G0004")];
        assert_eq!(refused, expected.map(|(p, c)| (p.to_owned(), c)));
    }

    #[test]
    fn a_folder_that_holds_matching_files_is_no_refusal() {
        let t = tempfile::tempdir().expect("a folder");
        put(t.path(), "export.csv/part-0.csv");
        assert_eq!(look(t.path(), "**/*.csv"), (vec!["export.csv/part-0.csv".to_owned()], vec![]));
    }

    #[test]
    fn links_stay_inside() {
        let t = tempfile::tempdir().expect("a folder");
        let (inside, outside) = (t.path().join("in"), t.path().join("out"));
        put(&inside, "a.csv");
        put(&outside, "secret.csv");
        symlink(inside.join("a.csv"), inside.join("again.csv")).expect("a link");
        symlink(outside.join("secret.csv"), inside.join("leak.csv")).expect("a link");
        symlink(inside.join("nowhere"), inside.join("void.csv")).expect("a link");
        symlink(&outside, inside.join("folder")).expect("a link");
        let (files, refused) = look(&inside, "**/*.csv");
        assert_eq!(files, ["a.csv", "again.csv"]);
        assert_eq!(refused, [("leak.csv".to_owned(), "G0007"), ("void.csv".to_owned(), "G0008")]);
    }

    #[test]
    fn a_missing_folder_is_said() {
        let t = tempfile::tempdir().expect("a folder");
        let (missing, file) = (t.path().join("missing"), t.path().join("file"));
        put(t.path(), "file");
        for at in [missing, file] {
            assert_eq!(look(&at, "*").1, [(at.display().to_string(), "G0005")]);
        }
    }

    #[test]
    fn depth_has_an_end_that_is_said() {
        let t = tempfile::tempdir().expect("a folder");
        let deep = vec!["d"; MOST_LEVELS + 1].join("/");
        put(t.path(), &format!("{deep}/a.csv"));
        let (files, refused) = look(t.path(), "**/*.csv");
        assert_eq!((files.len(), refused), (0, vec![(deep, "G0009")]));
    }
}
