//! Landing objects that became dead letters: their bytes are kept in the lake, so that a replay need not find them where they came.
//!
//! Written by the ingest step before it says that an object is dead, read by the step that loads it once more, forgotten when no dead letter
//! needs it. Named by dataset and content; a file is whole or not there, and is never changed.

use crate::{engine::LakeEngine, error::LakeError, objects::Objects, remote::Disk};
use alluvium_model::{ByteSize, ContentHash, DatasetName, EventId, crash_point};
use alluvium_spec::Bronze;
use alluvium_store::EventRecord;
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

/// A larger object stays where it came, and only there.
pub(crate) const MOST: ByteSize = ByteSize::mib(256);
const FOLDER: &str = "dead_letters";
const CHUNK: usize = 1 << 16;

fn folder(root: &Path, dataset: &DatasetName) -> PathBuf {
    root.join(FOLDER).join(dataset.to_string())
}

pub(crate) fn path(root: &Path, dataset: &DatasetName, content: &ContentHash) -> PathBuf {
    folder(root, dataset).join(content.as_str())
}

/// Whether the event takes the place of one that came to nothing. Of any other nothing can be kept.
pub(crate) fn is_redelivered(event: &EventRecord) -> bool {
    event.event != EventId::of(&event.dataset, &event.content)
}

/// Keeps what can be read of these objects and is not too large. Durable on return.
pub(crate) async fn keep(engine: &LakeEngine, bronze: &Bronze, events: Vec<EventRecord>) -> Result<(), LakeError> {
    let mut kept = Vec::new();
    for event in events.into_iter().filter(|e| e.bytes <= MOST.0) {
        let to = path(engine.root(), &event.dataset, &event.content);
        let (objects, bronze, scratch) = (engine.objects(), bronze.clone(), engine.scratch()?);
        let copied = {
            let to = to.clone();
            tokio::task::spawn_blocking(move || copy(&objects, &bronze, &event, &scratch, &to)).await
        };
        if copied.map_err(|_| LakeError::Worker("the thread that keeps a dead letter ended early"))?? {
            kept.push(to);
        }
    }
    if !kept.is_empty() {
        engine.tables.disk.upload(kept).await?;
        crash_point("payload.after_keep");
    }
    Ok(())
}

/// `false`: it is not there any more as it came.
fn copy(objects: &Objects, bronze: &Bronze, event: &EventRecord, scratch: &Path, to: &Path) -> Result<bool, LakeError> {
    if fs::metadata(to).is_ok_and(|m| m.len() == event.bytes) {
        return Ok(true);
    }
    let Ok(mut from) = objects.open(bronze, event) else { return Ok(false) };
    let mut part = tempfile::NamedTempFile::new_in(scratch).map_err(LakeError::io(scratch))?;
    let (mut hasher, mut buffer, mut left) = (blake3::Hasher::new(), vec![0; CHUNK], event.bytes);
    while left > 0 {
        // One that cannot be read to its end is one that is gone.
        let Ok(n @ 1..) = from.read(&mut buffer) else { return Ok(false) };
        let n = n.min(usize::try_from(left).unwrap_or(usize::MAX));
        hasher.update(&buffer[..n]);
        part.write_all(&buffer[..n]).map_err(LakeError::io(to))?;
        left -= n as u64;
    }
    if hasher.finalize().to_hex().as_str() != event.content.as_str() {
        return Ok(false);
    }
    let folder = to.parent().unwrap_or(to);
    fs::create_dir_all(folder).map_err(LakeError::io(folder))?;
    part.as_file().sync_all().map_err(LakeError::io(to))?;
    part.persist(to).map_err(|e| LakeError::io(to)(e.error))?;
    File::open(folder).and_then(|f| f.sync_all()).map_err(LakeError::io(folder))?;
    Ok(true)
}

/// Whether the content is kept; if it is, it is on this disk on return.
pub(crate) async fn has(engine: &LakeEngine, dataset: &DatasetName, content: &ContentHash) -> Result<bool, LakeError> {
    let path = path(engine.root(), dataset, content);
    engine.tables.disk.have(&path).await?;
    Ok(path.exists())
}

/// Removes what is none of these contents, and tells how many. Idempotent.
pub(crate) async fn forget(
    engine: &LakeEngine,
    dataset: &DatasetName,
    needed: &BTreeSet<ContentHash>,
) -> Result<u64, LakeError> {
    let (disk, mut removed) = (&engine.tables.disk, 0);
    for content in kept(disk, engine.root(), dataset).await? {
        if !needed.contains(&content) {
            let path = path(engine.root(), dataset, &content);
            match disk.remote() {
                Some(remote) => remote.remove(&path).await?,
                None => match fs::remove_file(&path) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(LakeError::io(path)(e)),
                    Ok(()) | Err(_) => {}
                },
            }
            removed += 1;
        }
    }
    Ok(removed)
}

/// All that is kept of the dataset.
async fn kept(disk: &Disk, root: &Path, dataset: &DatasetName) -> Result<Vec<ContentHash>, LakeError> {
    let dir = folder(root, dataset);
    let names: Vec<String> = match disk.remote() {
        Some(remote) => remote.list(&dir).await?.into_iter().map(|o| o.name).collect(),
        None => match fs::read_dir(&dir) {
            Ok(entries) => entries.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(LakeError::io(dir)(e)),
        },
    };
    Ok(names.into_iter().map(ContentHash::from_stored).collect())
}

impl LakeEngine {
    /// Contents that are kept of the dataset's dead letters, each with its place as people name it.
    ///
    /// # Errors
    /// When the lake cannot be read.
    pub async fn payloads(&self, dataset: &DatasetName) -> Result<Vec<(ContentHash, PathBuf)>, LakeError> {
        let disk = &self.tables.disk;
        let all = kept(disk, self.root(), dataset).await?.into_iter();
        Ok(all.map(|c| (c.clone(), disk.shown(&path(self.root(), dataset, &c)))).collect())
    }
}
