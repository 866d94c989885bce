//! An object store for tests: it loses the answers of commits, refuses to give data files, and counts what is asked of it.

use crate::maintain::fixture::{World, ids};
use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory, path::Path,
};
use std::{
    fmt, fs,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::SeqCst},
    },
};

/// The next commit is done, and its answer lost.
pub(crate) const LOST: u8 = 1;
/// The same, and the client's second try finds the first in the way.
pub(crate) const AGAIN: u8 = 2;
/// The next commit is not done.
pub(crate) const CUT: u8 = 3;
/// Turns of its task for which a data file stays on its way: enough for all that could begin beside it to begin.
const TURNS: usize = 50;

#[derive(Debug, Default)]
pub(crate) struct Faulty {
    inner: InMemory,
    /// What becomes of the next commit.
    pub(crate) next: AtomicU8,
    /// Data files cannot be read.
    pub(crate) cut: AtomicBool,
    pub(crate) gets: AtomicUsize,
    pub(crate) down: OnTheWay,
    pub(crate) up: OnTheWay,
}

/// Data files that are on their way at once.
#[derive(Debug, Default)]
pub(crate) struct OnTheWay {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl OnTheWay {
    async fn one(&self) {
        self.most.fetch_max(self.now.fetch_add(1, SeqCst) + 1, SeqCst);
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        self.now.fetch_sub(1, SeqCst);
    }

    /// The most since this was asked last.
    pub(crate) fn most(&self) -> usize {
        self.most.swap(0, SeqCst)
    }
}

fn is_data(location: &Path) -> bool {
    location.as_ref().ends_with(".parquet") && !location.as_ref().contains("_delta_log/")
}

fn cut() -> Error {
    Error::Generic { store: "faulty", source: "the connection was cut".into() }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store with faults")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        if is_data(location) {
            self.up.one().await;
        }
        let is_commit = location.as_ref().contains("_delta_log/") && location.as_ref().ends_with(".json");
        let fault = if is_commit { self.next.swap(0, SeqCst) } else { 0 };
        if fault == CUT {
            return Err(cut());
        }
        let done = self.inner.put_opts(location, payload, opts).await?;
        match fault {
            LOST => Err(cut()),
            AGAIN => Err(Error::AlreadyExists { path: location.to_string(), source: "412".into() }),
            _ => Ok(done),
        }
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.gets.fetch_add(1, SeqCst);
        if is_data(location) {
            if self.cut.load(SeqCst) {
                return Err(cut());
            }
            self.down.one().await;
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// A table of `files` files with one row each, of which no copy is here.
pub(crate) async fn without_copies(files: i64) -> (Arc<Faulty>, World) {
    let store = Arc::new(Faulty::default());
    let world = World::in_object_store(store.clone(), 1 << 30);
    for n in 0..files {
        world.append(&World::silver(), &format!("step{n}"), &ids(&[n])).await;
    }
    for source in world.table(&World::silver()).await.sources().expect("sources") {
        fs::remove_file(&*source.path).expect("a copy");
    }
    store.down.most();
    (store, world)
}
