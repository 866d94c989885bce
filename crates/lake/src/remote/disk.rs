//! The files of a lake by their paths on this disk, whether the disk is the lake or holds copies.

use super::Remote;
use crate::error::LakeError;
use alluvium_flow::{Copies, StepError};
use async_trait::async_trait;
use std::{
    fs::File,
    io,
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::runtime::Handle;

/// Opens of one file until it is given up, when other processes remove it faster than it is opened.
const MOST_OPENS: usize = 4;

/// How files of the lake come to be where they are read. The default is a lake that is a folder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Option<Arc<Remote>>);

/// A file of the lake. As long as it lives, its copy stays.
#[derive(Debug, Clone)]
pub(crate) struct LakeFile {
    path: PathBuf,
    bytes: Option<u64>,
    rows: Option<u64>,
    disk: Disk,
    _held: Option<Arc<()>>,
}

impl Disk {
    pub(crate) fn copies_of(remote: Remote) -> Self {
        Self(Some(Arc::new(remote)))
    }

    /// `None`: the disk is the lake.
    pub(crate) fn remote(&self) -> Option<&Remote> {
        self.0.as_deref()
    }

    /// What lies at this path, as people name it.
    pub(crate) fn shown(&self, path: &Path) -> PathBuf {
        self.remote().map_or_else(|| path.to_owned(), |r| r.url_of(path).into())
    }

    pub(crate) fn file(&self, path: PathBuf) -> LakeFile {
        let held = self.remote().map(|r| r.hold(&path));
        LakeFile { path, bytes: None, rows: None, disk: self.clone(), _held: held }
    }

    /// The file, fetched if it is not here; `None`: there is none. Blocks the thread while it is fetched.
    pub(crate) fn open_if_there(&self, path: &Path, bytes: Option<u64>) -> Result<Option<File>, LakeError> {
        // Where all other copies are in use, a small bound would take this one before it is opened.
        let _held = self.remote().map(|r| r.hold(path));
        for _ in 0..MOST_OPENS {
            match (File::open(path), self.remote()) {
                (Ok(file), remote) => {
                    if let Some(remote) = remote {
                        remote.used(&file);
                    }
                    return Ok(Some(file));
                }
                (Err(e), Some(remote)) if e.kind() == io::ErrorKind::NotFound => {
                    // Lanes are threads that may block; a worker of the runtime gives its tasks away first.
                    let fetch = || Handle::current().block_on(remote.fetch(path, bytes));
                    if !tokio::task::block_in_place(fetch)? {
                        return Ok(None);
                    }
                }
                (Err(e), None) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
                (Err(e), _) => return Err(LakeError::io(path)(e)),
            }
        }
        Err(LakeError::io(path)(io::ErrorKind::ResourceBusy.into()))
    }

    /// As [`Disk::open_if_there`], and it has to be there.
    pub(crate) fn open(&self, path: &Path, bytes: Option<u64>) -> Result<File, LakeError> {
        let file = self.open_if_there(path, bytes)?;
        file.ok_or_else(|| LakeError::io(self.shown(path))(io::ErrorKind::NotFound.into()))
    }

    /// Fetches the file if it is not here. One that is nowhere stays away, and is missed by who opens it.
    pub(crate) async fn have(&self, path: &Path) -> Result<(), LakeError> {
        match self.remote() {
            Some(remote) if !path.exists() => remote.fetch(path, None).await.map(drop),
            Some(_) | None => Ok(()),
        }
    }

    /// Fetches what is not here of files that are about to be read, several at once.
    pub(crate) async fn have_all<'f>(&self, files: impl IntoIterator<Item = &'f LakeFile>) -> Result<(), LakeError> {
        let Some(remote) = self.remote() else { return Ok(()) };
        let missing = files.into_iter().filter(|f| !f.path.exists()).map(|f| (f.path.clone(), f.bytes));
        remote.fetch_all(missing.collect()).await
    }

    /// Brings staged files to where commits may name them. Durable there on return.
    pub(crate) async fn upload(&self, files: Vec<PathBuf>) -> Result<(), LakeError> {
        let Some(remote) = self.remote() else { return Ok(()) };
        remote.upload(files).await?;
        alluvium_model::crash_point("remote.after_upload");
        Ok(())
    }

    /// As [`Disk::upload`], from a thread that may block.
    pub(crate) fn upload_now(&self, file: &Path) -> Result<(), LakeError> {
        let Some(remote) = self.remote() else { return Ok(()) };
        tokio::task::block_in_place(|| Handle::current().block_on(remote.upload(vec![file.to_owned()])))
    }
}

#[async_trait]
impl Copies for Disk {
    async fn bring(&self, file: &Path) -> Result<(), StepError> {
        let file = std::path::absolute(file).map_err(|e| StepError::new(LakeError::io(file)(e)))?;
        // Only copies go by themselves: it is in the lake.
        if !file.exists() {
            return Ok(());
        }
        self.upload(vec![file]).await.map_err(StepError::new)
    }

    async fn fetch(&self, file: &Path) -> Result<(), StepError> {
        let file = std::path::absolute(file).map_err(|e| StepError::new(LakeError::io(file)(e)))?;
        self.have(&file).await.map_err(StepError::new)
    }
}

impl LakeFile {
    /// What the log says of it.
    #[must_use]
    pub(crate) fn known(self, bytes: u64, rows: Option<u64>) -> Self {
        Self { bytes: Some(bytes), rows, ..self }
    }

    /// Bytes and rows, when its footer need not be read to tell; only said of files that may have to be fetched for it.
    pub(crate) fn told_by_log(&self) -> Option<(u64, u64)> {
        self.disk.remote().and_then(|_| self.bytes.zip(self.rows))
    }

    pub(crate) fn open(&self) -> Result<File, LakeError> {
        self.disk.open(&self.path, self.bytes)
    }

    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }
}

impl Deref for LakeFile {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.path
    }
}

/// A file that was written here.
impl From<PathBuf> for LakeFile {
    fn from(path: PathBuf) -> Self {
        Disk::default().file(path)
    }
}
