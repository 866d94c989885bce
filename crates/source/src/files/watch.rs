//! Notices of files that arrive in landing folders, so that nobody has to look all the time.
//!
//! Called by the server's loop. A notice says that a look may find something, and no more; one may be missing, so that a
//! scan has to come by at times. Holds at most one notice for each dataset, however many come.

use super::{FilesError, walk::pattern};
use alluvium_flow::Arrived;
use alluvium_model::DatasetName;
use alluvium_spec::Project;
use globset::GlobMatcher;
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};
use tokio::sync::Notify;

/// Watches the landing folders of a project's bronze datasets.
pub struct FolderWatch {
    watcher: Mutex<RecommendedWatcher>,
    shared: Arc<Shared>,
}

/// A folder that cannot be watched; only the scan sees what arrives there.
#[derive(Debug)]
pub struct Unwatched {
    pub folder: PathBuf,
    pub error: notify::Error,
}

struct Shared {
    folders: BTreeMap<PathBuf, Folder>,
    state: Mutex<State>,
    changed: Notify,
}

struct Folder {
    recursive: bool,
    datasets: Vec<(DatasetName, GlobMatcher)>,
}

#[derive(Default)]
struct State {
    changed: BTreeMap<DatasetName, Arrived>,
    /// Folders that are watched now.
    armed: BTreeSet<PathBuf>,
    /// Folders above some that are not there yet.
    above: BTreeSet<PathBuf>,
    /// A folder went, or may have come: the watches have to be made anew.
    disarmed: bool,
}

impl FolderWatch {
    /// Watches nothing until [`FolderWatch::arm`].
    ///
    /// # Errors
    /// When the system gives no watches at all, or a pattern is none.
    pub fn new(project: &Project) -> Result<Self, FilesError> {
        let mut folders: BTreeMap<PathBuf, Folder> = BTreeMap::new();
        for dataset in project.datasets.values() {
            let (Some(bronze), Some(folder)) = (dataset.bronze(), dataset.folder()) else { continue };
            if bronze.schedule.is_some() {
                continue;
            }
            let glob = pattern(&bronze.files.glob)?;
            let folder =
                folders.entry(folder.to_owned()).or_insert_with(|| Folder { recursive: false, datasets: Vec::new() });
            folder.recursive |= bronze.files.glob.contains('/') || bronze.files.glob.contains("**");
            folder.datasets.push((dataset.name.clone(), glob));
        }
        let shared = Arc::new(Shared { folders, state: Mutex::default(), changed: Notify::new() });
        let hears = shared.clone();
        let watcher = notify::recommended_watcher(move |event| hears.take(event)).map_err(FilesError::Watch)?;
        Ok(Self { watcher: Mutex::new(watcher), shared })
    }

    /// Waits until something may have arrived, and tells for which datasets, and how much at most. Dropping the future loses
    /// nothing.
    pub async fn changed(&self) -> BTreeMap<DatasetName, Arrived> {
        loop {
            let told = self.shared.changed.notified();
            {
                let mut state = self.shared.state();
                if state.disarmed || !state.changed.is_empty() {
                    return std::mem::take(&mut state.changed);
                }
            }
            told.await;
        }
    }

    /// As [`FolderWatch::changed`], without waiting.
    pub fn noticed(&self) -> BTreeMap<DatasetName, Arrived> {
        std::mem::take(&mut self.shared.state().changed)
    }

    /// Whether something arrived for the dataset since the last answer.
    pub fn has_notice(&self, name: &DatasetName) -> bool {
        self.shared.state().changed.contains_key(name)
    }

    /// A file of this dataset gave no notice: another folder may have come to its place. The next [`FolderWatch::arm`] watches
    /// what is there now.
    pub fn renew(&self, name: &DatasetName) {
        let mut watcher = self.watcher.lock().expect("no holder of this lock panics");
        for (path, folder) in &self.shared.folders {
            if folder.datasets.iter().any(|(n, _)| n == name) && self.shared.state().armed.remove(path) {
                // What is gone is not watched either.
                let _ = watcher.unwatch(path);
            }
        }
    }

    /// Watches what is not watched yet. Tells whose folders are watched from now on: what arrived in them before gave no
    /// notice. For a folder that is not there the nearest one above it is watched until it comes.
    pub fn arm(&self) -> (BTreeSet<DatasetName>, Vec<Unwatched>) {
        let mut watcher = self.watcher.lock().expect("no holder of this lock panics");
        self.shared.state().disarmed = false;
        let (mut fresh, mut unwatched) = (BTreeSet::new(), Vec::new());
        for (path, folder) in &self.shared.folders {
            if self.shared.state().armed.contains(path) {
                continue;
            }
            let (place, mode) = match nearest(path) {
                Some(place) if place == path => (place, mode(folder)),
                Some(place) if self.is_watched(place) => continue,
                Some(place) => (place, RecursiveMode::NonRecursive),
                None => continue,
            };
            match watcher.watch(place, mode) {
                Ok(()) if place == path => {
                    self.shared.state().armed.insert(path.clone());
                    fresh.extend(folder.datasets.iter().map(|(name, _)| name.clone()));
                }
                Ok(()) => {
                    self.shared.state().above.insert(place.to_owned());
                    // It may have come just before.
                    self.shared.state().disarmed |= path.is_dir();
                }
                Err(error) => unwatched.push(Unwatched { folder: path.clone(), error }),
            }
        }
        (fresh, unwatched)
    }

    fn is_watched(&self, place: &Path) -> bool {
        let state = self.shared.state();
        state.armed.contains(place) || state.above.contains(place)
    }
}

fn mode(folder: &Folder) -> RecursiveMode {
    if folder.recursive { RecursiveMode::Recursive } else { RecursiveMode::NonRecursive }
}

/// The folder itself, or the nearest one above it that is there.
fn nearest(folder: &Path) -> Option<&Path> {
    folder.ancestors().find(|a| a.is_dir())
}

impl Shared {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// On the watcher's own thread.
    fn take(&self, event: notify::Result<Event>) {
        let Ok(event) = event else {
            // Something was lost: everybody has to look.
            return self.all();
        };
        if event.need_rescan() {
            return self.all();
        }
        if !says_change(&event.kind) {
            return;
        }
        let is_whole = is_whole(&event.kind);
        let mut state = self.state();
        for path in &event.paths {
            for (root, folder) in &self.folders {
                if path == root || root.starts_with(path) {
                    // The folder itself came, went or moved.
                    if matches!(
                        event.kind,
                        EventKind::Remove(_) | EventKind::Modify(notify::event::ModifyKind::Name(_))
                    ) {
                        state.armed.remove(root);
                    }
                    state.above.remove(path);
                    state.disarmed = true;
                    continue;
                }
                let Ok(inside) = path.strip_prefix(root) else { continue };
                let is_folder = path.is_dir();
                for (name, glob) in &folder.datasets {
                    if glob.is_match(inside) || (folder.recursive && is_folder) {
                        let bytes = path.metadata().map_or(0, |m| m.len());
                        let one = if is_whole { Arrived { objects: 1, bytes } } else { Arrived::default() };
                        state.changed.entry(name.clone()).or_default().add(one);
                    }
                }
            }
        }
        let tells = state.disarmed || !state.changed.is_empty();
        drop(state);
        if tells {
            self.changed.notify_one();
        }
    }

    fn all(&self) {
        let mut state = self.state();
        for (name, _) in self.folders.values().flat_map(|f| &f.datasets) {
            state.changed.entry(name.clone()).or_default();
        }
        drop(state);
        self.changed.notify_one();
    }
}

/// Reading a file gives notices too, and they say nothing.
fn says_change(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => true,
    }
}

/// Of the notices that one file gives, the one after which it lies there as a whole.
fn is_whole(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Modify(notify::event::ModifyKind::Name(_))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn project(source: &str) -> (tempfile::TempDir, Project) {
        let t = tempfile::tempdir().expect("a folder");
        let put = |path: &str, text: &str| {
            let at = t.path().join(path);
            fs::create_dir_all(at.parent().expect("a parent")).expect("a folder");
            fs::write(at, text).expect("a file");
        };
        put("alluvium.yaml", "name: t\n");
        put("datasets/bronze/a.yaml", source);
        let project = alluvium_spec::load(t.path(), &alluvium_spec::Environment::default()).expect("a project");
        (t, project)
    }

    async fn told(watch: &FolderWatch) -> Vec<String> {
        let limit = std::time::Duration::from_secs(120);
        let names = tokio::time::timeout(limit, watch.changed()).await.expect("a notice comes");
        names.keys().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn a_file_that_matches_gives_a_notice() {
        let (t, project) = project("source: { files: landing/, glob: \"*.csv\" }\n");
        fs::create_dir(t.path().join("landing")).expect("a folder");
        let watch = FolderWatch::new(&project).expect("a watch");
        let (fresh, unwatched) = watch.arm();
        assert_eq!((fresh.len(), unwatched.len()), (1, 0));
        assert!(watch.arm().0.is_empty(), "it is watched already");
        fs::write(t.path().join("landing/a.txt"), "x").expect("a file");
        fs::write(t.path().join("landing/a.csv"), "x").expect("a file");
        assert_eq!(told(&watch).await, ["bronze.a"]);
    }

    #[tokio::test]
    async fn a_folder_that_comes_later_is_watched_from_then() {
        let (t, project) = project("source: { files: landing/deep/, glob: \"**/*.csv\" }\n");
        let watch = FolderWatch::new(&project).expect("a watch");
        assert!(watch.arm().0.is_empty());
        fs::create_dir_all(t.path().join("landing/deep/er")).expect("a folder");
        let mut fresh = BTreeSet::new();
        while fresh.is_empty() {
            told(&watch).await;
            fresh = watch.arm().0;
        }
        fs::write(t.path().join("landing/deep/er/a.csv"), "x").expect("a file");
        while told(&watch).await.is_empty() {
            watch.arm();
        }
    }

    #[tokio::test]
    async fn a_folder_in_the_place_of_another_is_watched_when_it_is_renewed() {
        let (t, project) = project("source: { files: landing/in/, glob: \"*.csv\" }\n");
        let put = |path: &str| fs::create_dir_all(t.path().join(path)).expect("a folder");
        put("landing/in");
        put("next/in");
        let watch = FolderWatch::new(&project).expect("a watch");
        watch.arm();
        fs::rename(t.path().join("landing"), t.path().join("before")).expect("renamed");
        fs::rename(t.path().join("next"), t.path().join("landing")).expect("renamed");
        watch.renew(project.datasets.keys().next().expect("a dataset"));
        assert_eq!(watch.arm().0.len(), 1);
        fs::write(t.path().join("landing/in/a.csv"), "x").expect("a file");
        assert_eq!(told(&watch).await, ["bronze.a"]);
    }

    #[tokio::test]
    async fn a_folder_that_goes_and_comes_is_watched_again() {
        let (t, project) = project("source: { files: landing/, glob: \"*.csv\" }\n");
        let landing = t.path().join("landing");
        fs::create_dir(&landing).expect("a folder");
        let watch = FolderWatch::new(&project).expect("a watch");
        watch.arm();
        fs::rename(&landing, t.path().join("away")).expect("renamed");
        told(&watch).await;
        watch.arm();
        fs::create_dir(&landing).expect("a folder");
        let mut fresh = BTreeSet::new();
        while fresh.is_empty() {
            told(&watch).await;
            fresh = watch.arm().0;
        }
        fs::write(landing.join("a.csv"), "x").expect("a file");
        while told(&watch).await.is_empty() {
            watch.arm();
        }
    }
}
