//! Between a folder of copies and the objects they are copies of.
//!
//! A path below the folder is the object's key below the lake's prefix. A copy appears under its name whole or not at
//! all, and one that is being fetched is fetched once. Nothing here decides what is part of a table: an object that no
//! commit names is an orphan, and vacuumed later.

use super::room::{self, Room};
use crate::{error::LakeError, snapshots::Entry};
use alluvium_model::{ByteSize, Clock, Fault, LakeUrl, crash_point};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload, WriteMultipart,
    path::Path as Key,
};
use std::{
    collections::HashMap,
    fmt,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Files on their way at once, up and as many down, whoever asks for them.
const FILES_AT_ONCE: usize = 4;
/// A file is sent and fetched in parts of this size.
const PART_BYTES: usize = 8 << 20;
/// Parts of one file on their way at once.
const PARTS_AT_ONCE: usize = 2;
/// Fetches of one file, as long as what went wrong may pass.
const MOST_FETCHES: usize = 3;

pub(crate) struct Remote {
    store: Arc<dyn ObjectStore>,
    url: LakeUrl,
    /// Of the lake within its bucket.
    prefix: Key,
    folder: PathBuf,
    room: Room,
    clock: Arc<dyn Clock>,
    /// Files that something in this process holds, by path.
    in_use: Mutex<HashMap<PathBuf, Weak<()>>>,
    /// Fetches that are going on.
    fetching: Mutex<HashMap<PathBuf, Weak<tokio::sync::Mutex<()>>>>,
    /// Files that may be on their way. Who waits for one holds no other.
    down: Semaphore,
    up: Semaphore,
}

/// An object below a folder of the lake.
pub(crate) struct Object {
    /// Below that folder.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) modified: jiff::Timestamp,
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "copies of {} in {}", self.url, self.folder.display())
    }
}

impl Remote {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        url: LakeUrl,
        folder: PathBuf,
        bound: ByteSize,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let prefix = Key::from_iter(url.prefix().iter().map(String::as_str));
        let room = Room::new(folder.clone(), bound);
        let (in_use, fetching) = Default::default();
        let [down, up] = [(); 2].map(|()| Semaphore::new(FILES_AT_ONCE));
        Self { store, url, prefix, folder, room, clock, in_use, fetching, down, up }
    }

    pub(crate) fn store(&self) -> Arc<dyn ObjectStore> {
        self.store.clone()
    }

    /// What lies at this path, as people name it.
    pub(crate) fn url_of(&self, path: &Path) -> String {
        let below = path.strip_prefix(&self.folder).unwrap_or(path);
        format!("{}/{}", self.url, below.display()).trim_end_matches('/').to_owned()
    }

    fn key(&self, path: &Path) -> Key {
        let below = path.strip_prefix(&self.folder).unwrap_or(path);
        let names = below.iter().map(|n| n.to_string_lossy().into_owned());
        Key::from_iter(self.prefix.parts().map(|p| p.as_ref().to_owned()).chain(names))
    }

    fn failed(&self, path: &Path) -> impl FnOnce(object_store::Error) -> LakeError {
        let url = self.url_of(path);
        move |source| LakeError::Store { url, source: Box::new(source) }
    }

    /// Keeps the copy at this path for as long as the answer lives.
    pub(super) fn hold(&self, path: &Path) -> Arc<()> {
        let mut in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = in_use.get(path).and_then(Weak::upgrade) {
            return held;
        }
        if in_use.len() % 1_024 == 1_023 {
            in_use.retain(|_, held| held.strong_count() > 0);
        }
        let held = Arc::new(());
        in_use.insert(path.to_owned(), Arc::downgrade(&held));
        held
    }

    fn is_held(&self, path: &Path) -> bool {
        let in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.get(path).is_some_and(|held| held.strong_count() > 0)
    }

    fn took(&self, path: &Path, bytes: u64) -> Result<(), LakeError> {
        self.room.took(bytes, self.clock.now(), |p| self.is_held(p)).map_err(LakeError::io(path))
    }

    /// Remembers that the copy was used.
    pub(super) fn used(&self, file: &File) {
        // Where the time cannot be set, copies go in the order in which they came.
        let _ = file.set_modified(self.clock.now().into());
    }

    /// Makes sure of the copy; `false`: there is no such object. `bytes`: its size, where it is known.
    pub(super) async fn fetch(&self, path: &Path, bytes: Option<u64>) -> Result<bool, LakeError> {
        let turn = {
            let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
            fetching.retain(|_, turn| turn.strong_count() > 0);
            match fetching.get(path).and_then(Weak::upgrade) {
                Some(turn) => turn,
                None => {
                    let turn = Arc::default();
                    fetching.insert(path.to_owned(), Arc::downgrade(&turn));
                    turn
                }
            }
        };
        let _turn = turn.lock().await;
        if path.exists() {
            return Ok(true);
        }
        let _place = place(&self.down).await;
        let mut left = MOST_FETCHES;
        loop {
            left -= 1;
            match self.fetch_once(path, bytes).await {
                Err(e) if left > 0 && e.class().may_pass() => {
                    tracing::debug!(object = %self.url_of(path), error = %e, "fetched once more");
                }
                Ok(Some(bytes)) => return self.took(path, bytes).map(|()| true),
                Ok(None) => return Ok(false),
                Err(e) => return Err(e),
            }
        }
    }

    async fn fetch_once(&self, path: &Path, bytes: Option<u64>) -> Result<Option<u64>, LakeError> {
        let key = self.key(path);
        let first = GetOptions { range: Some(GetRange::Bounded(0..PART_BYTES as u64)), ..GetOptions::default() };
        // An empty object has no first part; none of ours is empty.
        let got = match self.store.get_opts(&key, first).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { source, .. }) if !is_bucket(source.as_ref()) => return Ok(None),
            Err(e) => return Err(self.failed(path)(e)),
        };
        let size = got.meta.size;
        if let Some(expected) = bytes.filter(|b| *b != size) {
            return Err(LakeError::StoreSize { url: self.url_of(path), expected, found: size });
        }
        let dir = path.parent().unwrap_or(path);
        fs::create_dir_all(dir).map_err(LakeError::io(dir))?;
        let part = tempfile::Builder::new().prefix(room::PARTIAL).tempfile_in(dir).map_err(LakeError::io(dir))?;
        let mut written = 0_u64;
        let mut put = |bytes: &[u8]| {
            written += bytes.len() as u64;
            part.as_file().write_all(bytes).map_err(LakeError::io(path))
        };
        put(&got.bytes().await.map_err(self.failed(path))?)?;
        let starts = (PART_BYTES as u64..size).step_by(PART_BYTES);
        let ranges = starts.map(|from| from..(from + PART_BYTES as u64).min(size));
        let mut parts = stream::iter(ranges.map(|r| self.store.get_range(&key, r))).buffered(PARTS_AT_ONCE);
        while let Some(bytes) = parts.next().await {
            put(&bytes.map_err(self.failed(path))?)?;
        }
        if written != size {
            return Err(LakeError::StoreSize { url: self.url_of(path), expected: size, found: written });
        }
        // A copy that a loss of power cut short must not have a name.
        part.as_file().sync_data().map_err(LakeError::io(path))?;
        seal(part.as_file()).map_err(LakeError::io(path))?;
        self.used(part.as_file());
        part.persist(path).map_err(|e| LakeError::io(path)(e.error))?;
        Ok(Some(size))
    }

    /// As [`Remote::fetch`], several at once. One that has no object stays away.
    pub(super) async fn fetch_all(&self, files: Vec<(PathBuf, Option<u64>)>) -> Result<(), LakeError> {
        let fetches = files.into_iter().map(|(path, bytes)| async move { self.fetch(&path, bytes).await.map(drop) });
        stream::iter(fetches).buffer_unordered(FILES_AT_ONCE).try_collect().await
    }

    /// Uploads files that were written here; those that were uploaded before are left out. All are in the object store on
    /// return, and are copies from then on.
    pub(super) async fn upload(&self, files: Vec<PathBuf>) -> Result<(), LakeError> {
        let uploads = files.into_iter().map(|path| async move { self.upload_one(&path).await });
        stream::iter(uploads).buffer_unordered(FILES_AT_ONCE).try_collect::<()>().await
    }

    async fn upload_one(&self, path: &Path) -> Result<(), LakeError> {
        let _place = place(&self.up).await;
        let mut file = File::open(path).map_err(LakeError::io(path))?;
        let about = file.metadata().map_err(LakeError::io(path))?;
        if about.permissions().readonly() {
            return Ok(());
        }
        let key = self.key(path);
        if about.len() <= PART_BYTES as u64 {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(LakeError::io(path))?;
            self.store.put(&key, PutPayload::from(bytes)).await.map_err(self.failed(path))?;
        } else {
            self.upload_parts(path, &key, &mut file).await?;
        }
        seal(&file).map_err(LakeError::io(path))?;
        self.used(&file);
        crash_point("remote.after_file");
        self.took(path, about.len())
    }

    async fn upload_parts(&self, path: &Path, key: &Key, file: &mut File) -> Result<(), LakeError> {
        let upload = self.store.put_multipart(key).await.map_err(self.failed(path))?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let sent = async {
            loop {
                upload.wait_for_capacity(PARTS_AT_ONCE).await.map_err(self.failed(path))?;
                let mut part = Vec::with_capacity(PART_BYTES);
                let mut next = Read::by_ref(file).take(PART_BYTES as u64);
                let read = next.read_to_end(&mut part).map_err(LakeError::io(path))?;
                if read == 0 {
                    return Ok(());
                }
                upload.put(part.into());
            }
        };
        match sent.await {
            Ok(()) => upload.finish().await.map(drop).map_err(self.failed(path)),
            Err(e) => {
                // Parts that stay behind are no object; a bucket's own rule for incomplete uploads takes them.
                let _ = upload.abort().await;
                Err(e)
            }
        }
    }

    /// What a small object says, which is not kept as a copy; `first` is put there where there is none.
    pub(crate) async fn text(&self, path: &Path, first: Option<&str>) -> Result<Option<String>, LakeError> {
        let key = self.key(path);
        if let Some(text) = self.text_at(path, &key).await? {
            return Ok(Some(text));
        }
        let Some(first) = first else { return Ok(None) };
        let put = self.store.put_opts(&key, first.to_owned().into(), PutMode::Create.into()).await;
        match put {
            // Another process may have been first.
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => self.text_at(path, &key).await,
            Err(e) => Err(self.failed(path)(e)),
        }
    }

    async fn text_at(&self, path: &Path, key: &Key) -> Result<Option<String>, LakeError> {
        match self.store.get(key).await {
            Ok(got) => {
                let bytes = got.bytes().await.map_err(self.failed(path))?;
                Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
            }
            Err(object_store::Error::NotFound { source, .. }) if !is_bucket(source.as_ref()) => Ok(None),
            Err(e) => Err(self.failed(path)(e)),
        }
    }

    /// All objects below this folder.
    pub(crate) async fn list(&self, dir: &Path) -> Result<Vec<Object>, LakeError> {
        let prefix = self.key(dir);
        let object = |meta: ObjectMeta| {
            let name = meta.location.prefix_match(&prefix)?;
            let name = name.map(|p| p.as_ref().to_owned()).collect::<Vec<_>>().join("/");
            let modified = jiff::Timestamp::from_millisecond(meta.last_modified.timestamp_millis()).ok()?;
            Some(Object { name, bytes: meta.size, modified })
        };
        let listed = self.store.list(Some(&prefix));
        let all: Vec<_> = listed.try_collect().await.map_err(self.failed(dir))?;
        Ok(all.into_iter().filter_map(object).collect())
    }

    /// Objects of this folder whose names come after `after`, ascending as object stores list them.
    pub(super) async fn list_after(&self, dir: &Path, after: &str) -> Result<Vec<ObjectMeta>, LakeError> {
        let listed = self.store.list_with_offset(Some(&self.key(dir)), &self.key(&dir.join(after)));
        listed.try_collect().await.map_err(self.failed(dir))
    }

    /// Which object it is.
    pub(crate) async fn which(&self, path: &Path) -> Result<Option<Entry>, LakeError> {
        let about = self.store.head(&self.key(path)).await.map_err(self.failed(path))?;
        Ok(Entry::of_object(&about))
    }

    /// The object, and the copy of it. One that is gone already is as well.
    pub(crate) async fn remove(&self, path: &Path) -> Result<(), LakeError> {
        match self.store.delete(&self.key(path)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(self.failed(path)(e)),
        }
        room::remove(path).map_err(LakeError::io(path))
    }
}

async fn place(among: &Semaphore) -> SemaphorePermit<'_> {
    among.acquire().await.expect("nobody closes it")
}

/// Whether it is the bucket that is not there.
fn is_bucket(source: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    super::fault_of(source) == Some(super::StoreFault::NoBucket)
}

/// From now on it is a copy: see [`room`].
pub(super) fn seal(file: &File) -> io::Result<()> {
    let mut permissions = file.metadata()?.permissions();
    permissions.set_readonly(true);
    file.set_permissions(permissions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        files::Files,
        maintain::fixture::{World, ids},
        remote::faulty::without_copies,
        scan, session,
        stage::StagedFile,
    };
    use arrow::array::RecordBatch;
    use object_store::memory::InMemory;

    const HOUR: i64 = 3_600_000_000;

    fn world(cache: u64) -> (Arc<InMemory>, World) {
        let store = Arc::new(InMemory::new());
        (store.clone(), World::in_object_store(store, cache))
    }

    /// Which of these files are here.
    async fn copies<'f>(world: &World, of: &'f [StagedFile]) -> Vec<&'f str> {
        let dir = world.table(&World::silver()).await.dir;
        of.iter().map(|f| f.path.as_str()).filter(|path| dir.join(path).exists()).collect()
    }

    /// Files of a row, which came an hour apart, and room for four of them.
    async fn arrived(files: i64) -> (World, Vec<StagedFile>) {
        let (_, large) = world(1 << 30);
        let bytes = large.append(&World::silver(), "step0", &ids(&[0])).await.bytes;
        let (_, world) = world(bytes * 9 / 2);
        let mut arrived = Vec::new();
        for n in 0..files {
            world.clock.advance_micros(HOUR);
            arrived.push(world.append(&World::silver(), &format!("step{n}"), &ids(&[n])).await);
        }
        world.clock.advance_micros(HOUR);
        (world, arrived)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn copies_that_were_not_used_for_longest_go_and_come_back_when_they_are_read() {
        let (world, files) = arrived(8).await;
        let path = |n: usize| files[n].path.as_str();
        assert_eq!(copies(&world, &files).await, [path(4), path(5), path(6), path(7)]);
        assert_eq!(world.ids(&World::silver()).await, (0..8).collect::<Vec<_>>());

        // Who holds the files of a table has all of them, whatever the bound.
        let table = world.table(&World::silver()).await;
        let sources = table.sources().expect("sources");
        world.engine.tables.disk.have_all(sources.iter().map(|s| &s.path)).await.expect("fetched");
        assert_eq!(copies(&world, &files).await.len(), 8);
        drop(sources);
        world.clock.advance_micros(HOUR);
        world.append(&World::silver(), "last", &ids(&[9])).await;
        assert_eq!(copies(&world, &files).await, [path(5), path(6), path(7)]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_copy_that_was_read_stays_longer_whoever_read_it() {
        for by_query in [false, true] {
            let (world, files) = arrived(4).await;
            let path = |n: usize| files[n].path.as_str();
            assert_eq!(copies(&world, &files).await, [path(0), path(1), path(2), path(3)]);
            let table = world.table(&World::silver()).await;
            let oldest = table.sources().expect("sources").swap_remove(0);
            assert!(oldest.path.ends_with(path(0)));
            if by_query {
                let session = session::reading(&world.engine).expect("a session");
                let files = Files::new(table.schema().expect("a schema"), &[oldest]).expect("files");
                let rows = session.read_table(Arc::new(files)).expect("a table").collect().await.expect("read");
                assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
            } else {
                let schema = ids(&[]).schema();
                let unit = scan::units(&[oldest]).expect("units").remove(0);
                assert_eq!(unit.read(&schema, &world.engine.tables.meter).expect("reads").count(), 1);
            }
            world.append(&World::silver(), "last", &ids(&[9])).await;
            assert_eq!(copies(&world, &files).await, [path(0), path(2), path(3)], "by a query: {by_query}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn all_who_transfer_share_what_may_be_on_its_way() {
        let (store, world) = without_copies(12).await;
        let table = world.table(&World::silver()).await;
        let sources = table.sources().expect("sources");
        let disk = &world.engine.tables.disk;
        let fetched = sources.chunks(3).map(|some| disk.have_all(some.iter().map(|s| &s.path)));
        futures::future::try_join_all(fetched).await.expect("fetched");
        assert_eq!(store.down.most(), FILES_AT_ONCE);

        let staged: Vec<PathBuf> = (0..12).map(|n| table.dir.join(format!("staged-{n:04}.parquet"))).collect();
        staged.iter().for_each(|path| fs::write(path, b"PAR1").expect("a file"));
        store.up.most();
        let uploaded = staged.chunks(3).map(|some| disk.upload(some.to_vec()));
        futures::future::try_join_all(uploaded).await.expect("uploaded");
        assert_eq!(store.up.most(), FILES_AT_ONCE);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_staged_file_is_never_taken_for_a_copy() {
        let (_, world) = world(1);
        world.append(&World::silver(), "first", &ids(&[1])).await;
        let dir = world.table(&World::silver()).await.dir;
        fs::write(dir.join("staged-0000.parquet"), b"not uploaded").expect("a file");
        world.append(&World::silver(), "second", &ids(&[2])).await;
        assert!(dir.join("staged-0000.parquet").exists());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_object_of_another_size_than_the_log_says_is_refused_and_leaves_no_copy() {
        let (store, world) = world(1 << 30);
        let file = world.append(&World::silver(), "step", &ids(&[1, 2, 3])).await;
        let table = world.table(&World::silver()).await;
        let key = Key::from(format!("lake/silver/t/{}", file.path));
        store.put(&key, PutPayload::from_static(b"PAR1 cut short")).await.expect("put");
        fs::remove_file(table.dir.join(&file.path)).expect("a copy");
        let sources = table.sources().expect("sources");
        let read = scan::units(&sources);
        assert!(matches!(read, Err(LakeError::StoreSize { found: 14, .. })));
        assert!(!table.dir.join(&file.path).exists());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_large_file_goes_up_and_comes_down_in_parts() {
        let (store, world) = world(1 << 30);
        world.append(&World::silver(), "step", &ids(&[1])).await;
        let dir = world.table(&World::silver()).await.dir;
        let path = dir.join("large-0000.parquet");
        let bytes: Vec<u8> = (0..PART_BYTES * 2 + 77).map(|i| (i * 31 % 251) as u8).collect();
        fs::write(&path, &bytes).expect("a file");
        let disk = &world.engine.tables.disk;
        disk.upload(vec![path.clone()]).await.expect("uploaded");
        let key = Key::from("lake/silver/t/large-0000.parquet");
        assert_eq!(store.head(&key).await.expect("an object").size, bytes.len() as u64);
        fs::remove_file(&path).expect("a copy");
        disk.have(&path).await.expect("fetched");
        assert!(fs::read(&path).expect("a copy") == bytes);
    }
}
