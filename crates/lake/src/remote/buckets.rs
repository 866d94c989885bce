//! Landing folders in object stores: what lies there, and copies of it on this disk.
//!
//! A copy has its content's name, so that it is never out of date, whatever becomes of the object, and appears whole or not at all.
//! Nothing here writes to a bucket.

use super::{
    client::connect,
    fault, page,
    room::{self, Room},
    store::seal,
};
use crate::{decode::DecodeError, error::LakeError, meter::Meter};
use alluvium_flow::{Listed, Received, StepError};
use alluvium_model::{ByteSize, Clock, ContentHash, Fault, LakeUrl};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use object_store::{
    Error, GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt, path::Path as Key,
};
use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::{self, Seek, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tempfile::NamedTempFile;
use tokio::{runtime::Handle, sync::Semaphore};

/// Objects that looks have on their way at once.
const OBJECTS_AT_ONCE: usize = 8;
/// Fetches of one object, as long as what went wrong may pass.
const MOST_FETCHES: usize = 3;
/// A larger object is fetched in parts of this size, so that each request has its own time.
const PART_BYTES: u64 = 8 << 20;
const SECOND_NANOS: i64 = 1_000_000_000;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Buckets(Arc<Shared>);

struct Shared {
    /// Of the copies.
    folder: PathBuf,
    room: Room,
    clock: Arc<dyn Clock>,
    meter: Arc<Meter>,
    /// By bucket.
    clients: Mutex<BTreeMap<String, Arc<dyn ObjectStore>>>,
    down: Semaphore,
}

impl fmt::Debug for Buckets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "copies of landing objects in {}", self.0.folder.display())
    }
}

/// What came of a fetch.
enum Fetched {
    /// Not named yet.
    Whole(NamedTempFile, ContentHash),
    /// It has another size, or became another one while it was read.
    Changed,
    Gone,
}

impl Buckets {
    /// Connects to nothing, and makes no folder before the first copy.
    pub(crate) fn new(folder: PathBuf, bound: ByteSize, clock: Arc<dyn Clock>, meter: Arc<Meter>) -> Self {
        let room = Room::new(folder.clone(), bound);
        let down = Semaphore::new(OBJECTS_AT_ONCE);
        Self(Arc::new(Shared { folder, room, clock, meter, clients: Mutex::default(), down }))
    }

    /// The content that was recorded at a path. Blocks the thread while it is fetched. Where a copy is here, nobody is asked: what the
    /// object has become since is another event.
    pub(crate) fn open(
        &self,
        folder: &LakeUrl,
        path: &str,
        bytes: u64,
        content: &ContentHash,
    ) -> Result<File, DecodeError> {
        let failed = |source| DecodeError::Fetch { source: Box::new(source) };
        let copy = self.copy(content);
        match File::open(&copy) {
            Ok(file) => {
                self.used(&file);
                return Ok(file);
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed(LakeError::io(copy)(e))),
        }
        let fetch = || Handle::current().block_on(self.fetch(folder, path, bytes));
        match tokio::task::block_in_place(fetch).map_err(failed)? {
            Fetched::Whole(part, found) if found == *content => self.keep(part, bytes, content).map_err(failed),
            Fetched::Whole(..) | Fetched::Changed => Err(DecodeError::Changed),
            Fetched::Gone => Err(DecodeError::Gone),
        }
    }

    /// Fetches what is not here, some at once: it may take longer than a lease, which is not renewed while a thread is blocked. What
    /// changed or is gone is told by whoever opens it.
    pub(crate) async fn bring(
        &self,
        folder: &LakeUrl,
        objects: Vec<(String, u64, ContentHash)>,
    ) -> Result<(), LakeError> {
        let fetches = objects.into_iter().map(|(path, bytes, content)| async move {
            if self.copy(&content).exists() {
                return Ok(());
            }
            match self.fetch(folder, &path, bytes).await? {
                Fetched::Whole(part, found) if found == content => self.keep(part, bytes, &content).map(drop),
                Fetched::Whole(..) | Fetched::Changed | Fetched::Gone => Ok(()),
            }
        });
        let mut fetches = stream::iter(fetches).buffered(OBJECTS_AT_ONCE);
        while let Some(fetched) = fetches.next().await {
            fetched?;
        }
        Ok(())
    }

    /// The first bytes of an object, one more than `most` where it has more; `None`: there is none. No copy is kept.
    pub(crate) async fn small(&self, folder: &LakeUrl, path: &str, most: u64) -> Result<Option<Vec<u8>>, LakeError> {
        let Some(key) = key(folder, path) else { return Ok(None) };
        let mut parts = match self.client(folder)?.get(&key).await {
            Ok(got) => got.into_stream(),
            Err(e) if is_gone(&e) => return Ok(None),
            Err(e) => return Err(failed(folder, path)(e)),
        };
        let most = usize::try_from(most + 1).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        while let Some(part) = parts.next().await {
            bytes.extend_from_slice(&part.map_err(failed(folder, path))?);
            if bytes.len() >= most {
                bytes.truncate(most);
                break;
            }
        }
        Ok(Some(bytes))
    }

    fn client(&self, folder: &LakeUrl) -> Result<Arc<dyn ObjectStore>, LakeError> {
        let mut clients = self.0.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&folder.root()) {
            return Ok(client.clone());
        }
        let client = connect(folder, &self.0.meter)?;
        clients.insert(folder.root(), client.clone());
        Ok(client)
    }

    fn copy(&self, content: &ContentHash) -> PathBuf {
        self.0.folder.join(content.as_str())
    }

    /// Remembers that the copy was used.
    fn used(&self, file: &File) {
        // Where the time cannot be set, copies go in the order in which they came.
        let _ = file.set_modified(self.0.clock.now().into());
    }

    async fn fetch(&self, folder: &LakeUrl, path: &str, bytes: u64) -> Result<Fetched, LakeError> {
        let Some(key) = key(folder, path) else { return Ok(Fetched::Gone) };
        let client = self.client(folder)?;
        let failed = failed(folder, path);
        let mut left = MOST_FETCHES;
        loop {
            left -= 1;
            match self.fetch_once(client.as_ref(), &key, bytes, &failed).await {
                Err(e) if left > 0 && e.class().may_pass() => {
                    tracing::debug!(%folder, path, error = %e, "fetched once more");
                }
                fetched => return fetched,
            }
        }
    }

    async fn fetch_once(
        &self,
        client: &dyn ObjectStore,
        key: &Key,
        bytes: u64,
        failed: &impl Fn(Error) -> LakeError,
    ) -> Result<Fetched, LakeError> {
        let in_parts = bytes > PART_BYTES;
        let range = |from: u64| in_parts.then(|| GetRange::Bounded(from..(from + PART_BYTES).min(bytes)));
        let got = match client.get_opts(key, GetOptions { range: range(0), ..GetOptions::default() }).await {
            Ok(got) => got,
            Err(e) if is_gone(&e) => return Ok(Fetched::Gone),
            Err(e) if !in_parts => return Err(failed(e)),
            // An object that is empty by now has no first part.
            Err(e) => match client.head(key).await {
                Ok(about) if about.size != bytes => return Ok(Fetched::Changed),
                Ok(_) | Err(_) => return Err(failed(e)),
            },
        };
        if got.meta.size != bytes {
            return Ok(Fetched::Changed);
        }
        let tag = got.meta.e_tag.clone();
        let mut part = Part::begin(&self.0.folder)?;
        part.take(got, failed).await?;
        for from in (PART_BYTES..bytes).step_by(usize::try_from(PART_BYTES).expect("a small number")) {
            let options = GetOptions { range: range(from), if_match: tag.clone(), ..GetOptions::default() };
            match client.get_opts(key, options).await {
                Ok(got) => part.take(got, failed).await?,
                Err(Error::Precondition { .. }) => return Ok(Fetched::Changed),
                Err(e) if is_gone(&e) => return Ok(Fetched::Gone),
                Err(e) => return Err(failed(e)),
            }
        }
        if part.bytes != bytes {
            let source = format!("{} bytes came of {bytes}", part.bytes).into();
            return Err(failed(Error::Generic { store: "bucket", source }));
        }
        Ok(Fetched::Whole(part.file, ContentHash::from_stored(part.hasher.finalize().to_hex().as_str())))
    }

    /// Gives a copy its name, and opens it.
    fn keep(&self, part: NamedTempFile, bytes: u64, content: &ContentHash) -> Result<File, LakeError> {
        let copy = self.copy(content);
        // A copy that a loss of power cut short must not have a name.
        part.as_file().sync_data().map_err(LakeError::io(&copy))?;
        seal(part.as_file()).map_err(LakeError::io(&copy))?;
        self.used(part.as_file());
        let mut file = part.persist(&copy).map_err(|e| LakeError::io(&copy)(e.error))?;
        self.0.room.took(bytes, self.0.clock.now(), |p| p == copy).map_err(LakeError::io(&copy))?;
        file.rewind().map_err(LakeError::io(&copy))?;
        Ok(file)
    }

    async fn received(&self, folder: &LakeUrl, object: &Listed) -> Result<Received, LakeError> {
        // Not for a step: it blocks the thread that may have to go on with looks, before these give a place back.
        let _place = self.0.down.acquire().await.expect("nobody closes it");
        match self.fetch(folder, &object.path, object.bytes).await? {
            Fetched::Whole(part, content) => {
                self.keep(part, object.bytes, &content)?;
                Ok(Received::Content(content))
            }
            Fetched::Changed => Ok(Received::Changed),
            Fetched::Gone => Ok(Received::Gone),
        }
    }
}

#[async_trait]
impl alluvium_flow::Buckets for Buckets {
    async fn list(
        &self,
        folder: &LakeUrl,
        after: Option<&str>,
        tell: &mut (dyn FnMut(Result<Listed, String>) -> bool + Send),
    ) -> Result<(), StepError> {
        let client = self.client(folder).map_err(StepError::new)?;
        let (prefix, below) = (prefix(folder), below(folder));
        let within = (!below.is_empty()).then_some(&prefix);
        let mut pages = match after.and_then(|path| key(folder, path)) {
            Some(after) => client.list_with_offset(within, &after),
            None => client.list(within),
        };
        let mut goes_on = true;
        while goes_on && let Some(about) = pages.next().await {
            let about = about.map_err(|e| StepError::new(failed(folder, "")(e)))?;
            match page::unmended(about.location.as_ref()) {
                // What some programs lay down in the place of a folder.
                Some(name) if name.ends_with('/') && !name.ends_with("//") => {}
                Some(name) => goes_on = tell(Err(name.strip_prefix(&below).unwrap_or(&name).to_owned())),
                None => {
                    if let Some(path) = about.location.as_ref().strip_prefix(&below) {
                        goes_on = tell(Ok(listed(path, &about)));
                    }
                }
            }
        }
        Ok(())
    }

    async fn find(&self, folder: &LakeUrl, path: &str) -> Result<Option<Listed>, StepError> {
        let Some(key) = key(folder, path) else { return Ok(None) };
        match self.client(folder).map_err(StepError::new)?.head(&key).await {
            Ok(about) => Ok(Some(listed(path, &about))),
            Err(e) if is_gone(&e) => Ok(None),
            Err(e) => Err(StepError::new(failed(folder, path)(e))),
        }
    }

    async fn receive(&self, folder: &LakeUrl, objects: Vec<Listed>) -> Vec<(Listed, Result<Received, StepError>)> {
        let mut all = Vec::with_capacity(objects.len());
        let fetches = objects.into_iter().map(|object| async move {
            let received = self.received(folder, &object).await;
            (object, received)
        });
        let mut fetches = stream::iter(fetches).buffered(OBJECTS_AT_ONCE);
        while let Some((object, received)) = fetches.next().await {
            let ends = received.as_ref().is_err_and(|e| e.class().may_pass() && !is_of_it_alone(e));
            all.push((object, received.map_err(StepError::new)));
            if ends {
                break;
            }
        }
        all
    }
}

/// A copy that is written.
struct Part {
    file: NamedTempFile,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Part {
    fn begin(folder: &Path) -> Result<Self, LakeError> {
        fs::create_dir_all(folder).map_err(LakeError::io(folder))?;
        let file = tempfile::Builder::new().prefix(room::PARTIAL).tempfile_in(folder).map_err(LakeError::io(folder))?;
        Ok(Self { file, hasher: blake3::Hasher::new(), bytes: 0 })
    }

    async fn take(&mut self, got: GetResult, failed: &impl Fn(Error) -> LakeError) -> Result<(), LakeError> {
        let mut chunks = got.into_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(failed)?;
            self.hasher.update(&chunk);
            self.bytes += chunk.len() as u64;
            self.file.write_all(&chunk).map_err(LakeError::io(self.file.path()))?;
        }
        Ok(())
    }
}

fn prefix(folder: &LakeUrl) -> Key {
    Key::from_iter(folder.prefix().iter().map(String::as_str))
}

/// What the keys of the folder's objects begin with.
fn below(folder: &LakeUrl) -> String {
    folder.prefix().iter().map(|p| format!("{p}/")).collect()
}

/// `None`: no object has this path.
fn key(folder: &LakeUrl, path: &str) -> Option<Key> {
    let name = below(folder) + path;
    Key::parse(&name).ok().filter(|key| key.as_ref() == name)
}

fn listed(path: &str, about: &ObjectMeta) -> Listed {
    Listed { path: path.to_owned(), bytes: about.size, modified_nanos: identity(about) }
}

/// Its time to the second, as lists and answers have it alike, and in the place of smaller parts what its tag gives.
fn identity(about: &ObjectMeta) -> i64 {
    let tag = about.e_tag.as_deref().unwrap_or_default();
    let tag = blake3::hash(tag.trim_start_matches("W/").trim_matches('"').as_bytes());
    let [a, b, c, d, ..] = *tag.as_bytes();
    let part = i64::from(u32::from_be_bytes([a, b, c, d])) % SECOND_NANOS;
    about.last_modified.timestamp().saturating_mul(SECOND_NANOS).saturating_add(part)
}

fn failed(folder: &LakeUrl, path: &str) -> impl Fn(Error) -> LakeError {
    let url = format!("{folder}/{path}").trim_end_matches('/').to_owned();
    move |source| LakeError::Bucket { url: url.clone(), source: Box::new(source) }
}

/// An answer that is not understood, from a store that otherwise answers: as one without a length, of an object that Google
/// unpacks on the way.
fn is_of_it_alone(error: &LakeError) -> bool {
    matches!(error, LakeError::Bucket { .. }) && fault::of(error).is_none()
}

/// Whether there is no such object, in a bucket that is there.
fn is_gone(error: &Error) -> bool {
    matches!(error, Error::NotFound { source, .. } if fault::of(source.as_ref()) != Some(fault::StoreFault::NoBucket))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_flow::Buckets as _;
    use alluvium_model::SystemClock;
    use object_store::{PutPayload, memory::InMemory};

    struct World {
        store: Arc<InMemory>,
        buckets: Buckets,
        folder: tempfile::TempDir,
        url: LakeUrl,
    }

    impl World {
        fn new(cache: u64) -> Self {
            let (store, folder) = (Arc::new(InMemory::new()), tempfile::tempdir().expect("a folder"));
            let url: LakeUrl = "s3://bucket/in/orders".parse().expect("a url");
            let meter = Arc::new(Meter::of_object_store());
            let copies = folder.path().join("copies");
            let buckets = Buckets::new(copies, ByteSize(cache), Arc::new(SystemClock), meter);
            buckets.0.clients.lock().expect("free").insert(url.root(), store.clone());
            Self { store, buckets, folder, url }
        }

        async fn put(&self, path: &str, bytes: &[u8]) {
            let key = key(&self.url, path).expect("a key");
            self.store.put(&key, PutPayload::from(bytes.to_vec())).await.expect("put");
        }

        async fn listed(&self) -> Vec<Listed> {
            let mut all = Vec::new();
            let mut tell = |one: Result<Listed, String>| {
                all.push(one.expect("a name"));
                true
            };
            self.buckets.list(&self.url, None, &mut tell).await.expect("a list");
            all
        }

        async fn received(&self, listed: Vec<Listed>) -> Vec<Received> {
            let all = self.buckets.receive(&self.url, listed).await;
            all.into_iter().map(|(_, received)| received.expect("it came")).collect()
        }

        fn open(&self, path: &str, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
            let mut file = self.buckets.open(&self.url, path, bytes.len() as u64, &content(bytes))?;
            let mut read = Vec::new();
            io::Read::read_to_end(&mut file, &mut read).expect("it can be read");
            Ok(read)
        }

        fn forget(&self) {
            fs::remove_dir_all(self.folder.path().join("copies")).expect("copies");
        }
    }

    fn content(bytes: &[u8]) -> ContentHash {
        ContentHash::from_stored(blake3::hash(bytes).to_hex().as_str())
    }

    #[tokio::test]
    async fn what_lies_below_the_folder_is_listed_and_nothing_else() {
        let world = World::new(1 << 20);
        for path in ["a.csv", "deep/b.csv", "A.csv", "a%2Fb.csv", "ä ö+&.csv"] {
            world.put(path, b"1").await;
        }
        for beside in ["in/orders.csv", "in/orders2/c.csv", "c.csv"] {
            world.store.put(&Key::from(beside), PutPayload::from_static(b"1")).await.expect("put");
        }
        let mut paths: Vec<String> = world.listed().await.into_iter().map(|l| l.path).collect();
        paths.sort();
        assert_eq!(paths, ["A.csv", "a%2Fb.csv", "a.csv", "deep/b.csv", "ä ö+&.csv"]);
        for listed in world.listed().await {
            let found = world.buckets.find(&world.url, &listed.path).await.expect("an answer");
            assert_eq!(found, Some(listed), "lists and answers tell the same");
        }
        for path in ["b.csv", "../orders/a.csv", "a.csv/", "/a.csv", "", "a\n.csv"] {
            assert_eq!(world.buckets.find(&world.url, path).await.expect("an answer"), None, "{path}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn another_object_of_the_same_size_and_second_is_another_one() {
        let world = World::new(1 << 20);
        let about = |tag: &str| ObjectMeta {
            location: Key::from("a"),
            last_modified: "2024-01-01T00:00:00Z".parse().expect("a time"),
            size: 1,
            e_tag: Some(tag.to_owned()),
            version: None,
        };
        assert_ne!(identity(&about("1")), identity(&about("2")));
        assert_eq!(identity(&about("1")), identity(&about("\"1\"")), "lists of Azure have no quotes");
        assert_eq!(identity(&about("1")) / SECOND_NANOS, 1_704_067_200);
        world.put("a.csv", b"old").await;
        let listed = world.listed().await;
        assert_eq!(world.received(listed.clone()).await, [Received::Content(content(b"old"))]);
        world.put("a.csv", b"longer").await;
        assert_eq!(world.received(listed.clone()).await, [Received::Changed]);
        world.put("a.csv", b"new").await;
        assert_eq!(world.received(listed).await, [Received::Content(content(b"new"))]);
        assert_eq!(world.open("a.csv", b"old").expect("its copy is here"), b"old");
        world.forget();
        assert!(matches!(world.open("a.csv", b"old"), Err(DecodeError::Changed)));
        assert!(matches!(world.open("a.csv", b"longer"), Err(DecodeError::Changed)));
        assert_eq!(world.open("a.csv", b"new").expect("it is what is there"), b"new");
        world.forget();
        assert!(matches!(world.open("b.csv", b"new"), Err(DecodeError::Gone)));
        assert!(matches!(world.open("../a.csv", b"new"), Err(DecodeError::Gone)));
    }

    #[test]
    fn an_outage_is_of_all_objects_and_an_odd_answer_of_one() {
        let url: LakeUrl = "s3://bucket/in".parse().expect("a url");
        let error = |text: &str| failed(&url, "a.csv")(Error::Generic { store: "S3", source: text.to_owned().into() });
        for text in ["Content-Length Header missing from response", "6 bytes came of 7"] {
            let odd = error(text);
            assert!(odd.class().may_pass() && is_of_it_alone(&odd), "{text}");
        }
        for text in ["status code: 503 Slow Down: <Code>SlowDown</Code>", "HTTP error: error sending request"] {
            let outage = error(text);
            assert!(outage.class().may_pass() && !is_of_it_alone(&outage), "{text}");
        }
        assert!(!is_of_it_alone(&LakeError::Worker("a thread ended early")));
    }

    #[tokio::test]
    async fn what_a_step_is_brought_is_what_was_planned() {
        let world = World::new(1 << 20);
        world.put("a.csv", b"1").await;
        world.put("b.csv", b"2").await;
        let object = |path: &str, bytes: &[u8]| (path.to_owned(), bytes.len() as u64, content(bytes));
        let objects = vec![object("a.csv", b"1"), object("b.csv", b"3"), object("c.csv", b"4")];
        world.buckets.bring(&world.url, objects).await.expect("the store answers");
        let copies = fs::read_dir(world.folder.path().join("copies")).expect("copies").count();
        assert_eq!(copies, 1, "one changed, and one is gone");
        assert_eq!(world.open("a.csv", b"1").expect("its copy is here"), b"1");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_step_waits_for_no_look() {
        let world = World::new(1 << 20);
        world.put("a.csv", b"1").await;
        // Of looks that stand still while a step has their thread.
        let _places = world.buckets.0.down.acquire_many(OBJECTS_AT_ONCE as u32).await.expect("nobody closes it");
        assert_eq!(world.open("a.csv", b"1").expect("it comes"), b"1");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn large_and_empty_objects_come_whole_through_a_small_cache() {
        let world = World::new(1);
        let large: Vec<u8> = (0..2 * PART_BYTES as u32 + 7).map(|i| (i % 251) as u8).collect();
        let all: [(&str, &[u8]); 3] = [("empty.csv", b""), ("large.csv", &large), ("small.csv", b"1")];
        for (path, bytes) in all {
            world.put(path, bytes).await;
        }
        let received = world.received(world.listed().await).await;
        assert_eq!(received, all.map(|(_, bytes)| Received::Content(content(bytes))));
        for (path, bytes) in all {
            assert!(world.open(path, bytes).expect("it opens") == bytes, "{path}");
        }
        let copies = fs::read_dir(world.folder.path().join("copies")).expect("copies").count();
        assert_eq!(copies, 1, "the newest, and nothing that is half");
        assert_eq!(world.buckets.small(&world.url, "large.csv", 10).await.expect("read").map(|b| b.len()), Some(11));
        assert_eq!(world.buckets.small(&world.url, "empty.csv", 10).await.expect("read"), Some(Vec::new()));
        assert_eq!(world.buckets.small(&world.url, "nothing.csv", 10).await.expect("read"), None);
    }
}
