//! How much of this disk the copies may take: the longest unused go first.
//!
//! A copy is told by its mode: it may not be written. A staged file that is not uploaded yet may, and is never taken for
//! a copy, whichever process wrote it. Several processes may share a folder: each looks at what is there again when it has
//! added half of the room that it saw.

use alluvium_model::ByteSize;
use jiff::{SignedDuration, Timestamp};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

/// So much is free again when copies had to go, in tenths of the bound.
const KEPT_TENTHS: u64 = 9;
/// Files of transfers that ended with their process are this old.
pub(super) const LEFT_OVER: SignedDuration = SignedDuration::from_hours(24);
/// Start of the names of transfers.
pub(super) const PARTIAL: &str = ".part-";

#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    bound: u64,
    /// Bytes that may be added before the folder is looked at again; nothing until it was looked at once.
    left: Mutex<u64>,
}

struct Copy {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl Room {
    pub(super) fn new(folder: PathBuf, bound: ByteSize) -> Self {
        Self { folder, bound: bound.0, left: Mutex::new(0) }
    }

    /// Counts a new copy, and removes others when there are too many. `in_use` stay.
    pub(super) fn took(&self, bytes: u64, now: Timestamp, in_use: impl Fn(&Path) -> bool) -> io::Result<()> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes <= *left {
            *left -= bytes;
            return Ok(());
        }
        let mut copies = Vec::new();
        found(&self.folder, now, &mut copies)?;
        let mut total: u64 = copies.iter().map(|c| c.bytes).sum();
        if total > self.bound {
            copies.sort_by(|a, b| (a.used, &a.path).cmp(&(b.used, &b.path)));
            for copy in copies.iter().filter(|c| !in_use(&c.path)) {
                if total <= self.bound / 10 * KEPT_TENTHS {
                    break;
                }
                remove(&copy.path)?;
                total -= copy.bytes;
            }
        }
        *left = self.bound.saturating_sub(total) / 2;
        Ok(())
    }
}

/// All copies below `folder`. What was left over by transfers that did not end is removed on the way.
fn found(folder: &Path, now: Timestamp, copies: &mut Vec<Copy>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let entry = entry?;
        // Another process may have been faster.
        let Ok(about) = entry.metadata() else { continue };
        if about.is_dir() {
            found(&entry.path(), now, copies)?;
            continue;
        }
        let used = about.modified()?;
        if about.is_file() && about.permissions().readonly() {
            copies.push(Copy { path: entry.path(), bytes: about.len(), used });
        } else if entry.file_name().to_string_lossy().starts_with(PARTIAL) && age_of(used, now) >= LEFT_OVER {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// A file from the future, or one whose time is not known, is new.
pub(crate) fn age_of(modified: SystemTime, now: Timestamp) -> SignedDuration {
    Timestamp::try_from(modified).map_or(SignedDuration::ZERO, |t| now.duration_since(t))
}

pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    }
}
