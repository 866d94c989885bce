//! Files that a person names: one, a folder with all that is in it, or a pattern as a source has it.

use super::{FilesError, walk};
use alluvium_flow::Refused;
use alluvium_spec::FileSource;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

const EVERYTHING: &str = "**";
/// A dataset takes no longer one.
const LONGEST_GLOB: usize = 1_000;

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
    /// Whether folder and pattern tell these files and no others.
    pub exact: bool,
}

impl Named {
    /// What several paths mean together, each file once; `None`: there is no path. The folder is the one that all lie in, as an absolute path where
    /// they name several.
    pub fn together(mut all: Vec<Self>) -> Option<Self> {
        if all.len() < 2 {
            return all.pop();
        }
        let first = all[0].folder.clone();
        let shared = all.iter().all(|n| n.folder == first);
        let folders: Option<Vec<PathBuf>> = if shared {
            Some(vec![first; all.len()])
        } else {
            all.iter().map(|n| n.folder.canonicalize().ok()).collect()
        };
        let common = folders.as_deref().and_then(common);
        let globs = folders.zip(common.as_deref()).and_then(|(folders, common)| {
            all.iter().zip(&folders).map(|(n, folder)| n.glob_in(folder.strip_prefix(common).ok()?)).collect()
        });
        let glob = globs.and_then(|globs: BTreeSet<String>| match globs.len() {
            1 => globs.into_iter().next(),
            _ => Some(format!("{{{}}}", globs.into_iter().collect::<Vec<_>>().join(","))),
        });
        let glob = glob.filter(|g| g.len() <= LONGEST_GLOB);
        let (mut files, mut refused, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for named in &mut all {
            files.extend(named.files.drain(..).filter(|f| seen.insert(f.clone())));
            refused.append(&mut named.refused);
        }
        let is_file = all.iter().all(|n| n.is_file) && files.len() == 1;
        let folder = common.unwrap_or_else(|| all.swap_remove(0).folder);
        Some(Self { files, refused, is_file, folder, exact: glob.is_some(), glob })
    }

    /// Its pattern from a folder above, as one of several alternatives; `None`: a comma of its own would end it.
    fn glob_in(&self, way: &Path) -> Option<String> {
        let way = way.to_str()?;
        let glob = self.glob.as_deref().unwrap_or("*");
        let plain = |text: &str| text.replace(',', "[,]");
        let glob = match (self.is_file, glob.contains(',')) {
            (true, _) => plain(glob),
            (false, false) => glob.to_owned(),
            (false, true) => return None,
        };
        Some(if way.is_empty() { glob } else { format!("{}/{glob}", plain(&globset::escape(way))) })
    }
}

/// The folder that all of these lie in; `None`: only the root of the disk is.
fn common(folders: &[PathBuf]) -> Option<PathBuf> {
    let mut common = folders.first()?.clone();
    while !folders.iter().all(|f| f.starts_with(&common)) {
        common = common.parent()?.to_owned();
    }
    (common.is_relative() || common.parent().is_some()).then_some(common)
}

/// Whether a source has all of these files among those that it reads.
pub fn reads(source: &FileSource, files: &[PathBuf]) -> bool {
    let (Ok(folder), Ok(glob)) = (source.folder.canonicalize(), walk::pattern(&source.glob)) else { return false };
    let whole = |f: &PathBuf| Some(f.parent()?.canonicalize().ok()?.join(f.file_name()?));
    files.iter().all(|f| whole(f).is_some_and(|f| f.strip_prefix(&folder).is_ok_and(|inside| glob.is_match(inside))))
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
            exact: true,
        });
    }
    let is_pattern = |part: &Path| part.to_string_lossy().contains(['*', '?', '[', '{']);
    let parts: Vec<_> = path.components().collect();
    let first = parts.iter().position(|p| is_pattern(p.as_ref()));
    let (folder, pattern) = parts.split_at(first.unwrap_or(parts.len()));
    let folder: PathBuf = if folder.is_empty() { PathBuf::from(".") } else { folder.iter().collect() };
    let pattern: PathBuf = pattern.iter().collect();
    if first.is_none() || !folder.is_dir() {
        return Ok(Named { files: Vec::new(), refused: Vec::new(), is_file: false, folder, glob: None, exact: true });
    }
    under(&folder, &pattern.to_string_lossy())
}

fn under(folder: &Path, pattern: &str) -> Result<Named, FilesError> {
    let walked = walk::walk(folder, &walk::pattern(pattern)?);
    let files = walked.files.into_iter().map(|f| folder.join(f.path)).collect();
    // A folder that a pattern for everything matches is no mistake.
    let refused = if pattern == EVERYTHING { Vec::new() } else { walked.refused };
    Ok(Named { files, refused, is_file: false, folder: folder.to_owned(), glob: Some(pattern.to_owned()), exact: true })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_model::Span;
    use alluvium_spec::CsvOptions;
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

    #[test]
    fn several_paths_have_a_folder_and_a_pattern_in_common() {
        let t = tempfile::tempdir().expect("a folder");
        let root = t.path().canonicalize().expect("a folder");
        for file in ["in/a/x.csv", "in/a/x.txt", "in/a/b,c.csv", "in/b/y.csv", "in/b/z.csv", "in/c/n.csv"] {
            fs::create_dir_all(root.join(file).parent().expect("a folder")).expect("a folder");
            fs::write(root.join(file), "x\n").expect("a file");
        }
        let of = |paths: &[&str]| {
            let all = paths.iter().map(|p| named(&root.join(p)).expect("a pattern")).collect();
            Named::together(all).expect("paths")
        };
        for (paths, folder, glob) in [
            (&["in/a/*.csv"][..], "in/a", "*.csv"),
            (&["in/a/x.csv", "in/a/b,c.csv"], "in/a", "{b[,]c.csv,x.csv}"),
            (&["in/a/x.csv", "in/a/x.csv"], "in/a", "x.csv"),
            (&["in/a/*.csv", "in/b"], "in", "{a/*.csv,b/*}"),
            (&["in/a/*.csv", "in/b/y.csv", "in/c"], "in", "{a/*.csv,b/y.csv,c/*}"),
        ] {
            let found = of(paths);
            assert_eq!((found.folder.as_path(), found.glob.as_deref()), (&*root.join(folder), Some(glob)), "{paths:?}");
            let again = under(&found.folder, glob).expect("a pattern");
            let sorted = |files: Vec<PathBuf>| files.into_iter().collect::<BTreeSet<_>>();
            assert!(found.exact && sorted(again.files) == sorted(found.files), "{paths:?}");
        }
        let found = of(&["in/a/{x,y}.csv", "in/b"]);
        assert!(!found.exact && found.glob.is_none() && found.files.len() == 3, "{found:?}");
        assert_eq!(common(&["/a/b".into(), "/c".into()]), None);
    }

    #[test]
    fn a_source_reads_what_its_pattern_takes() {
        let t = tempfile::tempdir().expect("a folder");
        fs::create_dir(t.path().join("deep")).expect("a folder");
        let files = ["a.csv", "a.txt", "deep/b.csv"].map(|f| t.path().join(f));
        files.iter().for_each(|f| fs::write(f, "x\n").expect("a file"));
        let reads = |glob: &str, files: &[PathBuf]| {
            let csv = CsvOptions { delimiter: None, quote: b'"', columns: None };
            let (folder, glob) = (t.path().to_owned(), glob.to_owned());
            super::reads(&FileSource { folder, remote: None, glob, settle: Span::ZERO, format: None, csv }, files)
        };
        assert!(
            reads("*.csv", &files[..1])
                && reads("**", &files)
                && reads("**/*.csv", &[files[0].clone(), files[2].clone()])
        );
        assert!(!reads("*.csv", &files[..2]) && !reads("*", &files[2..]) && !reads("**", &["/".into()]));
    }
}
