//! Names files by their content, two at a time, on threads that may block.
//!
//! Called by `landing.rs`. A file that changes while it is read gets no name.

use super::{
    FilesError,
    refusal::Refusal,
    walk::{Found, Stat},
};
use alluvium_model::ContentHash;
use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

const THREADS: usize = 2;
const BUFFER_BYTES: usize = 1 << 20;

#[derive(Debug)]
pub(super) enum Hashed {
    Content(ContentHash),
    /// It grew, shrank or was written to in between: it is not complete yet.
    Changed,
    Gone,
    Refused(Refusal),
}

/// Stops the threads when the future that waits for them is dropped.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// One answer for each file, in their order.
pub(super) async fn hash_all(files: Vec<Found>) -> Result<Vec<(Found, Hashed)>, FilesError> {
    let files = Arc::new(files);
    let next = Arc::new(AtomicUsize::new(0));
    let stop = StopOnDrop(Arc::new(AtomicBool::new(false)));
    let mut threads = Vec::new();
    for _ in 0..THREADS.min(files.len()) {
        let (files, next, stop) = (files.clone(), next.clone(), stop.0.clone());
        threads.push(tokio::task::spawn_blocking(move || hash_some(&files, &next, &stop)));
    }
    let mut done = Vec::with_capacity(files.len());
    for thread in threads {
        done.extend(thread.await?);
    }
    done.sort_by_key(|(i, _)| *i);
    Ok(done.into_iter().map(|(i, h)| (files[i].clone(), h)).collect())
}

fn hash_some(files: &[Found], next: &AtomicUsize, stop: &AtomicBool) -> Vec<(usize, Hashed)> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut done = Vec::new();
    loop {
        let i = next.fetch_add(1, Relaxed);
        let Some(file) = files.get(i) else { return done };
        let hashed = hash(&file.place, file.stat, &mut buffer, stop);
        done.push((i, hashed.unwrap_or_else(|e| Refusal::of(&e).map_or(Hashed::Gone, Hashed::Refused))));
    }
}

fn hash(place: &Path, seen: Stat, buffer: &mut [u8], stop: &AtomicBool) -> io::Result<Hashed> {
    // Asked again right before it is opened: opening a named pipe would wait for a writer.
    if !fs::symlink_metadata(place)?.is_file() {
        return Ok(Hashed::Refused(Refusal::NotAFile));
    }
    let mut file = File::open(place)?;
    if Stat::of(&file.metadata()?) != seen {
        return Ok(Hashed::Changed);
    }
    let mut hasher = blake3::Hasher::new();
    let mut bytes = 0;
    // A file that grows without end is left as soon as it is longer than it was.
    while bytes <= seen.bytes && !stop.load(Relaxed) {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(n) => {
                hasher.update(&buffer[..n]);
                bytes += n as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    if bytes != seen.bytes || Stat::of(&fs::symlink_metadata(place)?) != seen {
        return Ok(Hashed::Changed);
    }
    Ok(Hashed::Content(ContentHash::from_stored(hasher.finalize().to_hex().as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(place: &Path) -> Stat {
        Stat::of(&fs::symlink_metadata(place).expect("a file"))
    }

    fn read(place: &Path, seen: Stat) -> io::Result<Hashed> {
        hash(place, seen, &mut [0; 16], &AtomicBool::new(false))
    }

    #[test]
    fn content_decides_the_name() {
        let t = tempfile::tempdir().expect("a folder");
        let (a, b) = (t.path().join("a"), t.path().join("b"));
        let text = "longer than the buffer of this test";
        fs::write(&a, text).expect("a file");
        fs::write(&b, text).expect("a file");
        let name = |p: &Path| match read(p, stat(p)) {
            Ok(Hashed::Content(c)) => c,
            other => panic!("{other:?}"),
        };
        assert_eq!(name(&a), name(&b));
        assert_eq!(name(&a).as_str(), blake3::hash(text.as_bytes()).to_hex().as_str());
    }

    #[test]
    fn a_file_that_changed_since_it_was_seen_gets_no_name() {
        let t = tempfile::tempdir().expect("a folder");
        let a = t.path().join("a");
        fs::write(&a, "one").expect("a file");
        let seen = stat(&a);
        fs::write(&a, "one and more").expect("a file");
        assert!(matches!(read(&a, seen), Ok(Hashed::Changed)));
        let replaced = t.path().join("b");
        fs::write(&replaced, "two").expect("a file");
        fs::rename(&replaced, &a).expect("renamed");
        assert!(matches!(read(&a, seen), Ok(Hashed::Changed)));
        fs::remove_file(&a).expect("removed");
        assert_eq!(read(&a, seen).map(|_| ()).map_err(|e| e.kind()), Err(io::ErrorKind::NotFound));
    }

    #[test]
    fn a_pipe_in_the_place_of_a_file_is_not_opened() {
        let t = tempfile::tempdir().expect("a folder");
        let a = t.path().join("a");
        fs::write(&a, "one").expect("a file");
        let seen = stat(&a);
        fs::remove_file(&a).expect("removed");
        let made = std::process::Command::new("mkfifo").arg(&a).status().expect("mkfifo runs");
        assert!(made.success());
        assert!(matches!(read(&a, seen), Ok(Hashed::Refused(Refusal::NotAFile))));
    }
}
