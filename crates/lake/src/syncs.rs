//! What has to be on the disk before a commit refers to it: written out beside the work, and waited for once.
//!
//! Called by whatever stages files; each commit waits for all that was started before it. What is pending is bounded by the files
//! that are staged between two commits, and their row groups.

use crate::error::LakeError;
use std::{
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};
use tokio::{runtime::Handle, task::JoinHandle};

#[derive(Debug, Default)]
pub(crate) struct Syncs {
    pending: Mutex<Pending>,
    /// Held by the one who waits: another one's files may be among those.
    waiting: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Pending {
    files: Vec<JoinHandle<Result<(), LakeError>>>,
    /// Those that hold the files' names.
    folders: BTreeSet<PathBuf>,
}

impl Syncs {
    /// Begins to write out what `file`, which is or will be at `path`, holds now. Done on return where there is no runtime.
    pub(crate) fn start(&self, file: &File, path: &Path) -> Result<(), LakeError> {
        let file = file.try_clone().map_err(LakeError::io(path))?;
        let failed = LakeError::io(path.to_owned());
        let sync = move || file.sync_all().map_err(failed);
        let Ok(runtime) = Handle::try_current() else { return sync() };
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.files.push(runtime.spawn_blocking(sync));
        pending.folders.extend(path.parent().map(Path::to_owned));
        Ok(())
    }

    /// All that was started is on the disk, and so are the names of the files.
    ///
    /// # Errors
    /// When the disk refused any of it: then nothing may refer to these files.
    pub(crate) async fn wait(&self) -> Result<(), LakeError> {
        let _one = self.waiting.lock().await;
        let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        let Pending { files, folders } = pending;
        for file in files {
            file.await.map_err(|_| LakeError::Worker("a thread ended early"))??;
        }
        for folder in folders {
            File::open(&folder).and_then(|f| f.sync_all()).map_err(LakeError::io(&folder))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    #[tokio::test]
    async fn what_the_disk_refused_is_told_to_who_waits() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let syncs = Syncs::default();
        syncs.start(&File::create(&path).expect("a file"), &path).expect("starts");
        syncs.wait().await.expect("is on the disk");
        // A pipe cannot be written out.
        let (reader, _writer) = std::io::pipe().expect("a pipe");
        let pipe = File::from(std::os::fd::OwnedFd::from(reader));
        syncs.start(&pipe, &path).expect("starts");
        let refused = syncs.wait().await.expect_err("refused");
        assert!(
            matches!(&refused, LakeError::Io { source, .. } if source.kind() == ErrorKind::InvalidInput),
            "{refused:?}"
        );
        syncs.wait().await.expect("told once");
    }
}
