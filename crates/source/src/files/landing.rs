//! One look at a dataset's landing folder: what is new, what is too young, what can never be taken.

use super::{
    FilesError,
    age::{Age, age},
    hash::{Hashed, hash_all},
    lay_down::lay_down,
    walk::{Found, Walked, find, pattern, walk},
};
use alluvium_flow::{Arrival, Buckets, Copies, Landing, Look, StepError};
use alluvium_model::{Clock, DatasetName, Span};
use alluvium_spec::{CONTROL_FILE, Dataset, FileSource, Kind};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

/// Before a file that changed under its reader is looked at again.
pub(super) const CHANGED_WAIT: Duration = Duration::from_millis(200);

/// Size and modification time, by path.
pub(super) type Seen = BTreeMap<String, (u64, i64)>;

/// Finds files in the folders of bronze datasets.
///
/// A file is taken when it has rested for the source's `settle` and did not change while it was read. A known file, by
/// path, size and modification time, is not opened. Dropping the future stops its threads soon.
pub struct FileLanding {
    clock: Arc<dyn Clock>,
    /// What was pushed is laid down in the lake.
    copies: Arc<dyn Copies>,
    pub(super) buckets: Arc<dyn Buckets>,
    /// Objects of buckets that the last look read, so that a look which is followed by another one reads them once.
    pub(super) received: Mutex<BTreeMap<DatasetName, BTreeMap<String, Arrival>>>,
    /// Files whose time lies in the future, as the last look found them and as this one has so far.
    ahead: Mutex<BTreeMap<DatasetName, (Seen, Seen)>>,
}

impl FileLanding {
    pub fn new(clock: Arc<dyn Clock>, copies: Arc<dyn Copies>, buckets: Arc<dyn Buckets>) -> Self {
        Self { clock, copies, buckets, received: Mutex::default(), ahead: Mutex::default() }
    }

    /// What ends in `beside` is none of the dataset's files, whatever its pattern.
    async fn files(
        &self,
        name: &DatasetName,
        source: &FileSource,
        beside: Option<&str>,
        known: &Seen,
    ) -> Result<Look, FilesError> {
        let (folder, glob) = (source.folder.clone(), pattern(&source.glob)?);
        let Walked { mut files, mut refused } = tokio::task::spawn_blocking(move || walk(&folder, &glob)).await?;
        if let Some(beside) = beside {
            files.retain(|f| !f.path.ends_with(beside));
            refused.retain(|r| !r.path.ends_with(beside));
        }
        let mut look = Look { refused, ..Look::default() };
        let state = |file: &Found| (file.path.clone(), (file.stat.bytes, file.stat.modified_nanos));
        let ready = self.ready(name, (source.settle, false), files, state, known, &mut look);
        for (file, hashed) in hash_all(ready).await? {
            match hashed {
                Hashed::Content(content) => look.arrivals.push(Arrival {
                    path: file.path,
                    bytes: file.stat.bytes,
                    modified_nanos: file.stat.modified_nanos,
                    content,
                }),
                Hashed::Changed => unsettled(&mut look, Duration::from(source.settle).max(CHANGED_WAIT)),
                Hashed::Gone => tracing::debug!(dataset = %name, path = file.path, "gone before it was read"),
                Hashed::Refused(refusal) => look.refused.push(refusal.at(file.path.as_ref())),
            }
        }
        look.refused.sort_by(|a, b| a.path.cmp(&b.path));
        let (new, unsettled, refused) = (look.arrivals.len(), look.unsettled, look.refused.len());
        tracing::debug!(dataset = %name, new, unsettled, refused, "looked at the landing folder");
        Ok(look)
    }

    /// The files that are not known and have rested; counts those that have not. `goes_on`: they are a further part of the same look.
    pub(super) fn ready<F>(
        &self,
        name: &DatasetName,
        (settle, goes_on): (Span, bool),
        files: Vec<F>,
        state: impl Fn(&F) -> (String, (u64, i64)),
        known: &Seen,
        look: &mut Look,
    ) -> Vec<F> {
        let now = self.clock.now().as_nanosecond();
        let mut ahead = self.ahead.lock().expect("no holder of this lock panics");
        let (before, again) = ahead.entry(name.clone()).or_default();
        if !goes_on {
            *before = std::mem::take(again);
        }
        let mut ready = Vec::new();
        for file in files {
            let (path, state) = state(&file);
            if known.get(&path) == Some(&state) {
                continue;
            }
            let same_as_before = before.get(&path) == Some(&state);
            let modified_nanos = state.1;
            if i128::from(modified_nanos) > now {
                again.insert(path, state);
            }
            match age(modified_nanos, now, settle, same_as_before) {
                Age::Settled => ready.push(file),
                Age::Young(left) => unsettled(look, left),
            }
        }
        ready
    }
}

/// A complete file inside the folder, if one lies there.
async fn at_path(folder: &Path, path: &str) -> Result<Option<Arrival>, FilesError> {
    let (folder, path) = (folder.to_owned(), path.to_owned());
    let Some(file) = tokio::task::spawn_blocking(move || find(&folder, &path)).await? else { return Ok(None) };
    let arrival = |(file, hashed): (Found, Hashed)| match hashed {
        Hashed::Content(content) => {
            Some(Arrival { path: file.path, bytes: file.stat.bytes, modified_nanos: file.stat.modified_nanos, content })
        }
        Hashed::Changed | Hashed::Gone | Hashed::Refused(_) => None,
    };
    Ok(hash_all(vec![file]).await?.into_iter().find_map(arrival))
}

pub(super) fn unsettled(look: &mut Look, left: Duration) {
    look.unsettled += 1;
    look.settled_in = look.settled_in.max(left);
}

#[async_trait]
impl Landing for FileLanding {
    async fn lay_down(&self, dataset: &Dataset, records: &[String]) -> Result<Arrival, StepError> {
        match &dataset.kind {
            Kind::Bronze(bronze) => {
                let (folder, records) = (bronze.files.folder.clone(), records.to_vec());
                let written = tokio::task::spawn_blocking(move || lay_down(&folder, &records)).await;
                let arrival = written.map_err(FilesError::from).and_then(|w| w).map_err(StepError::new)?;
                self.copies.bring(&bronze.files.folder.join(&arrival.path)).await?;
                Ok(arrival)
            }
            Kind::Silver(_) | Kind::Gold(_) => Err(StepError::new(FilesError::NotBronze)),
        }
    }

    async fn find(&self, dataset: &Dataset, path: &str) -> Result<Option<Arrival>, StepError> {
        let Kind::Bronze(bronze) = &dataset.kind else { return Err(StepError::new(FilesError::NotBronze)) };
        if let Some(url) = &bronze.files.remote {
            return self.in_bucket(url, path).await;
        }
        if dataset.is_pushed() {
            self.copies.fetch(&bronze.files.folder.join(path)).await?;
        }
        at_path(&bronze.files.folder, path).await.map_err(StepError::new)
    }

    async fn lacks(&self, dataset: &Dataset, paths: Vec<String>) -> Result<Option<String>, StepError> {
        let Kind::Bronze(bronze) = &dataset.kind else { return Err(StepError::new(FilesError::NotBronze)) };
        // Those of the lake are where every process has them.
        if dataset.is_pushed() || paths.is_empty() {
            return Ok(None);
        }
        let folder = bronze.files.folder.clone();
        let is_missing = move |path: &String| {
            let kind = fs::metadata(folder.join(path)).map_err(|e| e.kind());
            matches!(kind, Err(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
        };
        let looked = tokio::task::spawn_blocking(move || paths.into_iter().find(is_missing)).await;
        looked.map_err(|e| StepError::new(FilesError::from(e)))
    }

    async fn look(&self, dataset: &Dataset, known: &Seen, after: Option<&str>) -> Result<Look, StepError> {
        if dataset.is_pushed() {
            return Ok(Look::default());
        }
        match &dataset.kind {
            Kind::Bronze(bronze) => {
                let beside = dataset.accept.totals.map(|_| CONTROL_FILE);
                if let Some(url) = &bronze.files.remote {
                    return self.objects(&dataset.name, url, &bronze.files, beside, (known, after)).await;
                }
                self.files(&dataset.name, &bronze.files, beside, known).await.map_err(StepError::new)
            }
            Kind::Silver(_) | Kind::Gold(_) => Ok(Look::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alluvium_flow::{Listed, Received};
    use alluvium_model::{LakeUrl, ManualClock};
    use alluvium_spec::CsvOptions;
    use std::os::unix::fs::MetadataExt;

    struct Zone {
        folder: tempfile::TempDir,
        clock: Arc<ManualClock>,
        landing: FileLanding,
        settle: Span,
    }

    /// No file of these tests is one of the lake.
    struct Elsewhere;

    #[async_trait]
    impl Copies for Elsewhere {
        async fn bring(&self, _: &Path) -> Result<(), StepError> {
            unreachable!("nothing is laid down")
        }

        async fn fetch(&self, _: &Path) -> Result<(), StepError> {
            unreachable!("nothing was pushed")
        }
    }

    /// Nor is one in a bucket.
    #[async_trait]
    impl Buckets for Elsewhere {
        async fn list(
            &self,
            _: &LakeUrl,
            _: Option<&str>,
            _: &mut (dyn FnMut(Result<Listed, String>) -> bool + Send),
        ) -> Result<(), StepError> {
            unreachable!("no folder is in a bucket")
        }

        async fn find(&self, _: &LakeUrl, _: &str) -> Result<Option<Listed>, StepError> {
            unreachable!("no folder is in a bucket")
        }

        async fn receive(&self, _: &LakeUrl, _: Vec<Listed>) -> Vec<(Listed, Result<Received, StepError>)> {
            unreachable!("no folder is in a bucket")
        }
    }

    fn landing(clock: Arc<ManualClock>) -> FileLanding {
        FileLanding::new(clock, Arc::new(Elsewhere), Arc::new(Elsewhere))
    }

    impl Zone {
        /// The clock stands long after any file that the test writes.
        fn new(settle: Span) -> Self {
            let clock = Arc::new(ManualClock::at("2199-01-01T00:00:00Z".parse().expect("a time")));
            let folder = tempfile::tempdir().expect("a folder");
            Self { folder, clock: clock.clone(), landing: landing(clock), settle }
        }

        fn put(&self, path: &str, text: &str) -> (u64, i64) {
            let at = self.folder.path().join(path);
            fs::write(&at, text).expect("a file");
            let meta = fs::metadata(&at).expect("a file");
            (meta.len(), meta.mtime() * 1_000_000_000 + meta.mtime_nsec())
        }

        async fn look(&self, known: &Seen) -> Look {
            let name: DatasetName = "bronze.drops".parse().expect("a name");
            let source = source(self.folder.path(), self.settle);
            self.landing.files(&name, &source, None, known).await.expect("a look")
        }
    }

    fn source(folder: &Path, settle: Span) -> FileSource {
        let csv = CsvOptions { delimiter: None, quote: b'"', columns: None };
        FileSource { folder: folder.to_owned(), remote: None, glob: "*.csv".to_owned(), settle, format: None, csv }
    }

    fn paths(look: &Look) -> Vec<&str> {
        look.arrivals.iter().map(|a| a.path.as_str()).collect()
    }

    #[tokio::test]
    async fn a_known_file_is_not_reported_again_until_it_changes() {
        let zone = Zone::new(Span::ZERO);
        let known = Seen::from([("a.csv".to_owned(), zone.put("a.csv", "1")), ("b.csv".to_owned(), (1, 1))]);
        zone.put("b.csv", "2");
        zone.put("c.csv", "3");
        let look = zone.look(&known).await;
        assert_eq!(paths(&look), ["b.csv", "c.csv"]);
        assert_eq!(look.arrivals[0].content.as_str(), blake3::hash(b"2").to_hex().as_str());
        assert_eq!(look, zone.look(&known).await);
    }

    #[tokio::test]
    async fn what_stands_beside_files_is_none_of_them() {
        let zone = Zone::new(Span::ZERO);
        for path in ["a-1.csv", "a-1.csv.ctl", "a-2.csv.gz", "a-2.csv.gz.ctl"] {
            zone.put(path, path);
        }
        fs::create_dir(zone.folder.path().join("a-3.csv.ctl")).expect("a folder");
        let name: DatasetName = "bronze.drops".parse().expect("a name");
        for glob in ["*", "a-*", "*.csv*"] {
            let source = FileSource { glob: glob.to_owned(), ..source(zone.folder.path(), zone.settle) };
            let look = zone.landing.files(&name, &source, Some(CONTROL_FILE), &Seen::new()).await.expect("a look");
            assert_eq!((paths(&look), look.refused.len()), (vec!["a-1.csv", "a-2.csv.gz"], 0), "{glob}");
            let look = zone.landing.files(&name, &source, None, &Seen::new()).await.expect("a look");
            assert_eq!((look.arrivals.len(), look.refused.len()), (4, 1), "{glob}");
        }
    }

    #[tokio::test]
    async fn a_young_file_waits_for_the_clock() {
        let zone = Zone::new(Span::from_secs(2));
        let (_, modified) = zone.put("a.csv", "1");
        let clock = Arc::new(ManualClock::at(
            jiff::Timestamp::from_nanosecond(i128::from(modified) + 1_000_000_000).expect("a time"),
        ));
        let zone = Zone { landing: landing(clock.clone()), clock, ..zone };
        let look = zone.look(&Seen::new()).await;
        assert_eq!((paths(&look).len(), look.unsettled), (0, 1));
        assert!(look.settled_in <= Duration::from_millis(1_001), "{:?}", look.settled_in);
        zone.clock.advance_micros(1_000_001);
        let look = zone.look(&Seen::new()).await;
        assert_eq!((paths(&look), look.unsettled), (vec!["a.csv"], 0));
    }

    #[tokio::test]
    async fn what_lies_at_a_path_is_found_again() {
        let zone = Zone::new(Span::ZERO);
        let (bytes, modified_nanos) = zone.put("a.csv", "1");
        let find = async |path: &str| at_path(zone.folder.path(), path).await.expect("an answer");
        let content = alluvium_model::ContentHash::from_stored(blake3::hash(b"1").to_hex().as_str());
        assert_eq!(find("a.csv").await, Some(Arrival { path: "a.csv".to_owned(), bytes, modified_nanos, content }));
        assert_eq!(find("b.csv").await, None);
        fs::create_dir(zone.folder.path().join("c.csv")).expect("a folder");
        let outside = tempfile::NamedTempFile::new().expect("a file");
        std::os::unix::fs::symlink(outside.path(), zone.folder.path().join("d.csv")).expect("a link");
        let above = format!("../{}", outside.path().file_name().and_then(|n| n.to_str()).expect("a name"));
        for path in ["c.csv", "d.csv", "..", "", &above, outside.path().to_str().expect("a path")] {
            assert_eq!(find(path).await, None, "{path}");
        }
    }

    #[tokio::test]
    async fn a_file_from_the_future_is_taken_at_the_second_look() {
        let zone = Zone::new(Span::from_secs(2));
        zone.put("a.csv", "1");
        let clock = Arc::new(ManualClock::at("1999-01-01T00:00:00Z".parse().expect("a time")));
        let zone = Zone { landing: landing(clock.clone()), clock, ..zone };
        let look = zone.look(&Seen::new()).await;
        assert_eq!((look.unsettled, look.settled_in), (1, Duration::from_secs(2)));
        zone.put("a.csv", "1 and more");
        assert_eq!(zone.look(&Seen::new()).await.unsettled, 1, "it changed in between");
        assert_eq!(paths(&zone.look(&Seen::new()).await), ["a.csv"]);
    }

    #[tokio::test]
    async fn many_files_come_in_order_of_their_paths() {
        let zone = Zone::new(Span::ZERO);
        let names: Vec<String> = (0..50).map(|i| format!("f{i:02}.csv")).collect();
        for name in names.iter().rev() {
            zone.put(name, name);
        }
        assert_eq!(paths(&zone.look(&Seen::new()).await), names);
    }
}
