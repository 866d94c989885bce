//! Notices of a change of some files that are there, wherever they lie.
//!
//! Called by the server's loop, which waits for others to write into the state. It looks at nothing by itself.

use super::FilesError;
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::{path::Path, sync::Arc};
use tokio::sync::Notify;

/// Watches files until it is dropped.
pub struct FileWatch {
    _watcher: RecommendedWatcher,
    touched: Arc<Notify>,
}

impl FileWatch {
    /// What is touched from now on is told.
    ///
    /// # Errors
    /// When the system does not watch one of them.
    pub fn new<'a>(files: impl IntoIterator<Item = &'a Path>) -> Result<Self, FilesError> {
        let touched = Arc::new(Notify::new());
        let tells = touched.clone();
        let mut watcher = notify::recommended_watcher(move |_| tells.notify_one()).map_err(FilesError::Watch)?;
        for file in files {
            watcher.watch(file, RecursiveMode::NonRecursive).map_err(FilesError::Watch)?;
        }
        Ok(Self { _watcher: watcher, touched })
    }

    /// Waits until one of them may have changed since the last answer.
    pub async fn touched(&self) {
        self.touched.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, time::Duration};
    use tokio::time::timeout;

    #[tokio::test]
    async fn a_write_is_told_and_a_file_that_is_not_there_cannot_be_watched() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        fs::write(&one, "").expect("a file");
        assert!(FileWatch::new([one.as_path(), other.as_path()]).is_err());
        fs::write(&other, "").expect("a file");
        let watch = FileWatch::new([one.as_path(), other.as_path()]).expect("a watch");
        fs::write(&other, "x").expect("written");
        timeout(Duration::from_secs(20), watch.touched()).await.expect("it is told");
    }
}
