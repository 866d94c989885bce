//! The landing objects of a step, wherever they lie: in a folder, in the lake, or in a bucket.
//!
//! Called by the ingest step. What is handed out is what the event recorded, or nothing.

use crate::{
    decode::DecodeError,
    payload,
    remote::{Buckets, Disk},
};
use alluvium_spec::Bronze;
use alluvium_store::EventRecord;
use std::{
    fs::File,
    io::{self, Read, Seek},
    path::PathBuf,
};

#[derive(Debug, Clone)]
pub(crate) struct Objects {
    disk: Disk,
    buckets: Buckets,
    /// The folder of the lake, or of its copies.
    root: PathBuf,
}

impl Objects {
    pub(crate) fn new(disk: Disk, buckets: Buckets, root: PathBuf) -> Self {
        Self { disk, buckets, root }
    }

    /// What was kept of an object that came to nothing before.
    fn kept(&self, event: &EventRecord) -> Result<Option<File>, DecodeError> {
        if !payload::is_redelivered(event) {
            return Ok(None);
        }
        let path = payload::path(&self.root, &event.dataset, &event.content);
        let there = self.disk.open_if_there(&path, Some(event.bytes));
        let Some(file) = there.map_err(|e| DecodeError::Fetch { source: Box::new(e) })? else { return Ok(None) };
        let whole = file.metadata().map_err(DecodeError::from_io)?.len() == event.bytes;
        Ok(whole.then_some(file))
    }

    /// Opens the object: what was kept of it when it came to nothing, or else what lies where it came.
    pub(crate) fn open(&self, bronze: &Bronze, event: &EventRecord) -> Result<File, DecodeError> {
        if let Some(mut file) = self.kept(event)?
            && holds(&mut file, event)?
        {
            return Ok(file);
        }
        self.landed(bronze, event)
    }

    /// The object where it came, if it still is what the event recorded: by its size and time, or by its content, where it came here at
    /// another time. What was pushed is a file of the lake, and is fetched if it is not here; so is an object of a bucket.
    fn landed(&self, bronze: &Bronze, event: &EventRecord) -> Result<File, DecodeError> {
        if let Some(folder) = &bronze.files.remote {
            return self.buckets.open(folder, &event.path, event.bytes, &event.content);
        }
        let path = bronze.files.folder.join(&event.path);
        let mut file = if bronze.is_pushed() && self.disk.remote().is_some() {
            let path = std::path::absolute(path).map_err(DecodeError::from_io)?;
            let fetched = self.disk.open_if_there(&path, Some(event.bytes));
            fetched.map_err(|e| DecodeError::Fetch { source: Box::new(e) })?.ok_or(DecodeError::Gone)?
        } else {
            File::open(path).map_err(DecodeError::from_io)?
        };
        let m = file.metadata().map_err(DecodeError::from_io)?;
        let modified = m.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        let nanos = modified.and_then(|d| i64::try_from(d.as_nanos()).ok()).unwrap_or(0);
        let holds = m.len() == event.bytes && (nanos == event.modified_nanos || holds(&mut file, event)?);
        holds.then_some(file).ok_or(DecodeError::Changed)
    }

    /// After an object was read: whether it did not change meanwhile, so that what was read may be neither its old nor its new content.
    /// A copy never changes.
    pub(crate) fn is_still(&self, bronze: &Bronze, event: &EventRecord) -> Result<(), DecodeError> {
        match bronze.files.remote {
            Some(_) => Ok(()),
            None if self.kept(event)?.is_some() => Ok(()),
            None => self.landed(bronze, event).map(drop),
        }
    }
}

/// Whether the file's content is the event's. Reads all of it, and leaves the file at its start.
fn holds(file: &mut File, event: &EventRecord) -> Result<bool, DecodeError> {
    let failed = |source: io::Error| DecodeError::Io { source };
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(Read::by_ref(file).take(event.bytes)).map_err(failed)?;
    file.rewind().map_err(failed)?;
    Ok(hasher.finalize().to_hex().as_str() == event.content.as_str())
}
