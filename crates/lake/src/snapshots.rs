//! The newest snapshot of each table that this process has seen, so that its log is not read again for it.
//!
//! Called by whatever opens a table. A version never changes; still a snapshot counts only while the log's entry for its version is the
//! very file that it was, since a folder may be replaced by another one, and only until the next checkpoint: a snapshot still reads
//! the entries that it was made of, and those before a checkpoint may be cleaned up. Of a lake in an object store no snapshot is kept:
//! its log is not on this disk, so that no entry is found here, and each opening reads the log where it is.

use deltalake::DeltaTable;
use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

#[derive(Debug, Default)]
pub(crate) struct Snapshots(Mutex<HashMap<PathBuf, Seen>>);

#[derive(Debug)]
struct Seen {
    version: i64,
    entry: Entry,
    checkpoint: Option<Entry>,
    delta: DeltaTable,
}

/// Which file an entry of a log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    inode: u64,
    bytes: u64,
    modified_nanos: (i64, i64),
}

impl Snapshots {
    /// The table in `dir` at this version, if it was seen since its newest checkpoint, which is this one.
    pub(crate) fn get(&self, dir: &Path, version: i64, checkpoint: Option<&Entry>) -> Option<DeltaTable> {
        let entry = Entry::of(dir, version)?;
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = all.get(dir).filter(|s| s.version == version && s.entry == entry)?;
        (seen.checkpoint.as_ref() == checkpoint).then(|| seen.delta.clone())
    }

    /// Keeps a snapshot unless a newer one of the same table is known. `checkpoint` was the newest one before the snapshot, or
    /// the one that it goes on from, was loaded.
    pub(crate) fn keep(&self, dir: &Path, version: i64, delta: &DeltaTable, checkpoint: Option<Entry>) {
        let Some(entry) = Entry::of(dir, version) else { return };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newer =
            all.get(dir).is_some_and(|s| s.version > version && Entry::of(dir, s.version).as_ref() == Some(&s.entry));
        if !newer {
            all.insert(dir.to_owned(), Seen { version, entry, checkpoint, delta: delta.clone() });
        }
    }
}

impl Entry {
    /// `None`: the log does not hold it.
    fn of(dir: &Path, version: i64) -> Option<Self> {
        Self::named(dir, &format!("{version:020}.json"))
    }

    /// What names the newest checkpoint of the table in `dir`, if it has one.
    pub(crate) fn checkpoint(dir: &Path) -> Option<Self> {
        Self::named(dir, "_last_checkpoint")
    }

    fn named(dir: &Path, name: &str) -> Option<Self> {
        let about = std::fs::metadata(dir.join("_delta_log").join(name)).ok()?;
        Some(Self { inode: about.ino(), bytes: about.len(), modified_nanos: (about.mtime(), about.mtime_nsec()) })
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
