//! The newest snapshot of each table that this process has seen, so that its log is not read again for it.
//!
//! Called by whatever opens a table. A version never changes; still a snapshot counts only while the log's entry for its version is the
//! very file or object that it was, since a lake may be replaced by another one, and only until the next checkpoint: a snapshot still
//! reads the entries that it was made of, and those before a checkpoint may be cleaned up.

use crate::table::{LOG, entry_name};
use deltalake::DeltaTable;
use object_store::ObjectMeta;
use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Names the newest checkpoint of a log.
pub(crate) const LAST_CHECKPOINT: &str = "_last_checkpoint";

#[derive(Debug, Default)]
pub(crate) struct Snapshots(Mutex<HashMap<PathBuf, Seen>>);

#[derive(Debug)]
struct Seen {
    version: i64,
    entry: Entry,
    checkpoint: Option<Entry>,
    delta: DeltaTable,
}

/// Which file or object an entry of a log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    File { inode: u64, bytes: u64, modified_nanos: (i64, i64) },
    Object { tag: String, bytes: u64 },
}

impl Snapshots {
    /// The table in `dir` at this version, if it was seen since its newest checkpoint, which is this one, and its entry is still this one.
    pub(crate) fn get(
        &self,
        dir: &Path,
        version: i64,
        entry: &Entry,
        checkpoint: Option<&Entry>,
    ) -> Option<DeltaTable> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = all.get(dir).filter(|s| s.version == version && s.entry == *entry)?;
        (seen.checkpoint.as_ref() == checkpoint).then(|| seen.delta.clone())
    }

    /// Keeps a snapshot unless a newer one of the same folder is known; of an object store, the last. `checkpoint` was the newest one
    /// before the snapshot, or the one that it goes on from, was loaded.
    pub(crate) fn keep(&self, dir: &Path, version: i64, entry: Entry, delta: &DeltaTable, checkpoint: Option<Entry>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newer =
            all.get(dir).is_some_and(|s| s.version > version && Entry::of(dir, s.version).as_ref() == Some(&s.entry));
        if !newer {
            all.insert(dir.to_owned(), Seen { version, entry, checkpoint, delta: delta.clone() });
        }
    }
}

impl Entry {
    /// `None`: the log of this folder does not hold it.
    pub(crate) fn of(dir: &Path, version: i64) -> Option<Self> {
        Self::named(dir, &entry_name(version))
    }

    /// What names the newest checkpoint of the table in `dir`, if it has one.
    pub(crate) fn checkpoint(dir: &Path) -> Option<Self> {
        Self::named(dir, LAST_CHECKPOINT)
    }

    /// `None`: the store has no tags, and so another object of this name cannot be told.
    pub(crate) fn of_object(about: &ObjectMeta) -> Option<Self> {
        // Lists and answers quote it differently.
        let tag = about.e_tag.as_ref()?.trim_matches('"').to_owned();
        Some(Self::Object { tag, bytes: about.size })
    }

    fn named(dir: &Path, name: &str) -> Option<Self> {
        let about = std::fs::metadata(dir.join(LOG).join(name)).ok()?;
        let modified_nanos = (about.mtime(), about.mtime_nsec());
        Some(Self::File { inode: about.ino(), bytes: about.len(), modified_nanos })
    }
}

#[cfg(test)]
mod tests {
    use crate::maintain::fixture::{World, ids};

    #[tokio::test]
    async fn a_snapshot_is_of_its_version_and_of_its_folder() {
        let (world, other) = (World::new(), World::new());
        let place = World::silver();
        world.append(&place, "first", &ids(&[1])).await;
        let before = world.table(&place).await.version();
        world.append(&place, "second", &ids(&[2])).await;
        assert_eq!(world.ids(&place).await, [1, 2]);
        let old = world.engine.tables.open_at(&place, Some(before)).await.expect("opens").expect("a table");
        assert_eq!(old.rows().expect("rows"), 1);
        // Another table of as many versions in the same folder.
        other.append(&place, "first", &ids(&[3])).await;
        other.append(&place, "second", &ids(&[4, 5])).await;
        let (dir, theirs) = (world.engine.tables.dir(&place), other.engine.tables.dir(&place));
        std::fs::remove_dir_all(&dir).expect("removed");
        std::fs::rename(&theirs, &dir).expect("moved");
        assert_eq!(world.ids(&place).await, [3, 4, 5]);
    }
}
