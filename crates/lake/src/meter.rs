//! Counts what a step uses: requests and bytes to the store of tables, CPU time and memory of the process.

use alluvium_flow::Usage;
use alluvium_model::Clock;
use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, path::Path,
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// The lake is in an object store: what is done on this disk is no request, and is not counted.
    remote: bool,
    pub(crate) reads: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) lists: AtomicU64,
    pub(crate) bytes_read: AtomicU64,
    pub(crate) bytes_written: AtomicU64,
}

impl Meter {
    pub(crate) fn of_object_store() -> Self {
        Self { remote: true, ..Self::default() }
    }

    pub(crate) fn read(&self, bytes: u64) {
        if !self.remote {
            self.read_remotely(bytes);
        }
    }

    pub(crate) fn wrote(&self, bytes: u64) {
        if !self.remote {
            self.wrote_remotely(bytes);
        }
    }

    pub(crate) fn read_remotely(&self, bytes: u64) {
        self.reads.fetch_add(1, Relaxed);
        self.received_remotely(bytes);
    }

    /// Bytes of an answer whose request is counted already.
    pub(crate) fn received_remotely(&self, bytes: u64) {
        self.bytes_read.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn wrote_remotely(&self, bytes: u64) {
        self.writes.fetch_add(1, Relaxed);
        self.bytes_written.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn listed_remotely(&self) {
        self.lists.fetch_add(1, Relaxed);
    }

    fn totals(&self) -> [u64; 5] {
        [&self.reads, &self.writes, &self.lists, &self.bytes_read, &self.bytes_written].map(|c| c.load(Relaxed))
    }
}

/// What had been used when a step began.
pub(crate) struct Started {
    totals: [u64; 5],
    cpu_micros: u64,
    at: jiff::Timestamp,
}

impl Meter {
    pub(crate) fn start(&self, clock: &dyn Clock) -> Started {
        Started { totals: self.totals(), cpu_micros: process_cpu_micros(), at: clock.now() }
    }

    /// What was used since. The differences are the step's own where no other runs beside it in this process.
    pub(crate) fn since(&self, started: &Started, clock: &dyn Clock) -> Usage {
        let now = self.totals();
        let d = |i: usize| now[i].saturating_sub(started.totals[i]);
        Usage {
            wall_micros: u64::try_from(clock.now().as_microsecond() - started.at.as_microsecond()).unwrap_or(0),
            cpu_micros: process_cpu_micros().saturating_sub(started.cpu_micros),
            peak_memory_bytes: peak_memory_bytes(),
            store_reads: d(0),
            store_writes: d(1),
            store_lists: d(2),
            bytes_read: d(3),
            bytes_written: d(4),
            rows_in: 0,
            rows_out: 0,
        }
    }
}

/// User and system time of this process; 0 where the system does not tell.
fn process_cpu_micros() -> u64 {
    const MICROS_PER_TICK: u64 = 10_000;
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return 0 };
    let Some((_, fields)) = stat.rsplit_once(')') else { return 0 };
    let ticks = |n: usize| fields.split_whitespace().nth(n).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
    (ticks(11) + ticks(12)) * MICROS_PER_TICK
}

/// Highest resident memory of this process so far; 0 where the system does not tell.
pub(crate) fn peak_memory_bytes() -> u64 {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return 0 };
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// An object store that counts every request.
#[derive(Debug)]
pub(crate) struct Metered {
    inner: Arc<dyn ObjectStore>,
    meter: Arc<Meter>,
}

impl Metered {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, meter: Arc<Meter>) -> Self {
        Self { inner, meter }
    }
}

impl fmt::Display for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Metered {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.meter.wrote(payload.content_length() as u64);
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.meter.wrote(0);
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let result = self.inner.get_opts(location, options).await?;
        self.meter.read(result.range.end - result.range.start);
        Ok(result)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.meter.wrote(0);
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.meter.lists.fetch_add(1, Relaxed);
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.meter.lists.fetch_add(1, Relaxed);
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.meter.lists.fetch_add(1, Relaxed);
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.meter.wrote(0);
        self.inner.copy_opts(from, to, options).await
    }
}
