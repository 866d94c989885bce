//! What has to be on the disk before a commit refers to it: written out beside the work, and waited for once.
//!
//! Called by whatever stages files; each commit waits for all that was started in its table before it: steps of other tables may run
//! beside it, and are told of their own. What is pending is bounded by the files that are staged between two commits, and their row groups.

use crate::error::LakeError;
use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{runtime::Handle, sync::Notify};

#[derive(Debug, Clone, Default)]
pub(crate) struct Syncs(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    /// Told whenever one has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    started: u64,
    /// By their numbers.
    files: BTreeMap<u64, PathBuf>,
    refused: Vec<(PathBuf, LakeError)>,
    /// Those that hold the files' names, with the number of the last one that came.
    folders: BTreeMap<PathBuf, u64>,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that was started; it ends however its thread does.
struct Started {
    shared: Arc<Shared>,
    number: u64,
    result: Result<(), LakeError>,
}

impl Started {
    fn ends(mut self, result: Result<(), LakeError>) {
        self.result = result;
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let mut pending = self.shared.pending();
        let path = pending.files.remove(&self.number);
        let result = std::mem::replace(&mut self.result, Ok(()));
        pending.refused.extend(path.zip(result.err()));
        drop(pending);
        self.shared.ended.notify_waiters();
    }
}

impl Syncs {
    /// Begins to write out what `file`, which is or will be at `path`, holds now. Done on return where there is no runtime.
    pub(crate) fn start(&self, file: &File, path: &Path) -> Result<(), LakeError> {
        let file = file.try_clone().map_err(LakeError::io(path))?;
        let failed = LakeError::io(path.to_owned());
        let sync = move || file.sync_all().map_err(failed);
        let Ok(runtime) = Handle::try_current() else { return sync() };
        let mut pending = self.0.pending();
        pending.started += 1;
        let number = pending.started;
        pending.files.insert(number, path.to_owned());
        pending.folders.extend(path.parent().map(|folder| (folder.to_owned(), number)));
        drop(pending);
        let ended_early = Err(LakeError::Worker("a thread ended early"));
        let started = Started { shared: self.0.clone(), number, result: ended_early };
        runtime.spawn_blocking(move || started.ends(sync()));
        Ok(())
    }

    /// All that was started below `folder`, a table's, is on the disk, and so are the names of the files.
    ///
    /// # Errors
    /// When the disk refused any of it: then nothing may refer to these files. Told once.
    pub(crate) async fn wait(&self, folder: &Path) -> Result<(), LakeError> {
        let last = self.0.pending().started;
        loop {
            let mut ended = pin!(self.0.ended.notified());
            ended.as_mut().enable();
            let is_pending = |(number, path): (&u64, &PathBuf)| *number <= last && path.starts_with(folder);
            if !self.0.pending().files.iter().any(is_pending) {
                break;
            }
            ended.await;
        }
        let refused: Vec<_> = self.0.pending().refused.extract_if(.., |(path, _)| path.starts_with(folder)).collect();
        if let Some((_, error)) = refused.into_iter().next() {
            return Err(error);
        }
        let folders: Vec<_> = self.0.pending().folders.iter().map(|(f, n)| (f.clone(), *n)).collect();
        for (folder, number) in folders.into_iter().filter(|(f, _)| f.starts_with(folder)) {
            File::open(&folder).and_then(|f| f.sync_all()).map_err(LakeError::io(&folder))?;
            // Another file may have come into it meanwhile.
            let mut pending = self.0.pending();
            if pending.folders.get(&folder) == Some(&number) {
                pending.folders.remove(&folder);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::ErrorKind, os::fd::OwnedFd};

    fn starts(syncs: &Syncs, path: &Path) {
        syncs.start(&File::create(path).expect("a file"), path).expect("starts");
    }

    /// A pipe cannot be written out.
    fn starts_in_vain(syncs: &Syncs, path: &Path) {
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        syncs.start(&File::from(OwnedFd::from(reader)), path).expect("starts");
    }

    fn is_refused(result: Result<(), LakeError>) -> bool {
        matches!(result, Err(LakeError::Io { source, .. }) if source.kind() == ErrorKind::InvalidInput)
    }

    #[tokio::test]
    async fn what_the_disk_refused_is_told_to_who_waits() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let syncs = Syncs::default();
        starts(&syncs, &path);
        syncs.wait(folder.path()).await.expect("is on the disk");
        for _ in 0..2 {
            starts_in_vain(&syncs, &path);
        }
        assert!(is_refused(syncs.wait(folder.path()).await));
        syncs.wait(folder.path()).await.expect("told once");
    }

    #[tokio::test]
    async fn each_table_is_told_of_its_own_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        [&a, &b].into_iter().for_each(|table| std::fs::create_dir(table).expect("a folder"));
        let syncs = Syncs::default();
        starts(&syncs, &a.join("file"));
        starts_in_vain(&syncs, &b.join("file"));
        // Who gives up waiting takes nothing with him.
        let _ = tokio::time::timeout(std::time::Duration::ZERO, syncs.wait(&b)).await;
        starts_in_vain(&syncs, &b.join("another"));
        syncs.wait(&a).await.expect("its own is on the disk");
        assert!(is_refused(syncs.wait(&b).await));
        assert!(syncs.0.pending().folders.keys().eq([&b]), "its names are not known to be on the disk");
    }
}
